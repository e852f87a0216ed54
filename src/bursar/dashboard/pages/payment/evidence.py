"""Collect the facts for an action on an attempt: why it needs a person, and its contradictions."""

from collections.abc import Sequence
from dataclasses import replace

from bursar.dashboard.visit import Visit
from bursar.payments.ledger.contradictions import Contradiction
from bursar.payments.records import Attempt


async def contradictions_of(
    visit: Visit, attempts: Sequence[Attempt], instant: float | None = None
) -> list[Contradiction]:
    """Return what Pay.gov reported against the record of these attempts, as of ``instant``, oldest first."""
    kept = visit.parts.ledger.contradictions
    found = [each for attempt in attempts for each in await kept.of(attempt.agency_tracking_id)]
    if instant is not None:
        found = [_at(each, instant) for each in found if each.created_at <= instant]
    return sorted(found, key=lambda each: each.created_at)


def _at(contradiction: Contradiction, instant: float) -> Contradiction:
    at = contradiction.acknowledged_at
    if at is None or at <= instant:
        return contradiction
    return replace(contradiction, acknowledged_at=None, acknowledged_by=None, acknowledged_reason=None)


def needs_person(visit: Visit, attempts: Sequence[Attempt]) -> dict[str, str]:
    """Return why attempts need a person: agency tracking id → reason."""
    from bursar.portal.upkeep.attention import attention_reason

    reasons = {each.agency_tracking_id: attention_reason(visit.parts.record, each) for each in attempts}
    return {name: reason for name, reason in reasons.items() if reason is not None}
