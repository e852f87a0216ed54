"""Each value in a JSON body is that of its field: every field has a value that no other field has."""

from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from bursar.clock import from_iso_ms
from bursar.payments import Attempt
from bursar.payments.ledger.store_records.restores import BY_COMMAND, RestoreMark
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import Event, Obligation
from bursar.payments.reversals import Reversal
from bursar.portal.contract.answers import (
    HealthCheck,
    HealthReport,
    LogPage,
    Payment,
    PeriodTotal,
    StartedPayment,
)
from bursar.portal.contract.periods import Period
from bursar.portal.contract.views import (
    DETAIL_NAMES,
    health_json,
    history_json,
    log_page_json,
    payment_json,
    started_payment_json,
    status_counts_json,
)

AT = [from_iso_ms(f"2026-11-{day:02d}T10:00:00.000Z") for day in range(1, 13)]
TEXT = [f"2026-11-{day:02d}T10:00:00.000Z" for day in range(1, 13)]


class Counts:
    success, failed, pending, total = 1, 2, 3, 6


def attempt(**changes: Any) -> Attempt:
    """Return an attempt whose fields differ from each other."""
    values: dict[str, Any] = {
        "agency_tracking_id": "agency",
        "client": "client",
        "reference": "reference",
        "fee": "fee",
        "fee_version": "version",
        "tcs_app_id": "application",
        "amount": Decimal("60.00"),
        "metadata": {"docketNumber": "secret"},
        "url_success": "https://success.example",
        "url_cancel": "https://cancel.example",
        "created_at": AT[0],
        "updated_at": AT[1],
        "status": "processed",
        "token": "token",
        "token_at": AT[2],
        "paygov_tracking_id": "paygov",
        "payment_method": "PAYPAL",
        "transaction_status": "Success",
        "return_code": "code",
        "return_detail": "detail",
        "lease_owner": "owner",
        "lease_until": AT[3],
        "unknown_reason": "reason",
        "unsettled_since": AT[4],
        "refreshed_at": AT[5],
        "due_at": AT[6],
        "settled_at": AT[7],
        "reversed_amount": Decimal("25.00"),
    }
    return Attempt(**{**values, **changes})


REVERSAL = Reversal(
    client="client",
    reference="reference",
    agency_tracking_id="agency",
    attempt_created_at=AT[0],
    seq=3,
    reversal_id="reversal",
    kind="charged_back",
    amount=Decimal("25.00"),
    at=AT[8],
    source="activity_file",
    by="Ada",
    reason="disputed",
    reason_code="4837",
    effective_on="2026-12-01",
    deposit_ticket="ticket",
    debit_voucher="voucher",
    requested_by="Grace",
    approved_by="Bob",
)


def test_a_started_payment() -> None:
    assert started_payment_json(StartedPayment("token", "https://pay")) == {
        "token": "token",
        "paymentRedirect": "https://pay",
    }


def test_a_payment_with_everything() -> None:
    assert payment_json(Payment([attempt()], stale=True, reversals=[REVERSAL])) == {
        "paymentStatus": "success",
        "stale": True,
        "transactions": [
            {
                "agencyTrackingId": "agency",
                "payGovTrackingId": "paygov",
                "fee": "fee",
                "amount": Decimal("60.00"),
                "transactionStatus": "processed",
                "paymentMethod": "PayPal",
                "returnCode": "code",
                "returnDetail": "detail",
                "createdTimestamp": TEXT[0],
                "updatedTimestamp": TEXT[1],
                "netAmount": Decimal("35.00"),
                "reversals": [
                    {
                        "kind": "charged_back",
                        "amount": Decimal("25.00"),
                        "reasonCode": "4837",
                        "effectiveOn": "2026-12-01",
                        "recordedTimestamp": TEXT[8],
                    }
                ],
            }
        ],
    }


def test_a_payment_with_nothing() -> None:
    first = Attempt(*("a", "c", "r", "f", "v", "t", Decimal("60.00"), {}, "s", "u", AT[0], AT[1], "received"))
    assert payment_json(Payment([first])) == {
        "paymentStatus": "pending",
        "transactions": [
            {
                "agencyTrackingId": "a",
                "fee": "f",
                "amount": Decimal("60.00"),
                "transactionStatus": "received",
                "createdTimestamp": TEXT[0],
                "updatedTimestamp": TEXT[1],
                "netAmount": Decimal("0.00"),
                "reversals": [],
            }
        ],
    }


def test_a_history() -> None:
    obligation = Obligation("client", "reference", "fee", {"docketNumber": "secret"}, AT[0])
    detail = {name: name for name in DETAIL_NAMES} | {"reason": "lost", "by": "Ada"}
    event = Event(
        "client", "reference", "agency", 7, AT[2], "settled", "sweeper", "pending", "processed", detail, "hash"
    )
    first = Event("client", "reference", "agency", 1, AT[1], "started", "portal", None, "received")
    assert history_json(ObligationView(obligation, (attempt(),), (first, event), ())) == {
        "transactionReferenceId": "reference",
        "events": [
            {
                "agencyTrackingId": "agency",
                "seq": 1,
                "at": TEXT[1],
                "name": "started",
                "actor": "portal",
                "toStatus": "received",
                "detail": {},
            },
            {
                "agencyTrackingId": "agency",
                "seq": 7,
                "at": TEXT[2],
                "name": "settled",
                "actor": "sweeper",
                "fromStatus": "pending",
                "toStatus": "processed",
                "detail": {
                    "payGovTrackingId": "paygov_tracking_id",
                    "payGovTransactionStatus": "transaction_status",
                    "payGovPaymentType": "payment_method",
                    "returnCode": "return_code",
                    "returnDetail": "return_detail",
                    "feeVersion": "fee_version",
                    "repeatUsed": "repeat_used",
                    "reversalAmount": "reversal_amount",
                    "reversedAmount": "reversed_amount",
                    "refundAmount": "refund_amount",
                    "reasonCode": "reason_code",
                    "effectiveOn": "effective_on",
                    "reason": "lost",
                    "by": "Ada",
                },
            },
        ],
    }


@pytest.mark.parametrize(
    ("statuses", "whole", "healthy"),
    [
        (("ok", "ok"), "healthy", True),
        (("ok", "degraded"), "degraded", True),
        (("failed", "degraded"), "unhealthy", False),
        (("failed", "ok"), "unhealthy", False),
    ],
)
def test_health(statuses: tuple[Any, Any], whole: str, healthy: bool) -> None:
    checks = {
        "dynamodb": HealthCheck(statuses[0], 1.5, "slow", {"certificate": True}),
        "payGov": HealthCheck(statuses[1], 2.5),
    }
    report = HealthReport(AT[0], checks, "production", True, RestoreMark(AT[1], BY_COMMAND))
    assert report.healthy is healthy
    assert health_json(report) == {
        "status": whole,
        "environment": "production",
        "timestamp": TEXT[0],
        "checks": {
            "dynamodb": {
                "status": statuses[0],
                "error": "slow",
                "latencyMs": 1.5,
                "details": {"certificate": True},
            },
            "payGov": {"status": statuses[1], "latencyMs": 2.5},
        },
        "developmentClient": True,
        "restored": {"at": TEXT[1], "by": BY_COMMAND},
    }
    assert "restored" not in health_json(HealthReport(AT[0], checks, "production", False))


def test_counts_of_statuses() -> None:
    assert status_counts_json(Counts()) == {"success": 1, "failed": 2, "pending": 3, "total": 6}


def test_a_page_of_the_log() -> None:
    frame = Period(AT[0], AT[1])
    page = LogPage(
        entries=[],
        frame=frame,
        page=2,
        page_size=7,
        sort="feeName",
        order="asc",
        as_of=AT[2],
        counts=Counts(),
        total=5,
        totals={"day": PeriodTotal(Period(AT[3], AT[4]), Decimal("9.00"))},
    )
    usual = {
        "data": [],
        "from": TEXT[0],
        "to": TEXT[1],
        "page": 2,
        "pageSize": 7,
        "sort": "feeName",
        "order": "asc",
        "asOf": TEXT[2],
    }
    assert log_page_json(page) == {
        **usual,
        "counts": {"all": 6, "success": 1, "failed": 2, "pending": 3},
        "total": 5,
        "totals": {"day": {"from": TEXT[3], "to": TEXT[4], "total": Decimal("9.00")}},
    }
    assert log_page_json(LogPage([], frame, 2, 7, "feeName", "asc", AT[2])) == usual


def test_the_values_of_this_module_differ() -> None:
    """Equal values would hide that one field is shown as the other."""
    for record in (attempt(), REVERSAL):
        values = [repr(getattr(record, each.name)) for each in fields(record) if each.name != "stored_item"]
        shown = [value for value in values if value not in ("None", "False", "0", "1")]
        assert len(shown) == len(set(shown))
