"""Ask Pay.gov about what the lost part of a restored store may have held, before anything is decided from the rest.

While a restore mark is open, this is done for each obligation without an attempt that began after the restore:

    the live attempt and every further id that the obligation may have had ──► ask Pay.gov
        ├─ a collection of the live attempt ──► record it
        ├─ a collection of a lost attempt ────► fail the live one, because the lost one began after it had failed;
        │                                       start the lost one again under its id, and record the collection
        ├─ a collection under another fee's application, of an obligation that the store does not have
        │                                 ────► 409: it was paid with another fee; init with that fee records it
        ├─ none ──────────────────────────────► go on as in normal life
        └─ no answer ─────────────────────────► InDoubt: no token, no complete, no failure
    no lookup can say "none" ──► a live attempt is put in doubt and blocks; without a live attempt, InDoubt

The answer "none" counts only ``restore_grace_s`` after the restore: a complete from before the restore may arrive at
Pay.gov later, or may have arrived without being shown by a lookup. When the mark is cleared, the lost collections that
an operator has recorded remain.

Lost ids can be derived (:mod:`bursar.payments.attempt_ids`). The attempts that the check starts again count as begun
before the restore, so that the check is repeated if the process dies in the middle of it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bursar.paygov.collection import Collection
from bursar.paygov.errors import Certainty, PayGovError
from bursar.payments.attempt_ids import possible_attempt_ids
from bursar.payments.errors import ObligationTaken
from bursar.payments.ledger.store_records.restores import LostCollection, RestoreMark, Restores
from bursar.payments.records import Attempt
from bursar.payments.status import (
    FAILED,
    INITIATED,
    PENDING,
    PROCESSED,
    RECEIVED,
    TOKEN_EXPIRED_CODE,
    Actor,
    EventName,
    from_paygov,
)
from bursar.portal.contract.error_catalogue import DIFFERS
from bursar.portal.contract.errors import Conflict, InDoubt
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.completion import LookupAnswer, look_up
from bursar.portal.use_cases.completion_outcomes import OUTCOMES, judge_collections
from bursar.portal.use_cases.resolution import FOUND_UNCOMPLETED, RESTORED_IN_DOUBT, record_uncompleted, returned_unsent

FOUND_LOST: Final = "Pay.gov has a collection of an attempt that the restored store did not have"
FOUND_ELSEWHERE: Final = "Pay.gov has a collection of this reference under another fee: init with that fee records it"
LISTED_LOST: Final = "an operator found a collection of an attempt that the restored store did not have"
SUPERSEDED: Final = "Pay.gov has a later attempt at this obligation, so this one failed before the store was restored"
CANNOT_ASK: Final = "Pay.gov cannot be asked whether it was paid since: an operator must compare Pay.gov's reports"
NOT_ANSWERED: Final = "Pay.gov could not be asked whether it was paid since"
TOO_EARLY: Final = "a payment that was under way then may still arrive at Pay.gov"


@dataclass(frozen=True, slots=True)
class ObligationCheck:
    """The result of checking an obligation against Pay.gov: whether it may have ``changed``.

    ``reached``: whether Pay.gov can be reached; None if it was not asked.
    """

    changed: bool
    reached: bool | None = None


async def check_obligation(portal: Portal, like: Attempt, *, actor: Actor) -> ObligationCheck:
    """Make the record of the obligation of ``like`` agree with Pay.gov. If the store was not restored, do nothing.

    ``like`` is an attempt at the obligation or a draft of one; lost attempts get its identity.

    Raises:
        InDoubt: Pay.gov cannot be asked, or its answer is not final yet. Nothing has failed.
        Conflict: the store does not have the obligation, and Pay.gov has a collection of it under another fee.
        AttemptMoved, ObligationTaken: another caller has changed the obligation; try again.
    """
    state = await portal.restores.state()
    if not may_be_concerned(portal, state, like):
        return ObligationCheck(changed=False)
    mark, listed = state.open_mark, _listed(state, like)
    view = await portal.ledger.obligation(like.client, like.reference, events=False)
    attempts = () if view is None else view.attempts
    if any(each.status == PROCESSED for each in attempts):
        return ObligationCheck(changed=True)
    if view is not None and view.obligation.differences(like.fee, like.metadata):
        return ObligationCheck(changed=True)  # starting the attempt refuses it even without this check
    live = None if view is None else view.blocking
    for lost in listed:
        if not any(each.agency_tracking_id == lost.agency_tracking_id and not each.live for each in attempts):
            await _record_listed(portal, live, like, lost, state.marks[-1], actor)
            return ObligationCheck(changed=True)
    if mark is None or not all(mark.covers(each) for each in attempts):
        return ObligationCheck(changed=True)
    return ObligationCheck(changed=True, reached=await _ask(portal, mark, live, like, attempts, actor))


def may_be_concerned(portal: Portal, state: Restores, like: Attempt) -> bool:
    """Return whether lost attempts at the obligation of ``like`` are recorded or possible. It reads nothing."""
    if state.lost and _listed(state, like):
        return True
    mark = state.open_mark
    if mark is None or portal.restores.is_checked(like.client, like.reference):
        return False
    is_draft = not like.agency_tracking_id
    return is_draft or mark.covers(like)


def _listed(state: Restores, like: Attempt) -> list[LostCollection]:
    """Return the lost collections of the obligation that an operator has recorded."""
    return [state.lost[each] for each in possible_attempt_ids(like.client, like.reference, ()) if each in state.lost]


async def _ask(
    portal: Portal, mark: RestoreMark, live: Attempt | None, like: Attempt, attempts: Sequence[Attempt], actor: Actor
) -> bool | None:
    """Ask Pay.gov, and record what it has. Return whether it could be reached; None if it was not asked."""
    if live is not None and live.status == PENDING:
        return None  # it blocks every other attempt, and Pay.gov is asked about it by its Pay.gov tracking id
    ids = possible_attempt_ids(like.client, like.reference, (each.agency_tracking_id for each in attempts))
    lost = [portal.ledger.lost_attempt(like, each) for each in ids]
    (own, *found), reached = await _look_up_all(portal, [live, *lost])
    later = [(attempt, collections) for attempt, collections in zip(lost, found, strict=True) if collections]
    blocks = False
    if live is not None and own:
        portal.alert("found uncompleted", live, FOUND_UNCOMPLETED)
        recorded = await record_uncompleted(portal, live, own, actor=actor)
        blocks = recorded.status != FAILED
    elif live is not None and later:
        await _fail_superseded(portal, live, actor)
    for attempt, collections in later:
        blocks = await _record_lost(portal, mark, attempt, collections, actor) or blocks
    if blocks:
        return reached
    if not attempts:
        await _refuse_if_paid_with_another_fee(portal, like, lost)
    if not portal.paygov.can_rule_out:
        if live is None or own or later:
            raise InDoubt(CANNOT_ASK, reached=reached)
        await portal.ledger.put_in_doubt(live, RESTORED_IN_DOUBT, actor=actor)
        return reached
    if portal.clock() < _believed_at(portal, mark):
        raise InDoubt(TOO_EARLY, _believed_at(portal, mark), reached=reached)
    portal.restores.remember_checked(like.client, like.reference)
    return reached


async def _refuse_if_paid_with_another_fee(portal: Portal, like: Attempt, lost: Sequence[Attempt]) -> None:
    """Raise ``Conflict`` if Pay.gov has a collection of a lost attempt under the application of another fee.

    Only the lost part of the store knew the obligation's fee, so the caller may have named another one. Pay.gov finds
    a collection by its application and its agency tracking id together.
    """
    others = sorted(portal.fees.tcs_app_ids - {like.tcs_app_id})
    asked = [replace(attempt, tcs_app_id=other) for other in others for attempt in lost]
    found, _ = await _look_up_all(portal, asked)
    for attempt, collections in zip(asked, found, strict=True):
        if any(from_paygov(collection.transaction_status or "") != FAILED for collection in collections):
            portal.alert("found lost", attempt, FOUND_ELSEWHERE)
            raise Conflict(DIFFERS)


def _believed_at(portal: Portal, mark: RestoreMark) -> float:
    """Return the time after which the answer "none" is final.

    By then, lookups show every complete from before the restore.
    """
    return mark.restored_at + portal.settings.restore_grace_s


async def _look_up_all(
    portal: Portal, attempts: Sequence[Attempt | None]
) -> tuple[list[tuple[Collection, ...]], bool | None]:
    """Return Pay.gov's collections of each attempt, and whether Pay.gov could be reached; None if it was not asked.

    Raises ``InDoubt`` at the first question whose answer is needed and missing.
    """

    async def ask(attempt: Attempt | None) -> LookupAnswer:
        if attempt is None or not portal.paygov.lookups:
            return LookupAnswer()
        async with portal.restores.lookups:
            return await look_up(portal, attempt)

    tasks = [asyncio.create_task(ask(attempt)) for attempt in attempts]
    try:
        found = await asyncio.gather(*tasks)
    except PayGovError as error:
        raise InDoubt(NOT_ANSWERED, reached=error.certainty is Certainty.REFUSED) from None
    finally:
        for task in tasks:
            task.cancel()  # after the first error, the other answers are not needed
    asked = [each.reached for each in found if each.reached is not None]
    return [each.collections for each in found], all(asked) if asked else None


async def _fail_superseded(portal: Portal, live: Attempt, actor: Actor) -> None:
    await portal.ledger.fail(
        live, event=_failing_event(live), actor=actor, return_code=TOKEN_EXPIRED_CODE, return_detail=SUPERSEDED
    )


def _failing_event(live: Attempt) -> EventName:
    if live.status == RECEIVED:
        return "start_abandoned"
    if live.status == INITIATED:
        return "expired"
    return "expired_unsent" if returned_unsent(live) else "never_charged"


async def _record_lost(
    portal: Portal, mark: RestoreMark, lost: Attempt, collections: tuple[Collection, ...], actor: Actor
) -> bool:
    """Start the lost attempt again, and record Pay.gov's collections of it.

    Return whether it now blocks other attempts.
    """
    try:
        attempt = await portal.ledger.start_lost_attempt(lost, mark.restored_at)
    except ObligationTaken as taken:
        # Another attempt was paid too: the payer was charged twice, by the lost part of the store or by an operator.
        outcome = judge_collections(lost, collections).outcome
        if taken.attempt is None:
            raise
        if outcome is not None and outcome.status != FAILED:
            await portal.ledger.contradictions.keep(taken.attempt, outcome)
            portal.alert("charged twice", taken.attempt, OUTCOMES["charged twice"].reason)
        return True
    portal.alert("found lost", attempt, FOUND_LOST)
    if attempt.live:
        attempt = await record_uncompleted(portal, attempt, collections, actor=actor)
    return attempt.status != FAILED


async def _record_listed(
    portal: Portal, live: Attempt | None, like: Attempt, listed: LostCollection, mark: RestoreMark, actor: Actor
) -> None:
    """Record a lost attempt as charged, as an operator found it in Pay.gov's reports."""
    if live is not None and live.agency_tracking_id != listed.agency_tracking_id:
        if live.status == PENDING:
            return  # its recorded collection has priority
        await _fail_superseded(portal, live, actor)
    lost = portal.ledger.lost_attempt(like, listed.agency_tracking_id)
    attempt = await portal.ledger.start_lost_attempt(lost, mark.restored_at)
    portal.alert("found lost", attempt, LISTED_LOST)
    if not attempt.live:
        return
    doubted = await portal.ledger.put_in_doubt(attempt, LISTED_LOST, actor=actor)
    await portal.ledger.resolve(
        doubted,
        settled_as=PROCESSED,
        by=listed.by,
        reason=listed.reason,
        paygov_tracking_id=listed.paygov_tracking_id,
    )
