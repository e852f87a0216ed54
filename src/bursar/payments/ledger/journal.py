"""How a step becomes one transaction: the attempt's next version, and the event that describes the step.

    record              along an edge of the graph: the new values, updated_at, version + 1, and the edge's event;
                        of a final attempt updated_at stays, because its status does
    record_bookkeeping  when to look next, or a lease that ended: version + 1, no event, the same updated_at

Each is written only while the stored attempt is the one that the caller read.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bursar.clock import Clock
from bursar.payments import rules
from bursar.payments.due import DuePolicy
from bursar.payments.errors import AttemptMoved, IdentifierTaken, LedgerBusy
from bursar.payments.event_chain import event_hash
from bursar.payments.records import (
    Attempt,
    Item,
    attempt_to_item,
    event_to_item,
    latest_event,
    unsettled_since,
    whole_ms,
)
from bursar.payments.status import FINAL, PROCESSED, Actor, EventName, NoSuchEdge, Status, edge
from bursar.rules import Contention, Put, RuledTable, RuleRefused, StoreBusy, Update
from bursar.rules.language.writes import LogicalWrite

CHANGE_TRIES_MAX: Final = 4
"""The most tries of one change. A try is repeated if only bookkeeping has changed the attempt in between."""

# A refusal by one of these rules means that Pay.gov gave one identifier twice: rule → attribute.
_IDENTIFIERS: Final[Mapping[str, str]] = {rules.TOKEN: "token", rules.PAYGOV_TRACKING_ID: "payGovTrackingId"}


class Journal:
    """Writes attempts with their events through ``ruled``; ``reread`` returns an attempt as it is stored now."""

    def __init__(
        self,
        ruled: RuledTable,
        reread: Callable[[Attempt], Awaitable[Attempt]],
        *,
        clock: Clock,
        due_policy: DuePolicy,
    ) -> None:
        self._ruled = ruled
        self._reread = reread
        self._clock = clock
        self._due_policy = due_policy

    async def record(
        self,
        attempt: Attempt,
        event: EventName,
        actor: Actor,
        target: Status | None = None,
        *,
        detail: Mapping[str, Any] | None = None,
        also: Callable[[Attempt, float], Sequence[LogicalWrite]] | None = None,
        **changes: Any,
    ) -> Attempt:
        """Record the step that leaves the attempt's status by ``event``, with ``changes``: field → value.

        ``also`` returns further writes of the same transaction, from the changed attempt and the time of the event.
        An event about money that went back keeps ``updated_at``: its own time is in the event alone.

        The step is tried again if only bookkeeping has changed the attempt. Raises ``AttemptMoved`` if another event
        was recorded, ``IdentifierTaken``, ``LedgerBusy``, and ``NoSuchEdge`` if the graph has no such step for
        ``actor``.
        """
        step = edge(attempt.status, event, target)
        if actor not in step.actors:
            raise NoSuchEdge(f"{event}: must be recorded by {' or '.join(step.actors)}; got {actor}")
        current = attempt
        for _ in range(CHANGE_TRIES_MAX):
            at = max(whole_ms(self._clock()), current.updated_at)
            values: dict[str, Any] = {
                **changes,
                "status": step.target,
                "updated_at": current.updated_at if attempt.status in FINAL else at,
                "version": current.version + 1,
                "event_seq": current.event_seq + 1,
            }
            values["unsettled_since"] = unsettled_since(current, values)
            if step.target == PROCESSED and step.moves:
                values["settled_at"] = at
            changed = replace(current, **values, due_at=self._due_policy.due_at(current, values))
            described = latest_event(
                changed, current.status, event, actor, detail, previous_hash=current.event_hash, at=at
            )
            written = event_to_item(described)
            changed.event_hash = event_hash(written)
            item = attempt_to_item(changed)
            try:
                more = also(changed, at) if also else ()
                await self._ruled.write([Update(_as_read(current), item), Put(written), *more])
                changed.stored_item = item
                return changed
            except (Contention, RuleRefused) as refusal:
                current = await self._changed_since(current, refusal)
                if current.event_seq != attempt.event_seq:
                    raise AttemptMoved(current) from None
        raise AttemptMoved(current)

    async def record_bookkeeping(self, attempt: Attempt, **changes: Any) -> Attempt:
        """Record ``changes`` without an event. Raises ``AttemptMoved``, ``LedgerBusy``."""
        changed = replace(attempt, **changes, version=attempt.version + 1)
        item = attempt_to_item(changed)
        try:
            await self._ruled.write([Update(_as_read(attempt), item)])
            changed.stored_item = item
            return changed
        except (Contention, RuleRefused) as refusal:
            raise AttemptMoved(await self._changed_since(attempt, refusal)) from None

    async def _changed_since(self, attempt: Attempt, refusal: Contention | RuleRefused) -> Attempt:
        """Return the attempt as stored now, if a change of it explains why the store refused a write.

        Otherwise raises the error that explains it: ``LedgerBusy``, ``IdentifierTaken`` or the rule's ``refusal``.
        """
        if isinstance(refusal, StoreBusy):
            raise LedgerBusy(str(refusal)) from refusal
        current = await self._reread(attempt)
        if current.version != attempt.version:
            return current
        if isinstance(refusal, Contention):
            raise LedgerBusy(str(refusal)) from refusal
        attribute = _IDENTIFIERS.get(refusal.rule)
        if attribute is None:
            raise refusal
        raise IdentifierTaken(current, attribute) from None


def _as_read(attempt: Attempt) -> Item:
    if attempt.stored_item is None:
        raise ValueError(f"{attempt.agency_tracking_id}: must be an attempt that a ledger has read or written")
    return attempt.stored_item
