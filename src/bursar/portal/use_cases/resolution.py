"""Finding out what became of an attempt by asking Pay.gov: the one place for ``details``, ``process`` and the sweeper.

Order of resolution of an unknown outcome (docs/paygov.md):

    query by agency tracking id ──┬─ has it ────────────────────────────► record what it says
                                  ├─ surely none, token long dead ──────► failed: nobody was or can be charged
                                  ├─ surely none, token alive ──► may be completed once more (never twice)
                                  └─ cannot be asked ───────────► stays unknown, ask again later
    no query service ──► token alive: may be completed once more; else a person settles it (`bursar resolve`)

An attempt of which no complete is recorded ends by time (:func:`end_uncompleted`). The store may have been restored
from a backup that is older than its complete, so Pay.gov is asked first where a lookup is configured:

    query by agency tracking id ──┬─ has it ──────► processing, in doubt ──► record what it says
                                  ├─ surely none ─► failed
                                  └─ cannot be asked ──► stays as it is, ask again later
    no query service ──► failed. After a restore this can fail what was charged: a deployment without a lookup must
                         compare Pay.gov's reports with the store before it serves again (docs/operations.md).

A second complete may only succeed when the first never arrived: Pay.gov's tokens are good for one. A refusal of it says
nothing of the first, so the attempt then stays unknown.
"""

from dataclasses import dataclass
from typing import Final

from bursar.paygov.errors import Certainty, PayGovError
from bursar.paygov.protocol import FAULT_TOKEN_UNUSABLE
from bursar.payments.errors import AttemptMoved
from bursar.payments.history_bounds import taken_too_often
from bursar.payments.ledger.ledger import LEASE_RAN_OUT
from bursar.payments.records import Attempt
from bursar.payments.status import PENDING, PROCESSING, TOKEN_EXPIRED_CODE, Actor, EventName
from bursar.portal.contract.errors import BadGateway, GatewayTimeout, Unexpected
from bursar.portal.use_cases.completion import complete, look_up, record
from bursar.portal.use_cases.completion_outcomes import Judgement, judge_collections
from bursar.portal.use_cases.portal import Portal

FOUND_UNCOMPLETED: Final = "Pay.gov has a collection of an attempt that no complete is recorded of"
NEVER_COLLECTED: Final = "Pay.gov has no collection for this attempt and its token has expired"


@dataclass(frozen=True, slots=True)
class Found:
    """An attempt after asking. ``answered``: Pay.gov told how it stands; False: it is as it was, for lack of an answer.

    ``reached``: whether Pay.gov can be reached at all; None: it was not asked, or what it said does not tell.
    """

    attempt: Attempt
    answered: bool
    reached: bool | None = None


def needs_lookup(attempt: Attempt, now: float) -> bool:
    """Whether only Pay.gov knows how ``attempt`` stands: settling, or processing with nobody at it and in doubt."""
    if attempt.status == PENDING:
        return True
    return attempt.status == PROCESSING and not attempt.leased(now) and not returned_unsent(attempt)


def returned_unsent(attempt: Attempt) -> bool:
    """Whether no complete of it was ever sent: it was claimed, and the lease given back unsent."""
    return attempt.status == PROCESSING and attempt.lease_owner is None and not attempt.outcome_unknown


def may_complete_again(portal: Portal, attempt: Attempt) -> bool:
    """Whether the one repeated complete is still unused and its token lives long enough for an answer.

    One that was not sent may be tried once more, and so again and again, but not for ever.
    """
    if attempt.repeat_used or attempt.token is None:
        return False
    if taken_too_often(attempt, "lease_taken_over"):
        return False
    return not portal.ledger.due_policy.token_expired(attempt, portal.clock() + portal.settings.paygov_timeout_s)


def token_was_refused(attempt: Attempt) -> bool:
    """Return whether Pay.gov refused its token (4117) and nothing else is known.

    The payer may not have paid yet and may come back with the same token. The sweeper therefore leaves the one repeated
    complete to that call.
    """
    return attempt.outcome_unknown and attempt.return_code == FAULT_TOKEN_UNUSABLE


async def end_uncompleted(
    portal: Portal, attempt: Attempt, *, event: EventName, actor: Actor, return_code: str | None, return_detail: str
) -> Attempt:
    """Fail an attempt of which no complete is recorded, by ``event``, unless Pay.gov has a collection of it.

    Returns the attempt: failed, or as Pay.gov's collection says, or in doubt when that collection does not fit it.
    Raises :class:`PayGovError` when Pay.gov cannot be asked (the attempt is as it was), ``AttemptMoved``, and what the
    store raises.
    """
    found = await look_up(portal, attempt)
    if not found:
        return await portal.ledger.fail(
            attempt, event=event, actor=actor, return_code=return_code, return_detail=return_detail
        )
    portal.alert("found uncompleted", attempt, f"{FOUND_UNCOMPLETED}: was the store restored from a backup?")
    doubted = await portal.ledger.put_in_doubt(attempt, FOUND_UNCOMPLETED, actor=actor)
    return (await _record_found(portal, doubted, judge_collections(doubted, found), actor)).attempt


async def ask_paygov(portal: Portal, attempt: Attempt, *, actor: Actor, may_complete: bool) -> Found:
    """What Pay.gov says of ``attempt``, recorded. Only for an attempt that :func:`needs_lookup`.

    ``may_complete``: whether the one repeated complete may be used. Raises ``AttemptMoved`` when somebody else was
    faster, and what the store raises.
    """
    if attempt.status == PENDING:
        return await _ask_of_pending(portal, attempt, actor)
    attempt = await _end_lease(portal, attempt, actor)
    try:
        found = await look_up(portal, attempt)
    except PayGovError as error:
        return _not_answered(attempt, error)
    if found:
        return await _record_found(portal, attempt, judge_collections(attempt, found), actor)
    if found is not None and _token_is_dead(portal, attempt):
        failed = await portal.ledger.fail(
            attempt,
            event="never_charged",
            actor=actor,
            return_code=TOKEN_EXPIRED_CODE,
            return_detail=NEVER_COLLECTED,
        )
        return Found(failed, answered=True, reached=True)
    if may_complete and may_complete_again(portal, attempt):
        return await _complete_again(portal, attempt, actor)
    asked = found is not None
    return Found(attempt, answered=asked, reached=asked or None)


async def _ask_of_pending(portal: Portal, attempt: Attempt, actor: Actor) -> Found:
    assert attempt.paygov_tracking_id is not None, "a pending attempt has Pay.gov's tracking id"
    try:
        found = await portal.ask(
            "details",
            portal.paygov.details(tcs_app_id=attempt.tcs_app_id, paygov_tracking_id=attempt.paygov_tracking_id),
        )
    except PayGovError as error:
        return _not_answered(attempt, error)
    return await _record_found(portal, attempt, judge_collections(attempt, found), actor)


async def _record_found(portal: Portal, attempt: Attempt, judgement: Judgement, actor: Actor) -> Found:
    if judgement.outcome is not None:
        attempt, judgement = await record(portal, attempt, judgement, actor=actor)
    if judgement.row.alerts:
        portal.alert(judgement.row.name, attempt, judgement.reason)
    return Found(attempt, answered=judgement.known == "definite", reached=True)


def _not_answered(attempt: Attempt, error: PayGovError) -> Found:
    """A refusal is an answer as well, though it tells nothing of the attempt."""
    return Found(attempt, answered=False, reached=error.certainty is Certainty.REFUSED)


async def _end_lease(portal: Portal, attempt: Attempt, actor: Actor) -> Attempt:
    """An attempt whose holder vanished: its outcome is unknown from here on, and if it was the second one, for good."""
    if attempt.lease_owner is None:
        return attempt
    # Only the second complete is sent under the lease of an attempt whose outcome is unknown already.
    repeat_used = attempt.outcome_unknown
    return await portal.ledger.record_unknown(attempt, LEASE_RAN_OUT, actor=actor, repeat_used=repeat_used)


async def _complete_again(portal: Portal, attempt: Attempt, actor: Actor) -> Found:
    owner = portal.new_lease_owner()
    leased = await portal.ledger.take_over_lease(attempt, owner, portal.settings.lease_s, actor=actor)
    try:
        completed = await portal.finish(complete(portal, leased, owner, first=False, actor=actor))
    except (GatewayTimeout, BadGateway, Unexpected):
        return Found(await portal.ledger.reread(leased), answered=False)
    return Found(completed, answered=True, reached=True)


def _token_is_dead(portal: Portal, attempt: Attempt) -> bool:
    """Whether no complete can succeed any more, not even one that is still on its way."""
    return portal.ledger.due_policy.token_expired(attempt, portal.clock() - portal.settings.token_grace_s)


async def refresh(portal: Portal, attempt: Attempt, *, actor: Actor, may_complete: bool) -> Found:
    """:func:`ask_paygov`, at most once in ``refresh_min_s`` for one attempt, in whatever process, and once at a time.

    The write that notes the asking is what makes others wait: of several, one wins it. An attempt that was asked about
    a moment ago counts as heard, unless this process knows that nothing was.
    """
    now = portal.clock()
    if attempt.refreshed_at is not None and now - attempt.refreshed_at < portal.settings.refresh_min_s:
        return Found(attempt, answered=portal.last_lookup_answered(attempt.agency_tracking_id))

    async def once() -> Found:
        try:
            # The sweeper's own time stays: callers who poll details must not put it off for ever.
            due_at = next_lookup_at(portal, attempt) if attempt.due_at is None else attempt.due_at
            noted = await portal.ledger.set_due(attempt, due_at, refreshed_at=now)
            found = await ask_paygov(portal, noted, actor=actor, may_complete=may_complete)
            portal.remember_lookup(attempt.agency_tracking_id, found.answered)
            return found
        except AttemptMoved:
            return Found(await portal.ledger.reread(attempt), answered=True)

    return await portal.single_flight(attempt.agency_tracking_id, once)


def next_lookup_at(portal: Portal, attempt: Attempt) -> float:
    """When the sweeper should look again (Unix seconds): later and later, and not for all at the same moment."""
    now = portal.clock()
    wait_s = portal.ledger.due_policy.next_poll_at(attempt, now) - now
    return now + wait_s * (1 + 0.2 * portal.randomness.random())
