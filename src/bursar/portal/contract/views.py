"""The shapes in which payments leave the portal: a transaction summary, a payment, an event, a log entry.

None of them holds the token: it is as good as a session.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bursar.clock import iso_ms
from bursar.payments.records import Attempt, Event, ObligationView
from bursar.payments.status import payment_status

# Pay.gov's payment_type → the label callers know. A word that is not here is passed on as Pay.gov says it.
PAYMENT_METHOD_LABELS: Final[Mapping[str, str]] = {
    "PLASTIC_CARD": "Credit/Debit Card",
    "ACH": "ACH",
    "PAYPAL": "PayPal",
}

# What an event's detail is called in the record → on the wire. A name that is not here is the same in both.
DETAIL_NAMES: Final[Mapping[str, str]] = {
    "paygov_tracking_id": "payGovTrackingId",
    "transaction_status": "payGovTransactionStatus",  # Pay.gov's word: `transactionStatus` is ours
    "payment_method": "payGovPaymentType",  # Pay.gov's word as well, not a label
    "return_code": "returnCode",
    "return_detail": "returnDetail",
    "repeat_used": "repeatUsed",
}


def payment_method_label(payment_type: str | None) -> str | None:
    """The label of Pay.gov's ``payment_type``; None while nobody has paid."""
    return None if payment_type is None else PAYMENT_METHOD_LABELS.get(payment_type, payment_type)


def transaction_summary(attempt: Attempt) -> dict[str, Any]:
    """One attempt as ``process`` and ``details`` show it; what is not known yet is left out."""
    summary = {
        "payGovTrackingId": attempt.paygov_tracking_id,
        "transactionStatus": attempt.status,
        "paymentMethod": payment_method_label(attempt.payment_method),
        "returnDetail": attempt.return_detail,
        "createdTimestamp": iso_ms(attempt.created_at),
        "updatedTimestamp": iso_ms(attempt.updated_at),
    }
    return {name: value for name, value in summary.items() if value is not None}


def payment_summary(attempts: Iterable[Attempt], *, stale: bool = False) -> dict[str, Any]:
    """A payment: its status and every attempt at it, oldest first. ``stale``: Pay.gov could not be asked just now."""
    listed = list(attempts)
    summary: dict[str, Any] = {
        "paymentStatus": payment_status(attempt.status for attempt in listed),
        "transactions": [transaction_summary(attempt) for attempt in listed],
    }
    if stale:
        summary["stale"] = True
    return summary


def event_summary(event: Event) -> dict[str, Any]:
    """One line of an attempt's history; what is in its detail goes by names like all others of the API."""
    summary = {
        "agencyTrackingId": event.agency_tracking_id,
        "seq": event.seq,
        "at": iso_ms(event.at),
        "name": event.name,
        "actor": event.actor,
        "fromStatus": event.from_status,
        "toStatus": event.to_status,
        "detail": {DETAIL_NAMES.get(name, name): value for name, value in event.detail.items()},
    }
    return {name: value for name, value in summary.items() if value is not None}


def history_summary(view: ObligationView) -> dict[str, Any]:
    """Every event of every attempt at one obligation, oldest first."""
    return {
        "transactionReferenceId": view.obligation.reference,
        "events": [event_summary(event) for event in view.events],
    }
