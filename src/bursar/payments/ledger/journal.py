"""How a step becomes a write: the attempt's next version and the event telling of it, in one transaction.

    take    along an edge of the graph: status, values, updated_at, version + 1, and the edge's event
    tend    bookkeeping alone (when to look next, a lease that ended): version + 1, no event, updated_at stays

Each is written only if the attempt is still at the version that the caller holds.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from bursar.clock import Clock
from bursar.payments import rules
from bursar.payments.due import DuePolicy
from bursar.payments.errors import AttemptMoved, IdentifierTaken, LedgerBusy
from bursar.payments.records import Attempt, Event, attempt_to_item, event_to_item, latest_event, whole_ms
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
            changed = self.with_due(
                replace(
                    current,
                    **values,
                    status=step.target,
                    updated_at=max(whole_ms(self._clock()), current.updated_at),
                    version=current.version + 1,
                    event_seq=current.event_seq + 1,
                )
            )
            try:
                return await self._write(current, changed, latest_event(changed, current.status, event, actor, detail))
            except AttemptMoved as moved:
                if moved.attempt.event_seq != attempt.event_seq:
                    raise
                current = moved.attempt
        raise AttemptMoved(current)

    async def tend(self, attempt: Attempt, **values: Any) -> Attempt:
        """Changes bookkeeping alone: no event, and ``updated_at`` stays."""
        return await self._write(attempt, replace(attempt, **values, version=attempt.version + 1), None)

    def with_due(self, attempt: Attempt) -> Attempt:
        """Return the attempt, due when the policy says for the state it is in."""
        due_at = self._due_policy.due_at(attempt)
        return replace(attempt, due_at=None if due_at is None else whole_ms(due_at))

    async def _write(self, old: Attempt, new: Attempt, event: Event | None) -> Attempt:
        """Return ``new`` as it is stored, after writing it in the place of ``old``."""
        item = attempt_to_item(new)
        writes: list[Put | Update] = [Update(old.stored_item or attempt_to_item(old), item)]
        if event is not None:
            writes.append(Put(event_to_item(event)))
        try:
            await self._ruled.write(writes)
            return replace(new, stored_item=item)
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
