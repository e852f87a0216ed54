"""The choices of the transactions page as a person makes them, each with the condition of SQL that it promises.

The conditions are written by hand, and the days of periods are those of 22 November 2026, on which the office ends.
"""

from dataclasses import dataclass
from typing import Final

GROUPS: Final = ("Status", "Fee", "Client", "Payment method", "Where the money is")
"""The groups of boxes to check."""
LISTS: Final = ("Period", "Days are those of")
"""The fields with a list of choices."""
_NO_TICKET: Final = "agency_tracking_id NOT IN (SELECT agency_tracking_id FROM deposits)"


@dataclass(frozen=True, slots=True)
class Choice:
    """Fields of the form and what a person chooses or writes in each, and the condition on ``payments``."""

    fields: tuple[tuple[str, str], ...]
    sql: str
    as_of: str | None = None

    @property
    def name(self) -> str:
        """A name for a test."""
        return ", ".join(f"{field}: {value}" for field, value in self.fields) or "everything"


def _days(first: str, last: str, column: str = "created_on") -> str:
    return f"{column} BETWEEN DATE '{first}' AND DATE '{last}'"


_PERIODS: Final = {
    "Any time": "TRUE",
    "Today": _days("2026-11-22", "2026-11-22"),
    "Yesterday": _days("2026-11-21", "2026-11-21"),
    "This week": _days("2026-11-22", "2026-11-28"),
    "Last week": _days("2026-11-15", "2026-11-21"),
    "This month": _days("2026-11-01", "2026-11-30"),
    "Last month": _days("2026-10-01", "2026-10-31"),
    "This quarter": _days("2026-10-01", "2026-12-31"),
    "Last quarter": _days("2026-07-01", "2026-09-30"),
    "This fiscal year": _days("2026-10-01", "2027-09-30"),
    "Last fiscal year": _days("2025-10-01", "2026-09-30"),
    "The last 30 days": _days("2026-10-24", "2026-11-22"),
    "The last 90 days": _days("2026-08-25", "2026-11-22"),
}
_STATUSES: Final = ("Received", "Initiated", "Processing", "Pending", "Processed", "Failed")
_FEES: Final = {
    "Petition filing fee": "PETITION_FILING_FEE",
    "Copy fee": "COPY_FEE",
    "Nonattorney exam registration fee": "NONATTORNEY_EXAM_REGISTRATION_FEE",
}
_METHODS: Final = {"Credit or debit card": "PLASTIC_CARD", "ACH": "ACH", "PayPal": "PAYPAL"}
_MONEY: Final = {
    "Settling": "status = 'pending'",
    "In transit: no deposit ticket known": f"(status = 'pending' OR net_amount > 0) AND {_NO_TICKET}",
    "Deposited: its ticket is known": f"NOT ({_NO_TICKET})",
    "Came back": "agency_tracking_id IN (SELECT agency_tracking_id FROM reversals)",
}
CHOICES: Final = (
    Choice((), "TRUE"),
    *(Choice((("Period", name),), sql) for name, sql in _PERIODS.items()),
    Choice((("From", "2026-09-10"),), "created_on >= DATE '2026-09-10'"),
    Choice((("To", "2026-09-10"),), "created_on <= DATE '2026-09-10'"),
    Choice((("From", "2026-09-10"), ("To", "2026-10-20")), _days("2026-09-10", "2026-10-20")),
    Choice((("Days are those of", "the collection"),), "status = 'processed'"),
    Choice(
        (("Period", "Last month"), ("Days are those of", "the collection")),
        f"status = 'processed' AND {_days('2026-10-01', '2026-10-31', 'final_on')}",
    ),
    *(Choice((("Status", name),), f"status = '{name.lower()}'") for name in _STATUSES),
    Choice((("Status", "Outcome unknown"),), "outcome_unknown"),
    Choice((("Status", "Failed"), ("Status", "Initiated")), "status IN ('failed', 'initiated')"),
    Choice((("Status", "Failed"), ("Status", "Outcome unknown")), "status = 'failed' OR outcome_unknown"),
    *(Choice((("Fee", name),), f"fee = '{key}'") for name, key in _FEES.items()),
    *(Choice((("Client", name),), f"client = '{name}'") for name in ("dawson", "exams")),
    *(Choice((("Payment method", name),), f"payment_method = '{key}'") for name, key in _METHODS.items()),
    *(Choice((("Where the money is", name),), sql) for name, sql in _MONEY.items()),
    Choice((("Return code", "40"),), "return_code LIKE '40%'"),
    Choice((("Return code", "4019"),), "return_code = '4019'"),
    Choice((("Least", "60.00"),), "amount >= 60"),
    Choice((("Most", "$250"),), "amount <= 250"),
    Choice((("Least", "60.01"), ("Most", "1,000")), "amount BETWEEN 60.01 AND 1000"),
    Choice((("As of", "2026-09-30"),), "TRUE", as_of="2026-09-30"),
    Choice((("As of", "2026-09-30"), ("Status", "Failed")), "status = 'failed'", as_of="2026-09-30"),
    Choice(
        (("Period", "This quarter"), ("Status", "Processed"), ("Fee", "Petition filing fee"), ("Client", "dawson")),
        f"{_PERIODS['This quarter']} AND status = 'processed' AND fee = 'PETITION_FILING_FEE' AND client = 'dawson'",
    ),
    Choice(
        (("Payment method", "ACH"), ("Payment method", "PayPal"), ("Least", "60"), ("Where the money is", "Settling")),
        "payment_method IN ('ACH', 'PAYPAL') AND amount >= 60 AND status = 'pending'",
    ),
)
ORDERS: Final = {
    "Started": "created_at",
    "Status": "status",
    "Amount": "amount",
    "Fee": "fee",
    "Client": "client",
    "Method": "payment_method",
    "Collected": "final_on",
    "Reference": "reference",
}
"""Name of a column of the table → the column of ``payments`` by which its header sorts."""
