"""The first records of an attempt, in one transaction: it, its first event, and its obligation if that is new."""

from collections.abc import Mapping
from typing import Any

from bursar.clock import MILLISECOND_S
from bursar.payments.event_chain import event_hash
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import (
    Attempt,
    attempt_to_item,
    event_to_item,
    latest_event,
    obligation_of,
    obligation_to_item,
    whole_ms,
)
from bursar.payments.status import Actor, EventName
from bursar.rules import Put, RuledTable


def next_created_at(view: ObligationView, earliest: float) -> float:
    """Return the creation time of a further attempt at the obligation of ``view``, at ``earliest`` or later.

    Attempts at one obligation are ordered by their creation, so no two may share a millisecond.
    """
    return whole_ms(max(earliest, view.attempts[-1].created_at + MILLISECOND_S))


async def write_first_records(
    ruled: RuledTable,
    attempt: Attempt,
    view: ObligationView | None,
    event: EventName,
    actor: Actor,
    detail: Mapping[str, Any],
    *,
    at: float | None = None,
) -> None:
    """Write ``attempt`` with its first event, at ``at`` or when the attempt last changed; set its hash and stored item.

    ``view`` is the obligation before, whose chain the event continues; None writes the obligation too. Raises as
    :meth:`~bursar.rules.table.RuledTable.write`.
    """
    previous_hash = None if view is None else view.attempts[-1].event_hash
    first = event_to_item(latest_event(attempt, None, event, actor, detail, previous_hash=previous_hash, at=at))
    attempt.event_hash = event_hash(first)
    item = attempt_to_item(attempt)
    obligation = [Put(obligation_to_item(obligation_of(attempt)))] if view is None else []
    await ruled.write([*obligation, Put(item), Put(first)])
    attempt.stored_item = item
