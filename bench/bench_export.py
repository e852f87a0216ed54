"""Measure the memory and the time of exports of a whole store from the transactions page.

    python -m bench.bench_export [--payments 20000] [--forms csv,parquet,xlsx]
    python -m bench.bench_export --copy-of FOLDER     over a copy of a data set (Linux, root)

`bursar up` serves the data as for bench_dashboard. Each form is downloaded once. The peak is the largest resident
memory (VmHWM) of the server and of its reports process, which is reset before each download; CPU is that of both.
"""

import argparse
import http.client
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.bench_dashboard import (
    PAYING_CLIENTS,
    ROOT,
    START_TIMEOUT_S,
    Person,
    cpu_s,
    measure_copy,
    postpone_verification,
    prepare,
    processes_of,
    running_up,
    stored,
)
from bench.portal_bench.servers import loaded

FORMS: Final = "csv,parquet,xlsx"
CHUNK_BYTES: Final = 1 << 20
_RESET_PEAK: Final = "5"
"""Written to /proc/PID/clear_refs, it makes the present memory the peak."""


def download(person: Person, form: str) -> int:
    """Read an export of everything, and return its bytes. Raises ``RuntimeError`` for an error."""
    connection = http.client.HTTPConnection(person.address, timeout=START_TIMEOUT_S)
    connection.request("GET", f"{ROOT}/transactions.{form}", headers={"cookie": person.cookie})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{form}: must be answered; got {answer.status}")
    total = 0
    while chunk := answer.read(CHUNK_BYTES):
        total += len(chunk)
    return total


def memory_mb(process: int, name: str) -> float:
    """Return a line of /proc/PID/status, such as ``VmHWM``, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def measure(url: str, process: int, forms: list[str]) -> list[str]:
    """Return the lines of the table."""
    loaded(url, PAYING_CLIENTS, 1.0)
    payments, attempts = stored(url)
    person = Person(url)
    person.load(f"{ROOT}/transactions")
    lines = [
        f"{payments:,} payments with {attempts:,} attempts were stored, and each file has a row of each attempt.",
        "",
        "| form | file, MB | CPU, s | server: before → peak, MB | reports process: before → peak, MB |",
        "|---|--:|--:|--:|--:|",
    ]
    for form in forms:
        [server, reports] = processes_of(process)[:2]
        for each in (server, reports):
            Path(f"/proc/{each}/clear_refs").write_text(_RESET_PEAK)
        rest = {each: memory_mb(each, "VmRSS") for each in (server, reports)}
        began = cpu_s(process)
        size = download(person, form)
        used = cpu_s(process) - began
        peaks = [f"{rest[each]:,.0f} → {memory_mb(each, 'VmHWM'):,.0f}" for each in (server, reports)]
        lines.append(f"| {form} | {size / 1e6:,.0f} | {used:,.1f} | {' | '.join(peaks)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def main() -> None:
    """Read the command line, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=20_000, help="payments of a new store")
    parser.add_argument("--forms", default=FORMS)
    parser.add_argument("--data", type=Path, help="a folder with the data, or for new data")
    parser.add_argument("--copy-of", type=Path, help="a data folder that is copied and not changed")
    options = parser.parse_args()
    if options.copy_of is not None:
        sys.exit(measure_copy(options.copy_of.absolute(), ["--forms", options.forms], "bench.bench_export"))
    with tempfile.TemporaryDirectory() as scratch:
        data = options.data or Path(scratch) / "data"
        prepare(data, options.payments)
        postpone_verification(data)
        with running_up(data) as (url, process):
            print("\n".join(measure(url, process, options.forms.split(","))))


if __name__ == "__main__":
    main()
