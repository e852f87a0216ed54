"""The JSON Schemas of requests and replies. Requests are validated against them, and OpenAPI is generated from them.

Every request schema rejects unknown fields. Each has examples, so that the documentation shows a request that works.
"""

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

BODY_BYTES_MAX: Final = 64 * 1024
TOKEN_CHARS: Final = 32
URL_CHARS_MAX: Final = 2000
AMOUNT_USD_END: Final = 1_000_000_000  # a cent above payments.records.AMOUNT_MAX and paygov.protocol.AMOUNT_MAX
UUID_V4: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
# Absolute http or https, a host, and no user information: `https://court.gov@evil.example` would mislead a payer.
HTTP_URL: Final = "^[hH][tT][tT][pP][sS]?://[^/?#@:\\s\\\\][^/?#@\\s\\\\]*([/?#].*)?$"
PATTERN_MESSAGES: Final[Mapping[str, str]] = {
    UUID_V4: "must be a UUID v4",
    HTTP_URL: "must be an absolute http or https URL without user information",
}

REFERENCE: Final[Schema] = {
    "type": "string",
    "pattern": UUID_V4,
    "description": "A UUID v4 that the client made for this payment; upper and lower case are one reference.",
    "examples": ["550e8400-e29b-41d4-a716-446655440000"],
}
_REDIRECT: Final[Schema] = {
    "type": "string",
    "format": "uri",
    "pattern": HTTP_URL,
    "maxLength": URL_CHARS_MAX,
    "examples": ["https://client.example/back"],
}
_PAYMENT_STATUS: Final[Schema] = {"type": "string", "enum": ["success", "failed", "pending"]}
_TRANSACTION_STATUS: Final[Schema] = {
    "type": "string",
    "enum": ["received", "initiated", "processing", "pending", "processed", "failed"],
}
_TIMESTAMP: Final[Schema] = {"type": "string", "format": "date-time", "examples": ["2026-11-22T19:30:00.125Z"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}

INIT_REQUEST: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["transactionReferenceId", "fee", "urlSuccess", "urlCancel", "metadata"],
    "properties": {
        "transactionReferenceId": REFERENCE,
        "fee": {"type": "string", "minLength": 1, "maxLength": 100, "examples": ["PETITION_FILING_FEE"]},
        "urlSuccess": _REDIRECT,
        "urlCancel": _REDIRECT,
        "metadata": {
            "type": "object",
            "description": "What the fee's own schema asks for; other keys are allowed.",
            "examples": [{"docketNumber": "123-26"}],
        },
        "amount": {
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": AMOUNT_USD_END,
            "multipleOf": 0.01,  # checked exactly: the validator compares decimals
            "description": "Dollars, for a variable fee only.",
        },
    },
}
PROCESS_REQUEST: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["token"],
    "properties": {
        "token": {
            "type": "string",
            "minLength": TOKEN_CHARS,
            "maxLength": TOKEN_CHARS,
            "examples": ["0123456789abcdef0123456789abcdef"],
        }
    },
}

INIT_REPLY: Final[Schema] = {
    "type": "object",
    "required": ["token", "paymentRedirect"],
    "properties": {
        "token": {"type": "string", "minLength": TOKEN_CHARS, "maxLength": TOKEN_CHARS},
        "paymentRedirect": {"type": "string", "format": "uri"},
    },
}
REVERSAL: Final[Schema] = {
    "type": "object",
    "required": ["kind", "amount", "recordedTimestamp"],
    "properties": {
        "kind": {
            "type": "string",
            "enum": ["returned", "charged_back", "refunded"],
            "description": "returned: by the payer's bank, after an ACH debit had settled.",
        },
        "amount": {"type": "number", "description": "Dollars."},
        "reasonCode": {"type": "string"},
        "effectiveOn": {"type": "string", "format": "date"},
        "recordedTimestamp": _TIMESTAMP,
    },
}
TRANSACTION_SUMMARY: Final[Schema] = {
    "type": "object",
    "required": [
        *("agencyTrackingId", "fee", "amount", "transactionStatus", "createdTimestamp", "updatedTimestamp"),
        *("netAmount", "reversals"),
    ],
    "properties": {
        "agencyTrackingId": {"type": "string", "description": "The attempt, as Pay.gov's reports name it too."},
        "payGovTrackingId": {"type": "string"},
        "fee": {"type": "string"},
        "amount": {"type": "number", "description": "Dollars."},
        "transactionStatus": _TRANSACTION_STATUS,
        "paymentMethod": {"type": "string", "examples": ["Credit/Debit Card", "ACH", "PayPal"]},
        "returnCode": {"type": "string", "description": "Pay.gov's return code, or 5009 for an expired token."},
        "returnDetail": {"type": "string"},
        "createdTimestamp": _TIMESTAMP,
        "updatedTimestamp": {
            **_TIMESTAMP,
            "description": "When the status last changed.",
        },
        "netAmount": {"type": "number", "description": "Dollars collected, less what went back; 0 until processed."},
        "reversals": {"type": "array", "items": {"$ref": "#/components/schemas/Reversal"}},
    },
}
PAYMENT: Final[Schema] = {
    "type": "object",
    "required": ["paymentStatus", "transactions"],
    "properties": {
        "paymentStatus": _PAYMENT_STATUS,
        "transactions": {"type": "array", "items": {"$ref": "#/components/schemas/TransactionSummary"}},
        "stale": {"type": "boolean", "description": "true: Pay.gov could not be asked; this is the record as it was."},
    },
}
HISTORY: Final[Schema] = {
    "type": "object",
    "required": ["transactionReferenceId", "events"],
    "properties": {
        "transactionReferenceId": {"type": "string"},
        "events": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["agencyTrackingId", "seq", "at", "name", "actor", "toStatus", "detail"],
                "properties": {
                    "agencyTrackingId": {"type": "string"},
                    "seq": _COUNT,
                    "at": _TIMESTAMP,
                    "name": {"type": "string"},
                    "actor": {"type": "string"},
                    "fromStatus": _TRANSACTION_STATUS,
                    "toStatus": _TRANSACTION_STATUS,
                    "detail": {"type": "object"},
                },
            },
        },
    },
}
HEALTH: Final[Schema] = {
    "type": "object",
    "required": ["status", "environment", "timestamp", "checks", "developmentClient"],
    "properties": {
        "status": {
            "type": "string",
            "enum": ["healthy", "degraded", "unhealthy"],
            "description": "`degraded`: a check that payments do not depend on needs a person; the answer is 200.",
        },
        "environment": {"type": "string", "description": "The setting BURSAR_ENVIRONMENT."},
        "timestamp": _TIMESTAMP,
        "developmentClient": {
            "type": "boolean",
            "description": "Whether the portal accepts the development client, whose key is public.",
        },
        "restored": {
            "type": "object",
            "description": "The store was restored from a backup, and an operator has not cleared the mark.",
            "required": ["at", "by"],
            "properties": {"at": _TIMESTAMP, "by": {"type": "string"}},
        },
        "checks": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["status", "latencyMs"],
                "properties": {
                    "status": {"type": "string", "enum": ["ok", "degraded", "failed"]},
                    "latencyMs": {"type": "number", "minimum": 0},
                    "error": {"type": "string"},
                    "details": {"type": "object", "additionalProperties": {"type": "boolean"}},
                },
            },
        },
    },
}
ERROR: Final[Schema] = {
    "type": "object",
    "required": ["message", "code", "errors"],
    "properties": {
        "message": {"type": "string", "description": "For people."},
        "code": {"type": "string", "description": "Stable, for programs: a code of the catalogue, docs/errors.md."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "message", "code"],
                "properties": {
                    "path": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "message": {"type": "string"},
                    "code": {"type": "string"},
                },
            },
        },
    },
}

GONE: Final[Schema] = {
    "description": "An error, and beside it the state of the payment.",
    "allOf": [{"$ref": "#/components/schemas/Error"}, {"$ref": "#/components/schemas/Payment"}],
}

_NULLABLE_TEXT: Final[Schema] = {"type": ["string", "null"]}
LOG_ENTRY: Final[Schema] = {
    "type": "object",
    "required": ["agencyTrackingId", "fee", "transactionAmount", "clientName", "transactionReferenceId"],
    "properties": {
        "agencyTrackingId": {"type": "string"},
        "paygovTrackingId": _NULLABLE_TEXT,
        "feeName": {"type": "string"},
        "fee": {"type": "string"},
        "transactionAmount": {"type": "number"},
        "clientName": {"type": "string"},
        "transactionReferenceId": {"type": "string"},
        "paymentStatus": _PAYMENT_STATUS,
        "transactionStatus": _TRANSACTION_STATUS,
        "paymentMethod": _NULLABLE_TEXT,
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "createdAt": _TIMESTAMP,
        "lastUpdatedAt": _TIMESTAMP,
        "returnCode": {"type": ["integer", "string", "null"]},
        "returnDetail": _NULLABLE_TEXT,
    },
}
_LOG_ENTRIES: Final[Schema] = {"type": "array", "items": {"$ref": "#/components/schemas/LogEntry"}}
TRANSACTIONS: Final[Schema] = {
    "type": "object",
    "required": ["data", "total"],
    "properties": {"data": _LOG_ENTRIES, "total": _COUNT},
}
STATUS_COUNTS: Final[Schema] = {
    "type": "object",
    "required": ["pending", "success", "failed", "total"],
    "properties": {"pending": _COUNT, "success": _COUNT, "failed": _COUNT, "total": _COUNT},
}
_PERIOD_TOTAL: Final[Schema] = {
    "type": "object",
    "required": ["from", "to", "total"],
    "properties": {"from": _TIMESTAMP, "to": _TIMESTAMP, "total": {"type": "number"}},
}
TRANSACTION_LOG: Final[Schema] = {
    "type": "object",
    "required": ["data", "from", "to", "page", "pageSize", "sort", "order", "asOf"],
    "properties": {
        "data": _LOG_ENTRIES,
        "counts": {
            "type": "object",
            "required": ["all", "success", "failed", "pending"],
            "properties": {"all": _COUNT, "success": _COUNT, "failed": _COUNT, "pending": _COUNT},
        },
        "from": _TIMESTAMP,
        "to": _TIMESTAMP,
        "page": {"type": "integer", "minimum": 1},
        "pageSize": {"type": "integer", "minimum": 1},
        "sort": {"type": "string"},
        "order": {"type": "string", "enum": ["asc", "desc"]},
        "asOf": {**_TIMESTAMP, "description": "Give it with every later page: its pages do not shift."},
        "total": _COUNT,
        "totals": {
            "type": "object",
            "properties": dict.fromkeys(("day", "week", "month", "quarter", "fiscalYear"), _PERIOD_TOTAL),
        },
    },
}
AS_OF_MEANING: Final = (
    "The state at this instant of the past: an ISO date-time with its offset, "
    "or a day, which means its end in New York."
)
SQL_REQUEST: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["statement"],
    "properties": {
        "statement": {
            "type": "string",
            "minLength": 1,
            "description": "One SELECT; `$name` is a parameter.",
            "examples": ["SELECT fee, count(*) AS attempts FROM payments WHERE status = $status GROUP BY fee"],
        },
        "parameters": {
            "type": "object",
            "maxProperties": 50,
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
            "examples": [{"status": "processed"}],
        },
        "asOf": {
            "type": "string",
            "maxLength": 40,
            "description": AS_OF_MEANING,
            "examples": ["2026-10-31"],
        },
    },
}
_COLUMNS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
ANSWER: Final[Schema] = {
    "type": "object",
    "required": ["columns", "types", "rows", "asOf", "cut"],
    "properties": {
        "columns": _COLUMNS,
        "types": {**_COLUMNS, "description": "The SQL type of each column."},
        "rows": {"type": "array", "items": {"type": "object"}, "description": "Money and times are text."},
        "totals": {"type": "object", "description": "Of a report: the sums of its rows, unless `cut`."},
        "asOf": _TIMESTAMP,
        "cut": {"type": "boolean", "description": "Whether there are more rows than an answer may have."},
    },
}
REPORT_ANSWER: Final[Schema] = {
    "allOf": [
        {"$ref": "#/components/schemas/Answer"},
        {
            "type": "object",
            "required": ["name", "question"],
            "properties": {"name": {"type": "string"}, "question": {"type": "string"}},
        },
    ]
}
REPORTS: Final[Schema] = {
    "type": "object",
    "required": ["reports"],
    "properties": {
        "reports": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "question", "parameters", "columns"],
                "properties": {
                    "name": {"type": "string"},
                    "question": {"type": "string"},
                    "parameters": {"type": "array", "items": {"type": "object"}},
                    "columns": {"type": "array", "items": {"type": "object"}},
                },
            },
        }
    },
}

COMPONENTS: Final[dict[str, Schema]] = {
    "InitRequest": INIT_REQUEST,
    "InitReply": INIT_REPLY,
    "ProcessRequest": PROCESS_REQUEST,
    "TransactionSummary": TRANSACTION_SUMMARY,
    "Reversal": REVERSAL,
    "Payment": PAYMENT,
    "History": HISTORY,
    "Health": HEALTH,
    "Error": ERROR,
    "Gone": GONE,
    "LogEntry": LOG_ENTRY,
    "Transactions": TRANSACTIONS,
    "StatusCounts": STATUS_COUNTS,
    "TransactionLog": TRANSACTION_LOG,
    "SqlRequest": SQL_REQUEST,
    "Answer": ANSWER,
    "Reports": REPORTS,
    "ReportAnswer": REPORT_ANSWER,
}
