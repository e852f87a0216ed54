"""The ledger: every change of a payment, each one transaction that writes the attempt and the event telling of it.

    two callers claim one attempt             A                         B
                                              reads version 2           reads version 2
                                              writes 3 if still 2 ✔
                                                                        writes 3 if still 2 ✘ → AttemptMoved(version 3)

What may happen is said by :mod:`bursar.payments.status` (the graph, checked here before sending) and
:mod:`bursar.payments.rules` (kept by the database). What is decided here is only how a call becomes one of those steps.
Errors: :mod:`bursar.payments.errors`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import Clock
from bursar.payments import rules
from bursar.payments.attempt_ids import new_agency_tracking_id
from bursar.payments.due import DuePolicy
from bursar.payments.errors import (
    AttemptMoved,
    FeeRetired,
    LeaseHeld,
    LedgerBusy,
    MetadataDiffers,
    ObligationTaken,
    OutcomeContradicts,
)
from bursar.payments.fees import Fee, FeeCatalogue
from bursar.payments.history_bounds import taken_too_often
from bursar.payments.ledger.contradictions import Contradictions
from bursar.payments.ledger.journal import CHANGE_TRIES_MAX, Journal
from bursar.payments.ledger.lookups import Lookups
from bursar.payments.ledger.table import TABLE_NAME, create_table
from bursar.payments.records import (
    Attempt,
    Obligation,
    ObligationView,
    Outcome,
    attempt_to_item,
    canonical_json,
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
    PENDING,
    PROCESSED,
    PROCESSING,
    RECEIVED,
    Actor,
    NoSuchEdge,
    Status,
)
from bursar.rules import Contention, Put, RuledTable, RuleRefused, StoreBusy

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store
    from bursar.dynamo.engine.compare_and_swap import CompareAndSwap

START_TRIES_MAX: Final = 4
"""How often a start looks again after losing a race before it says that the obligation is taken."""
MILLISECOND_S: Final = 0.001
LEASE_RAN_OUT: Final = "the lease ran out: what its holder did is not known"

# (recorded status, what Pay.gov says) → the event. A pair that is not here cannot be recorded.
_OUTCOME_EVENTS: Final[Mapping[tuple[Status, Status], str]] = {
    (PROCESSING, PROCESSED): "completed",
    (PROCESSING, PENDING): "accepted",
    (PROCESSING, FAILED): "refused",
    (PENDING, PROCESSED): "settled",
    (PENDING, FAILED): "bounced",
    (PENDING, PENDING): "noted",
}
_RESOLUTION_EVENTS: Final[Mapping[Status, str]] = {PROCESSED: "resolved_processed", FAILED: "resolved_failed"}
_NO_LEASE: Final[Mapping[str, Any]] = {"lease_owner": None, "lease_until": None}
_KNOWN: Final[Mapping[str, Any]] = {**_NO_LEASE, "outcome_unknown": False, "unknown_reason": None}


class Ledger(Lookups):
    """All obligations, attempts and events, on one table of ``store``. Safe in many processes at once.

    ``fees`` are those that the rules know (default: the catalogue that ships); ``due`` says when the sweeper looks;
    ``direct``: the door of a store in this process, which keeps the same rules (:class:`bursar.rules.RuledTable`).
    The reading half is :class:`bursar.payments.ledger.lookups.Lookups`.
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
        direct: "CompareAndSwap | None" = None,
    ) -> None:
        self.rules = rules.payment_rules(fees or FeeCatalogue.default())
        self.due_policy = due or DuePolicy()
        self._clock = clock
        self._randomness = randomness
        ruled = RuledTable(store, table, self.rules, randomness=randomness, clock=clock, direct=direct)
        super().__init__(store, ruled, table)
        self._journal = Journal(ruled, self.reread, clock=clock, due_policy=self.due_policy)
        self.contradictions = Contradictions(store, ruled, table, clock=clock)

    async def create_table(self) -> None:
        """Makes the table unless it is there. Idempotent."""
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
        """A new attempt, ``received``; the obligation is made with its first one. ``amount`` in dollars.

        Raises ``MetadataDiffers`` (looked at first: a caller with other metadata learns nothing of the live attempt),
        ``ObligationTaken`` carrying the attempt in the way, ``FeeRetired`` where none is, and ``ValueError`` for an
        amount that the fee excludes.
        """
        amount = money(amount)
        if fee.amount is not None and amount != fee.amount:
            raise ValueError(f"{fee.key} costs {fee.amount}, not {amount}")
        now = self._now()
        for _ in range(START_TRIES_MAX):
            view = await self.obligation(client, reference, events=False)
            created_at = now if view is None else _after_all(view, now, fee.key, metadata)
            if fee.retired:
                raise FeeRetired(fee.key)
            attempt = self._journal.with_due(
                Attempt(
                    agency_tracking_id=new_agency_tracking_id(self._randomness),
                    client=client,
                    reference=normal_reference(reference),
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
            )
            item = attempt_to_item(attempt)
            writes = [Put(item), Put(event_to_item(latest_event(attempt, None, "started", "portal")))]
            if view is None:
                writes.insert(0, Put(obligation_to_item(obligation_of(attempt))))
            try:
                await self._ruled.write(writes)
                return replace(attempt, stored_item=item)
            except StoreBusy as busy:
                raise LedgerBusy(str(busy)) from busy
            except Contention:
                continue
            except RuleRefused as refusal:
                if refusal.rule not in (rules.ONE_LIVE_ATTEMPT, rules.AGENCY_TRACKING_ID):
                    raise
        raise ObligationTaken(None)

    async def record_token(self, attempt: Attempt, token: str) -> Attempt:
        """received → initiated. Raises ``IdentifierTaken`` when another attempt has that token, ``AttemptMoved``."""
        return await self._journal.take(attempt, "token_given", "portal", token=token, token_at=self._now())

    async def fail(
        self,
        attempt: Attempt,
        *,
        event: str,
        actor: Actor,
        return_code: str | None,
        return_detail: str | None,
        detail: Mapping[str, Any] | None = None,
    ) -> Attempt:
        """→ failed by ``event``, one of the graph's that lead there (start_failed, expired, refused, never_charged, …).

        Only for a definite no (law 2). Failing again what has failed by the same code changes nothing. Raises
        ``AttemptMoved``, and ``NoSuchEdge`` for an event that cannot end this attempt.
        """
        said = {"return_code": return_code, "return_detail": return_detail}
        if event == "expired_unsent" and (attempt.outcome_unknown or attempt.lease_owner is not None):
            raise NoSuchEdge(f"{attempt.agency_tracking_id} may have been sent: it cannot be {event}")
        if attempt.status == FAILED and attempt.return_code == return_code:
            return attempt
        try:
            told = {**_present(said), **(detail or {})}
            return await self._journal.take(attempt, event, actor, FAILED, detail=told, **said, **_KNOWN)
        except AttemptMoved as moved:
            if moved.attempt.status == FAILED and moved.attempt.return_code == return_code:
                return moved.attempt
            raise

    async def claim(self, attempt: Attempt, owner: str, lease_s: float, *, actor: Actor = "portal") -> Attempt:
        """initiated → processing, leased to ``owner`` for ``lease_s`` seconds; also one that was given back unsent.

        Of many callers one wins. Raises ``LeaseHeld`` or ``AttemptMoved``, also for one whose outcome is unknown;
        ``NoSuchEdge`` for one that was claimed again ``repeats.RECLAIMS_MAX`` times: it can only fail.
        """
        if attempt.status == INITIATED:
            event = "claimed"
        elif attempt.status == PROCESSING and attempt.lease_owner is None and not attempt.outcome_unknown:
            event = "reclaimed"
            _check_not_too_often(attempt, event)
        else:
            raise self._in_the_way(attempt)
        lease = self._lease(owner, lease_s)
        try:
            return await self._journal.take(attempt, event, actor, detail={"owner": owner}, **lease)
        except AttemptMoved as moved:
            raise self._in_the_way(moved.attempt) from None

    async def release(self, attempt: Attempt, owner: str, reason: str, *, actor: Actor = "portal") -> Attempt:
        """Gives the lease back because the complete was definitely not sent: it may be claimed again.

        Raises ``AttemptMoved`` when ``owner`` does not hold the lease any more or the outcome is unknown.
        """
        if attempt.lease_owner != owner or attempt.outcome_unknown:
            raise AttemptMoved(attempt, f"is not {owner}'s to give back unsent")
        return await self._journal.take(attempt, "released", actor, detail={"reason": reason}, **_NO_LEASE)

    async def steal_lease(self, attempt: Attempt, owner: str, lease_s: float, *, actor: Actor = "sweeper") -> Attempt:
        """Takes over a processing attempt that nobody holds a lease on: ran out, or unknown without one.

        From here its outcome is unknown: the new owner must ask Pay.gov and never complete blindly. Raises
        ``LeaseHeld`` or ``AttemptMoved``; ``NoSuchEdge`` for one with ``repeats.TAKEOVER_EVENTS_MAX`` events.
        """
        if attempt.status != PROCESSING or attempt.leased(self._now()):
            raise self._in_the_way(attempt)
        _check_not_too_often(attempt, "lease_taken_over")
        reason = attempt.unknown_reason or LEASE_RAN_OUT
        told = _present({"owner": owner, "from": attempt.lease_owner, "reason": reason})
        lease = self._lease(owner, lease_s)
        unknown: dict[str, Any] = {"outcome_unknown": True, "unknown_reason": reason}
        try:
            return await self._journal.take(attempt, "lease_taken_over", actor, detail=told, **lease, **unknown)
        except AttemptMoved as moved:
            raise self._in_the_way(moved.attempt) from None

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
        """Processing stays processing; its outcome is unknown because of ``reason`` and its lease ends.

        ``repeat_used``: the one repeated complete may have been sent; an attempt never forgets it. ``return_code`` and
        ``return_detail`` keep a refusal of Pay.gov's that decides nothing. The same reason again writes no event and
        leaves ``updated_at`` alone. Raises ``AttemptMoved``.
        """
        if attempt.status != PROCESSING:
            raise AttemptMoved(attempt)
        repeat_used = repeat_used or attempt.repeat_used
        if attempt.outcome_unknown and (attempt.unknown_reason, attempt.repeat_used) == (reason, repeat_used):
            if attempt.lease_owner is None:
                return await self._still(attempt)
            due_at = self.due_policy.next_poll_at(attempt, self._now())
            return await self._journal.tend(attempt, due_at=due_at, **_NO_LEASE)
        unknown: dict[str, Any] = {"outcome_unknown": True, "unknown_reason": reason, "repeat_used": repeat_used}
        refusal = _present({"return_code": return_code, "return_detail": return_detail})
        told = {"reason": reason, **refusal, **({"repeat_used": True} if repeat_used else {})}
        return await self._journal.take(
            attempt, "outcome_unknown", actor, detail=told, **unknown, **refusal, **_NO_LEASE
        )

    async def doubt(self, attempt: Attempt, reason: str, *, actor: Actor) -> Attempt:
        """Put an attempt of which no complete is recorded in doubt: Pay.gov has a collection of it.

        From received, initiated or given back to processing with an unknown outcome. Raises ``AttemptMoved``.
        """
        if attempt.status not in (RECEIVED, INITIATED):
            return await self.record_unknown(attempt, reason, actor=actor)
        unknown: dict[str, Any] = {"outcome_unknown": True, "unknown_reason": reason}
        return await self._journal.take(attempt, "outcome_unknown", actor, detail={"reason": reason}, **unknown)

    async def record_outcome(
        self, attempt: Attempt, outcome: Outcome, *, actor: Actor, others: Sequence[Outcome] = ()
    ) -> Attempt:
        """What Pay.gov said of its collection: processing → processed, pending or failed; pending → the same.

        True whoever holds the lease, so an attempt that moved is read again and told again; but a refusal, which names
        no collection, only says that *this* complete took none: once the lease is another's it proves nothing, since
        theirs may. What is recorded already changes nothing. Raises ``OutcomeContradicts``, after keeping what was said
        among the ``contradictions``; ``IdentifierTaken``; ``AttemptMoved``.

        ``others``: further collections that take the payer's money for it too. An attempt records one, so they are
        kept among the ``contradictions``, and first: nobody asks again once it is recorded.
        """
        recorded = replace(attempt, status=outcome.status, paygov_tracking_id=outcome.paygov_tracking_id)
        for other in others:
            await self.contradictions.keep(recorded, other)
        current = attempt
        for _ in range(CHANGE_TRIES_MAX):
            try:
                nothing_new = _says_nothing_new(current, outcome)
            except OutcomeContradicts as contradicts:
                await self.contradictions.keep(contradicts.attempt, outcome)
                raise
            if nothing_new:
                try:
                    return await self._still(current)
                except AttemptMoved as moved:
                    current = moved.attempt
                    continue
            if outcome.paygov_tracking_id is None and current.lease_owner != attempt.lease_owner:
                raise AttemptMoved(current, "has been taken over since it was refused")
            event = _OUTCOME_EVENTS.get((current.status, outcome.status))
            if event is None:
                raise AttemptMoved(current, f"cannot be {outcome.status}")
            said = {
                "paygov_tracking_id": outcome.paygov_tracking_id or current.paygov_tracking_id,
                "transaction_status": outcome.transaction_status or current.transaction_status,
                "payment_method": outcome.payment_method or current.payment_method,
                "return_code": outcome.return_code,
                "return_detail": outcome.return_detail,
            }
            try:
                return await self._journal.take(
                    current, event, actor, outcome.status, detail=_present(said), **said, **_KNOWN
                )
            except AttemptMoved as moved:
                current = moved.attempt
        raise AttemptMoved(current)

    async def resolve(
        self, attempt: Attempt, *, settled_as: Status, by: str, reason: str, paygov_tracking_id: str | None = None
    ) -> Attempt:
        """An operator's word: an unknown or pending attempt is ``settled_as`` processed or failed.

        ``by`` and ``reason`` are kept in the event. Raises ``LeaseHeld`` while somebody is at it, ``AttemptMoved``,
        ``NoSuchEdge``.
        """
        if settled_as not in _RESOLUTION_EVENTS:
            raise NoSuchEdge(f"an operator settles as processed or failed, not {settled_as}")
        if attempt.leased(self._now()):
            raise LeaseHeld(attempt)
        if attempt.status == PROCESSING and attempt.lease_owner is None and not attempt.outcome_unknown:
            raise NoSuchEdge(f"{attempt.agency_tracking_id} was given back unsent: nobody was charged")
        told = _present({"by": by, "reason": reason, "paygov_tracking_id": paygov_tracking_id})
        values = {"paygov_tracking_id": attempt.paygov_tracking_id or paygov_tracking_id, "return_detail": reason}
        if settled_as == PROCESSED:
            values["return_code"] = None  # an earlier refusal that decided nothing is not why it is paid
        event = _RESOLUTION_EVENTS[settled_as]
        return await self._journal.take(attempt, event, "operator", settled_as, detail=told, **values, **_KNOWN)

    async def touch_due(self, attempt: Attempt, due_at: float, *, refreshed_at: float | None = None) -> Attempt:
        """Moves when the sweeper looks next (and when Pay.gov was last asked): no event, ``updated_at`` stays.

        Of several sweepers at one attempt one wins this write; the others get ``AttemptMoved`` and pass on.
        """
        if attempt.status in FINAL:
            raise AttemptMoved(attempt)
        refreshed = attempt.refreshed_at if refreshed_at is None else whole_ms(refreshed_at)
        return await self._journal.tend(attempt, due_at=whole_ms(due_at), refreshed_at=refreshed)

    async def _still(self, attempt: Attempt) -> Attempt:
        """``attempt``, if that is how it stands: what writes nothing may not answer with a copy that has aged.

        Raises ``AttemptMoved``.
        """
        current = attempt if attempt.status in FINAL else await self.reread(attempt)
        if current.version != attempt.version:
            raise AttemptMoved(current)
        return attempt

    def _lease(self, owner: str, lease_s: float) -> dict[str, Any]:
        return {"lease_owner": owner, "lease_until": whole_ms(self._now() + lease_s)}

    def _in_the_way(self, attempt: Attempt) -> AttemptMoved:
        return LeaseHeld(attempt) if attempt.leased(self._now()) else AttemptMoved(attempt)

    def _now(self) -> float:
        return whole_ms(self._clock())


def _check_not_too_often(attempt: Attempt, event: str) -> None:
    if taken_too_often(attempt, event):
        raise NoSuchEdge(f"{attempt.agency_tracking_id} has {attempt.event_seq} events: it cannot be {event} again")


def _says_nothing_new(current: Attempt, outcome: Outcome) -> bool:
    """Whether ``outcome`` is recorded already, older than what is, or only the last of very many words for pending.

    Raises ``OutcomeContradicts``.
    """
    known, said = current.paygov_tracking_id, outcome.paygov_tracking_id
    if known is not None and said is not None and known != said:
        raise OutcomeContradicts(current, "another Pay.gov tracking id")
    if current.status in FINAL:
        # A collection under way, of an attempt that failed for having none, is no older word: a payer may be charged.
        unheard_of = current.status == FAILED and known is None and said is not None
        if outcome.status == current.status or (outcome.status == PENDING and not unheard_of):
            return True
        raise OutcomeContradicts(current, outcome.status)
    if current.status != outcome.status:
        return False
    if taken_too_often(current, "noted"):
        return True
    return (known or said, current.transaction_status, current.payment_method) == (
        known,
        outcome.transaction_status or current.transaction_status,
        outcome.payment_method or current.payment_method,
    )


def _after_all(view: ObligationView, now: float, fee: str, metadata: Mapping[str, Any]) -> float:
    """When another attempt at the obligation is created. Raises ``MetadataDiffers`` and ``ObligationTaken``."""
    differing = _differing(view.obligation, fee, metadata)
    if differing:
        raise MetadataDiffers(view.obligation, differing)
    if view.blocking is not None:
        raise ObligationTaken(view.blocking)
    # Attempts at one obligation are ordered by their creation, so no two share a millisecond.
    return whole_ms(max(now, *(attempt.created_at + MILLISECOND_S for attempt in view.attempts)))


def _differing(there: Obligation, fee: str, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """What of fee and metadata differs. Metadata compare as JSON: ``1`` is not ``true``, order of keys is nothing."""
    pairs = {
        "fee": (fee, there.fee),
        "metadata": (canonical_json(dict(metadata)), canonical_json(there.metadata)),
    }
    return tuple(name for name, (left, right) in pairs.items() if left != right)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
