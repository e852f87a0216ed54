"""The ledger: every change of a payment is one transaction, which writes the attempt and the event that describes it.

    two callers take one attempt's lease      A                         B
                                              reads version 2           reads version 2
                                              writes 3 if still 2 ✔
                                                                        writes 3 if still 2 ✘ → AttemptMoved(version 3)

    Ledger.take_lease ─► Journal.record ─► RuledTable.write ─► CompareAndSwap.swap (embedded) or TransactWriteItems

:mod:`bursar.payments.status` defines which steps exist, and the journal checks each one before it is sent.
:mod:`bursar.payments.rules` defines what the database enforces. This module only maps each call to a step. Errors:
:mod:`bursar.payments.errors`.
"""

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import Clock
from bursar.payments import rules
from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.due import DuePolicy
from bursar.payments.errors import (
    AttemptMoved,
    LeaseHeld,
    OutcomeContradicts,
)
from bursar.payments.history_bounds import taken_too_often
from bursar.payments.ledger.contradictions import Contradictions
from bursar.payments.ledger.deposits import Deposits
from bursar.payments.ledger.journal import CHANGE_TRIES_MAX, Journal
from bursar.payments.ledger.outcomes import OUTCOME_EVENTS, adds_nothing
from bursar.payments.ledger.reversals import Reversals
from bursar.payments.ledger.starts import Starts
from bursar.payments.ledger.store_records.change_shards import ShardedTable
from bursar.payments.ledger.store_records.daily_roots import DailyRoots
from bursar.payments.ledger.store_records.restores import RestoreMark, RestoreRecords
from bursar.payments.ledger.table import TABLE_NAME, create_table
from bursar.payments.records import (
    Attempt,
    Outcome,
    whole_ms,
)
from bursar.payments.status import (
    FAILED,
    FINAL,
    INITIATED,
    PROCESSED,
    PROCESSING,
    RECEIVED,
    Actor,
    EventName,
    NoSuchEdge,
    Status,
)

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store
    from bursar.dynamo.engine.compare_and_swap import CompareAndSwap
    from bursar.payments.ledger.erasure import Erasure
    from bursar.payments.ledger.imports import Imports
    from bursar.payments.ledger.store_records.reconciliations import ReconciliationRecords

LIVE_MAX: Final = 100_000
"""The most live attempts that a restore makes due at once. The others become due at their usual times."""
_FAR_FUTURE_S: Final = 100 * 365 * 24 * 3600.0
LEASE_RAN_OUT: Final = "the lease ran out: what its holder did is not known"
"""The reason for an unknown outcome. It is stored in attempts and events, so its text must not change."""

_RESOLUTION_EVENTS: Final[Mapping[Status, EventName]] = {PROCESSED: "resolved_processed", FAILED: "resolved_failed"}
_NO_LEASE: Final[Mapping[str, Any]] = {"lease_owner": None, "lease_until": None}
_OUTCOME_KNOWN: Final[Mapping[str, Any]] = {**_NO_LEASE, "outcome_unknown": False, "unknown_reason": None}


class Ledger(Starts):
    """All obligations, attempts and events in one table of ``store``. Many processes may use one table at once.

    ``fees`` are the fees that the rules allow (default: the catalogue that ships). ``due`` decides when the sweeper
    checks an attempt. ``compare_and_swap`` swaps whole items in a store of this process that enforces the same rules
    (:class:`bursar.rules.RuledTable`). All reads are in :class:`bursar.payments.ledger.lookups.Lookups`, and the starts
    of attempts in :class:`bursar.payments.ledger.starts.Starts`.
    """

    def __init__(
        self,
        store: "Store",
        *,
        clock: Clock,
        randomness: random.Random,
        table: str = TABLE_NAME,
        fees: FeeCatalogue | None = None,
        due: DuePolicy | None = None,
        compare_and_swap: "CompareAndSwap | None" = None,
    ) -> None:
        self.rules = rules.payment_rules(fees or FeeCatalogue.default())
        ruled = ShardedTable(
            store, table, self.rules, randomness=randomness, clock=clock, compare_and_swap=compare_and_swap
        )
        super().__init__(store, ruled, table, clock=clock, due_policy=due or DuePolicy())
        self._randomness = randomness
        self._journal = Journal(ruled, self.reread, clock=clock, due_policy=self.due_policy)
        self.contradictions = Contradictions(ruled, clock=clock)
        self.restores = RestoreRecords(ruled, clock=clock)
        self.daily_roots = DailyRoots(ruled, self.event_items, clock=clock)
        self.reversals = Reversals(ruled, self._journal, self.reread)
        self.deposits = Deposits(ruled, clock=clock)

    # The work of operators: a portal that starts cold in front of a payer does not load it.

    @cached_property
    def erasure(self) -> "Erasure":
        """The erasure of personal data."""
        from bursar.payments.ledger.erasure import Erasure

        return Erasure(self._ruled, clock=self._clock)

    @cached_property
    def imports(self) -> "Imports":
        """The import of another portal's records."""
        from bursar.payments.ledger.imports import Imports

        return Imports(self._ruled, self, clock=self._clock, due_policy=self.due_policy)

    @cached_property
    def reconciliations(self) -> "ReconciliationRecords":
        """The records of reconciliations."""
        from bursar.payments.ledger.store_records.reconciliations import ReconciliationRecords

        return ReconciliationRecords(self._ruled, clock=self._clock, randomness=self._randomness)

    async def create_table(self) -> None:
        """Create the table unless it exists."""
        await create_table(self._store, self._table)

    async def record_token(self, attempt: Attempt, token: str) -> Attempt:
        """Record Pay.gov's token: received → initiated.

        Raises ``IdentifierTaken`` if another attempt has the token, and ``AttemptMoved``.
        """
        return await self._journal.record(attempt, "token_given", "portal", token=token, token_at=self._now())

    async def fail(
        self,
        attempt: Attempt,
        *,
        event: EventName,
        actor: Actor,
        return_code: str | None,
        return_detail: str | None,
        detail: Mapping[str, Any] | None = None,
    ) -> Attempt:
        """Fail the attempt by ``event``: start_failed, expired, refused, never_charged or another that leads to failed.

        Call this only for a definite no (law 2). An attempt that failed with the same code is not changed. Raises
        ``AttemptMoved``, and ``NoSuchEdge`` for an event that cannot end this attempt.
        """
        refusal: dict[str, Any] = {"return_code": return_code, "return_detail": return_detail}
        if event == "expired_unsent" and (attempt.outcome_unknown or attempt.lease_owner is not None):
            raise NoSuchEdge(f"{event}: must be for an attempt that was never sent; got {attempt.agency_tracking_id}")
        if attempt.status == FAILED and attempt.return_code == return_code:
            return attempt
        try:
            shown = {**_present(refusal), **(detail or {})}
            return await self._journal.record(attempt, event, actor, FAILED, detail=shown, **refusal, **_OUTCOME_KNOWN)
        except AttemptMoved as moved:
            if moved.attempt.status == FAILED and moved.attempt.return_code == return_code:
                return moved.attempt
            raise

    async def take_lease(self, attempt: Attempt, owner: str, lease_s: float, *, actor: Actor = "portal") -> Attempt:
        """Lease the attempt to ``owner`` for ``lease_s`` seconds: initiated or released → processing.

        One of many concurrent callers succeeds. Raises ``LeaseHeld`` or ``AttemptMoved``, also if the outcome is
        unknown, and ``NoSuchEdge`` after ``history_bounds.RECLAIMS_MAX`` repeated leases: the attempt can only fail.
        """
        if attempt.status == INITIATED:
            event: EventName = "claimed"
        elif attempt.status == PROCESSING and attempt.lease_owner is None and not attempt.outcome_unknown:
            event = "reclaimed"
            _check_not_too_often(attempt, event)
        else:
            raise self._moved_or_leased(attempt)
        lease = self._lease(owner, lease_s)
        try:
            return await self._journal.record(attempt, event, actor, detail={"owner": owner}, **lease)
        except AttemptMoved as moved:
            raise self._moved_or_leased(moved.attempt) from None

    async def release_lease(self, attempt: Attempt, owner: str, reason: str, *, actor: Actor = "portal") -> Attempt:
        """End the lease because the complete was definitely not sent, so that it can be taken again.

        Raises ``AttemptMoved`` if ``owner`` no longer holds the lease or the outcome is unknown.
        """
        if attempt.lease_owner != owner or attempt.outcome_unknown:
            raise AttemptMoved(attempt, f"cannot be released unsent by {owner}")
        return await self._journal.record(attempt, "released", actor, detail={"reason": reason}, **_NO_LEASE)

    async def take_over_lease(
        self, attempt: Attempt, owner: str, lease_s: float, *, actor: Actor = "sweeper"
    ) -> Attempt:
        """Lease a processing attempt whose lease ran out, or whose outcome is unknown, to ``owner``.

        Its outcome is unknown from now on: the new owner must ask Pay.gov before it completes anything. Raises
        ``LeaseHeld`` or ``AttemptMoved``, and ``NoSuchEdge`` after ``history_bounds.TAKEOVER_EVENTS_MAX`` events.
        """
        if attempt.status != PROCESSING or attempt.leased(self._now()):
            raise self._moved_or_leased(attempt)
        _check_not_too_often(attempt, "lease_taken_over")
        reason = attempt.unknown_reason or LEASE_RAN_OUT
        detail = _present({"owner": owner, "from": attempt.lease_owner, "reason": reason})
        lease = self._lease(owner, lease_s)
        unknown: dict[str, Any] = {"outcome_unknown": True, "unknown_reason": reason}
        try:
            return await self._journal.record(attempt, "lease_taken_over", actor, detail=detail, **lease, **unknown)
        except AttemptMoved as moved:
            raise self._moved_or_leased(moved.attempt) from None

    async def record_unknown(
        self,
        attempt: Attempt,
        reason: str,
        *,
        actor: Actor = "portal",
        repeat_used: bool = False,
        return_code: str | None = None,
        return_detail: str | None = None,
    ) -> Attempt:
        """Record that the outcome of a processing attempt is unknown because of ``reason``, and end its lease.

        ``repeat_used`` means that the one repeated complete may have been sent; once true, it stays true.
        ``return_code`` and ``return_detail`` store a refusal by Pay.gov that does not show the outcome. A repeated
        reason writes no event and keeps ``updated_at``. Raises ``AttemptMoved``.
        """
        if attempt.status != PROCESSING:
            raise AttemptMoved(attempt)
        repeat_used = repeat_used or attempt.repeat_used
        if attempt.outcome_unknown and (attempt.unknown_reason, attempt.repeat_used) == (reason, repeat_used):
            if attempt.lease_owner is None:
                return await self._if_unchanged(attempt)
            due_at = self.due_policy.next_poll_at(attempt, self._now())
            return await self._journal.record_bookkeeping(attempt, due_at=due_at, **_NO_LEASE)
        unknown: dict[str, Any] = {"outcome_unknown": True, "unknown_reason": reason, "repeat_used": repeat_used}
        refusal = _present({"return_code": return_code, "return_detail": return_detail})
        detail = {"reason": reason, **refusal, **({"repeat_used": True} if repeat_used else {})}
        return await self._journal.record(
            attempt, "outcome_unknown", actor, detail=detail, **unknown, **refusal, **_NO_LEASE
        )

    async def mark_restored(self, way: str, *, outside: int = 0, only_if_behind: bool = False) -> RestoreMark | None:
        """Make every live attempt due now, then mark the store as restored (:meth:`RestoreRecords.mark`).

        If the process dies in between, the caller marks the store again. Raises ``LedgerBusy``.
        """
        now = self._now()
        for attempt in await self.due(now + _FAR_FUTURE_S, LIVE_MAX):
            if attempt.due_at is not None and attempt.due_at > now:
                with suppress(AttemptMoved):
                    await self.set_due(attempt, now)
        return await self.restores.mark(way, outside=outside, only_if_behind=only_if_behind)

    async def put_in_doubt(self, attempt: Attempt, reason: str, *, actor: Actor) -> Attempt:
        """Record that Pay.gov has a collection of an attempt for which no complete is recorded.

        Received, initiated or released → processing with an unknown outcome. Raises ``AttemptMoved``.
        """
        if attempt.status not in (RECEIVED, INITIATED):
            return await self.record_unknown(attempt, reason, actor=actor)
        unknown: dict[str, Any] = {"outcome_unknown": True, "unknown_reason": reason}
        return await self._journal.record(attempt, "outcome_unknown", actor, detail={"reason": reason}, **unknown)

    async def record_outcome(
        self, attempt: Attempt, outcome: Outcome, *, actor: Actor, others: Sequence[Outcome] = ()
    ) -> Attempt:
        """Record what Pay.gov reports of the collection: processing or pending → processed, pending or failed.

        A collection is a fact, no matter which caller holds the lease: if the attempt has changed, it is read again and
        the outcome recorded. A refusal names no collection. It only means that *this* complete charged no payer, so it
        is not recorded if another caller has the lease by then. An outcome that is recorded already changes nothing.

        ``others`` are further collections that charge the payer for the same attempt. An attempt records one
        collection, so the others are kept as contradictions. They are written first, because Pay.gov is not asked
        again once the outcome is recorded.

        Raises ``OutcomeContradicts`` after the outcome is kept as a contradiction, ``IdentifierTaken``, and
        ``AttemptMoved``.
        """
        if others:
            recorded = replace(attempt, status=outcome.status, paygov_tracking_id=outcome.paygov_tracking_id)
            for other in others:
                await self.contradictions.keep(recorded, other)
        current = attempt
        for _ in range(CHANGE_TRIES_MAX):
            try:
                is_recorded = adds_nothing(current, outcome)
            except OutcomeContradicts as contradicts:
                await self.contradictions.keep(contradicts.attempt, outcome)
                raise
            if is_recorded:
                try:
                    return await self._if_unchanged(current)
                except AttemptMoved as moved:
                    current = moved.attempt
                    continue
            if outcome.paygov_tracking_id is None and current.lease_owner != attempt.lease_owner:
                raise AttemptMoved(current, "has another lease since it was refused")
            event = OUTCOME_EVENTS.get((current.status, outcome.status))
            if event is None:
                raise AttemptMoved(current, f"cannot be {outcome.status}")
            values: dict[str, Any] = {
                "paygov_tracking_id": outcome.paygov_tracking_id or current.paygov_tracking_id,
                "transaction_status": outcome.transaction_status or current.transaction_status,
                "payment_method": outcome.payment_method or current.payment_method,
                "return_code": outcome.return_code,
                "return_detail": outcome.return_detail,
            }
            try:
                return await self._journal.record(
                    current, event, actor, outcome.status, detail=_present(values), **values, **_OUTCOME_KNOWN
                )
            except AttemptMoved as moved:
                current = moved.attempt
        raise AttemptMoved(current)

    async def resolve(
        self, attempt: Attempt, *, settled_as: Status, by: str, reason: str, paygov_tracking_id: str | None = None
    ) -> Attempt:
        """Record an operator's decision: an unknown or pending attempt is ``settled_as`` processed or failed.

        The event keeps ``by`` and ``reason``. Raises ``LeaseHeld``, ``AttemptMoved``, and ``NoSuchEdge`` for an attempt
        that an operator cannot settle.
        """
        if settled_as not in _RESOLUTION_EVENTS:
            raise NoSuchEdge(f"settled_as: must be processed or failed; got {settled_as}")
        if attempt.leased(self._now()):
            raise LeaseHeld(attempt)
        if attempt.status == PROCESSING and attempt.lease_owner is None and not attempt.outcome_unknown:
            raise NoSuchEdge(f"{attempt.agency_tracking_id} was released unsent: the payer was not charged")
        detail = _present({"by": by, "reason": reason, "paygov_tracking_id": paygov_tracking_id})
        values: dict[str, Any] = {
            "paygov_tracking_id": attempt.paygov_tracking_id or paygov_tracking_id,
            "return_detail": reason,
        }
        if settled_as == PROCESSED:
            values["return_code"] = None  # an earlier refusal does not explain the payment
        event = _RESOLUTION_EVENTS[settled_as]
        return await self._journal.record(
            attempt, event, "operator", settled_as, detail=detail, **values, **_OUTCOME_KNOWN
        )

    async def set_due(self, attempt: Attempt, due_at: float | None, *, refreshed_at: float | None = None) -> Attempt:
        """Set when the sweeper checks next, and when Pay.gov was last asked. Writes no event and keeps ``updated_at``.

        None ends the watch of a settled debit for a return. If several sweepers set it for one attempt, one succeeds
        and the others get ``AttemptMoved``. A caller with a final attempt that is not watched gets it too.
        """
        if attempt.status in FINAL and attempt.due_at is None:
            raise AttemptMoved(attempt)
        refreshed = attempt.refreshed_at if refreshed_at is None else whole_ms(refreshed_at)
        due_at = None if due_at is None else whole_ms(due_at)
        return await self._journal.record_bookkeeping(attempt, due_at=due_at, refreshed_at=refreshed)

    async def _if_unchanged(self, attempt: Attempt) -> Attempt:
        """Return ``attempt`` if it is current, so that a call that writes nothing never returns a stale copy.

        Raises ``AttemptMoved``.
        """
        current = attempt if attempt.status == FAILED else await self.reread(attempt)
        if current.version != attempt.version:
            raise AttemptMoved(current)
        return attempt

    def _lease(self, owner: str, lease_s: float) -> dict[str, Any]:
        return {"lease_owner": owner, "lease_until": whole_ms(self._now() + lease_s)}

    def _moved_or_leased(self, attempt: Attempt) -> AttemptMoved:
        return LeaseHeld(attempt) if attempt.leased(self._now()) else AttemptMoved(attempt)


def _check_not_too_often(attempt: Attempt, event: EventName) -> None:
    if taken_too_often(attempt, event):
        raise NoSuchEdge(f"{attempt.agency_tracking_id} has {attempt.event_seq} events, too many to be {event} again")


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
