"""Scenarios that use everything that the role of each function needs, and the statements without one action."""

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar
from unittest import mock

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions import dashboard, portal
from bursar.bootstrap.lambda_functions import environment as function_environment
from bursar.bootstrap.lambda_functions.lake import LakeWriting
from bursar.bootstrap.lambda_functions.sweep import ScheduledSweep
from bursar.portal.doors.aws_lambda import LambdaDoor
from bursar.portal.webhooks.sender import ReceiverReply
from bursar.portal.webhooks.targets import AllowedTargets
from tests.support.bootstrap.backend import Backend
from tests.support.bootstrap.function_calls import asked, begun

Statements = list[dict[str, Any]]


def without(statements: Statements, sid: str, action: str) -> Statements:
    """Return ``statements`` without one action of one statement; a statement without actions is left out."""
    changed = copy.deepcopy(statements)
    (statement,) = (each for each in changed if each["Sid"] == sid)
    statement["Action"].remove(action)
    return [each for each in changed if each["Action"]]


def allowed_actions(statements: Statements, service: str = "dynamodb") -> list[tuple[str, str]]:
    """Return (Sid, action) of every action of a service that a statement allows."""
    return [
        (each["Sid"], action)
        for each in statements
        if each["Effect"] == "Allow"
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
        if action.startswith(f"{service}:")
    ]


@contextmanager
def later(seconds: float) -> Iterator[None]:
    """Let functions that start within the ``with`` have a clock that is ahead."""
    composition = partial(Composition, clock=lambda: time.time() + seconds)
    with mock.patch.object(function_environment, "Composition", composition):
        yield


def work_of_the_portal(backend: Backend) -> None:
    """Pay by card; and fail to pay an obligation twice: a further attempt has a sentinel, which its end removes."""
    door = portal.make_handler()
    try:
        reference, token = begun(door)
        backend.simulator.pay(token, "PLASTIC_CARD", "Success")
        expect(asked(door, "POST", "/process", {"token": token})[1]["paymentStatus"], "success")
        expect(asked(door, "GET", f"/details/{reference}")[1]["paymentStatus"], "success")
        expect(asked(door, "GET", f"/details/{reference}/events")[0], 200)
        reference, token = begun(door)
        fail(door, backend, token)
        _, token = begun(door, reference)
        fail(door, backend, token)
    finally:
        door.instance.close()


def fail(door: LambdaDoor, backend: Backend, token: str) -> None:
    """Let Pay.gov decline a payment, and process it."""
    backend.simulator.pay(token, "PLASTIC_CARD", "Failed")
    expect(asked(door, "POST", "/process", {"token": token})[1]["paymentStatus"], "failed")


def prepare_sweep(backend: Backend) -> None:
    """Begin what a sweep four hours later ends: a second attempt that was never paid, and a debit that settles."""
    door = portal.make_handler()
    try:
        reference, token = begun(door)
        fail(door, backend, token)
        begun(door, reference)
        _, token = begun(door)
        backend.simulator.pay(token, "ACH", "Success")
        asked(door, "POST", "/process", {"token": token})
    finally:
        door.instance.close()


def work_of_the_sweep(backend: Backend) -> None:
    """Expire and ask about payments, deliver their events, and give one delivery up."""
    with mock.patch("bursar.portal.webhooks.sender.HttpSender", Receiver), later(4 * 3600.0):
        sweep = ScheduledSweep()
        try:
            report = sweep({}, None)
        finally:
            sweep.instance.close()
    expect("error" in report["results"], False)
    expect(report["results"].get("expired", 0) > 0, True)
    expect(report["webhooks"]["delivered"] > 0, True)


class Receiver:
    """A sender that replaces the network and accepts every delivery."""

    taken: ClassVar[list[bytes]] = []

    def __init__(self, *, allowed: AllowedTargets) -> None:
        pass

    async def __aenter__(self) -> "Receiver":
        return self

    async def __aexit__(self, *failure: object) -> None:
        pass

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> ReceiverReply:
        self.taken.append(body)
        return ReceiverReply(204)


def work_of_the_lake(backend: Backend) -> None:
    """Write the lake twice, and verify it."""
    with later(3600.0):
        lake = LakeWriting()
        try:
            lake({}, None)
            lake({}, None)
            expect(lake({"verify": True}, None)["equal"], True)
        finally:
            lake.instance.close()


def work_of_the_dashboard(backend: Backend) -> None:
    """Ask the dashboard's questions."""
    door = dashboard.make_handler()
    try:
        expect(asked(door, "GET", "/transactions")[0], 200)
        expect(asked(door, "GET", "/transaction-log")[0], 200)
    finally:
        door.instance.close()


def expect(found: Any, expected: Any) -> None:
    """Raise ``AssertionError`` unless the two are equal."""
    if found != expected:
        raise AssertionError(f"must be {expected!r}; got {found!r}")
