"""Support for tests of reconciliations: payments and lines that agree, and files of such lines."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bursar.reports.reconciliation.our_payments import PaymentRow, ReversalRow

DAY = "2026-11-27"
COLUMNS = ("agency_tracking_id", "paygov_tracking_id", "amount", "status", "date")


@dataclass(frozen=True)
class Line:
    """A line of a CSV file, in the file's words."""

    agency_id: str
    paygov_id: str
    amount: str = "60.00"
    status: str = "Success"
    date: str = f"{DAY}T10:30:00"
    kind: str = "Sale"
    ticket: str = ""

    def cells(self) -> list[str]:
        return [self.agency_id, self.paygov_id, self.amount, self.status, self.date, self.kind, self.ticket]


class ListedPayments:
    """Our payments as a list; it notes the days that were asked for."""

    def __init__(self, rows: Iterable[PaymentRow], reversals: Iterable[ReversalRow] = ()) -> None:
        self.rows = list(rows)
        self.recorded = list(reversals)
        self.asked: list[tuple[str, str]] = []

    async def ended_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        self.asked.append((first, last))
        yield [row for row in self.rows if row.final_on is not None and first <= row.final_on <= last]

    async def live_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        yield [row for row in self.rows if row.final_on is None and first <= row.created_on <= last]

    async def with_ids(self, agency_ids: Sequence[str], paygov_ids: Sequence[str]) -> Sequence[PaymentRow]:
        return [row for row in self.rows if row.agency_id in set(agency_ids) or row.paygov_id in set(paygov_ids)]

    async def reversals(self, agency_ids: Sequence[str]) -> Sequence[ReversalRow]:
        return [row for row in self.recorded if row.agency_id in set(agency_ids)]


def payment(number: int, status: str = "processed", *, day: str = DAY, cents: int = 6000) -> PaymentRow:
    """Return our payment ``number``, which began and ended on ``day``."""
    final = day if status in ("processed", "failed") else None
    unknown = status == "processing"
    paygov_id = None if unknown or status in ("received", "initiated") else f"P{number}"
    return PaymentRow(f"a{number}", paygov_id, "dawson", f"r{number}", cents, status, unknown, day, final)


WORDS = {"processed": "Success", "pending": "Received", "failed": "Failed"}


def line_of(row: PaymentRow) -> Line:
    """Return the line that agrees with a payment."""
    amount = f"{row.cents // 100}.{row.cents % 100:02d}"
    return Line(row.agency_id, row.paygov_id or "", amount, WORDS[row.status], f"{row.created_on}T23:59:59")


def write_csv(path: Path, lines: Iterable[Line]) -> Path:
    """Write a file with these lines."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow([*COLUMNS, "transaction type", "deposit ticket"])
    rows.writerows(line.cells() for line in lines)
    path.write_text(written.getvalue())
    return path


def write_xml(path: Path, lines: Iterable[Line]) -> Path:
    """Write a file with these lines in the group of cards."""
    names = ("agency_tracking_id", "paygov_tracking_id", "transaction_amount", "transaction_status", "transaction_date")
    records = [
        "".join(f"<{name}>{cell}</{name}>" for name, cell in zip(names, line.cells(), strict=False)) for line in lines
    ]
    body = "\n".join(f"<item_detail_record>{record}</item_detail_record>" for record in records)
    path.write_text(f"<activity>\n<credit_card>\n{body}\n</credit_card></activity>")
    return path


def changed(line: Line, **values: str) -> Line:
    """Return the line with other values."""
    return replace(line, **values)
