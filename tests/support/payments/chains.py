"""Random histories of one obligation as the ledger stores them, made without a store."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bursar.payments import Attempt
from bursar.payments.event_chain import event_hash
from bursar.payments.records import attempt_to_item, event_to_item, latest_event, obligation_of, obligation_to_item
from bursar.payments.status import FAILED, FINAL, edges_from
from tests.support.payments.stage import REFERENCE, STARTED

ATTEMPTS_MAX = 3
EVENTS_MAX = 8
details = st.dictionaries(st.sampled_from(["owner", "reason", "return_code"]), st.text(max_size=8), max_size=2)


@st.composite
def histories(draw: st.DrawFn, *, unchained: bool = False) -> list[dict[str, Any]]:
    """Draw the items of an obligation. ``unchained``: the first events may be written before Bursar chained events."""
    items: list[dict[str, Any]] = []
    attempts: list[Attempt] = []
    chained = not unchained or draw(st.booleans())
    for number in range(draw(st.integers(1, ATTEMPTS_MAX))):
        if attempts and attempts[-1].status != FAILED:
            break
        attempt = new_attempt(number, STARTED + 1000 * number)
        previous = attempts[-1].event_hash if attempts else None
        owed = {"amount": "60.00", "fee": attempt.fee, "fee_version": attempt.fee_version}
        attempt, event = _described(attempt, None, "started", "portal", owed, previous if chained else None, chained)
        items.append(event)
        while attempt.status not in FINAL and attempt.event_seq < EVENTS_MAX:
            step = draw(st.sampled_from(edges_from(attempt.status)))
            chained = chained or draw(st.booleans())
            changed = replace(
                attempt,
                status=step.target,
                updated_at=attempt.updated_at + draw(st.sampled_from([0.0, 1.5, 60.0])),
                version=attempt.version + 1,
                event_seq=attempt.event_seq + 1,
            )
            attempt, event = _described(
                changed, attempt.status, step.event, step.actors[0], draw(details), attempt.event_hash, chained
            )
            items.append(event)
        if attempt.status in FINAL and draw(st.booleans()):
            attempt, event = _erased(attempt, chained)
            items.append(event)
        attempts.append(attempt)
        items.append(attempt_to_item(attempt))
    return [obligation_to_item(obligation_of(attempts[0])), *sorted(items, key=lambda item: item["sk"]["S"])]


def _described(
    attempt: Attempt, source: Any, name: Any, actor: Any, detail: Any, previous: str | None, chained: bool
) -> tuple[Attempt, dict[str, Any]]:
    """Return the attempt with the hash of its new event, and the event's item."""
    event = event_to_item(latest_event(attempt, source, name, actor, detail, previous_hash=previous))
    if not chained:
        return attempt, {name: value for name, value in event.items() if name != "previousHash"}
    return replace(attempt, event_hash=event_hash(event)), dict(event)


def _erased(attempt: Attempt, chained: bool) -> tuple[Attempt, dict[str, Any]]:
    """Return the attempt without metadata, with the time of its last change, and the event's item."""
    at = attempt.updated_at + 60.0
    later = replace(attempt, updated_at=at, event_seq=attempt.event_seq + 1, version=attempt.version + 1)
    detail = {"by": "Ada", "reason": "retention"}
    later, event = _described(later, attempt.status, "metadata_erased", "operator", detail, attempt.event_hash, chained)
    return replace(later, updated_at=attempt.updated_at, metadata={}, metadata_erased_at=at), event


def new_attempt(number: int, at: float) -> Attempt:
    """Return attempt ``number`` (1 to 9) in the state after a start at ``at``, without a table."""
    return Attempt(
        agency_tracking_id=f"b000000000000000000{number}",
        client="dawson",
        reference=REFERENCE,
        fee="PETITION_FILING_FEE",
        fee_version="2020-01-01",
        tcs_app_id="TCSUSTAXCOURTPETITION",
        amount=Decimal("60.00"),
        metadata={"docketNumber": "123-26"},
        url_success="https://app.example/success",
        url_cancel="https://app.example/cancel",
        created_at=at,
        updated_at=at,
        status="received",
        event_seq=1,
    )
