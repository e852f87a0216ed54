"""How a step becomes a write: the attempt's next version and the event telling of it, in one transaction.

    take    along an edge of the graph: status, values, updated_at, version + 1, and the edge's event
    tend    bookkeeping alone (when to look next, a lease that ended): version + 1, no event, updated_at stays

Each is written only if the attempt is still at the version that the caller holds.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from bursar.clock import Clock
from bursar.payments import rules
from bursar.payments.due import DuePolicy
from bursar.payments.errors import AttemptMoved, IdentifierTaken, LedgerBusy
from bursar.payments.records import (
    Attempt,
    Item,
    attempt_to_item,
    latest_event_item,
    next_attempt,
    next_attempt_to_item,
    whole_ms,
)
from bursar.payments.status import Actor, NoSuchEdge, Status, edge
from bursar.rules import Contention, Put, RuledTable, RuleRefused, StoreBusy, Update

CHANGE_TRIES_MAX: Final = 4
"""How often a change is tried again on an attempt that moved in a way that does not matter to it."""

# A refusal by one of these rules means that Pay.gov gave one identifier twice: rule → attribute.
_IDENTIFIERS: Final[Mapping[str, str]] = {rules.TOKEN: "token", rules.PAYGOV_TRACKING_ID: "payGovTrackingId"}


class Journal:
    """Writes attempts with their events through ``ruled``; ``reread`` gives an attempt as it is now."""

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

    async def take(
        self,
        attempt: Attempt,
        event: str,
        actor: Actor,
        target: Status | None = None,
        *,
        detail: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Attempt:
        """Takes the edge that leaves the attempt's status by ``event``: attempt and event in one transaction.

        An attempt that moved only in its bookkeeping (no event since) is tried again as it is now.
        """
        step = edge(attempt.status, event, target)
        if actor not in step.actors:
            raise NoSuchEdge(f"{event} is not the {actor}'s to take: {', '.join(step.actors)}")
        current = attempt
        for _ in range(CHANGE_TRIES_MAX):
            taken = {
                "status": step.target,
                "updated_at": max(whole_ms(self._clock()), current.updated_at),
                "version": current.version + 1,
                "event_seq": current.event_seq + 1,
            }
            changed = self.with_due(next_attempt(current, values | taken))
            item = next_attempt_to_item(current, changed)
            told = latest_event_item(changed, current.status, event, actor, detail or {})
            try:
                await self._write(current, item, told)
                return changed
            except AttemptMoved as moved:
                if moved.attempt.event_seq != attempt.event_seq:
                    raise
                current = moved.attempt
        raise AttemptMoved(current)

    async def tend(self, attempt: Attempt, **values: Any) -> Attempt:
        """Changes bookkeeping alone: no event, and ``updated_at`` stays."""
        changed = next_attempt(attempt, values | {"version": attempt.version + 1})
        await self._write(attempt, next_attempt_to_item(attempt, changed), None)
        return changed

    def with_due(self, fresh: Attempt) -> Attempt:
        """The attempt, due when the policy says for the state it is in. ``fresh`` is nobody else's yet: it is kept."""
        due_at = self._due_policy.due_at(fresh)
        object.__setattr__(fresh, "due_at", None if due_at is None else whole_ms(due_at))
        return fresh

    async def _write(self, old: Attempt, new: Item, event: Item | None) -> None:
        writes: list[Put | Update] = [Update(attempt_to_item(old), new)]
        if event is not None:
            writes.append(Put(event))
        try:
            await self._ruled.write(writes)
        except StoreBusy as busy:
            raise LedgerBusy(str(busy)) from busy
        except (Contention, RuleRefused) as refusal:
            current = await self._reread(old)
            if current.version != old.version:
                raise AttemptMoved(current) from None
            if isinstance(refusal, Contention):
                raise LedgerBusy(str(refusal)) from refusal
            attribute = _IDENTIFIERS.get(refusal.rule)
            if attribute is None:
                raise
            raise IdentifierTaken(current, attribute) from None
