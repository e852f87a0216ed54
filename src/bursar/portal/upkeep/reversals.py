"""Follow money that goes back after settlement: ask Pay.gov about settled debits, and record what operators report.

Pay.gov's status of a settled ACH debit, while it is watched (payments.due):

    Success, Settled   nothing has changed
    Retired            the payer's bank returned the debit: the reversal of the whole amount is recorded
    any other          contradicts the record: kept as a contradiction, for a person

A refund is only recorded. Pay.gov has no public form for it, so an operator sends it in Pay.gov's own pages.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar

from bursar.paygov.errors import Certainty, PayGovError
from bursar.paygov.protocol import STATUS_RETURNED
from bursar.payments.errors import (
    AttemptMoved,
    LedgerBusy,
    RefundDecided,
    RefundNeedsSecondPerson,
    ReversalDiffers,
    ReversalTooLarge,
)
from bursar.payments.records import ZERO, Attempt, Outcome
from bursar.payments.reversals import RETURNED, RefundRequest, Reversal, ReversalReport
from bursar.payments.status import FAILED, Actor, NoSuchEdge
from bursar.portal.contract.error_catalogue import ATTEMPT_NOT_FOUND, NOT_REVERSIBLE, VALIDATION_ERROR
from bursar.portal.contract.errors import Conflict, InvalidRequest, NotFound
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import check_words, known_attempt
from bursar.portal.use_cases.completion import record
from bursar.portal.use_cases.completion_outcomes import judge_collections

REFUNDS_LISTED_MAX: Final = 1_000
CODE_CHARS_MAX: Final = 100
"""The most characters of a reason code, a ticket, a voucher or a report's id."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WatchResult:
    """A settled attempt, and the result of asking Pay.gov about it. ``returned``: its return was recorded just now.

    ``answered``: Pay.gov gave its state. ``reached``: whether Pay.gov can be reached at all.
    """

    attempt: Attempt
    returned: bool = False
    answered: bool = True
    reached: bool = True


async def ask_about_return(portal: Portal, attempt: Attempt, *, actor: Actor) -> WatchResult:
    """Ask Pay.gov whether a settled debit was returned, and record it if so. Raises what the store raises."""
    assert attempt.paygov_tracking_id is not None, "a watched attempt has Pay.gov's tracking id"
    try:
        found = await portal.ask(
            "details",
            portal.paygov.details(tcs_app_id=attempt.tcs_app_id, paygov_tracking_id=attempt.paygov_tracking_id),
        )
    except PayGovError as error:
        return WatchResult(attempt, answered=False, reached=error.certainty is Certainty.REFUSED)
    judgement = judge_collections(attempt, found)
    outcome = judgement.outcome
    if outcome is not None and outcome.status == FAILED and outcome.transaction_status == STATUS_RETURNED:
        return await _record_return(portal, attempt, outcome, actor)
    if outcome is not None:
        attempt, judgement = await record(portal, attempt, judgement, actor=actor)
    if judgement.row.alerts:
        portal.alert(judgement.row.name, attempt, judgement.reason)
    return WatchResult(attempt, answered=judgement.known == "definite")


async def _record_return(portal: Portal, attempt: Attempt, outcome: Outcome, actor: Actor) -> WatchResult:
    """Record a return of the whole amount. If less is left, the report is kept as a contradiction, for a person."""
    report = ReversalReport(
        RETURNED, attempt.amount, "paygov", reason_code=outcome.return_code, reason=outcome.return_detail
    )
    before = attempt.event_seq
    try:
        attempt, _ = await portal.ledger.reversals.record(
            attempt, report, actor=actor, reopens=_reopens(portal, attempt)
        )
    except (ReversalTooLarge, ReversalDiffers) as refused:
        await portal.ledger.contradictions.keep(attempt, outcome)
        portal.alert("contradiction", attempt, str(refused))
    return WatchResult(attempt, returned=attempt.event_seq > before)


async def reverse(portal: Portal, agency_tracking_id: str, report: ReversalReport) -> tuple[Attempt, Reversal]:
    """Record the return or chargeback that an operator reports; the same report twice is one reversal.

    Raises:
        InvalidRequest: the name, the reason, a code or the date does not have its form.
        NotFound: no such attempt.
        Conflict: the attempt is not processed, more would go back than was collected, or it is recorded otherwise.
    """
    report = _checked(report)
    attempt = await known_attempt(portal, agency_tracking_id)
    reopens = _reopens(portal, attempt)
    return await _decided(portal.ledger.reversals.record(attempt, report, actor="operator", reopens=reopens))


async def amount_left(portal: Portal, agency_tracking_id: str) -> Decimal:
    """Return an attempt's amount less its reversals, in dollars. Raises ``NotFound``, ``Conflict``."""
    attempt = await known_attempt(portal, agency_tracking_id)
    left = attempt.amount - (attempt.reversed_amount or ZERO)
    if not left:
        all_gone = f"{agency_tracking_id}: all of its amount, {attempt.amount}, has gone back"
        raise Conflict(NOT_REVERSIBLE.saying(all_gone))
    return left


async def request_refund(
    portal: Portal, agency_tracking_id: str, amount: Decimal, *, by: str, reason: str
) -> RefundRequest:
    """Store an operator's request for a refund; another person must approve it. Raises as :func:`reverse`."""
    check_words(by, reason)
    attempt = await known_attempt(portal, agency_tracking_id)
    requested = portal.ledger.reversals.request_refund(attempt, amount, by=by.strip(), reason=reason.strip())
    _, request = await _decided(requested)
    return request


async def open_refunds(portal: Portal, limit: int = REFUNDS_LISTED_MAX) -> list[RefundRequest]:
    """Return at most ``limit`` requests for refunds that wait for a decision, oldest first."""
    return await portal.ledger.open_refunds(limit)


async def approve_refund(portal: Portal, request_id: str, *, by: str, reason: str) -> Reversal:
    """Approve the request ``<agencyTrackingId>/<n>``: the refund is recorded. Raises as :func:`reverse`."""
    attempt, number = await _requested(portal, request_id, by, reason)
    approved = portal.ledger.reversals.approve(attempt, number, by=by.strip(), reason=reason.strip())
    _, reversal = await _decided(approved)
    return reversal


async def reject_refund(portal: Portal, request_id: str, *, by: str, reason: str) -> None:
    """Reject the request ``<agencyTrackingId>/<n>``. Raises as :func:`reverse`."""
    attempt, number = await _requested(portal, request_id, by, reason)
    await _decided(portal.ledger.reversals.reject(attempt, number, by=by.strip(), reason=reason.strip()))


async def _requested(portal: Portal, request_id: str, by: str, reason: str) -> tuple[Attempt, int]:
    check_words(by, reason)
    agency_tracking_id, _, number = request_id.partition("/")
    if not number.isascii() or not number.isdigit():
        problem = f"request: must be an attempt's id and a number, as in ID/1; got {request_id!r}"
        raise InvalidRequest(VALIDATION_ERROR.saying(problem))
    return await known_attempt(portal, agency_tracking_id), int(number)


async def _decided(change: Awaitable[T]) -> T:
    """Return the result of a change of the ledger. Raises ``Conflict``, ``NotFound`` and ``InvalidRequest``."""
    try:
        return await change
    except (
        AttemptMoved, LedgerBusy, RefundDecided, RefundNeedsSecondPerson, ReversalDiffers, ReversalTooLarge
    ) as refused:  # fmt: skip
        raise Conflict(NOT_REVERSIBLE.saying(str(refused))) from None
    except NoSuchEdge as refused:
        only = f"only a processed attempt can be reversed: {refused}"
        raise Conflict(NOT_REVERSIBLE.saying(only)) from None
    except LookupError as refused:
        raise NotFound(ATTEMPT_NOT_FOUND.saying(str(refused))) from None
    except ValueError as refused:
        raise InvalidRequest(VALIDATION_ERROR.saying(str(refused))) from None


def _checked(report: ReversalReport) -> ReversalReport:
    check_words(report.by or "", report.reason or "")
    codes: dict[str, Any] = {name: (getattr(report, name) or "").strip() or None for name in _CODES}
    for name, value in codes.items():
        if value is not None and len(value) > CODE_CHARS_MAX:
            problem = f"{name}: must have at most {CODE_CHARS_MAX} characters; got {len(value)}"
            raise InvalidRequest(VALIDATION_ERROR.saying(problem))
    if report.effective_on is not None:
        try:
            date.fromisoformat(report.effective_on)
        except ValueError:
            problem = f"effective date: must be a date such as 2026-11-29; got {report.effective_on!r}"
            raise InvalidRequest(VALIDATION_ERROR.saying(problem)) from None
    return replace(report, by=(report.by or "").strip(), reason=(report.reason or "").strip(), **codes)


_CODES: Final = ("reason_code", "deposit_ticket", "debit_voucher", "report_id")


def _reopens(portal: Portal, attempt: Attempt) -> bool:
    client = portal.clients.by_name(attempt.client)
    return client is not None and client.reopen_after_full_return
