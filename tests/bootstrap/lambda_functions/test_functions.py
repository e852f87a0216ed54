"""The Lambda functions, called as Lambda calls them, on a DynamoDB and a Pay.gov in another thread."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions import environment as function_environment
from bursar.bootstrap.lambda_functions.portal import make_handler
from bursar.bootstrap.lambda_functions.sweep import FAILED_PASSES_MAX, LAST_PASSES, ScheduledSweep
from bursar.payments import FeeCatalogue, payment_rules
from bursar.portal.doors.aws_lambda import LambdaDoor
from bursar.portal.webhooks.queue import iam_policy as queue_policy
from bursar.portal.webhooks.sender import ReceiverReply
from bursar.portal.webhooks.targets import AllowedTargets
from bursar.rules.transactions.iam_policy import iam_policies
from bursar.startup import CannotStart
from tests.support.bootstrap.backend import Backend, secret_of
from tests.support.bootstrap.function_calls import ARN, asked, begun

TABLE_ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"
ROLE_ARN = "arn:aws:iam::000000000000:role/portal"
SUBSCRIPTION = """
[webhooks.dawson]
client = "dawson"
url = "https://court.example/hooks"
secret = "0123456789abcdef0123456789abcdef"
"""


@pytest.fixture
def portal() -> Iterator[LambdaDoor]:
    door = make_handler()
    yield door
    door.instance.close()


@pytest.fixture
def sweep() -> Iterator[ScheduledSweep]:
    function = ScheduledSweep()
    yield function
    function.instance.close()


def test_a_payment_from_event_to_event(portal: LambdaDoor, backend: Backend) -> None:
    reference, token = begun(portal)
    backend.simulator.pay(token, "PLASTIC_CARD", "Success")
    status, answer = asked(portal, "POST", "/process", {"token": token})
    assert (status, answer["paymentStatus"]) == (200, "success")
    assert asked(portal, "GET", f"/details/{reference}") == (200, answer)


def test_the_caller_is_the_one_that_api_gateway_verified(portal: LambdaDoor) -> None:
    reference, _ = begun(portal)
    stranger = ARN.replace("dawson", "stranger")
    assert asked(portal, "GET", f"/details/{reference}", arn=stranger)[0] == 403


def test_a_scheduled_pass_ends_what_is_due(
    portal: LambdaDoor, sweep: ScheduledSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, _ = begun(portal)
    nothing = sweep({"source": "aws.events"}, None)
    assert (nothing["swept"], nothing["results"]) == (0, {})
    sweep.instance.close()
    # Four hours later the token has expired.
    later = time.time() + 4 * 3600
    monkeypatch.setattr(
        function_environment, "Composition", lambda *given, **named: Composition(*given, **named, clock=lambda: later)
    )
    told = sweep({"source": "aws.events"}, None)
    assert told["swept"] >= told["results"]["expired"] >= 1
    assert told["webhooks"] is None
    assert json.loads(json.dumps(told)) == told
    assert asked(portal, "GET", f"/details/{reference}")[1]["paymentStatus"] == "failed"


class Receiver:
    """A sender that replaces the network and accepts every delivery."""

    taken: ClassVar[list[str]] = []

    def __init__(self, *, allowed: AllowedTargets) -> None:
        assert allowed("10.0.0.1") is not None

    async def __aenter__(self) -> "Receiver":
        return self

    async def __aexit__(self, *failure: object) -> None:
        pass

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> ReceiverReply:
        self.taken.append(json.loads(body)["type"])
        return ReceiverReply(204)


def test_a_scheduled_pass_delivers_webhooks(
    portal: LambdaDoor, sweep: ScheduledSweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun(portal)
    subscriptions = tmp_path / "webhooks.toml"
    subscriptions.write_text(SUBSCRIPTION)
    monkeypatch.setenv("BURSAR_WEBHOOKS", str(subscriptions))
    monkeypatch.setattr("bursar.portal.webhooks.sender.HttpSender", Receiver)
    told = sweep({}, None)["webhooks"]
    assert told["delivered"] == len(Receiver.taken) > 0
    assert (told["postponed"], told["died"]) == (0, 0)
    assert "payment.started" in Receiver.taken


def test_the_documented_policies_are_enough_for_a_payment_a_sweep_and_webhooks(
    portal: LambdaDoor,
    sweep: ScheduledSweep,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    writer = iam_policies(payment_rules(FeeCatalogue.default()), f"{TABLE_ARN}bursar-payments", (ROLE_ARN,))["writer"]
    queue = queue_policy(f"{TABLE_ARN}bursar-webhooks")
    both = {"Version": "2012-10-17", "Statement": writer["Statement"] + queue["Statement"]}
    subscriptions = tmp_path / "webhooks.toml"
    subscriptions.write_text(SUBSCRIPTION)
    monkeypatch.setenv("BURSAR_WEBHOOKS", str(subscriptions))
    monkeypatch.setattr("bursar.portal.webhooks.sender.HttpSender", Receiver)
    with backend.guarded(tmp_path, {"role": both}) as guarded:
        monkeypatch.setenv("BURSAR_STORE", guarded.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "role")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_of("role"))
        _, token = begun(portal)
        backend.simulator.pay(token, "PLASTIC_CARD", "Success")
        assert asked(portal, "POST", "/process", {"token": token})[0] == 200
        assert sweep({}, None)["webhooks"]["delivered"] > 0
        portal.instance.close()
        sweep.instance.close()


def test_the_readers_policy_is_enough_for_an_audit(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policies = iam_policies(payment_rules(FeeCatalogue.default()), f"{TABLE_ARN}bursar-payments", (ROLE_ARN,))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "role")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_of("role"))
    for name, code in (("reader", 0), ("writer", 2)):
        with backend.guarded(tmp_path, {"role": policies[name]}) as guarded:
            arguments = ["audit", "--store", guarded.url, "--table", "bursar-payments"]
            ended = subprocess.run([sys.executable, "-m", "bursar", *arguments], capture_output=True, text=True)
            assert (ended.returncode, "dynamodb:Scan" in ended.stderr) == (code, code == 2), ended


def test_a_pass_that_fails_is_an_error_if_several_of_the_last_ones_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    function, fails = ScheduledSweep(), True

    def one_pass(use: Any) -> dict[str, Any]:
        if fails:
            raise ConnectionError("no answer")
        return {"swept": 0}

    monkeypatch.setattr(function.instance, "run", one_pass)
    assert [function({}, None) for _ in range(FAILED_PASSES_MAX)] == FAILED_PASSES_MAX * [{"failed": "ConnectionError"}]
    fails = False
    assert function({}, None) == {"swept": 0}
    fails = True
    with pytest.raises(ConnectionError):
        function({}, None)
    fails = False
    assert [function({}, None) for _ in range(LAST_PASSES)] == LAST_PASSES * [{"swept": 0}]
    fails = True
    assert function({}, None) == {"failed": "ConnectionError"}


def test_a_sweep_with_webhooks_expects_their_table(
    sweep: ScheduledSweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subscriptions = tmp_path / "webhooks.toml"
    subscriptions.write_text(SUBSCRIPTION)
    monkeypatch.setenv("BURSAR_WEBHOOKS", str(subscriptions))
    monkeypatch.setattr("bursar.portal.webhooks.queue.WebhookQueue.__init__.__defaults__", ("another",))
    assert [sweep({}, None) for _ in range(FAILED_PASSES_MAX)] == FAILED_PASSES_MAX * [{"failed": "CannotStart"}]
    with pytest.raises(CannotStart, match=r"BURSAR_WEBHOOKS: there is no table another in .*: start `bursar portal`"):
        sweep({}, None)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("STORE", None, "BURSAR_STORE: must be dynamodb"),
        ("STORE", "file:/tmp/bursar.db", "got file:/tmp/bursar.db"),
        ("CLIENTS", None, "BURSAR_CLIENTS is not set"),
        ("AUDIT_ROOTS", "roots.jsonl", "BURSAR_AUDIT_ROOTS: must be s3://BUCKET/PREFIX in a Lambda function"),
        ("PAYGOV_URL", None, "BURSAR_PAYGOV_URL is not set"),
        ("TABLE", "another", "BURSAR_TABLE: there is no table another in "),
        ("TABEL", "x", "did you mean table?"),
    ],
)
def test_a_bad_setting_is_reported_at_the_first_event(
    monkeypatch: pytest.MonkeyPatch, portal: LambdaDoor, name: str, value: str | None, said: str
) -> None:
    if value is None:
        monkeypatch.delenv(f"BURSAR_{name}")
    else:
        monkeypatch.setenv(f"BURSAR_{name}", value)
    for _ in range(2):
        with pytest.raises(CannotStart, match=said):
            asked(portal, "GET", "/health")
