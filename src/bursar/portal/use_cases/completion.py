"""Complete an attempt under its lease: ask Pay.gov once, judge the answer, record it.

    claim or steal the lease ──► complete ──► judge ──┬─ definite ──► recorded, tried again while the store is away
                                                │     ├─ not sent ──► lease given back
                    decides nothing ──► look up ┘     └─ unknown  ──► outcome unknown
                                                                        └─ reply lost ──► look up, at most twice
                                                                              └─ found ──► recorded

Two answers do not show the outcome: fault 4117 (token unusable), which does not say whether the payer was charged, and
a collection that does not fit the attempt. Pay.gov is then asked for the collections of the attempt before the answer
is judged. Without one the outcome is unknown, also when Pay.gov answers that it has none: a complete that was delivered
twice may be too fresh for the lookup to show it.

After a lost reply, the unknown outcome is recorded before Pay.gov is asked again. So no lease blocks others meanwhile,
and if the process is killed, the sweeper resolves the attempt. After a lost reply, only a collection that Pay.gov has
is accepted as an answer.

Callers run this inside ``Portal.finish``, so a completion that has begun continues if its caller disconnects. A process
that is killed leaves a lease that runs out, and the sweeper reads such a lease as "unknown".
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bursar.paygov.collection import Collection
from bursar.paygov.errors import Certainty, Fault, PayGovError
from bursar.payments.errors import AttemptMoved, IdentifierTaken, OutcomeContradicts
from bursar.payments.records import Attempt
from bursar.payments.status import Actor
from bursar.portal.contract.errors import Unavailable, portal_error
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.completion_outcomes import (
    FOUND_CHARS_MAX,
    LOST_REPLIES,
    OUTCOMES,
    Judgement,
    judge_collections,
    judge_completion,
    token_was_refused,
)

RECORD_TRIES_MAX: Final = 8
RECORD_WAIT_MIN_S: Final = 0.1
RECORD_WAIT_MAX_S: Final = 8.0
LOOKUP_AGAIN_AFTER_S: Final = 3.0
"""The wait between the two lookups that follow a lost reply. Later ones are the sweeper's and those of details."""
LOOKED_UP_WITHIN_S: Final = 25.0
"""These lookups end within this time after the complete was sent: API Gateway waits 29 s for an answer."""

_log = logging.getLogger(__name__)


async def complete(portal: Portal, attempt: Attempt, owner: str, *, first: bool, actor: Actor) -> Attempt:
    """Complete ``attempt``, whose lease ``owner`` holds, and return the attempt as recorded.

    ``first``: no complete of its token is known to have been sent before. If the outcome is not definite, record that
    and raise the judgement's error.
    """
    looked_up_until = portal.clock() + LOOKED_UP_WITHIN_S
    judgement = await _ask(portal, attempt, first)
    portal.observer.outcome_known(judgement.row.name)
    attempt, judgement = await _recorded(portal, attempt, judgement, actor)
    if judgement.known == "definite":
        return attempt
    doubted = await _record_doubt(portal, attempt, owner, judgement, first, actor)
    if doubted is not None and judgement.row.name in LOST_REPLIES:
        found = await _look_up_lost_reply(portal, doubted, judgement, looked_up_until)
        if found.outcome is not None:
            attempt, judgement = await _recorded(portal, doubted, found, actor)
            if judgement.known == "definite":
                return attempt
    raise judgement.error()


async def _recorded(portal: Portal, attempt: Attempt, judgement: Judgement, actor: Actor) -> tuple[Attempt, Judgement]:
    """Record ``judgement`` if it is definite, and alert if it needs a person. Returns as :func:`record` does."""
    if judgement.outcome is not None:
        attempt, judgement = await record(portal, attempt, judgement, actor=actor)
    if needs_person(portal, judgement):
        portal.alert(judgement.row.name, attempt, judgement.reason)
    return attempt, judgement


def needs_person(portal: Portal, judgement: Judgement) -> bool:
    """Return whether ``judgement`` needs a person at once. A refused second complete does not: a lookup decides it."""
    decided_by_lookup = judgement.row.name == "fault after doubt" and portal.paygov.can_rule_out
    return judgement.row.alerts and not decided_by_lookup


async def record(portal: Portal, attempt: Attempt, judgement: Judgement, *, actor: Actor) -> tuple[Attempt, Judgement]:
    """Record a definite judgement.

    Return the attempt as stored now, and the judgement that the stored attempt confirms.

    While the store is unreachable, the write is repeated: Pay.gov may never give its definite answer again.
    """
    outcome = judgement.outcome
    assert outcome is not None
    wait_s = RECORD_WAIT_MIN_S
    for tries_left in reversed(range(RECORD_TRIES_MAX)):
        try:
            recorded = await portal.ledger.record_outcome(attempt, outcome, actor=actor, others=judgement.others)
            return recorded, judgement
        except IdentifierTaken:
            found = f"Pay.gov tracking id {outcome.paygov_tracking_id}"[:FOUND_CHARS_MAX]
            return attempt, Judgement(OUTCOMES["id taken"], found=found)
        except OutcomeContradicts as contradicts:
            return contradicts.attempt, Judgement(OUTCOMES["contradiction"])
        except Exception as error:
            if isinstance(error, AttemptMoved) and outcome.paygov_tracking_id is None:
                raise  # a refusal after the lease was lost: the caller that has the lease now asks Pay.gov itself
            if not isinstance(portal_error(error), Unavailable) or tries_left == 0:
                why = f"Pay.gov says {outcome.status} as {outcome.paygov_tracking_id} and it cannot be recorded"
                portal.alert("not recorded", attempt, f"{why}: {type(error).__name__}")
                raise
        await asyncio.sleep(wait_s * (0.5 + portal.randomness.random()))
        wait_s = min(wait_s * 2, RECORD_WAIT_MAX_S)
    raise AssertionError("unreachable: the last try raises")


@dataclass(frozen=True, slots=True)
class LookupAnswer:
    """Pay.gov's collections of an attempt, found by its agency tracking id.

    ``rules_out``: no collection means that Pay.gov has none. ``reached``: whether every lookup that was asked answered
    or refused; None if none is configured.
    """

    collections: tuple[Collection, ...] = ()
    rules_out: bool = False
    reached: bool | None = None


async def look_up(portal: Portal, attempt: Attempt) -> LookupAnswer:
    """Ask Pay.gov for its collections of ``attempt``.

    Only this function knows in which order the lookups are asked.

        each lookup in turn ──┬─ collections ──────────► return them: what is found is always believed
                              ├─ none, confirmed ──────► return none: it is ruled out that Pay.gov has one
                              ├─ none, not confirmed ──► ask the next one: this answer proves nothing
                              └─ refused, unreachable ─► ask the next one: a refusal is never "none"

    Raises :class:`PayGovError` when a lookup whose "none" is final is configured and no such lookup answered.
    """
    unanswered: PayGovError | None = None
    reached = True if portal.paygov.lookups else None
    for lookup in portal.paygov.lookups:
        question = portal.paygov.find(
            lookup.name, tcs_app_id=attempt.tcs_app_id, agency_tracking_id=attempt.agency_tracking_id
        )
        try:
            found = await portal.ask(lookup.name, question)
        except PayGovError as error:
            if lookup.confirmed:
                unanswered = unanswered or error
            reached = reached and error.certainty is Certainty.REFUSED
            continue
        if found or lookup.confirmed:
            return LookupAnswer(found, rules_out=lookup.confirmed, reached=True)
    if unanswered is not None:
        raise unanswered
    return LookupAnswer(reached=reached)


async def collections_of(portal: Portal, attempt: Attempt) -> tuple[Collection, ...]:
    """Return the collections that :func:`look_up` finds. Raises as it does."""
    return (await look_up(portal, attempt)).collections


async def judged_twice(
    attempt: Attempt,
    found: tuple[Collection, ...],
    ask_again: Callable[[], Awaitable[tuple[Collection, ...]]],
) -> Judgement:
    """Judge ``found``; if it does not fit the attempt, judge the answer to ``ask_again`` instead, if there is one.

    A misdelivered answer is about another payer, so a contradiction is one only if Pay.gov repeats it.
    """
    judgement = judge_collections(attempt, found)
    if judgement.known == "definite":
        return judgement
    try:
        again = await ask_again()
    except PayGovError:
        return judgement
    return judge_collections(attempt, again) if again else judgement


async def _ask(portal: Portal, attempt: Attempt, first: bool) -> Judgement:
    answer: Collection | Exception
    failure: Exception | None = None
    # Taking the lease can be slow. A complete must not be in progress after its lease, because another caller may send
    # one then.
    if not attempt.leased(portal.clock() + portal.settings.paygov_timeout_s):
        return Judgement(OUTCOMES["not sent"])
    try:
        assert attempt.token is not None
        answer = await portal.ask(
            "complete", portal.paygov.complete(tcs_app_id=attempt.tcs_app_id, token=attempt.token)
        )
    except Exception as error:  # every way in which it can end is judged, also a bug of the portal
        answer = failure = error
    judgement = judge_completion(attempt, answer, first=first)
    if not first and isinstance(answer, Fault) and _is_refused_again(portal, attempt, answer):
        judgement = Judgement(OUTCOMES["token unusable"], refusal=answer)
    if judgement.row.name == "unforeseen":
        _log.error("completing %s failed", attempt.agency_tracking_id, exc_info=failure)
    return await _look_up_before_judging(portal, attempt, judgement) if _is_doubtful(answer, judgement) else judgement


def _is_refused_again(portal: Portal, attempt: Attempt, refusal: Fault) -> bool:
    """Return whether Pay.gov has answered every complete of ``attempt`` with fault 4117, and a lookup can decide it.

    Either no complete has charged the payer, or Pay.gov refuses a token that has been used. So a further complete does
    not charge twice, and this one does not use up the one repeat: the payer may have come back without paying.
    """
    refused_before = token_was_refused(attempt) and not attempt.repeat_used
    return refusal.token_unusable and refused_before and portal.paygov.can_rule_out


def _is_doubtful(answer: Collection | Exception, judgement: Judgement) -> bool:
    """Return whether Pay.gov's answer does not show the outcome: fault 4117, or a collection that does not fit."""
    if isinstance(answer, Fault):
        return answer.token_unusable
    return isinstance(answer, Collection) and judgement.known == "unknown"


async def _look_up_before_judging(portal: Portal, attempt: Attempt, judgement: Judgement) -> Judgement:
    """Judge the collections that Pay.gov has of ``attempt``; return ``judgement`` if it has none or cannot be asked."""
    try:
        found = await collections_of(portal, attempt)
    except PayGovError:
        return judgement
    return await judged_twice(attempt, found, lambda: collections_of(portal, attempt)) if found else judgement


async def _look_up_lost_reply(portal: Portal, attempt: Attempt, judgement: Judgement, until: float) -> Judgement:
    """Judge the collections that Pay.gov has of ``attempt`` until ``until`` (Unix seconds), until a lookup shows one.

    Returns ``judgement``, that of the lost reply, if they show none.
    """
    for wait_s in (0.0, LOOKUP_AGAIN_AFTER_S) if portal.paygov.lookups else ():
        left_s = until - portal.clock() - wait_s
        if left_s <= 0:
            break
        await asyncio.sleep(wait_s)
        try:
            async with asyncio.timeout(left_s):
                found = await _look_up_before_judging(portal, attempt, judgement)
        except TimeoutError:
            break
        if found is not judgement:
            return found
    return judgement


async def _record_doubt(
    portal: Portal, attempt: Attempt, owner: str, judgement: Judgement, first: bool, actor: Actor
) -> Attempt | None:
    """Release the lease as unsent, or record "unknown". Return the attempt as stored then.

    None: another process has changed the attempt, or the store failed. Then the lease runs out, which means "unknown"
    too.
    """
    reason = judgement.reason
    try:
        if judgement.known == "not sent" and first:
            return await portal.ledger.release_lease(attempt, owner, reason, actor=actor)
        if judgement.known == "not sent":
            # The repeated complete was not sent, so the outcome stays unknown for the same reason as before.
            return await portal.ledger.record_unknown(attempt, attempt.unknown_reason or reason, actor=actor)
        code, detail = (fault.return_code, fault.return_detail) if (fault := judgement.refusal) else (None, None)
        used = not first and judgement.row.name != "token unusable"
        return await portal.ledger.record_unknown(
            attempt, reason, actor=actor, repeat_used=used, return_code=code, return_detail=detail
        )
    except AttemptMoved as moved:
        _log.info("attempt %s was changed by another process: %s", attempt.agency_tracking_id, moved)
    except Exception as error:  # the caller must get the error of the completion, not of the store
        _log.warning("attempt %s keeps its lease until it runs out: %r", attempt.agency_tracking_id, error)
    return None
