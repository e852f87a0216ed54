"""Each limit of Pay.gov's client and simulator at its two edges: the last value that is taken, and the next one.

A row has the limit, and a function that takes a value or raises.
"""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bursar.paygov import ArgumentRefused, Nonsense, PayGovConfig
from bursar.paygov.client import _checked, _checked_url, wire_amount
from bursar.paygov.protocol import (
    AGENCY_TRACKING_ID_CHARACTERS_MAX,
    AMOUNT_MAX,
    CLASSIFICATION_ID,
    CLASSIFICATION_ID_CHARACTERS_MAX,
    PAYGOV_TRACKING_ID_CHARACTERS_MAX,
    TCS_APP_ID_CHARACTERS_MAX,
    TOKEN_CHARACTERS,
    URL_CHARACTERS_MAX,
)
from bursar.paygov.safe_xml import DEPTH_MAX, DOCUMENT_BYTES_MAX, ELEMENTS_MAX, XmlRefused, parse_xml
from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator, SimulatorSettings
from bursar.paygov.simulator.misbehaviour import DELAY_MAX_S, PLAN_MAX
from bursar.paygov.soap import FIELD_CHARACTERS_MAX, read_collection
from tests.support.edges import Limits, check_largest, check_smallest
from tests.support.paygov.world import APP, HandClock

REFUSALS = (ArgumentRefused, Nonsense, XmlRefused, ValueError)
CENT = Decimal("0.01")


def url(chars: int) -> str:
    return "https://app.example/".ljust(chars, "a")


def document(elements: int) -> bytes:
    return b"<a>" + b"<b/>" * (elements - 1) + b"</a>"


def misbehaviour(**how: Any) -> Misbehaviour:
    return Misbehaviour(kind=how.pop("kind", "delay"), **how)


def field(chars: int) -> None:
    read_collection(parse_xml(b"<transaction><return_detail>" + b"a" * chars + b"</return_detail></transaction>"))


def plan(count: int) -> None:
    MisbehaviourPlan(random.Random(1), [misbehaviour()]).add(*[misbehaviour()] * (count - 1))


def config(milliseconds: int) -> None:
    PayGovConfig(url="https://p.example", payment_url="https://p.example/pay", timeout_s=milliseconds / 1000)


LARGEST: Limits = {
    "an application's id": (TCS_APP_ID_CHARACTERS_MAX, lambda n: _checked("tcs_app_id", "a" * n)),
    "an agency tracking id": (AGENCY_TRACKING_ID_CHARACTERS_MAX, lambda n: _checked("agency_tracking_id", "a" * n)),
    "a Pay.gov tracking id": (PAYGOV_TRACKING_ID_CHARACTERS_MAX, lambda n: _checked("paygov_tracking_id", "a" * n)),
    "a classification's id": (CLASSIFICATION_ID_CHARACTERS_MAX, lambda n: _checked(CLASSIFICATION_ID, "a" * n)),
    "a token": (TOKEN_CHARACTERS, lambda n: _checked("token", "a" * n)),
    "an address": (URL_CHARACTERS_MAX, lambda n: _checked_url("url_success", url(n))),
    "an amount in cents": (int(AMOUNT_MAX * 100), lambda n: wire_amount(CENT * n)),
    "bytes of a document": (DOCUMENT_BYTES_MAX, lambda n: parse_xml(b"<a/>".ljust(n))),
    "elements of a document": (ELEMENTS_MAX, lambda n: parse_xml(document(n))),
    "levels of a document": (DEPTH_MAX, lambda n: parse_xml(b"<a>" * n + b"</a>" * n)),
    "characters of a field": (FIELD_CHARACTERS_MAX, field),
    "misbehaviours in force": (PLAN_MAX, plan),
    "a delay": (int(DELAY_MAX_S), lambda n: misbehaviour(delay_s=n)),
    "a probability": (1, lambda n: misbehaviour(probability=n)),
    "a status": (599, lambda n: misbehaviour(kind="http", status=n)),
}
SMALLEST: Limits = {
    "an agency tracking id": (1, lambda n: _checked("agency_tracking_id", "a" * n)),
    "a token": (TOKEN_CHARACTERS, lambda n: _checked("token", "a" * n)),
    "an amount in cents": (1, lambda n: wire_amount(CENT * n)),
    "a timeout": (1, config),
    "a delay": (0, lambda n: misbehaviour(delay_s=n)),
    "a probability": (0, lambda n: misbehaviour(probability=n)),
    "a status": (400, lambda n: misbehaviour(kind="http", status=n)),
    "a number of times": (1, lambda n: misbehaviour(times=n)),
}


@pytest.mark.parametrize(("largest", "take"), LARGEST.values(), ids=LARGEST)
def test_the_largest_is_taken_and_the_next_is_refused(largest: int, take: Callable[[int], Any]) -> None:
    check_largest(largest, take, REFUSALS)


@pytest.mark.parametrize(("smallest", "take"), SMALLEST.values(), ids=SMALLEST)
def test_the_smallest_is_taken_and_the_one_below_is_refused(smallest: int, take: Callable[[int], Any]) -> None:
    check_smallest(smallest, take, REFUSALS)


def started(simulator: Simulator) -> str:
    return simulator.start(
        {
            "tcs_app_id": APP,
            "agency_tracking_id": "a1",
            "transaction_type": "Sale",
            "transaction_amount": "60.00",
            "language": "en",
            "url_success": "https://app.example/s",
            "url_cancel": "https://app.example/c",
        }
    )


def test_the_simulators_times_begin_at_their_instants() -> None:
    clock = HandClock()
    settings = SimulatorSettings(ach_settle_s=15.0, token_life_s=100.0, lookup_delay_s=5.0)
    simulator = Simulator(clock, random.Random(1), settings=settings)
    token = started(simulator)
    entry = simulator.payable(token)
    clock.move(99.999)
    assert simulator.usable(entry)
    clock.move(0.001)
    assert not simulator.usable(entry)
    token = started(simulator)
    simulator.pay(token, "ACH", "Success")
    entry = simulator.complete(APP, token)
    found, statuses = [], []
    for wait_s in (4.999, 0.001, 9.999, 0.001):
        clock.move(wait_s)
        found.append(len(simulator.find("query", APP, "a1")))
        statuses.append(simulator.status(entry))
    assert found == [0, 1, 1, 1]
    assert statuses == ["Received", "Received", "Received", "Success"]
