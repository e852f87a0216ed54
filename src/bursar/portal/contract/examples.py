"""Examples of request and reply bodies, for OpenAPI and the page /docs. A test checks each against its schema."""

from collections.abc import Mapping
from typing import Any, Final

_REFERENCE: Final = "550e8400-e29b-41d4-a716-446655440000"
_TOKEN: Final = "0123456789abcdef0123456789abcdef"
_ATTEMPT: Final = "bnr86aqwgh5kn0jxb5tdm"
_TRACKING_ID: Final = "3FOR8CGH"
_STARTED_AT: Final = "2026-11-22T19:30:00.125Z"
_PAID_AT: Final = "2026-11-22T19:33:41.902Z"
_PAID: Final = {
    "agencyTrackingId": _ATTEMPT,
    "payGovTrackingId": _TRACKING_ID,
    "fee": "PETITION_FILING_FEE",
    "amount": 60.0,
    "transactionStatus": "processed",
    "paymentMethod": "Credit/Debit Card",
    "createdTimestamp": _STARTED_AT,
    "updatedTimestamp": _PAID_AT,
    "netAmount": 45.0,
    "reversals": [
        {
            "kind": "charged_back",
            "amount": 15.0,
            "reasonCode": "13.1",
            "effectiveOn": "2026-12-14",
            "recordedTimestamp": "2026-12-15T14:02:37.000Z",
        }
    ],
}
_ENTRY: Final = {
    "agencyTrackingId": _ATTEMPT,
    "paygovTrackingId": _TRACKING_ID,
    "feeName": "Petition filing fee",
    "fee": "PETITION_FILING_FEE",
    "transactionAmount": 60.0,
    "clientName": "dawson",
    "transactionReferenceId": _REFERENCE,
    "paymentStatus": "success",
    "transactionStatus": "processed",
    "paymentMethod": "Credit/Debit Card",
    "metadata": {"docketNumber": "123-26"},
    "createdAt": _STARTED_AT,
    "lastUpdatedAt": _PAID_AT,
    "returnCode": None,
    "returnDetail": None,
}

_EXPIRED: Final = {
    "agencyTrackingId": "b36qtt3c7kfgqh27hkxj5",
    "fee": "PETITION_FILING_FEE",
    "amount": 60.0,
    "transactionStatus": "failed",
    "returnCode": "5009",
    "returnDetail": "The token expired before the payment was completed",
    "createdTimestamp": "2026-11-22T13:02:10.000Z",
    "updatedTimestamp": "2026-11-22T16:17:15.310Z",
    "netAmount": 0.0,
    "reversals": [],
}
_PAYMENT: Final = {"paymentStatus": "success", "transactions": [_PAID]}

GONE_PAYMENTS: Final[Mapping[str, Any]] = {
    "token_used": _PAYMENT,
    "token_expired": {"paymentStatus": "failed", "transactions": [_EXPIRED]},
    "sibling": {"paymentStatus": "success", "transactions": [_EXPIRED, _PAID]},
}
"""Code of a 410 → the payment in its body."""

EXAMPLES: Final[Mapping[str, Any]] = {
    "InitRequest": {
        "transactionReferenceId": _REFERENCE,
        "fee": "PETITION_FILING_FEE",
        "urlSuccess": "https://client.example/paid",
        "urlCancel": "https://client.example/cancelled",
        "metadata": {"docketNumber": "123-26"},
    },
    "InitReply": {
        "token": _TOKEN,
        "paymentRedirect": f"https://pay.gov.example/pay?token={_TOKEN}&tcsAppID=TCSUSTAXCOURTPETITION",
    },
    "ProcessRequest": {"token": _TOKEN},
    "Payment": _PAYMENT,
    "History": {
        "transactionReferenceId": _REFERENCE,
        "events": [
            {
                "agencyTrackingId": _ATTEMPT,
                "seq": 1,
                "at": _STARTED_AT,
                "name": "started",
                "actor": "portal",
                "toStatus": "received",
                "detail": {"amount": "60.00", "fee": "PETITION_FILING_FEE", "feeVersion": "2020-01-01"},
            },
            {
                "agencyTrackingId": _ATTEMPT,
                "seq": 4,
                "at": _PAID_AT,
                "name": "completed",
                "actor": "portal",
                "fromStatus": "processing",
                "toStatus": "processed",
                "detail": {"payGovTrackingId": _TRACKING_ID, "payGovTransactionStatus": "Success"},
            },
        ],
    },
    "Transactions": {"data": [_ENTRY], "total": 1},
    "StatusCounts": {"pending": 4, "success": 210, "failed": 12, "total": 226},
    "TransactionLog": {
        "data": [_ENTRY],
        "counts": {"all": 3, "success": 1, "failed": 1, "pending": 1},
        "from": "2026-11-22T05:00:00.000Z",
        "to": "2026-11-23T05:00:00.000Z",
        "page": 1,
        "pageSize": 50,
        "sort": "lastUpdatedAt",
        "order": "desc",
        "asOf": "2026-11-22T19:33:42.057Z",
        "total": 3,
    },
    "SqlRequest": {
        "statement": "SELECT fee, count(*) AS attempts FROM payments WHERE status = $status GROUP BY fee",
        "parameters": {"status": "processed"},
        "asOf": "2026-11-22",
    },
    "Answer": {
        "columns": ["fee", "attempts"],
        "types": ["VARCHAR", "BIGINT"],
        "rows": [{"fee": "PETITION_FILING_FEE", "attempts": 210}],
        "asOf": _PAID_AT,
        "cut": False,
    },
    "ReportAnswer": {
        "name": "fees_by_month",
        "question": "How many payments of each fee were started in each month?",
        "columns": ["fee", "attempts"],
        "types": ["VARCHAR", "BIGINT"],
        "rows": [{"fee": "PETITION_FILING_FEE", "attempts": 210}],
        "asOf": _PAID_AT,
        "cut": False,
    },
    "Reports": {
        "reports": [
            {
                "name": "failed_above",
                "question": "Which failed payments were above an amount?",
                "parameters": [
                    {"name": "above", "kind": "DECIMAL", "default": "0", "meaning": "an amount in US dollars"}
                ],
                "columns": [{"name": "amount", "unit": "USD", "meaning": "amounts that were not collected"}],
            }
        ]
    },
    "Health": {
        "status": "healthy",
        "environment": "prod",
        "timestamp": _PAID_AT,
        "developmentClient": False,
        "checks": {
            "store": {"status": "ok", "latencyMs": 0.412},
            "payGov": {"status": "ok", "latencyMs": 83.107},
            "clients": {"status": "ok", "latencyMs": 0.004},
            "secrets": {
                "status": "ok",
                "latencyMs": 0.051,
                "details": {"certificate": True, "privateKey": True, "passphraseConfigured": False},
            },
            "lake": {"status": "ok", "latencyMs": 0.083},
        },
    },
}
"""Component → an example of it."""
