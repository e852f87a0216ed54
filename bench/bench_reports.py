"""Measure reports over many payments: build a lake, time every named report, free SQL, and a fresh payment.

    python -m bench.bench_reports --payments 1000000 [--repeats 5] [--fresh 200] [--write]

The lake's writer writes the lake from generated rows. The store is the embedded one, in a file, and gets the fresh
payments through the ledger. Each report runs once cold and then ``--repeats`` times, and the median is reported.
``--write`` writes the tables to docs/benchmarks/reports.md.
"""

import argparse
import asyncio
import platform
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import UUID

from bursar.clock import system_clock
from bursar.dynamo import AsyncEngine, open_store
from bursar.payments.fees import FeeCatalogue
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Attempt, Event, Outcome
from bursar.payments.status import EventName, Status
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.position import Position
from bursar.reports.lake.rows import TableRow, arrow_table, attempt_row, event_row
from bursar.reports.lake.schema import PAYMENT_EVENTS, PAYMENTS, TABLES
from bursar.reports.lake.twin import refresh_twin
from bursar.reports.lake.writer import Batch, writing
from bursar.reports.named_reports import named_reports
from bursar.reports.reports import Reports
from bursar.reports.tail.stream_source import StreamSource

BATCH_PAYMENTS = 50_000
SPAN_S = 730 * 86_400.0
OUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "reports.md"
FEES = (("PETITION_FILING_FEE", "60.00"), ("NONATTORNEY_EXAM_REGISTRATION_FEE", "250.00"), ("COPY_FEE", "12.50"))
FREE = {
    "count and sum": "SELECT count(*), sum(amount) FROM payments",
    "one reference": "SELECT * FROM payments WHERE reference = '00000000-0000-4000-8000-000000000042'",
    "metadata text": "SELECT count(*) FROM payments WHERE metadata LIKE '%\"1234-26\"%'",
    "overview from daily sums": "SELECT status, sum(attempts), sum(amount) FROM payment_days GROUP BY 1",
    "steps of all": "SELECT from_status, to_status, count(*) FROM payment_events GROUP BY 1, 2",
}

Timed = tuple[str, float, float]


def payment(number: int, at: float, draw: random.Random) -> tuple[Attempt, list[Event]]:
    """Return one finished payment and its events; 85 of 100 succeed, 30 of 100 are ACH and settle in days."""
    fee, amount = draw.choices(FEES, (70, 5, 25))[0]
    ach, good = draw.random() < 0.3, draw.random() < 0.85
    steps: list[tuple[Status, EventName, float]] = [
        ("received", "started", 0.0),
        ("initiated", "token_given", draw.uniform(0.1, 0.6)),
        ("processing", "claimed", draw.uniform(20, 600)),
    ]
    if ach:
        steps.append(("pending", "accepted", draw.uniform(0.2, 1.5)))
    last: Status = "processed" if good else "failed"
    steps.append((last, "settled" if ach else "completed", draw.uniform(86_400, 400_000) if ach else 0.7))
    attempt_id, reference = f"a{number:018d}", str(UUID(int=(8 << 60) | (4 << 76) | number))
    events, moment, before = [], at, None
    for seq, (status, name, after_s) in enumerate(steps, start=1):
        moment += after_s
        events.append(Event("dawson", reference, attempt_id, seq, moment, name, "portal", before, status, {}))
        before = status
    attempt = Attempt(
        agency_tracking_id=attempt_id,
        client=draw.choice(("dawson", "exams", "copies")),
        reference=reference,
        fee=fee,
        fee_version="2024-01-01",
        tcs_app_id="TCSUSTAXCOURTPETITION",
        amount=Decimal(amount),
        metadata={"docketNumber": f"{number % 9999}-26"},
        url_success="https://client.example/ok",
        url_cancel="https://client.example/no",
        created_at=at,
        updated_at=moment,
        status=last,
        paygov_tracking_id=f"P{number}",
        payment_method="ACH" if ach else "PLASTIC_CARD",
        transaction_status="Success" if good else "Failed",
        return_code=None if good else draw.choice(("4019", "4117", "3001")),
        token_at=at + 0.3,
    )
    return attempt, events


def batches(count: int, now: float) -> Iterator[tuple[list[TableRow], list[TableRow]]]:
    """Yield the rows of ``count`` payments over two years, oldest first, in batches."""
    draw = random.Random(1)
    spacing_s = SPAN_S / count
    for first in range(0, count, BATCH_PAYMENTS):
        attempts: list[TableRow] = []
        events: list[TableRow] = []
        for number in range(first, min(first + BATCH_PAYMENTS, count)):
            attempt, its_events = payment(number, now - SPAN_S - 500_000 + number * spacing_s, draw)
            attempts.append(attempt_row(attempt))
            events.extend(map(event_row, its_events))
        yield attempts, events


def batch_of(attempts: list[TableRow], events: list[TableRow]) -> Batch:
    """Return a batch of final attempts and events."""
    rows = {PAYMENTS.name: attempts, PAYMENT_EVENTS.name: events}
    tables = {schema.name: arrow_table(schema, rows.get(schema.name, [])) for schema in TABLES}
    return Batch(tables, arrow_table(PAYMENTS, []))


def finish(folder: Path, position: Position) -> None:
    """Set the position of the lake, merge its files and make its twin."""
    with writing(Lake.at(f"file:{folder}/lake")) as writer:
        written = writer.commit(batch_of([], []), position, system_clock() - 400)
        refresh_twin(folder / "lake", written, writer.merge())


def build(folder: Path, count: int) -> list[str]:
    """Write the lake and return lines about it."""
    now, writing_s, rows = system_clock(), 0.0, 0
    with writing(Lake.at(f"file:{folder}/lake")) as writer:
        for attempts, events in batches(count, now):
            begun = time.perf_counter()
            writer.commit(batch_of(attempts, events), None, now - 400)
            writing_s += time.perf_counter() - begun
            rows += len(attempts) + len(events)
    size = sum(path.stat().st_size for path in (folder / "lake").rglob("*.parquet"))
    return [
        f"- {count:,} payments, {rows:,} rows written in {writing_s:.1f} s ({rows / writing_s:,.0f} rows/s),"
        f" {size / 1e6:.0f} MB of Parquet"
    ]


async def timed(work: Callable[[], Awaitable[object]], repeats: int) -> tuple[float, float]:
    """Return (first time, median of the repeats) in seconds."""
    spent = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        await work()
        spent.append(time.perf_counter() - begun)
    return spent[0], statistics.median(spent[1:])


async def fresh(ledger: Ledger, reports: Reports, count: int) -> list[str]:
    """Return the times from the acknowledgement of a payment to the answer that has it, in seconds."""
    fee = FeeCatalogue.default().fee("PETITION_FILING_FEE", system_clock())
    assert fee is not None
    spent = []
    for number in range(count):
        reference = str(UUID(int=(1 << 40) + number, version=4))
        urls = ("https://client.example/ok", "https://client.example/no")
        attempt = await ledger.start_attempt(
            "dawson", reference, fee, Decimal("60.00"), {"docketNumber": "1-26"}, *urls
        )
        attempt = await ledger.record_token(attempt, f"{number:032d}")
        attempt = await ledger.take_lease(attempt, "bench", 30.0)
        await ledger.record_outcome(attempt, Outcome("processed", f"F{number}", "Success"), actor="portal")
        begun = time.perf_counter()
        answer = await reports.sql("SELECT status FROM payments WHERE reference = $r", {"r": reference})
        spent.append(time.perf_counter() - begun)
        if answer.rows != [("processed",)]:
            raise SystemExit(f"payment {number} was acknowledged and is not in the answer: {answer.rows}")
    spent.sort()
    return [
        f"- from acknowledgement to the answer that has it, {count} times, tail growing to {5 * count} rows: "
        f"p50 {statistics.median(spent) * 1e3:.0f} ms, p95 {spent[int(count * 0.95)] * 1e3:.0f} ms"
    ]


async def measure(folder: Path, repeats: int, fresh_count: int) -> tuple[list[Timed], list[str]]:
    randomness = random.Random(1)
    store = await open_store(f"file:{folder}/portal.db", clock=system_clock, randomness=randomness)
    ledger = Ledger(store, clock=system_clock, randomness=randomness)
    await ledger.create_table()
    assert isinstance(store, AsyncEngine)
    finish(folder, await StreamSource(store, "bursar-payments").position())
    reports = Reports(StreamSource(store, "bursar-payments"), f"file:{folder}/lake", system_clock)
    results: list[Timed] = []
    for name, text in FREE.items():
        results.append((f"sql: {name}", *await timed(partial(reports.sql, text), repeats)))
    for name in named_reports():
        parameters = {"payments_of_fee": {"fee": "COPY_FEE", "since": "2026-11-01"}, "failed_above": {"above": "100"}}
        given = parameters.get(name, {})
        if name == "return_codes":
            given = {"since": "2026-06-01"}  # without it the answer would have too many rows
        results.append((name, *await timed(partial(reports.report, name, given), repeats)))
    lines = await fresh(ledger, reports, fresh_count)
    await reports.close()
    await store.close()
    return results, lines


def render(results: list[Timed], lines: list[str]) -> str:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table = ["| query | first, ms | then, ms |", "|---|---|---|"]
    table += [f"| {name} | {first * 1e3:.0f} | {then * 1e3:.0f} |" for name, first, then in results]
    about = f"- {platform.processor() or platform.machine()}, Python {platform.python_version()}, peak {peak_mb:.0f} MB"
    return "\n".join(["# Reports: time to answer", "", *lines, about, "", *table, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fresh", type=int, default=200)
    parser.add_argument("--write", action="store_true", help=f"write {OUT}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = build(folder, options.payments)
        results, more = asyncio.run(measure(folder, options.repeats, options.fresh))
    text = render(results, lines + more)
    print(text)
    if options.write:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
