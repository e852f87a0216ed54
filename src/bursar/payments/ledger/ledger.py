"""The ledger: every change of a payment is one transaction, which writes the attempt and the event that describes it.

    two callers take one attempt's lease      A                         B
                                              reads version 2           reads version 2
                                              writes 3 if still 2 ✔
                                                                        writes 3 if still 2 ✘ → AttemptMoved(version 3)

    Ledger.take_lease ─► Journal.record ─► RuledTable.write ─► CompareAndSwap.swap (embedded) or TransactWriteItems

:mod:`bursar.payments.status` defines which steps exist, and the journal checks each one before it is sent.
:mod:`bursar.payments.rules` defines what the database enforces. This module only decides which step a call is.
Errors: :mod:`bursar.payments.errors`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import Clock
from bursar.payments import rules
from bursar.payments.attempt_ids import next_attempt_id
from bursar.payments.due import DuePolicy
from bursar.payments.errors import (
    AttemptMoved,
    AttemptsExhausted,
    FeeRetired,
    LeaseHeld,
    LedgerBusy,
    MetadataDiffers,
    MetadataErased,
    ObligationTaken,
    OutcomeContradicts,
)
from bursar.payments.event_chain import event_hash
from bursar.payments.fees import Fee, FeeCatalogue
from bursar.payments.history_bounds import taken_too_often
from bursar.payments.ledger.contradictions import Contradictions
from bursar.payments.ledger.daily_roots import DailyRoots
from bursar.payments.ledger.erasure import Erasure
from bursar.payments.ledger.journal import CHANGE_TRIES_MAX, Journal
from bursar.payments.ledger.lookups import Lookups
from bursar.payments.ledger.outcomes import OUTCOME_EVENTS, adds_nothing
from bursar.payments.ledger.table import TABLE_NAME, create_table
from bursar.payments.records import (
    Attempt,
    ObligationView,
    Outcome,
    attempt_to_item,
    event_to_item,
    latest_event,
    money,
    normal_reference,
    obligation_of,
    obligation_to_item,
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
from bursar.rules import Contention, Put, RuledTable, RuleRefused, StoreBusy

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store
    from bursar.dynamo.engine.compare_and_swap import CompareAndSwap

START_TRIES_MAX: Final = 4
"""Tries of a start that loses races, before the obligation counts as taken."""
MILLISECOND_S: Final = 0.001
LEASE_RAN_OUT: Final = "the lease ran out: what its holder did is not known"
"""The reason for an unknown outcome. It is stored in attempts and events, so its text must not change."""

_RESOLUTION_EVENTS: Final[Mapping[Status, EventName]] = {PROCESSED: "resolved_processed", FAILED: "resolved_failed"}
_NO_LEASE: Final[Mapping[str, Any]] = {"lease_owner": None, "lease_until": None}
_OUTCOME_KNOWN: Final[Mapping[str, Any]] = {**_NO_LEASE, "outcome_unknown": False, "unknown_reason": None}


class Ledger(Lookups):
    """All obligations, attempts and events in one table of ``store``. Many processes may use one table at once.

    ``fees`` are the fees that the rules allow (default: the catalogue that ships). ``due`` decides when the sweeper
    checks an attempt. ``compare_and_swap`` swaps whole items in a store of this process that enforces the same rules
    (:class:`bursar.rules.RuledTable`). All reads are in :class:`bursar.payments.ledger.lookups.Lookups`.
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
        self.due_policy = due or DuePolicy()
        self._clock = clock
        ruled = RuledTable(
            store, table, self.rules, randomness=randomness, clock=clock, compare_and_swap=compare_and_swap
        )
        super().__init__(store, ruled, table)
        self._journal = Journal(ruled, self.reread, clock=clock, due_policy=self.due_policy)
        self.contradictions = Contradictions(ruled, clock=clock)
        self.daily_roots = DailyRoots(ruled, self.event_items, clock=clock)
        self.erasure = Erasure(ruled, clock=clock)

    async def create_table(self) -> None:
        """Create the table unless it exists."""
        await create_table(self._store, self._table)

    async def start_attempt(
        self,
        client: str,
        reference: str,
        fee: Fee,
        amount: Decimal,
        metadata: Mapping[str, Any],
        url_success: str,
        url_cancel: str,
    ) -> Attempt:
        """Start an attempt, ``received``, and with the first one its obligation. ``amount`` is in dollars.

        Raises ``MetadataDiffers`` (checked first, so that a caller with other metadata learns nothing about the live
        attempt), ``ObligationTaken`` with the blocking attempt, ``MetadataErased`` and ``FeeRetired`` if no attempt
        blocks, ``AttemptsExhausted``, ``LedgerBusy``, and ``ValueError`` for an amount that is not the fee's.
        """
        amount = money(amount)
        if fee.amount is not None and amount != fee.amount:
            raise ValueError(f"amount: must be {fee.amount}, the price of {fee.key}; got {amount}")
        now = self._now()
        for _ in range(START_TRIES_MAX):
            view = await self.obligation(client, reference, events=False)
            created_at = now if view is None else _created_at_or_conflict(view, now, fee.key, metadata)
            if fee.retired:
                raise FeeRetired(fee.key)
            normal = normal_reference(reference)
            attempts = () if view is None else view.attempts
            agency_tracking_id = next_attempt_id(client, normal, (each.agency_tracking_id for each in attempts))
            if agency_tracking_id is None:
                raise AttemptsExhausted(client, normal)
            attempt = Attempt(
                agency_tracking_id=agency_tracking_id,
                client=client,
                reference=normal,
                fee=fee.key,
                fee_version=fee.version,
                tcs_app_id=fee.tcs_app_id,
                amount=amount,
                metadata=dict(metadata),
                url_success=url_success,
                url_cancel=url_cancel,
                created_at=created_at,
                updated_at=created_at,
                status=RECEIVED,
                event_seq=1,
            )
            attempt.due_at = self.due_policy.due_at(attempt)
            previous_hash = None if view is None else view.attempts[-1].event_hash
            event = event_to_item(latest_event(attempt, None, "started", "portal", previous_hash=previous_hash))
            attempt.event_hash = event_hash(event)
            item = attempt_to_item(attempt)
            writes = [Put(item), Put(event)]
            if view is None:
                writes.insert(0, Put(obligation_to_item(obligation_of(attempt))))
            try:
                await self._ruled.write(writes)
                attempt.stored_item = item
                return attempt
            except StoreBusy as busy:
                raise LedgerBusy(str(busy)) from busy
            except Contention:
                continue
            except RuleRefused:
                # Two starts at once write the same keys, so any rule can refuse the second one. It has lost a race.
                if await self.obligation(client, reference, events=False) == view:
                    raise
        raise ObligationTaken(None)

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

        Call this only for a definite no (law 2). An attempt that failed with the same code stays as it is. Raises
        ``AttemptMoved``, and ``NoSuchEdge`` for an event that cannot end this attempt.
        """
        refusal = {"return_code": return_code, "return_detail": return_detail}
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
        ``return_code`` and ``return_detail`` keep a refusal by Pay.gov that decides nothing. A repeated reason writes
        no event and keeps ``updated_at``. Raises ``AttemptMoved``.
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
        the outcome recorded. A refusal names no collection. It only means that *this* complete took none, so it is not
        recorded once another caller has the lease. An outcome that is recorded already changes nothing.

        ``others`` are further collections that charge the payer for the same attempt. An attempt records one
        collection, so the others are kept as contradictions. They are written first, because Pay.gov is not asked
        again once the outcome is recorded.

        Raises ``OutcomeContradicts`` after the outcome is kept as a contradiction, ``IdentifierTaken``, and
        ``AttemptMoved``.
        """
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
            values = {
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
        values = {"paygov_tracking_id": attempt.paygov_tracking_id or paygov_tracking_id, "return_detail": reason}
        if settled_as == PROCESSED:
            values["return_code"] = None  # an earlier refusal decided nothing and does not explain the payment
        event = _RESOLUTION_EVENTS[settled_as]
        return await self._journal.record(
            attempt, event, "operator", settled_as, detail=detail, **values, **_OUTCOME_KNOWN
        )

    async def set_due(self, attempt: Attempt, due_at: float, *, refreshed_at: float | None = None) -> Attempt:
        """Set when the sweeper checks next, and when Pay.gov was last asked. Writes no event and keeps ``updated_at``.

        Of several sweepers at one attempt one succeeds; the others get ``AttemptMoved``.
        """
        if attempt.status in FINAL:
            raise AttemptMoved(attempt)
        refreshed = attempt.refreshed_at if refreshed_at is None else whole_ms(refreshed_at)
        return await self._journal.record_bookkeeping(attempt, due_at=whole_ms(due_at), refreshed_at=refreshed)

    async def _if_unchanged(self, attempt: Attempt) -> Attempt:
        """Return ``attempt`` if it is current, so that a call that writes nothing never returns a stale copy.

        Raises ``AttemptMoved``.
        """
        current = attempt if attempt.status in FINAL else await self.reread(attempt)
        if current.version != attempt.version:
            raise AttemptMoved(current)
        return attempt

    def _lease(self, owner: str, lease_s: float) -> dict[str, Any]:
        return {"lease_owner": owner, "lease_until": whole_ms(self._now() + lease_s)}

    def _moved_or_leased(self, attempt: Attempt) -> AttemptMoved:
        return LeaseHeld(attempt) if attempt.leased(self._now()) else AttemptMoved(attempt)

    def _now(self) -> float:
        return whole_ms(self._clock())


def _check_not_too_often(attempt: Attempt, event: EventName) -> None:
    if taken_too_often(attempt, event):
        raise NoSuchEdge(f"{attempt.agency_tracking_id} has {attempt.event_seq} events, too many to be {event} again")


def _created_at_or_conflict(view: ObligationView, now: float, fee: str, metadata: Mapping[str, Any]) -> float:
    """Return the creation time of a further attempt.

    Raises ``MetadataDiffers``, ``ObligationTaken`` and ``MetadataErased``.
    """
    erased = view.obligation.metadata_erased_at is not None
    differing = view.obligation.differences(fee, {} if erased else metadata)
    if differing:
        raise MetadataDiffers(view.obligation, differing)
    if view.blocking is not None:
        raise ObligationTaken(view.blocking)
    if erased:
        raise MetadataErased(view.obligation)
    # Attempts at one obligation are ordered by their creation, so no two may share a millisecond.
    return whole_ms(max(now, *(attempt.created_at + MILLISECOND_S for attempt in view.attempts)))


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
