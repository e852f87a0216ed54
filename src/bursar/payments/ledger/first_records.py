"""The first records of an attempt, in one transaction: it, its first event, and its obligation if that is new."""

from collections.abc import Mapping
from typing import Any

from bursar.clock import MILLISECOND_S
from bursar.payments.event_chain import event_hash
from bursar.payments.ledger.store_records.change_shards import ShardedTable
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import (
    HOLDS_OBLIGATION,
    Attempt,
    attempt_key,
    attempt_to_item,
    due_shard,
    event_to_item,
    latest_event,
    obligation_of,
    obligation_to_item,
    whole_ms,
)
from bursar.payments.status import BLOCKING, Actor, EventName
from bursar.rules import Put, Update
from bursar.rules.language.writes import LogicalWrite


def next_created_at(view: ObligationView, earliest: float) -> float:
    """Return the creation time of a further attempt at the obligation of ``view``, not before ``earliest``.

    Attempts at one obligation are ordered by their creation, so no two may share a millisecond.
    """
    return whole_ms(max(earliest, view.attempts[-1].created_at + MILLISECOND_S))


async def write_first_records(
    ruled: ShardedTable,
    attempt: Attempt,
    view: ObligationView | None,
    event: EventName,
    actor: Actor,
    detail: Mapping[str, Any],
    *,
    at: float | None = None,
) -> None:
    """Write ``attempt`` with its first event, and set its hash and stored item.

    The event's time is ``at``; None: the time at which the attempt last changed.

    ``view`` is the obligation before this write, whose chain the event continues. None: the attempt is the first, so
    the obligation is written too, and the attempt holds it. A further attempt that blocks others ends this hold in the
    same transaction. Raises as :meth:`~bursar.rules.table.RuledTable.write`.
    """
    blocks = attempt.status in BLOCKING
    attempt.holds_obligation = view is None
    attempt.first_attempt = attempt_key(attempt)["sk"]["S"] if view is None else view.attempts[0].first_attempt
    attempt.follows = attempt.first_attempt if blocks and view is not None else None
    previous_hash = None if view is None else view.attempts[-1].event_hash
    first = event_to_item(latest_event(attempt, None, event, actor, detail, previous_hash=previous_hash, at=at))
    attempt.event_hash = event_hash(first)
    item = attempt_to_item(attempt)
    if attempt.live and "dueShard" in item:
        item["dueShard"] = {"S": due_shard(attempt.agency_tracking_id, ruled.due_shards)}
    before: list[LogicalWrite] = []
    if view is None:
        before = [Put(obligation_to_item(obligation_of(attempt)))]
    elif blocks:
        before = _no_longer_holding(view)
    await ruled.write([*before, Put(item), Put(first)])
    attempt.stored_item = item


def _no_longer_holding(view: ObligationView) -> list[LogicalWrite]:
    """Return the write that ends the hold of an ended first attempt on its obligation; None if it has no hold."""
    return [
        Update(item, {name: value for name, value in item.items() if name != HOLDS_OBLIGATION})
        for item in (attempt.stored_item for attempt in view.attempts if attempt.holds_obligation)
        if item is not None
    ]
