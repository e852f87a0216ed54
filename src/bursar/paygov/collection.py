"""A collection: Pay.gov's data about one payment, in Pay.gov's words."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Collection:
    """One payment as Pay.gov reports it. ``None``: Pay.gov left the field out (most are optional in queries).

    Every field but the amount is text exactly as received. This matters for ids: ``588234832626439493e92`` is an agency
    tracking id, not a number. transaction_status is one of protocol.TRANSACTION_STATUSES; other values are not known.
    transaction_date is an ISO date-time with or without an offset, payment_date an ISO date. payment_type is
    PLASTIC_CARD, ACH, PAYPAL or another word. return_code and return_detail give the reason why a payment failed, if
    Pay.gov sends it.
    """

    paygov_tracking_id: str | None = None
    agency_tracking_id: str | None = None
    transaction_amount: Decimal | None = None
    transaction_type: str | None = None
    transaction_date: str | None = None
    payment_date: str | None = None
    transaction_status: str | None = None
    payment_type: str | None = None
    payment_frequency: str | None = None
    number_of_installments: str | None = None
    return_code: str | None = None
    return_detail: str | None = None
