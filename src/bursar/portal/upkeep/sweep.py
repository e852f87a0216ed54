"""Make one bounded pass over the attempts that are due. Many processes may sweep at once, and may be killed.

    status                        what a pass does                                           asks Pay.gov
    received, too old             fails it: no token was recorded, no payer was charged      if a lookup is configured
    initiated, token expired      fails it: no complete was sent                             if a lookup is configured
    processing, returned unsent   fails it after its token has expired: no complete was sent if a lookup is configured
    processing, outcome unknown   resolves it (resolution.py)                                always
    processing, leased for long   records what Pay.gov has: its holder may be dead           if a lookup is configured
    pending                       asks whether it has settled                                always
    processed, an ACH debit       asks whether it was returned, for 61 days                  always

The reasons of the first three rows are true only if the store is complete. After a restore from a backup the store may
be behind Pay.gov, so Pay.gov is asked first. While Pay.gov cannot be reached, none of the three is failed.

A restore makes every live attempt due. Its obligation is checked first (after_restore.py).

A sweeper moves the attempt's due time before it asks Pay.gov: a conditional write, which one of many sweepers wins. The
wait until the next question grows with the attempt's age. While the breaker is open, no question is sent, and the due
times are spread over the time after the cool-down.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bursar.paygov.errors import Certainty, PayGovError
from bursar.payments.errors import AttemptMoved, ObligationTaken
from bursar.payments.records import Attempt
from bursar.payments.status import TOKEN_EXPIRED_CODE, EventName
from bursar.portal.contract.errors import InDoubt
from bursar.portal.state.observer import SweepResult
from bursar.portal.state.portal import TOKEN_EXPIRED_DETAIL, Portal
from bursar.portal.upkeep.attention import attention_reason
from bursar.portal.upkeep.reversals import ask_about_return
from bursar.portal.use_cases.after_restore import check_obligation, may_be_concerned
from bursar.portal.use_cases.completion_outcomes import token_was_refused
from bursar.portal.use_cases.init_payment import ABANDONED_DETAIL
from bursar.portal.use_cases.resolution import (
    ask_paygov,
    end_uncompleted,
    needs_lookup,
    next_lookup_at,
    returned_unsent,
)

SWEEP_LIMIT: Final = 200
"""The most attempts in one pass."""
LOOKUPS_AT_ONCE_MAX: Final = 8
"""The most concurrent questions of one pass, so that Pay.gov gets no burst after an outage."""
COOL_DOWN_SPREAD_S: Final = 60.0
"""The time after the breaker's cool-down over which the postponed attempts are spread."""

ENDED: Final[frozenset[SweepResult]] = frozenset({"settled", "failed", "expired", "abandoned"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SweepReport:
    """One pass: how many attempts ended in each way, and the agency tracking ids of those that need a person.

    ``results`` has only the results that occurred.
    """

    swept: int
    results: Mapping[SweepResult, int] = field(default_factory=dict)
    attention: tuple[str, ...] = ()
    breaker_open: bool = False


async def sweep(portal: Portal, limit: int = SWEEP_LIMIT) -> SweepReport:
    """Make one pass over at most ``limit`` attempts that are due. An error with one attempt does not stop the others.

    Then seal the days that are over, if the portal does so.

    Raises only what reading the due attempts raises.
    """
    began = portal.clock()
    due = await portal.ledger.due(began, limit)
    if len(due) < limit:  # live attempts have priority
        due += await portal.ledger.due_returns(began, limit - len(due))
    results: Counter[SweepResult] = Counter()
    attention: list[str] = []
    gate = asyncio.Semaphore(LOOKUPS_AT_ONCE_MAX)

    async def visit(attempt: Attempt) -> None:
        async with gate:
            result = await _sweep_one(portal, attempt)
            results[result] += 1
            reason = None if result in ENDED else attention_reason(portal, attempt)
            if reason is not None:
                attention.append(attempt.agency_tracking_id)
                portal.alert("attention", attempt, reason)

    await asyncio.gather(*(visit(attempt) for attempt in due))
    portal.observer.swept(dict(results), portal.clock() - began)
    if portal.sealing is not None:
        await portal.sealing.run_if_due()
    return SweepReport(len(due), dict(results), tuple(sorted(attention)), portal.breaker.is_open)


async def _sweep_one(portal: Portal, attempt: Attempt) -> SweepResult:
    try:
        if attempt.live and may_be_concerned(portal, await portal.restores.state(), attempt):
            checked = await _check_after_restore(portal, attempt)
            if not isinstance(checked, Attempt):
                return checked
            attempt = checked
        return await STEPS[attempt.status](portal, attempt)
    except (AttemptMoved, ObligationTaken):
        return "lost_race"
    except Exception:  # an error with one attempt must not stop the pass; the attempt stays due
        _log.exception("sweeping attempt %s failed", attempt.agency_tracking_id)
        return "error"


async def _check_after_restore(portal: Portal, attempt: Attempt) -> Attempt | SweepResult:
    """Ask Pay.gov about the attempt's obligation since a restore; return the attempt, or the result if it ends here."""
    if not portal.breaker.admit():
        await portal.ledger.set_due(attempt, _after_cool_down(portal))
        return "postponed"
    answered: bool | None = None
    try:
        checked = await check_obligation(portal, attempt, actor="sweeper")
        answered = checked.reached
    except InDoubt as doubt:
        answered = doubt.reached
        await portal.ledger.set_due(attempt, doubt.until or next_lookup_at(portal, attempt))
        return "unanswered" if doubt.until is None else "postponed"
    finally:
        portal.breaker.report(answered)
    if not checked.changed:
        return attempt
    current = await portal.ledger.reread(attempt)
    if not current.live:
        return _result_of(current)
    # A restore made the attempt due. It is due again at its own time.
    due_at = portal.ledger.due_policy.due_at(current)
    if due_at is not None and due_at > portal.clock() and current.version == attempt.version:
        return await portal.ledger.set_due(current, due_at)
    return current


async def _received(portal: Portal, attempt: Attempt) -> SweepResult:
    if portal.clock() - attempt.created_at < portal.ledger.due_policy.received_age_max_s:
        return "not_due"
    return await _end(portal, attempt, "abandoned", "start_abandoned", None, ABANDONED_DETAIL)


async def _initiated(portal: Portal, attempt: Attempt) -> SweepResult:
    return await _expire(portal, attempt, "expired")


async def _expire(portal: Portal, attempt: Attempt, event: EventName) -> SweepResult:
    if not portal.ledger.due_policy.token_expired(attempt, portal.clock()):
        return "not_due"
    return await _end(portal, attempt, "expired", event, TOKEN_EXPIRED_CODE, TOKEN_EXPIRED_DETAIL)


async def _end(
    portal: Portal, attempt: Attempt, failed: SweepResult, event: EventName, code: str | None, detail: str
) -> SweepResult:
    """Fail an attempt whose time is over, after asking Pay.gov if a lookup is configured. Return the result."""
    asks = bool(portal.paygov.lookups)
    if asks and not portal.breaker.admit():
        await portal.ledger.set_due(attempt, _after_cool_down(portal))
        return "postponed"
    answered: bool | None = None
    try:
        found = await end_uncompleted(
            portal, attempt, event=event, actor="sweeper", return_code=code, return_detail=detail
        )
        answered, ended = found.reached, found.attempt
    except PayGovError as error:
        answered = error.certainty is Certainty.REFUSED
        await portal.ledger.set_due(attempt, next_lookup_at(portal, attempt))
        return "unanswered"
    finally:
        if asks:
            portal.breaker.report(answered)
    return failed if ended.status == "failed" else _result_of(ended)


async def _processing(portal: Portal, attempt: Attempt) -> SweepResult:
    if returned_unsent(attempt):
        return await _expire(portal, attempt, "expired_unsent")
    return await _ask(portal, attempt)


async def _ask(portal: Portal, attempt: Attempt) -> SweepResult:
    if not needs_lookup(portal, attempt):
        return "not_due"
    if not portal.breaker.admit():
        await portal.ledger.set_due(attempt, _after_cool_down(portal))
        return "postponed"
    answered: bool | None = None
    try:
        next_at = next_lookup_at(portal, attempt)
        if attempt.lease_until is not None and attempt.leased(portal.clock()):
            next_at = min(next_at, attempt.lease_until)
        marked = await portal.ledger.set_due(attempt, next_at, refreshed_at=portal.clock())
        found = await ask_paygov(portal, marked, actor="sweeper", may_complete=not token_was_refused(marked))
        answered = found.reached
        portal.remember_lookup(attempt.agency_tracking_id, found.answered)
    finally:
        portal.breaker.report(answered)
    if not found.answered:
        return "unanswered"
    return _result_of(found.attempt)


def _result_of(attempt: Attempt) -> SweepResult:
    if attempt.status == "processed":
        return "settled"
    return "failed" if attempt.status == "failed" else "still_open"


def _after_cool_down(portal: Portal) -> float:
    wait_s = portal.breaker.open_for_s + COOL_DOWN_SPREAD_S * portal.randomness.random()
    return portal.clock() + max(1.0, wait_s)


async def _watch_for_return(portal: Portal, attempt: Attempt) -> SweepResult:
    """Ask whether a settled debit was returned. The watch ends with the first answer after its last day."""
    now, policy = portal.clock(), portal.ledger.due_policy
    if attempt.due_at is None or now < attempt.due_at:
        return "not_due"
    if not portal.breaker.admit():
        await portal.ledger.set_due(attempt, _after_cool_down(portal))
        return "postponed"
    answered: bool | None = None
    try:
        marked = await portal.ledger.set_due(attempt, policy.next_return_poll_at(attempt, now), refreshed_at=now)
        found = await ask_about_return(portal, marked, actor="sweeper")
        answered = found.reached
    finally:
        portal.breaker.report(answered)
    if found.attempt.due_at is not None and found.reached and now >= policy.return_watch_ends_at(attempt):
        await portal.ledger.set_due(found.attempt, None)
    if found.returned:
        return "returned"
    return "watched" if found.answered else "unanswered"


async def _already_final(portal: Portal, attempt: Attempt) -> SweepResult:
    return "not_due"  # the due index was behind


STEPS: Final[Mapping[str, Callable[[Portal, Attempt], Awaitable[SweepResult]]]] = {
    "received": _received,
    "initiated": _initiated,
    "processing": _processing,
    "pending": _ask,
    "processed": _watch_for_return,
    "failed": _already_final,
}
