"""Measure a reconciliation: an activity file of many lines, with planted differences, against as many payments.

    python -m bench.bench_reconcile --payments 1000000

A lake of generated payments is built first, and an XML file of their collections. The reconciliation then runs in a
separate process, so that its peak memory is measured alone. The run fails unless exactly the planted differences are
found.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from bench.reports_bench.history import SPAN_S, build, finish, payment
from bursar.clock import system_clock
from bursar.dynamo import AsyncEngine, open_store
from bursar.payments.catalogue.fees import COURT_ZONE
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Attempt
from bursar.reports.reconciliation.mapping import FileMapping
from bursar.reports.reconciliation.our_payments import ReportedPayments
from bursar.reports.reconciliation.run import reconciled
from bursar.reports.reports import Reports
from bursar.reports.tail.stream_source import StreamSource

PLANTED_EACH: Final = 50
KINDS: Final = ("missing_there", "missing_here", "amount_differs", "repeated", "charged_twice", "malformed")
ACTIVITY: Final = "activity.xml"
_ZONE: Final = ZoneInfo(COURT_ZONE)


def attempts(count: int, now: float) -> Iterator[Attempt]:
    """Yield the attempts that :func:`bench.reports_bench.history.build` wrote at ``now``."""
    draw = random.Random(1)
    for number in range(count):
        yield payment(number, now - SPAN_S - 500_000 + number * (SPAN_S / count), draw)[0]


def lines_of(attempt: Attempt, kind: str | None) -> list[str]:
    """Return the records of an attempt, with a difference of ``kind`` planted."""
    number = attempt.agency_tracking_id[1:]
    paygov_id, amount = attempt.paygov_tracking_id or "", f"{attempt.amount:.2f}"
    moment = datetime.fromtimestamp(attempt.updated_at, UTC).astimezone(_ZONE).replace(tzinfo=None)

    def record(agency_id: str, paygov_id: str, amount: str) -> str:
        return (
            f"<item_detail_record><agency_tracking_id>{agency_id}</agency_tracking_id>"
            f"<paygov_tracking_id>{paygov_id}</paygov_tracking_id>"
            f"<transaction_status>{attempt.transaction_status}</transaction_status>"
            f"<transaction_date>{moment.isoformat(timespec='seconds')}</transaction_date>"
            f"<transaction_amount>{amount}</transaction_amount>"
            "<deposit_ticket_number>123456</deposit_ticket_number>"
            "<account_holder_email_address>payer@example.org</account_holder_email_address></item_detail_record>\n"
        )

    usual = record(attempt.agency_tracking_id, paygov_id, amount)
    match kind:
        case "missing_there":
            return []
        case "missing_here":
            return [usual, record(f"x{number}", f"X{number}", amount)]
        case "amount_differs":
            return [record(attempt.agency_tracking_id, paygov_id, "1.11")]
        case "repeated":
            return [usual, usual]
        case "charged_twice":
            return [usual, record(attempt.agency_tracking_id, f"X{number}", amount)]
        case "malformed":
            return [usual, record(attempt.agency_tracking_id, paygov_id, "60.005")]
    return [usual]


def write_file(path: Path, count: int, now: float) -> None:
    """Write the activity file, with each kind of difference planted at payments all over it."""
    chance = random.Random(3)
    chosen = iter(sorted(chance.sample(range(count // 100, count - count // 100), PLANTED_EACH * len(KINDS))))
    kinds = list(KINDS) * PLANTED_EACH
    chance.shuffle(kinds)
    place = next(chosen, None)
    with path.open("w") as file:
        file.write("<activity>\n<credit_card>\n")
        for number, attempt in enumerate(attempts(count, now)):
            due = place is not None and number >= place and attempt.status == "processed"
            file.writelines(lines_of(attempt, kinds.pop() if due else None))
            if due:
                place = next(chosen, None)
        file.write("</credit_card>\n</activity>\n")
    if kinds:
        raise SystemExit("too few payments for the differences")


async def prepare(folder: Path, count: int) -> list[str]:
    """Build the lake, its store and the activity file; return lines about them."""
    now = system_clock()
    lines = build(folder, count, now)
    store = await open_store(f"file:{folder}/portal.db", clock=system_clock, randomness=random.Random(1))
    await Ledger(store, clock=system_clock, randomness=random.Random(1)).create_table()
    assert isinstance(store, AsyncEngine)
    finish(folder, await StreamSource(store, "bursar-payments").position())
    await store.close()
    write_file(folder / ACTIVITY, count, now)
    size = (folder / ACTIVITY).stat().st_size / 1e6
    return [*lines, f"- the activity file has {size:.0f} MB"]


async def measure(folder: Path) -> list[str]:
    """Reconcile the file and return lines about it. Ends the run if the differences are not those that were planted."""
    store = await open_store(f"file:{folder}/portal.db", clock=system_clock, randomness=random.Random(1))
    assert isinstance(store, AsyncEngine)
    reports = Reports(StreamSource(store, "bursar-payments"), f"file:{folder}/lake", system_clock)
    before_mb = _peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    with await reconciled([folder / ACTIVITY], FileMapping(), ReportedPayments(reports)) as result:
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        found = Counter(each.line_class for each in result.differences())
        records, cents = result.records, result.file_cents
        matched = result.of_class("matched")[0]
    await reports.close()
    await store.close()
    if found != Counter(dict.fromkeys(KINDS, PLANTED_EACH)):
        raise SystemExit(f"planted {PLANTED_EACH} of each of {', '.join(KINDS)}; found {dict(found)}")
    return [
        f"- {records:,} lines, {cents / 100:,.2f} USD, {matched:,} matched: {wall:.1f} s, {cpu:.1f} CPU s, "
        f"{records / wall:,.0f} lines/s",
        f"- peak memory {_peak_mb():.0f} MB, of which {before_mb:.0f} MB before the first line",
        f"- all {PLANTED_EACH * len(KINDS)} planted differences found, none invented",
    ]


def _peak_mb() -> float:
    """Return this process's peak memory. ``ru_maxrss`` would begin with that of the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=1_000_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        print(*asyncio.run(measure(arguments.measure)), sep="\n")
        return
    with tempfile.TemporaryDirectory(prefix="bursar-bench-") as folder:
        print(*asyncio.run(prepare(Path(folder), arguments.payments)), sep="\n", flush=True)
        command = [sys.executable, "-m", "bench.bench_reconcile", "--measure", folder]
        sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
