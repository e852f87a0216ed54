"""Measure reports over many payments, beside PostgreSQL 15 with the closest portal's indexes.

    python -m bench.bench_reports --data DIR [--payments 1000000] [--build] [--rounds 7] [--peer COMMAND] [--write]

``--data`` keeps the data for the next run; ``--build`` only builds it. Without ``--data`` they are built and removed.
``--peer`` starts the closest portal's server with the variables DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME and
API_PORT; its endpoint is then measured instead of the statements that it runs. ``--write`` writes the page
docs/benchmarks/reports.md. The run fails if PostgreSQL answers an aggregate differently.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.reports_bench.data_set import DataSet, data_set
from bench.reports_bench.measuring import measure, saved
from bench.reports_bench.page import OUT, render
from bursar.bootstrap.composition import Composition
from bursar.reports.named_reports import named_reports

NAMED_ROUNDS: Final = 3
_PARAMETERS: Final = {
    "payments_of_fee": {"fee": "NONATTORNEY_EXAM_REGISTRATION_FEE", "since": "2026-11-01"},
    "failed_above": {"above": "100", "since": "2026-06-01"},
    "return_codes": {"since": "2026-06-01"},
    "statement": {"client": "dawson", "since": "2026-10-01"},
}


async def named(data: DataSet) -> list[tuple[str, float]]:
    """Return the median seconds of each named report in this process, without the server."""
    found = []
    async with Composition(data.settings, creates_store=False) as parts:
        reports = await parts.reports()
        for name in named_reports():
            spent = []
            for _ in range(NAMED_ROUNDS):
                begun = time.perf_counter()
                await reports.report(name, _PARAMETERS.get(name, {}), cuts=True)
                spent.append(time.perf_counter() - begun)
            found.append((name, statistics.median(spent)))
    return found


def run(folder: Path, options: argparse.Namespace) -> None:
    data = data_set(folder, options.payments)
    if options.build:
        return
    measured = measure(data, options.rounds, options.peer)
    saved(measured, folder / "measured.json")
    text = render(data, measured, asyncio.run(named(data)), [f"{options.rounds} rounds, the sides in turn."])
    print(text)
    if options.write:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--build", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peer", metavar="COMMAND")
    parser.add_argument("--write", action="store_true", help=f"write {OUT}")
    options = parser.parse_args()
    if options.data is not None:
        run(options.data.absolute(), options)
        return
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # PostgreSQL may run as another user
        run(Path(name), options)


if __name__ == "__main__":
    main()
