"""What only a person can settle: which attempts, why, and settling them by hand.

| attempt | needs a person when |
|---|---|
| processing, outcome unknown | for longer than ``alert_after_s`` |
| processing, second complete used up | at once where Pay.gov has no query service |
| pending | for longer than ``pending_alert_after_s`` |
"""

from dataclasses import dataclass
from typing import Final, Literal

from bursar.payments.errors import AttemptMoved
from bursar.payments.records import Attempt
from bursar.payments.status import NoSuchEdge
from bursar.portal.completion import AGAIN
from bursar.portal.errors import Conflict, InvalidRequest, NotFound
from bursar.portal.portal import Portal

ATTENTION_MAX: Final = 1000
FAR_FUTURE_S: Final = 100 * 365 * 24 * 3600.0
TEXT_CHARS_MAX: Final = 500


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
    age_s = portal.clock() - attempt.updated_at
    if attempt.status == "processing" and not attempt.leased(portal.clock()):
        reason = attempt.unknown_reason or ""
        if reason.startswith(AGAIN) or (attempt.outcome_unknown and age_s > portal.settings.alert_after_s):
            return reason or "its outcome is unknown"
    if attempt.status == "pending" and age_s > portal.settings.pending_alert_after_s:
        return f"Pay.gov has not settled it: {attempt.transaction_status or 'no status'}"
    return None


async def attention(portal: Portal, limit: int = ATTENTION_MAX) -> list[Wanted]:
    """The attempts that want a person, longest waiting first, out of at most ``limit`` that are live.

    Every live attempt is in the ``due`` index, so looking far ahead in it finds them all.
    """
    live = await portal.ledger.due(portal.clock() + FAR_FUTURE_S, limit)
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
        Conflict: somebody is completing it, or it is not unknown or pending.
    """
    for name, text in (("name", by), ("reason", reason)):
        if not text.strip() or len(text) > TEXT_CHARS_MAX:
            raise InvalidRequest(f"a {name} of 1 to {TEXT_CHARS_MAX} characters is needed")
    attempt = await portal.ledger.attempt_by_agency_id(agency_tracking_id)
    if attempt is None:
        raise NotFound(f"There is no attempt {agency_tracking_id}")
    try:
        return await portal.ledger.resolve(
            attempt,
            settled_as=settled_as,
            by=by.strip(),
            reason=reason.strip(),
            paygov_tracking_id=paygov_tracking_id,
        )
    except AttemptMoved as moved:
        raise Conflict(str(moved)) from None
    except NoSuchEdge:
        raise Conflict(f"{agency_tracking_id} is {attempt.status}: there is nothing to resolve") from None
