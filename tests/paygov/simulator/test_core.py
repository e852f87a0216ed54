"""The refusals of Pay.gov: of a start, and of a payer on the hosted page."""

import random

import pytest

from bursar.paygov import Fault
from bursar.paygov.protocol import TRANSACTION_STATUSES
from bursar.paygov.simulator import PayerRefused, Simulator
from bursar.paygov.simulator.books import OUTCOMES
from bursar.paygov.simulator.core import RECEIVED, RequestRefused
from tests.support.paygov.world import HandClock

START = {
    "tcs_app_id": "APP",
    "agency_tracking_id": "a1",
    "transaction_type": "Sale",
    "transaction_amount": "60.00",
    "language": "en",
    "url_success": "https://a.example/s",
    "url_cancel": "https://a.example/c",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agency_tracking_id", ""),
        ("agency_tracking_id", "x" * 22),
        ("transaction_type", "Gift"),
        ("transaction_amount", "60"),
        ("transaction_amount", "60.0"),
        ("transaction_amount", "0.00"),
        ("transaction_amount", "-1.00"),
        ("transaction_amount", "1000000000.00"),
        ("transaction_amount", "6e1.00"),
        ("language", "xx"),
        ("url_success", "javascript:alert(1)"),
        ("url_cancel", "//elsewhere"),
    ],
)
def test_a_start_of_another_form_is_refused_by_field(simulator: Simulator, field: str, value: str) -> None:
    with pytest.raises(RequestRefused, match=field):
        simulator.start(START | {field: value})
    with pytest.raises(RequestRefused, match=field):
        simulator.start({name: value for name, value in START.items() if name != field})
    assert len(simulator.books) == 0


def test_a_start_without_an_application_is_4019(simulator: Simulator) -> None:
    with pytest.raises(Fault, match="4019"):
        simulator.start(START | {"tcs_app_id": ""})


def test_tokens_are_32_characters_and_differ(simulator: Simulator) -> None:
    tokens = {simulator.start(START) for _ in range(200)}
    assert len(tokens) == 200
    assert {len(token) for token in tokens} == {32}


def test_the_same_seed_gives_the_same_tokens(clock: HandClock) -> None:
    one, other = (Simulator(clock, random.Random(5)) for _ in range(2))
    assert [one.start(START) for _ in range(3)] == [other.start(START) for _ in range(3)]


@pytest.mark.parametrize(
    ("payment_type", "outcome", "status"),
    [("CASH", "Success", 400), ("ACH", "Maybe", 400), ("ACH", "Received", 400)],
)
def test_a_payer_pays_with_a_known_payment_type(
    simulator: Simulator, payment_type: str, outcome: str, status: int
) -> None:
    token = simulator.start(START)
    with pytest.raises(PayerRefused) as refused:
        simulator.pay(token, payment_type, outcome)
    assert refused.value.http_status == status


def test_a_token_is_paid_once(simulator: Simulator) -> None:
    token = simulator.start(START)
    assert simulator.pay(token, "ACH", "Success") == "https://a.example/s"
    for method, outcome in [("ACH", "Success"), ("PAYPAL", "Failed")]:
        with pytest.raises(PayerRefused) as refused:
            simulator.pay(token, method, outcome)
        assert refused.value.http_status == 409


def test_an_unknown_token_and_one_too_old_cannot_be_paid(simulator: Simulator, clock: HandClock) -> None:
    with pytest.raises(PayerRefused) as unknown:
        simulator.pay("nobody", "ACH", "Success")
    token = simulator.start(START)
    clock.move(3 * 3600)
    with pytest.raises(PayerRefused) as old:
        simulator.pay(token, "ACH", "Success")
    assert (unknown.value.http_status, old.value.http_status) == (404, 410)


def test_a_cancel_does_not_change_the_token(simulator: Simulator) -> None:
    token = simulator.start(START)
    assert simulator.cancel(token) == "https://a.example/c"
    assert simulator.pay(token, "ACH", "Success") == "https://a.example/s"
    with pytest.raises(PayerRefused):
        simulator.cancel("nobody")


def test_every_status_of_the_simulator_is_one_of_pay_govs() -> None:
    assert {RECEIVED, *OUTCOMES} <= TRANSACTION_STATUSES


def test_details_of_a_collection_are_for_its_own_application(simulator: Simulator) -> None:
    token = simulator.start(START)
    simulator.pay(token, "PLASTIC_CARD", "Success")
    paid = simulator.complete("APP", token)
    assert paid.paygov_tracking_id is not None
    assert simulator.details("APP", paid.paygov_tracking_id) == (paid,)
    with pytest.raises(Fault, match="No collection found"):
        simulator.details("OTHER", paid.paygov_tracking_id)
