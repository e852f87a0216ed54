"""The JSON of answers: labels of payment methods, and return codes as the dashboard expects them."""

from decimal import Decimal
from typing import Any

import pytest

from bursar.payments import Attempt
from bursar.payments.reversals import Reversal
from bursar.portal.contract.answers import Payment
from bursar.portal.contract.views import entries_json, payment_json, payment_method_label


@pytest.mark.parametrize(
    ("payment_type", "label"),
    [
        ("PLASTIC_CARD", "Credit/Debit Card"),
        ("ACH", "ACH"),
        ("PAYPAL", "PayPal"),
        ("DIGITAL_WALLET", "DIGITAL_WALLET"),
        (None, None),
    ],
)
def test_a_payment_type_has_its_label_and_an_unknown_one_is_shown_as_it_is(
    payment_type: str | None, label: str | None
) -> None:
    assert payment_method_label(payment_type) == label


@pytest.mark.parametrize(
    ("code", "shown"),
    [("4117", 4117), ("123456789", 123456789), ("1234567890", "1234567890"), ("R01", "R01"), ("²", "²"), (None, None)],
)
def test_a_return_code_of_few_digits_is_a_number(code: str | None, shown: object) -> None:
    entry: dict[str, Any] = {"returnCode": code, "paymentMethod": None, "metadata": {}}
    assert entries_json([entry])["data"][0]["returnCode"] == shown


def _attempt(name: str) -> Attempt:
    return Attempt(
        agency_tracking_id=name,
        client="dawson",
        reference="r",
        fee="COPY_FEE",
        fee_version="2020-01-01",
        tcs_app_id="APP",
        amount=Decimal("60.00"),
        metadata={},
        url_success="https://a",
        url_cancel="https://b",
        created_at=0.0,
        updated_at=0.0,
        status="processed",
    )


def _reversal(attempt: str, amount: str) -> Reversal:
    return Reversal(
        client="dawson",
        reference="r",
        agency_tracking_id=attempt,
        attempt_created_at=0.0,
        seq=1,
        reversal_id=f"{attempt} {amount}",
        kind="charged_back",
        amount=Decimal(amount),
        at=0.0,
        source="operator",
    )


def test_a_transaction_shows_its_own_reversals() -> None:
    reversals = [_reversal("first", "60.00"), _reversal("third", "1.00"), _reversal("third", "2.00")]
    payment = Payment([_attempt("first"), _attempt("second"), _attempt("third")], reversals=reversals)
    shown = [[each["amount"] for each in one["reversals"]] for one in payment_json(payment)["transactions"]]
    assert shown == [[Decimal("60.00")], [], [Decimal("1.00"), Decimal("2.00")]]
