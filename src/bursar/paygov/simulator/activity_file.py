"""Activity files from the simulator's books: XML or CSV, for a range of days, with planted differences on request.

The element names are those of one public importer (docs/paygov.md). GUESS: the root element, a second line for a
returned debit on the day of its return, and the CSV form.
"""

import csv
import io
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from bursar.paygov.protocol import STATUS_RETURNED
from bursar.paygov.simulator.books import SUCCESS, Entry
from bursar.paygov.simulator.core import Simulator
from bursar.payments.catalogue.fees import COURT_ZONE

ROOT: Final = "activity_file"
GROUPS: Final[Mapping[str, str]] = {"PLASTIC_CARD": "credit_card", "ACH": "ach_debit", "PAYPAL": "paypal"}
"""Payment type → the element around its lines. GUESS for PayPal."""
FIELDS: Final = (
    "agency_tracking_id",
    "paygov_tracking_id",
    "transaction_status",
    "transaction_date",
    "transaction_amount",
    "deposit_ticket_number",
)
TICKETS: Final = 1_000_000
_ZONE: Final = ZoneInfo(COURT_ZONE)


@dataclass(frozen=True, slots=True)
class ActivityRecord:
    """One line: a collection, or the return of one. ``at`` is New York's time without an offset."""

    payment_type: str
    agency_tracking_id: str
    paygov_tracking_id: str
    transaction_status: str
    at: datetime
    amount: str
    ticket: str

    def values(self) -> tuple[str, ...]:
        """Return the values of :data:`FIELDS`."""
        moment = self.at.isoformat(timespec="seconds")
        return (
            self.agency_tracking_id, self.paygov_tracking_id, self.transaction_status, moment, self.amount, self.ticket
        )  # fmt: skip


def activity_records(simulator: Simulator, first: str, last: str) -> list[ActivityRecord]:
    """Return the lines of the days ``first`` to ``last`` in New York, in the order of the books."""
    return [
        record
        for entry in simulator.books.completed()
        for record in _records_of(simulator, entry)
        if first <= record.at.date().isoformat() <= last
    ]


def _records_of(simulator: Simulator, entry: Entry) -> Iterator[ActivityRecord]:
    assert entry.completed_at is not None
    assert entry.paygov_tracking_id is not None
    collected = ActivityRecord(
        payment_type=entry.payment_type or "",
        agency_tracking_id=entry.agency_tracking_id,
        paygov_tracking_id=entry.paygov_tracking_id,
        transaction_status=simulator.status(entry),
        at=local_time(entry.completed_at),
        amount=f"{entry.amount:.2f}",
        ticket=deposit_ticket(entry.completed_at, entry.payment_type or ""),
    )
    if entry.returned_at is None:
        yield collected
        return
    yield replace(collected, transaction_status=SUCCESS)
    yield replace(collected, transaction_status=STATUS_RETURNED, at=local_time(entry.returned_at))


def as_xml(records: Sequence[ActivityRecord]) -> str:
    """Return the lines as XML, grouped by payment type."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<{ROOT}>"]
    for payment_type, group in GROUPS.items():
        lines.append(f"  <{group}>")
        for record in records:
            if record.payment_type == payment_type:
                fields = zip(FIELDS, record.values(), strict=True)
                inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields)
                lines.append(f"    <item_detail_record>{inside}</item_detail_record>")
        lines.append(f"  </{group}>")
    return "\n".join([*lines, f"</{ROOT}>"]) + "\n"


def as_csv(records: Sequence[ActivityRecord]) -> str:
    """Return the lines as CSV with a line of column names."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow([*FIELDS, "payment_type"])
    rows.writerows((*record.values(), record.payment_type) for record in records)
    return written.getvalue()


FORMS: Final[Mapping[str, tuple[str, Callable[[Sequence[ActivityRecord]], str]]]] = {
    "xml": ("application/xml", as_xml),
    "csv": ("text/csv", as_csv),
}
"""Form → its content type and its writer."""

Planting = Callable[[ActivityRecord, random.Random], tuple[ActivityRecord, ...]]


def _other_id(record: ActivityRecord, chance: random.Random) -> ActivityRecord:
    return replace(record, paygov_tracking_id=f"X{chance.getrandbits(80):020X}")


def _a_stranger(record: ActivityRecord, chance: random.Random) -> ActivityRecord:
    return replace(_other_id(record, chance), agency_tracking_id=f"x{chance.getrandbits(80):020x}")


PLANTINGS: Final[Mapping[str, Planting]] = {
    "missing_here": lambda record, chance: (record, _a_stranger(record, chance)),
    "missing_there": lambda record, chance: (),
    "amount_differs": lambda record, chance: (replace(record, amount=f"{Decimal(record.amount) + 1:.2f}"),),
    "date_differs": lambda record, chance: (replace(record, at=record.at + timedelta(days=40)),),
    "status_differs": lambda record, chance: (replace(record, transaction_status="Failed"),),
    "id_differs": lambda record, chance: (_other_id(record, chance),),
    "repeated": lambda record, chance: (record, record),
    "charged_twice": lambda record, chance: (record, _other_id(record, chance)),
    "reversal_not_recorded": lambda record, chance: (record, replace(record, transaction_status=STATUS_RETURNED)),
    "unknown": lambda record, chance: (replace(record, transaction_status="Vanished"),),
    "malformed": lambda record, chance: (replace(record, amount=f"{record.amount}5"),),
}
"""Kind of difference (a class of `bursar reconcile`) → a function that returns the lines in place of a correct one."""


def planted(
    records: Sequence[ActivityRecord], kinds: Sequence[str], chance: random.Random
) -> tuple[list[ActivityRecord], list[tuple[str, ActivityRecord]]]:
    """Return the lines with one difference of each kind, each at a different paid collection, and the place of each.

    Raises ``ValueError`` for an unknown kind, and if there are fewer paid collections than kinds.
    """
    unknown = [kind for kind in kinds if kind not in PLANTINGS]
    if unknown:
        raise ValueError(f"plant: must be some of {', '.join(PLANTINGS)}; got {unknown[0]!r}")
    returned = {each.paygov_tracking_id for each in records if each.transaction_status == STATUS_RETURNED}
    paid = [
        place
        for place, each in enumerate(records)
        if each.transaction_status == SUCCESS and each.paygov_tracking_id not in returned
    ]
    if len(paid) < len(kinds):
        raise ValueError(f"plant: must be at most as many kinds as paid collections, {len(paid)}; got {len(kinds)}")
    where = dict(zip(chance.sample(paid, len(kinds)), kinds, strict=True))
    lines: list[ActivityRecord] = []
    for place, record in enumerate(records):
        lines += PLANTINGS[where[place]](record, chance) if place in where else (record,)
    return lines, [(kind, records[place]) for place, kind in where.items()]


def local_time(seconds: float) -> datetime:
    """Return an instant, Unix seconds, as New York's time without an offset."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(_ZONE).replace(tzinfo=None)


def deposit_ticket(seconds: float, payment_type: str) -> str:
    """Return the deposit ticket of a day and a payment type: six digits."""
    day = local_time(seconds).date().toordinal() * len(GROUPS) + list(GROUPS).index(payment_type)
    return f"{day % TICKETS:06d}"
