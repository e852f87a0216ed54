"""A Pay.gov simulator behind both transports, and SOAP replies for a scripted server."""

import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from bursar.paygov import HttpTransport, PayGov, PayGovConfig, Transport
from bursar.paygov.protocol import ONLINE_PATH, PAY_PATH, QUERY_PATH
from bursar.paygov.simulator import Books, MisbehaviourPlan, Simulator, SimulatorTransport
from bursar.paygov.simulator.server import serving
from tests.support.scripted_server import PATIENT_S

APP = "TCSUSTAXCOURTPETITION"
AGENCY_ID = "588234832626439493e92"
"""It looks like a number, but is text: a parser that converts it loses a payment."""
BASE = "http://simulator.invalid"

HASTY_S = 1.0
"""The timeout of a client that is expected to time out, in seconds. A loaded machine still connects within it."""


class HandClock:
    """A clock that changes only when it is moved."""

    def __init__(self, now: float = 1_795_376_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class World:
    """A simulator, and two clients of it: one with a long timeout, one with a short one (``hasty``)."""

    clock: HandClock
    simulator: Simulator
    plan: MisbehaviourPlan
    paygov: PayGov
    hasty: PayGov

    @property
    def books(self) -> Books:
        return self.simulator.books

    async def start(
        self,
        agency_tracking_id: str = AGENCY_ID,
        amount: Decimal = Decimal("60.00"),
        classification: Sequence[tuple[str, Decimal]] = (),
    ) -> str:
        return await self.paygov.start(
            tcs_app_id=APP,
            agency_tracking_id=agency_tracking_id,
            amount=amount,
            url_success="https://app.example/back?a=1&b=2",
            url_cancel="https://app.example/cancel",
            classification=classification,
        )

    async def paid(self, payment_type: str = "PLASTIC_CARD", outcome: str = "Success") -> str:
        token = await self.start()
        self.simulator.pay(token, payment_type, outcome)
        return token


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def simulator(clock: HandClock) -> Simulator:
    return Simulator(clock, random.Random(7))


@pytest.fixture
def plan() -> MisbehaviourPlan:
    return MisbehaviourPlan(random.Random(11))


@pytest.fixture(params=["in process", "http"])
async def world(
    request: pytest.FixtureRequest, clock: HandClock, simulator: Simulator, plan: MisbehaviourPlan
) -> AsyncIterator[World]:
    """Yield the simulator behind each of its two doors: every test that uses it runs twice."""
    async with contextlib.AsyncExitStack() as stack:
        transport: Transport
        if request.param == "http":
            base, transport = (await stack.enter_async_context(serving(simulator, plan))).base, HttpTransport()
        else:
            base, transport = BASE, SimulatorTransport(simulator, plan)
        stack.push_async_callback(transport.close)
        yield World(clock, simulator, plan, client(base, transport), client(base, transport, HASTY_S))


def client(base: str, transport: Transport, timeout_s: float = PATIENT_S, **config: Any) -> PayGov:
    return PayGov(
        PayGovConfig(
            url=base + ONLINE_PATH,
            query_url=base + QUERY_PATH,
            payment_url=base + PAY_PATH,
            timeout_s=timeout_s,
            **config,
        ),
        transport,
    )


def soap_reply(operation: str, content: str) -> bytes:
    return (
        '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>'
        f'<ns2:{operation}Response xmlns:ns2="http://fms.treas.gov/services/tcsonline">'
        f"<{operation}Response>{content}</{operation}Response></ns2:{operation}Response></S:Body></S:Envelope>"
    ).encode()


def soap_fault(code: str = "4117", detail: str = "Token does not exist.") -> bytes:
    return (
        '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><S:Fault>'
        "<faultcode>S:Server</faultcode><faultstring>TCS Error</faultstring><detail>"
        '<ns2:TCSServiceFault xmlns:ns2="http://fms.treas.gov/services/tcsonline">'
        f"<return_code>{code}</return_code><return_detail>{detail}</return_detail>"
        "</ns2:TCSServiceFault></detail></S:Fault></S:Body></S:Envelope>"
    ).encode()
