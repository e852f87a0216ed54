"""Double entry as a loop over the history of one attempt, without SQL: the postings in SQL must equal these."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bursar.payments.records import ZERO, Attempt
from tests.support.reports.book import Book

Line = tuple[str, str, str, str | None, str | None, Decimal]
"""Attempt, entry, account, classification, ticket, amount."""


def postings(book: Book, until: float = float("inf")) -> list[Line]:
    """Return every line that was posted at or before ``until``, in order."""
    lines: list[Line] = []
    for attempt in book.attempts.values():
        lines += _of_attempt(book, attempt, until)
    return sorted(lines, key=repr)


def balances(lines: list[Line]) -> dict[str, Decimal]:
    """Return the balance of each account."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        found[line[2]] += line[-1]
    return dict(found)


def _of_attempt(book: Book, attempt: Attempt, until: float) -> Iterator[Line]:
    key, amount = attempt.agency_tracking_id, attempt.amount
    moments: list[tuple[float, int, Any]] = [
        *((event.at, 0, event) for event in book.events if event.agency_tracking_id == key),
        *((reversal.at, 1, reversal) for reversal in book.reversals if reversal.agency_tracking_id == key),
        *((deposit.at, 2, deposit) for deposit in book.deposits if deposit.agency_tracking_id == key),
    ]
    ticket, back = None, []
    for at, kind, record in sorted(moments, key=lambda moment: moment[:2]):
        if at > until:
            return
        if kind == 0:
            yield from _of_event(attempt, record)
        elif kind == 1:
            entry = f"reversal/{record.seq}"
            yield key, entry, record.kind, None, ticket, record.amount
            yield key, entry, "in_transit" if ticket is None else "deposited", None, ticket, -record.amount
            back.append(record.amount)
        else:
            ticket = record.ticket
            yield key, "deposit", "deposited", None, ticket, amount
            yield key, "deposit", "in_transit", None, ticket, -amount
            for earlier in back:
                yield key, "deposit", "deposited", None, ticket, -earlier
                yield key, "deposit", "in_transit", None, ticket, earlier


def _of_event(attempt: Attempt, event: Any) -> Iterator[Line]:
    key, entry, amount = attempt.agency_tracking_id, f"event/{event.seq}", attempt.amount
    was, now = event.from_status, event.to_status
    if was == now:
        return
    if now == "pending":
        yield key, entry, "in_transit", None, None, amount
        yield key, entry, "unsettled", None, None, -amount
    elif was == "pending":
        yield key, entry, "unsettled", None, None, amount
        if now == "failed":
            yield key, entry, "in_transit", None, None, -amount
    elif now == "processed":
        yield key, entry, "in_transit", None, None, amount
    if now == "processed":
        parts: list[tuple[str | None, Decimal]] = [
            (part.classification_id, part.amount) for part in attempt.classification or ()
        ]
        for classification, part in parts or [(None, amount)]:
            yield key, entry, "fee_revenue", classification, None, ZERO - part
