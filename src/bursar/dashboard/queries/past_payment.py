"""One payment as it was at an instant, from its present records: the same state as `--as-of` gives in SQL.

Events and reversals are only added, so the state has those up to the instant. An attempt that has not changed since has
its present record. Any other attempt was live at the instant, and its events up to then have what was known.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import Attempt, Event
from bursar.payments.reversals import RefundRequest, Reversal

_OUTCOMES: Final = ("accepted", "noted")
"""The events of a live attempt that replace everything that Pay.gov reported before."""
_UNKNOWN: Final = ("outcome_unknown", "lease_taken_over")
"""The events after which the outcome is unknown."""


def view_at(view: ObligationView, instant: float) -> ObligationView | None:
    """Return the payment as it was at ``instant``, Unix seconds; None if no attempt had begun."""
    events = tuple(event for event in view.events if event.at <= instant)
    reversals = tuple(each for each in view.reversals if each.at <= instant)
    attempts = []
    for attempt in view.attempts:
        own = [event for event in events if event.agency_tracking_id == attempt.agency_tracking_id]
        if attempt.updated_at <= instant or own:
            was = attempt if attempt.updated_at <= instant else _was(attempt, own)
            attempts.append(replace(was, reversed_amount=_sum_of(attempt, reversals)))
    return replace(view, attempts=tuple(attempts), events=events, reversals=reversals) if attempts else None


def open_refunds_of(view: ObligationView) -> list[RefundRequest]:
    """Return the requests for refunds in the events of ``view`` without a decision in them, oldest first."""
    created = {attempt.agency_tracking_id: attempt.created_at for attempt in view.attempts}
    found: dict[tuple[str, int], RefundRequest] = {}
    for event in view.events:
        if event.name == "refund_requested":
            number = int(event.detail["refund"])
            found[event.agency_tracking_id, number] = RefundRequest(
                client=event.client,
                reference=event.reference,
                agency_tracking_id=event.agency_tracking_id,
                attempt_created_at=created[event.agency_tracking_id],
                seq=number,
                amount=Decimal(event.detail["refund_amount"]),
                reason=event.detail["reason"],
                requested_by=event.detail["by"],
                requested_at=event.at,
            )
        elif event.name in ("refund_approved", "refund_rejected"):
            found.pop((event.agency_tracking_id, int(event.detail["refund"])), None)
    return list(found.values())


def _was(attempt: Attempt, events: Sequence[Event]) -> Attempt:
    """Return the past state of an attempt that has changed since, from its events up to then."""
    last_word = _last(events, (*_UNKNOWN, *_OUTCOMES))
    unknown = last_word is not None and last_word.name in _UNKNOWN
    return replace(
        attempt,
        status=events[-1].to_status,
        updated_at=events[-1].at,
        settled_at=None,
        payment_method=_kept(events, "payment_method"),
        transaction_status=_kept(events, "transaction_status"),
        paygov_tracking_id=_kept(events, "paygov_tracking_id"),
        return_code=_refused(events, "return_code"),
        return_detail=_refused(events, "return_detail"),
        outcome_unknown=unknown,
        unknown_reason=last_word.detail.get("reason") if last_word is not None and unknown else None,
    )


def _last(events: Sequence[Event], names: Sequence[str]) -> Event | None:
    return next((event for event in reversed(events) if event.name in names), None)


def _kept(events: Sequence[Event], name: str) -> Any:
    """Return the value of ``name`` that Pay.gov reported last; a report without ``name`` keeps the earlier value."""
    return next((event.detail[name] for event in reversed(events) if event.detail.get(name) is not None), None)


def _refused(events: Sequence[Event], name: str) -> Any:
    """Return the reason of Pay.gov's refusal.

    A later outcome replaces it; an unknown one does so only if it has a reason.
    """
    for event in reversed(events):
        value = event.detail.get(name)
        if event.name in _OUTCOMES or (event.name == "outcome_unknown" and value is not None):
            return value
    return None


def _sum_of(attempt: Attempt, reversals: Sequence[Reversal]) -> Decimal | None:
    own = [each.amount for each in reversals if each.agency_tracking_id == attempt.agency_tracking_id]
    return sum(own, Decimal(0)) if own else None
