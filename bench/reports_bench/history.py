"""Generated payments of two years, and the lake that holds them. The rows are made without a store."""

import random
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final
from uuid import UUID

from bursar.clock import system_clock
from bursar.payments.records import Attempt, Event
from bursar.payments.status import EventName, Status
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.position import Position
from bursar.reports.lake.rows import TableRow, arrow_table, attempt_row, event_row
from bursar.reports.lake.schema import PAYMENT_EVENTS, PAYMENTS, TABLES
from bursar.reports.lake.twin import refresh_twin
from bursar.reports.lake.writer import Batch, writing

BATCH_PAYMENTS: Final = 50_000
SPAN_S: Final = 730 * 86_400.0
FEES: Final = (("PETITION_FILING_FEE", "60.00"), ("NONATTORNEY_EXAM_REGISTRATION_FEE", "250.00"))
"""Fees that the closest portal has too, because its endpoint fails for a fee that it does not know."""
CLIENTS: Final = ("dawson", "exams", "copies")


def payment(number: int, at: float, draw: random.Random) -> tuple[Attempt, list[Event]]:
    """Return one finished payment and its events; 85 of 100 succeed, 30 of 100 are ACH and settle in days."""
    fee, amount = draw.choices(FEES, (80, 20))[0]
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
    attempt_id, reference = f"{draw.getrandbits(84):021x}", str(UUID(int=draw.getrandbits(128), version=4))
    client = draw.choice(CLIENTS)
    events, moment, before = [], at, None
    for seq, (status, name, after_s) in enumerate(steps, start=1):
        moment += after_s
        events.append(Event(client, reference, attempt_id, seq, moment, name, "portal", before, status, {}))
        before = status
    attempt = Attempt(
        agency_tracking_id=attempt_id,
        client=client,
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
        paygov_tracking_id=f"P{draw.getrandbits(80):020X}",
        payment_method="ACH" if ach else "PLASTIC_CARD",
        transaction_status="Success" if good else "Failed",
        return_code=None if good else draw.choice(("4019", "4117", "3001")),
        token_at=at + 0.3,
    )
    return attempt, events


def batches(count: int, now: float) -> Iterator[tuple[list[TableRow], list[TableRow]]]:
    """Yield the rows of ``count`` payments over two years, oldest first, in batches."""
    return payment_rows(count, now, BATCH_PAYMENTS)


def payment_rows(
    count: int, now: float, size: int, *, first: int = 0
) -> Iterator[tuple[list[TableRow], list[TableRow]]]:
    """Yield the rows of the payments from number ``first`` on, ``size`` payments at once, oldest first."""
    draw = random.Random(1)
    spacing_s = SPAN_S / count
    for begin in range(first, count, size):
        attempts: list[TableRow] = []
        events: list[TableRow] = []
        for number in range(begin, min(begin + size, count)):
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


def build(folder: Path, count: int, now: float) -> list[str]:
    """Write the lake, with payments up to ``now``, and return lines about it."""
    writing_s, rows = 0.0, 0
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
