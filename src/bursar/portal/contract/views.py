"""Make the JSON of what the use cases return, for :func:`~bursar.portal.contract.messages.json_reply`.

No body holds the token of an attempt except the answer to init: the token is as good as a session.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import iso_ms
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import Attempt, Event
from bursar.payments.reversals import Reversal
from bursar.portal.contract.answers import (
    HealthCheck,
    HealthReport,
    LogEntry,
    LogPage,
    Payment,
    StartedPayment,
    StatusCounts,
)

if TYPE_CHECKING:
    from bursar.reports.named_reports import NamedReport
    from bursar.reports.sql.answer import SqlAnswer

JSON_INTEGER_MAX: Final = (1 << 63) - 1
"""The largest whole number sent as a number.

A larger one, such as a sum of a HUGEINT, is sent as text: many readers of JSON would round it.
"""
RETURN_CODE_DIGITS_MAX: Final = 9
"""Pay.gov's return codes have fewer digits, so a longer text is not converted to a number."""

# Pay.gov's payment_type → the label that callers know. Any other type is shown with Pay.gov's name.
PAYMENT_METHOD_LABELS: Final[Mapping[str, str]] = {
    "PLASTIC_CARD": "Credit/Debit Card",
    "ACH": "ACH",
    "PAYPAL": "PayPal",
}

# A detail's name in the record → its name in JSON. Any other name is the same in both.
DETAIL_NAMES: Final[Mapping[str, str]] = {
    "paygov_tracking_id": "payGovTrackingId",
    "transaction_status": "payGovTransactionStatus",  # Pay.gov's status: `transactionStatus` is the attempt's
    "payment_method": "payGovPaymentType",  # Pay.gov's type, not a label
    "return_code": "returnCode",
    "return_detail": "returnDetail",
    "fee_version": "feeVersion",
    "repeat_used": "repeatUsed",
    "reversal_amount": "reversalAmount",
    "reversed_amount": "reversedAmount",
    "refund_amount": "refundAmount",
    "reason_code": "reasonCode",
    "effective_on": "effectiveOn",
}


def payment_method_label(payment_type: str | None) -> str | None:
    """Return the label of Pay.gov's ``payment_type``; None until the payer has paid."""
    return None if payment_type is None else PAYMENT_METHOD_LABELS.get(payment_type, payment_type)


def started_payment_json(started: StartedPayment) -> dict[str, Any]:
    """Return the answer to init."""
    return {"token": started.token, "paymentRedirect": started.payment_redirect}


def payment_json(payment: Payment) -> dict[str, Any]:
    """Return a payment's status and its attempts, oldest first; ``"stale": true`` if Pay.gov could not be asked."""
    body: dict[str, Any] = {
        "paymentStatus": payment.status,
        "transactions": [_attempt_json(attempt, payment.reversals) for attempt in payment.attempts],
    }
    if payment.stale:
        body["stale"] = True
    return body


def history_json(view: ObligationView) -> dict[str, Any]:
    """Return every event of every attempt at one obligation, oldest first."""
    return {
        "transactionReferenceId": view.obligation.reference,
        "events": [_event_json(event) for event in view.events],
    }


def health_json(report: HealthReport) -> dict[str, Any]:
    """Return the report of /health."""
    body: dict[str, Any] = {
        "status": report.status,
        "environment": report.environment,
        "timestamp": iso_ms(report.at),
        "checks": {name: _check_json(check) for name, check in report.checks.items()},
        "developmentClient": report.development_client,
    }
    if report.restored is not None:
        body["restored"] = {"at": iso_ms(report.restored.restored_at), "by": report.restored.way}
    return body


def entries_json(entries: Sequence[LogEntry]) -> dict[str, Any]:
    """Return the newest entries and their number."""
    return {"data": [_entry_json(entry) for entry in entries], "total": len(entries)}


def status_counts_json(counts: StatusCounts) -> dict[str, int]:
    """Return how many attempts there are in each payment status."""
    return {"pending": counts.pending, "success": counts.success, "failed": counts.failed, "total": counts.total}


def log_page_json(page: LogPage) -> dict[str, Any]:
    """Return one page of the transaction log."""
    body: dict[str, Any] = {
        "data": [_entry_json(entry) for entry in page.entries],
        "from": iso_ms(page.frame.begin),
        "to": iso_ms(page.frame.end),
        "page": page.page,
        "pageSize": page.page_size,
        "sort": page.sort,
        "order": page.order,
        "asOf": iso_ms(page.as_of),
    }
    if page.counts is not None:
        counts = page.counts
        by_status = {"success": counts.success, "failed": counts.failed, "pending": counts.pending}
        body |= {"counts": {"all": counts.total, **by_status}, "total": page.total}
    if page.totals is not None:
        body["totals"] = {
            name: {"from": iso_ms(each.period.begin), "to": iso_ms(each.period.end), "total": each.total}
            for name, each in page.totals.items()
        }
    return body


def _attempt_json(attempt: Attempt, reversals: Sequence[Reversal]) -> dict[str, Any]:
    own = [each for each in reversals if each.agency_tracking_id == attempt.agency_tracking_id]
    return _without_none(
        {
            "agencyTrackingId": attempt.agency_tracking_id,
            "payGovTrackingId": attempt.paygov_tracking_id,
            "fee": attempt.fee,
            "amount": attempt.amount,
            "transactionStatus": attempt.status,
            "paymentMethod": payment_method_label(attempt.payment_method),
            "returnCode": attempt.return_code,
            "returnDetail": attempt.return_detail,
            "createdTimestamp": iso_ms(attempt.created_at),
            "updatedTimestamp": iso_ms(attempt.updated_at),
            "netAmount": attempt.net_amount,
            "reversals": [_reversal_json(reversal) for reversal in own],
        }
    )


def _reversal_json(reversal: Reversal) -> dict[str, Any]:
    return _without_none(
        {
            "kind": reversal.kind,
            "amount": reversal.amount,
            "reasonCode": reversal.reason_code,
            "effectiveOn": reversal.effective_on,
            "recordedTimestamp": iso_ms(reversal.at),
        }
    )


def _event_json(event: Event) -> dict[str, Any]:
    return _without_none(
        {
            "agencyTrackingId": event.agency_tracking_id,
            "seq": event.seq,
            "at": iso_ms(event.at),
            "name": event.name,
            "actor": event.actor,
            "fromStatus": event.from_status,
            "toStatus": event.to_status,
            "detail": {DETAIL_NAMES.get(name, name): value for name, value in event.detail.items()},
        }
    )


def _check_json(check: HealthCheck) -> dict[str, Any]:
    return _without_none(
        {
            "status": check.status,
            "error": check.message,
            "latencyMs": check.latency_ms,
            "details": None if check.details is None else dict(check.details),
        }
    )


def _entry_json(entry: LogEntry) -> dict[str, Any]:
    """Return ``entry`` for JSON: the payment method's label, metadata as texts, a numeric return code as a number."""
    code = entry["returnCode"]
    number = isinstance(code, str) and code.isascii() and code.isdigit() and len(code) <= RETURN_CODE_DIGITS_MAX
    return {
        **entry,
        "paymentMethod": payment_method_label(entry["paymentMethod"]),
        "metadata": {name: _text(value) for name, value in entry["metadata"].items()},
        "returnCode": int(code) if number else code,
    }


def _text(value: Any) -> str:
    """Return a metadata value as the text that the dashboard shows: a text as it is, any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def answer_json(answer: "SqlAnswer", report: "NamedReport | None" = None) -> dict[str, Any]:
    """Return an answer in SQL as JSON.

    With ``report``, times are in New York, and an answer that was not cut has totals.
    """
    from bursar.reports.output.head import NO_SUBJECT, AnswerHead, Totals
    from bursar.reports.output.values import json_value

    head = AnswerHead.of(answer, NO_SUBJECT if report is None else report.subject({}))
    totals = Totals(head)
    totals.add(answer.rows)
    summed = {"totals": json_value(totals.by_name())} if totals.has_any and not answer.cut else {}
    return {
        "columns": list(head.names),
        "types": list(answer.types),
        "rows": [{name: _exact(json_value(value, head.zone)) for name, value in row.items()} for row in answer.dicts()],
        **summed,
        "asOf": iso_ms(answer.as_of),
        "cut": answer.cut,
    }


def _exact(value: Any) -> Any:
    """Return ``value`` with whole numbers beyond 64 bits as text, at any depth."""
    if isinstance(value, list):
        return [_exact(each) for each in value]
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items()}
    return str(value) if isinstance(value, int) and abs(value) > JSON_INTEGER_MAX else value


def report_list_json(reports: "Iterable[NamedReport]") -> dict[str, Any]:
    """Return the named reports as JSON: name, question, parameters and columns with their units."""
    return {
        "reports": [
            {
                "name": each.name,
                "question": each.question,
                "parameters": [
                    {"name": one.name, "kind": one.kind, "default": one.default, "meaning": one.meaning}
                    for one in each.parameters
                    if one.name != "client"
                ],
                "columns": [{"name": one.name, "unit": one.unit, "meaning": one.meaning} for one in each.columns],
            }
            for each in reports
        ]
    }
