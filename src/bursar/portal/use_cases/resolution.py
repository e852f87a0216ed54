"""Resolve an attempt by asking Pay.gov, for ``details``, ``process`` and the sweeper alike.

Order of resolution of an unknown outcome (docs/paygov.md). ``completion.look_up`` knows which lookups are asked:

    look up by agency tracking id ┬─ a collection ──────────► record it
                                  ├─ it does not fit ───────► ask again; if repeated, a person must decide
                                  ├─ none, token long dead ─► failed: no payer was charged, and none can be
                                  ├─ none, token alive ─────► may be completed once more (never twice)
                                  └─ no answer ─────────────► stays unknown, ask again later
    no lookup says "none" ► token alive: may be completed once more; else a person settles it (`bursar resolve`)

An attempt without a recorded complete ends by time (:func:`end_uncompleted`). The store may be restored from a backup
that is older than the complete, so Pay.gov is asked first if a lookup is configured:

    look up by agency tracking id ┬─ a collection ─► processing, outcome unknown ──► record the collection
                                  ├─ none ─────────► failed
                                  └─ no answer ────► stays as it is, ask again later
    no lookup says "none" ► failed; after a restore, after_restore.py puts it in doubt before

A second complete can succeed only if the first never arrived, because a token of Pay.gov works once. If Pay.gov refuses
the second complete, the first may have succeeded, so the outcome stays unknown.

A settling payment is asked about by its Pay.gov tracking id. Pay.gov may have a further collection of the same attempt,
so before the payment fails, every collection of it is asked about (:func:`_other_that_takes_money`).
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Final

from bursar.paygov.collection import Collection
from bursar.paygov.errors import Certainty, PayGovError
from bursar.payments.errors import AttemptMoved
from bursar.payments.history_bounds import taken_too_often
from bursar.payments.ledger.ledger import LEASE_RAN_OUT
from bursar.payments.records import Attempt, Outcome
from bursar.payments.status import FAILED, PENDING, PROCESSING, TOKEN_EXPIRED_CODE, Actor, EventName
from bursar.portal.contract.errors import BadGateway, GatewayTimeout, Unexpected
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.completion import collections_of, complete, judged_twice, look_up, record
from bursar.portal.use_cases.completion_outcomes import CONTRADICTIONS, Judgement, judge_collection

CLOCK_STEP_MIN_S: Final = 60.0
"""A smaller difference between the clocks of two machines is not reported."""
FOUND_UNCOMPLETED: Final = "Pay.gov has a collection of an attempt without a recorded complete"
OTHER_TAKES_MONEY: Final = "its collection failed and another one of it takes the payer's money"
RESTORED_IN_DOUBT: Final = (
    "the store was restored from a backup, the payment may have been made since, and no lookup can rule that out"
)
NEVER_COLLECTED: Final = "Pay.gov has no collection for this attempt and its token has expired"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """An attempt after a lookup. ``answered``: Pay.gov gave its state; False: the attempt is as it was before.

    ``reached``: whether Pay.gov can be reached at all; None if it was not asked.
    """

    attempt: Attempt
    answered: bool
    reached: bool | None = None


def needs_lookup(portal: Portal, attempt: Attempt) -> bool:
    """Return whether only Pay.gov knows the state of ``attempt``: it is settling, or its outcome is unknown."""
    if attempt.status == PENDING:
        return True
    if attempt.status != PROCESSING or returned_unsent(attempt):
        return False
    return not attempt.leased(portal.clock()) or lease_is_late(portal, attempt)


def lease_is_late(portal: Portal, attempt: Attempt) -> bool:
    """Return whether the holder of the lease has not recorded an answer for so long that a lookup may find it first.

    The holder may be dead or may still complete the attempt, so no other caller does until the lease ends. But a
    collection that Pay.gov has is recorded, no matter which caller holds the lease.
    """
    late = portal.clock() - attempt.updated_at >= portal.ledger.due_policy.leased_poll_s
    return bool(portal.paygov.lookups) and (late or lease_is_implausible(portal, attempt))


def lease_is_implausible(portal: Portal, attempt: Attempt) -> bool:
    """Return whether the lease of ``attempt`` ends later than any lease that is taken now: a clock was set back."""
    if attempt.lease_until is None:
        return False
    return attempt.lease_until - portal.clock() > portal.settings.lease_s + CLOCK_STEP_MIN_S


def returned_unsent(attempt: Attempt) -> bool:
    """Return whether its lease was released as unsent, so that no complete of it was ever sent."""
    return attempt.status == PROCESSING and attempt.lease_owner is None and not attempt.outcome_unknown


def may_complete_again(portal: Portal, attempt: Attempt) -> bool:
    """Return whether the one repeated complete is unused, and its token lives long enough for an answer.

    A repeated complete does not count as used if it was not sent, or if Pay.gov refused it and every earlier one with
    fault 4117 (completion.py). The number of tries is bounded. None is sent for an attempt in doubt since a restore:
    the lost part of the store may have had a later attempt that was paid.
    """
    if attempt.repeat_used or attempt.token is None or attempt.unknown_reason == RESTORED_IN_DOUBT:
        return False
    if taken_too_often(attempt, "lease_taken_over"):
        return False
    return not portal.ledger.due_policy.token_expired(attempt, portal.clock() + portal.settings.paygov_timeout_s)


async def end_uncompleted(
    portal: Portal, attempt: Attempt, *, event: EventName, actor: Actor, return_code: str | None, return_detail: str
) -> LookupResult:
    """Fail an attempt without a recorded complete, by ``event``, unless Pay.gov has a collection of it.

    The attempt is then failed, or as Pay.gov's collection says, or unknown if that collection does not fit it.
    Raises :class:`PayGovError` if Pay.gov cannot be asked (the attempt is as it was), ``AttemptMoved``, and what the
    store raises.
    """
    found = await look_up(portal, attempt)
    if not found.collections:
        failed = await portal.ledger.fail(
            attempt, event=event, actor=actor, return_code=return_code, return_detail=return_detail
        )
        return LookupResult(failed, answered=found.rules_out, reached=found.reached)
    portal.alert("found uncompleted", attempt, f"{FOUND_UNCOMPLETED}: was the store restored from a backup?")
    recorded = await record_uncompleted(portal, attempt, found.collections, actor=actor)
    return LookupResult(recorded, answered=True, reached=True)


async def record_uncompleted(
    portal: Portal, attempt: Attempt, found: tuple[Collection, ...], *, actor: Actor
) -> Attempt:
    """Record the collections that Pay.gov has of an attempt without a recorded complete. Raises ``AttemptMoved``."""
    doubted = await portal.ledger.put_in_doubt(attempt, FOUND_UNCOMPLETED, actor=actor)
    return (await _record_found(portal, doubted, await _judged(portal, doubted, found), actor)).attempt


async def ask_paygov(portal: Portal, attempt: Attempt, *, actor: Actor, may_complete: bool) -> LookupResult:
    """Ask Pay.gov about ``attempt``, and record the answer. Only for an attempt that :func:`needs_lookup`.

    While another caller may hold its lease (:func:`lease_is_late`), only a collection is recorded.
    ``may_complete``: whether the one repeated complete may be used. Raises ``AttemptMoved`` if another process changed
    the attempt first, and what the store raises.
    """
    if attempt.status == PENDING:
        return await _ask_of_pending(portal, attempt, actor)
    leased = attempt.leased(portal.clock())
    if not leased:
        attempt = await _end_lease(portal, attempt, actor)
    try:
        found = await look_up(portal, attempt)
    except PayGovError as error:
        return _not_answered(attempt, error)
    if found.collections:
        return await _record_found(portal, attempt, await _judged(portal, attempt, found.collections), actor)
    unchanged = LookupResult(attempt, answered=found.rules_out, reached=found.reached)
    if leased:
        return unchanged
    if found.rules_out and _token_is_dead(portal, attempt):
        failed = await portal.ledger.fail(
            attempt,
            event="never_charged",
            actor=actor,
            return_code=TOKEN_EXPIRED_CODE,
            return_detail=NEVER_COLLECTED,
        )
        return LookupResult(failed, answered=True, reached=True)
    if may_complete and may_complete_again(portal, attempt):
        return await _complete_again(portal, attempt, actor)
    return unchanged


async def _judged(portal: Portal, attempt: Attempt, found: tuple[Collection, ...]) -> Judgement:
    return await judged_twice(attempt, found, lambda: collections_of(portal, attempt))


async def _ask_of_pending(portal: Portal, attempt: Attempt, actor: Actor) -> LookupResult:
    assert attempt.paygov_tracking_id is not None, "a pending attempt has Pay.gov's tracking id"
    tracking_id = attempt.paygov_tracking_id
    try:
        found = await _details(portal, attempt, tracking_id)
        judgement = await judged_twice(attempt, found, lambda: _details(portal, attempt, tracking_id))
        if judgement.outcome is not None and judgement.outcome.status == FAILED:
            other = await _other_that_takes_money(portal, attempt)
            if other is not None:
                return await _store_other_collection(portal, attempt, other)
    except PayGovError as error:
        return _not_answered(attempt, error)
    return await _record_found(portal, attempt, judgement, actor)


def _details(portal: Portal, attempt: Attempt, tracking_id: str) -> Awaitable[tuple[Collection, ...]]:
    question = portal.paygov.details(tcs_app_id=attempt.tcs_app_id, paygov_tracking_id=tracking_id)
    return portal.ask("details", question)


async def _other_that_takes_money(portal: Portal, attempt: Attempt) -> Outcome | None:
    """Return another collection of a settling ``attempt`` that is paid or may still be; None if there is none.

    It is sought at Pay.gov by the agency tracking id, and in the stored contradictions. Raises :class:`PayGovError` if
    Pay.gov does not answer: then the attempt must not fail yet.
    """
    found = list(await collections_of(portal, attempt))
    listed = {each.paygov_tracking_id for each in found}
    for kept in await portal.ledger.contradictions.of(attempt.agency_tracking_id):
        if kept.reported_paygov_id is not None and kept.reported_paygov_id not in listed:
            found += await _details(portal, attempt, kept.reported_paygov_id)
            listed.add(kept.reported_paygov_id)
    unidentified = replace(attempt, paygov_tracking_id=None)
    for each in found:
        outcome = judge_collection(unidentified, each, identified=True).outcome
        if (
            outcome is not None
            and outcome.paygov_tracking_id != attempt.paygov_tracking_id
            and outcome.status != FAILED
        ):
            return outcome
    return None


async def _store_other_collection(portal: Portal, attempt: Attempt, other: Outcome) -> LookupResult:
    """Store as a contradiction that the attempt's collection failed and another one takes the money.

    The attempt stays pending.

    The attempt's Pay.gov tracking id never changes, so a person settles the attempt when the other collection is paid.
    """
    await portal.ledger.contradictions.keep(attempt, other)
    portal.alert(
        "charged twice", attempt, f"{OTHER_TAKES_MONEY}: {other.paygov_tracking_id} ({other.transaction_status})"
    )
    return LookupResult(attempt, answered=True, reached=True)


async def _record_found(portal: Portal, attempt: Attempt, judgement: Judgement, actor: Actor) -> LookupResult:
    if judgement.outcome is not None:
        attempt, judgement = await record(portal, attempt, judgement, actor=actor)
    if judgement.row.alerts:
        portal.alert(judgement.row.name, attempt, judgement.reason)
    if judgement.row.reason in CONTRADICTIONS and attempt.outcome_unknown and not is_contradicted(attempt):
        attempt = await portal.ledger.record_unknown(attempt, judgement.reason, actor=actor)
    return LookupResult(attempt, answered=judgement.known == "definite", reached=True)


def is_contradicted(attempt: Attempt) -> bool:
    """Return whether the outcome of ``attempt`` is unknown because Pay.gov's collection does not fit it."""
    return (attempt.unknown_reason or "").startswith(CONTRADICTIONS)


def _not_answered(attempt: Attempt, error: PayGovError) -> LookupResult:
    """Return the unchanged attempt.

    A refusal by Pay.gov shows that it can be reached, and nothing about the attempt.
    """
    return LookupResult(attempt, answered=False, reached=error.certainty is Certainty.REFUSED)


async def _end_lease(portal: Portal, attempt: Attempt, actor: Actor) -> Attempt:
    """Record "unknown" for an attempt whose lease has run out; its repeated complete is used if that held the lease."""
    if attempt.lease_owner is None:
        return attempt
    # An attempt has a lease and an unknown outcome at once only while its second complete is sent.
    repeat_used = attempt.outcome_unknown
    return await portal.ledger.record_unknown(attempt, LEASE_RAN_OUT, actor=actor, repeat_used=repeat_used)


async def _complete_again(portal: Portal, attempt: Attempt, actor: Actor) -> LookupResult:
    owner = portal.new_lease_owner()
    leased = await portal.ledger.take_over_lease(attempt, owner, portal.settings.lease_s, actor=actor)
    try:
        completed = await portal.finish(complete(portal, leased, owner, first=False, actor=actor))
    except (GatewayTimeout, BadGateway, Unexpected):
        return LookupResult(await portal.ledger.reread(leased), answered=False)
    return LookupResult(completed, answered=True, reached=True)


def _token_is_dead(portal: Portal, attempt: Attempt) -> bool:
    """Return whether no complete can succeed any more, not even one that is still on its way to Pay.gov."""
    return portal.ledger.due_policy.token_expired(attempt, portal.clock() - portal.settings.token_grace_s)


async def refresh(portal: Portal, attempt: Attempt, *, actor: Actor, may_complete: bool) -> LookupResult:
    """Call :func:`ask_paygov`, but at most once in ``refresh_min_s`` for one attempt over all processes.

    Each lookup begins with a conditional write of its time, which one of several processes wins. An attempt that was
    looked up a moment ago counts as answered, unless this process knows that its own lookup got no answer.
    """
    now = portal.clock()
    if attempt.refreshed_at is not None and now - attempt.refreshed_at < portal.settings.refresh_min_s:
        return LookupResult(attempt, answered=portal.last_lookup_answered(attempt.agency_tracking_id))

    async def once() -> LookupResult:
        try:
            # Keep the due time that exists: callers that poll details must not postpone the sweeper again and again.
            due_at = next_lookup_at(portal, attempt) if attempt.due_at is None else attempt.due_at
            marked = await portal.ledger.set_due(attempt, due_at, refreshed_at=now)
            found = await ask_paygov(portal, marked, actor=actor, may_complete=may_complete)
            portal.remember_lookup(attempt.agency_tracking_id, found.answered)
            return found
        except AttemptMoved:
            return LookupResult(await portal.ledger.reread(attempt), answered=True)

    return await portal.single_flight(attempt.agency_tracking_id, once)


def next_lookup_at(portal: Portal, attempt: Attempt) -> float:
    """Return when the sweeper should ask next (Unix seconds): the wait grows, and is spread at random."""
    now = portal.clock()
    wait_s = portal.ledger.due_policy.next_poll_at(attempt, now) - now
    return now + wait_s * (1 + 0.2 * portal.randomness.random())
