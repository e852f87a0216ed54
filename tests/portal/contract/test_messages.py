"""Replies are JSON, and every amount in them is a number with exactly two decimals."""

from decimal import Decimal

import pytest

from bursar.portal.contract.messages import json_reply


@pytest.mark.parametrize(
    ("amount", "wire"),
    [("60", b"60.00"), ("60.5", b"60.50"), ("0.01", b"0.01"), ("1E+3", b"1000.00"), ("999999999.99", b"999999999.99")],
)
def test_an_amount_has_exactly_two_decimals(amount: str, wire: bytes) -> None:
    assert json_reply({"amount": Decimal(amount)}).body == b'{"amount":' + wire + b"}"


def test_a_value_that_json_has_not_is_an_error() -> None:
    with pytest.raises(TypeError):
        json_reply({"amount": object()})
