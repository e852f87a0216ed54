"""List the attempts that only a person can settle, settle them by hand, and acknowledge contradictions.

| attempt | needs a person when |
|---|---|
| processing, Pay.gov's collection does not fit it | at once |
| processing, in doubt since a restore without a lookup | at once |
| processing, outcome unknown or its lease run out | for longer than ``alert_after_s`` |
| … whose token Pay.gov refused, if a lookup decides it | ``alert_after_s`` after the token's grace: the payer may pay |
| … whose second complete is used, if no lookup decides it | at once |
| processing, under a lease longer than any lease lasts | at once: a clock was set back |
| pending | for longer than ``pending_alert_after_s`` |
| any other live one, not yet ended by the sweeper | ``alert_after_s`` after it was due |
| any, also a final one, whose record contradicts Pay.gov | at once, until a person acknowledges it |
| any, also a final one, with a second collection at Pay.gov that takes money | the same |
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bursar.paygov.protocol import PAYGOV_TRACKING_ID
from bursar.payments.errors import AttemptMoved, IdentifierTaken, LedgerBusy
from bursar.payments.ledger.ledger import LEASE_RAN_OUT
from bursar.payments.records import Attempt
from bursar.payments.status import NoSuchEdge
from bursar.portal.contract.error_catalogue import ATTEMPT_NOT_FOUND, NOT_RESOLVABLE, VALIDATION_ERROR
from bursar.portal.contract.errors import Conflict, InvalidRequest, NotFound
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.completion_outcomes import token_was_refused
from bursar.portal.use_cases.resolution import (
    RESTORED_IN_DOUBT,
    is_contradicted,
    lease_is_implausible,
    returned_unsent,
)

ATTENTION_MAX: Final = 10_000
FAR_FUTURE_S: Final = 100 * 365 * 24 * 3600.0
TEXT_CHARS_MAX: Final = 500
NOT_SWEPT: Final = "overdue: no sweeper runs, or none can end it"
REPEAT_USED: Final = "the second complete has been used"
NO_LOOKUP: Final = "no lookup can say that Pay.gov has no collection of it"
ASKED_AGAIN: Final = "no lookup has decided it yet, and Pay.gov is asked again"
CLOCK_SET_BACK: Final = "was a clock set back?"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """An attempt that needs a person. ``since``: when its state last changed or Pay.gov contradicted it, Unix seconds.

    ``contradicted``: the person should inspect the attempt and acknowledge the contradiction, not settle the attempt.
    """

    attempt: Attempt
    since: float
    reason: str
    contradicted: bool = False


def attention_reason(portal: Portal, attempt: Attempt) -> str | None:
    """Return why ``attempt`` needs a person; None if it does not.

    A final attempt does not need one here: if its question about a returned debit is late, a later pass asks it.
    """
    if not attempt.live:
        return None
    now = portal.clock()
    if attempt.status == "processing" and attempt.leased(now):
        return _implausible_lease(portal, attempt, now)
    if attempt.status == "processing" and not returned_unsent(attempt):
        return _unknown_reason(portal, attempt, now)
    if attempt.status == "pending":
        late = now - _waits_since(attempt) > portal.settings.pending_alert_after_s
        return f"Pay.gov has not settled it: {attempt.transaction_status or 'no status'}" if late else None
    # The policy's time and not the attempt's, which moves on while Pay.gov cannot be asked about the attempt.
    due_at = portal.ledger.due_policy.due_at(attempt)
    if due_at is not None and now - due_at > portal.settings.alert_after_s:
        return NOT_SWEPT
    return None


def _unknown_reason(portal: Portal, attempt: Attempt, now: float) -> str | None:
    reason = attempt.unknown_reason or LEASE_RAN_OUT
    if is_contradicted(attempt) or reason == RESTORED_IN_DOUBT:
        return reason
    since = _waits_since(attempt)
    if portal.paygov.can_rule_out:
        if token_was_refused(attempt):
            since = portal.ledger.due_policy.token_expires_at(attempt) + portal.settings.token_grace_s
        return f"{reason}; {ASKED_AGAIN}" if now - since > portal.settings.alert_after_s else None
    if attempt.repeat_used:
        return f"{REPEAT_USED}, and {NO_LOOKUP}: {reason}"
    return f"{reason}; {NO_LOOKUP}" if now - since > portal.settings.alert_after_s else None


def _implausible_lease(portal: Portal, attempt: Attempt, now: float) -> str | None:
    if not lease_is_implausible(portal, attempt):
        return None
    assert attempt.lease_until is not None, "a leased attempt has a lease"
    minutes = (attempt.lease_until - now) / 60
    return f"{CLOCK_SET_BACK}: its lease ends in {minutes:.0f} minutes and lasts {portal.settings.lease_s:g} s"


def _waits_since(attempt: Attempt) -> float:
    return attempt.unsettled_since or attempt.updated_at


def latest_starts(portal: Portal) -> dict[str, float]:
    """Return live status → the latest start of an attempt that can need a person, in Unix seconds.

    An attempt that started later never needs one, so a caller that finds live attempts by their start can leave out
    most of them.
    """
    now, policy = portal.clock(), portal.ledger.due_policy
    untouched = now - policy.received_age_max_s - policy.token_age_max_s - portal.settings.alert_after_s
    return {
        "received": untouched,
        "initiated": untouched,
        "processing": FAR_FUTURE_S + now,
        "pending": now - portal.settings.pending_alert_after_s,
    }


async def attention(
    portal: Portal, limit: int = ATTENTION_MAX, live: Sequence[Attempt] | None = None
) -> list[AttentionItem]:
    """Return the attempts that need a person, longest waiting first: live ones and contradicted ones.

    It reads at most ``limit`` live attempts, and every contradicted attempt. Every live attempt is in the ``due``
    index, so a query up to a time far ahead finds them all. ``live``: the live attempts that may need a person, if the
    caller knows them (:func:`latest_starts`).
    """
    if live is None:
        live = await portal.ledger.due(portal.clock() + FAR_FUTURE_S, limit)
        if len(live) >= limit:
            _log.warning("read only the %d live attempts that are due first: there may be more", limit)
    reasons = [(attempt, attention_reason(portal, attempt)) for attempt in live]
    items = [AttentionItem(attempt, _waits_since(attempt), reason) for attempt, reason in reasons if reason is not None]
    for each in await portal.ledger.contradictions.unacknowledged():
        attempt = await known_attempt(portal, each.agency_tracking_id)
        items.append(AttentionItem(attempt, each.created_at, each.summary, contradicted=True))
    return sorted(items, key=lambda each: (each.since, each.attempt.agency_tracking_id))


async def resolve(
    portal: Portal,
    agency_tracking_id: str,
    *,
    settled_as: Literal["processed", "failed"],
    by: str,
    reason: str,
    paygov_tracking_id: str | None = None,
) -> Attempt:
    """Settle an attempt as an operator decides, with an event that holds the operator's name and reason.

    Raises:
        InvalidRequest: the name or the reason is empty or too long, or the tracking id does not have Pay.gov's form.
        NotFound: no such attempt.
        Conflict: a caller is completing the attempt; it is not unknown or pending; or it has another tracking id.
    """
    check_words(by, reason)
    paygov_tracking_id = (paygov_tracking_id or "").strip() or None
    if paygov_tracking_id and not PAYGOV_TRACKING_ID.fullmatch(paygov_tracking_id):
        problem = f"Pay.gov tracking id: must have the form of Pay.gov's ids; got {paygov_tracking_id!r}"
        raise InvalidRequest(VALIDATION_ERROR.saying(problem))
    attempt = await known_attempt(portal, agency_tracking_id)
    if paygov_tracking_id and attempt.paygov_tracking_id not in (None, paygov_tracking_id):
        other = f"{agency_tracking_id} has another Pay.gov tracking id: {attempt.paygov_tracking_id}"
        raise Conflict(NOT_RESOLVABLE.saying(other))
    try:
        return await portal.ledger.resolve(
            attempt,
            settled_as=settled_as,
            by=by.strip(),
            reason=reason.strip(),
            paygov_tracking_id=paygov_tracking_id,
        )
    except (AttemptMoved, IdentifierTaken) as refused:
        raise Conflict(NOT_RESOLVABLE.saying(str(refused))) from None
    except NoSuchEdge:
        settled = f"{agency_tracking_id} is {attempt.status}: there is nothing to resolve"
        raise Conflict(NOT_RESOLVABLE.saying(settled)) from None


async def acknowledge(portal: Portal, agency_tracking_id: str, *, by: str, reason: str) -> int:
    """Acknowledge the contradictions of an attempt, so that they are no longer listed. Return their number.

    The attempt does not change. The operator's name and reason are stored with each contradiction.

    Raises:
        InvalidRequest: the name or the reason is empty or too long.
        NotFound: no such attempt.
        Conflict: the attempt has no contradiction left, or another operator is acknowledging it at the same time.
    """
    check_words(by, reason)
    attempt = await known_attempt(portal, agency_tracking_id)
    try:
        done = await portal.ledger.contradictions.acknowledge(
            attempt.agency_tracking_id, by=by.strip(), reason=reason.strip()
        )
    except LedgerBusy as busy:
        raise Conflict(NOT_RESOLVABLE.saying(str(busy))) from None
    if not done:
        none_left = f"{agency_tracking_id} has no contradiction that is not acknowledged"
        raise Conflict(NOT_RESOLVABLE.saying(none_left))
    return len(done)


def check_words(by: str, reason: str) -> None:
    """Raise ``InvalidRequest`` if the operator's name or reason is empty or too long."""
    for name, text in (("name", by), ("reason", reason)):
        if not text.strip() or len(text) > TEXT_CHARS_MAX:
            problem = f"{name}: must have 1 to {TEXT_CHARS_MAX} characters; got {len(text.strip())}"
            raise InvalidRequest(VALIDATION_ERROR.saying(problem))


async def known_attempt(portal: Portal, agency_tracking_id: str) -> Attempt:
    """Return the attempt with this id. Raises ``NotFound``."""
    attempt = await portal.ledger.attempt_by_agency_id(agency_tracking_id)
    if attempt is None:
        raise NotFound(ATTEMPT_NOT_FOUND.saying(f"There is no attempt {agency_tracking_id}"))
    return attempt
