"""The JSON of answers: labels of payment methods, and return codes as the dashboard expects them."""

from typing import Any

import pytest

from bursar.portal.contract.views import entries_json, payment_method_label


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
