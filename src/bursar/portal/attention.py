"""What only a person can settle: which attempts, why, and settling them by hand.

| attempt | needs a person when |
|---|---|
| processing, outcome unknown or its lease run out | for longer than ``alert_after_s`` |
| processing, second complete used up | at once |
| pending | for longer than ``pending_alert_after_s`` |
| any other that the sweeper should have ended | ``alert_after_s`` after it was due |
"""

import logging
from dataclasses import dataclass
from typing import Final, Literal

from bursar.payments.errors import AttemptMoved, IdentifierTaken
from bursar.payments.ledger import LEASE_RAN_OUT
from bursar.payments.records import Attempt
from bursar.payments.status import NoSuchEdge
from bursar.portal.completion import AGAIN
from bursar.portal.errors import Conflict, InvalidRequest, NotFound
from bursar.portal.portal import Portal
from bursar.portal.resolution import given_back

ATTENTION_MAX: Final = 10_000
FAR_FUTURE_S: Final = 100 * 365 * 24 * 3600.0
TEXT_CHARS_MAX: Final = 500
NOT_SWEPT: Final = "it is overdue: no sweeper runs, or none can end it"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An attempt that wants a person. ``since``: when its state last changed, Unix seconds."""

    attempt: Attempt
    since: float
    why: str


def needs_attention(portal: Portal, attempt: Attempt) -> bool:
    """Whether ``attempt`` wants a person by now."""
    return why_attention(portal, attempt) is not None


def why_attention(portal: Portal, attempt: Attempt) -> str | None:
    """Why ``attempt`` wants a person; None when it does not."""
    now = portal.clock()
    age_s = now - attempt.updated_at
    if attempt.status == "processing" and not attempt.leased(now) and not given_back(attempt):
        reason = attempt.unknown_reason or LEASE_RAN_OUT
        return reason if reason.startswith(AGAIN) or age_s > portal.settings.alert_after_s else None
    if attempt.status == "pending":
        late = age_s > portal.settings.pending_alert_after_s
        return f"Pay.gov has not settled it: {attempt.transaction_status or 'no status'}" if late else None
    if attempt.due_at is not None and now - attempt.due_at > portal.settings.alert_after_s:
        return NOT_SWEPT
    return None


async def attention(portal: Portal, limit: int = ATTENTION_MAX) -> list[Wanted]:
    """The attempts that want a person, longest waiting first, out of at most ``limit`` that are live.

    Every live attempt is in the ``due`` index, so looking far ahead in it finds them all.
    """
    live = await portal.ledger.due(portal.clock() + FAR_FUTURE_S, limit)
    if len(live) >= limit:
        _log.warning("only the %d live attempts that are due first were looked at: there may be more", limit)
    found = [(attempt, why_attention(portal, attempt)) for attempt in live]
    wanted = [Wanted(attempt, attempt.updated_at, why) for attempt, why in found if why is not None]
    return sorted(wanted, key=lambda each: (each.since, each.attempt.agency_tracking_id))


async def resolve(
    portal: Portal,
    agency_tracking_id: str,
    *,
    settled_as: Literal["processed", "failed"],
    by: str,
    reason: str,
    paygov_tracking_id: str | None = None,
) -> Attempt:
    """An operator's word on an attempt that Pay.gov will not tell of: settled as an event with a name and a reason.

    Raises:
        InvalidRequest: an empty or overlong name or reason.
        NotFound: no such attempt.
        Conflict: somebody is completing it, it is not unknown or pending, or the tracking id is not its own.
    """
    for name, text in (("name", by), ("reason", reason)):
        if not text.strip() or len(text) > TEXT_CHARS_MAX:
            raise InvalidRequest(f"a {name} of 1 to {TEXT_CHARS_MAX} characters is needed")
    attempt = await portal.ledger.attempt_by_agency_id(agency_tracking_id)
    if attempt is None:
        raise NotFound(f"There is no attempt {agency_tracking_id}")
    if paygov_tracking_id and attempt.paygov_tracking_id not in (None, paygov_tracking_id):
        raise Conflict(f"{agency_tracking_id} has another Pay.gov tracking id: {attempt.paygov_tracking_id}")
    try:
        return await portal.ledger.resolve(
            attempt,
            settled_as=settled_as,
            by=by.strip(),
            reason=reason.strip(),
            paygov_tracking_id=paygov_tracking_id or None,
        )
    except (AttemptMoved, IdentifierTaken) as refused:
        raise Conflict(str(refused)) from None
    except NoSuchEdge:
        raise Conflict(f"{agency_tracking_id} is {attempt.status}: there is nothing to resolve") from None
