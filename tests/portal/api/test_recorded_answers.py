"""Compare the answer of every endpoint, byte by byte, with the answer that recorded_answers.json holds.

After an intended change of an answer, print the new file with ``python -m tests.portal.api.test_recorded_answers``.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from bursar.portal.api.all_endpoints import all_endpoints
from bursar.portal.api.authentication import without_signatures
from bursar.portal.doors.asgi import AsgiApp, portal_app
from bursar.portal.metrics.metrics import Metrics
from tests.support.portal.asgi import Answer, ask
from tests.support.portal.fake_log import ENTRY, FakeLog
from tests.support.portal.stage import EXAMS, Stage, on_stage
from tests.support.write_paths import SWAP, WritePath

RECORDED = Path(__file__).with_name("recorded_answers.json")
NOT_RECORDED = {"/metrics", "/openapi.json", "/docs"}
"""Paths whose answers have other tests."""


async def _answers(stage: Stage) -> dict[str, str]:
    """Return the answer of each request, by a name for the request: status and body."""
    log = FakeLog([ENTRY, {**ENTRY, "returnCode": "1234", "metadata": {"n": 2**70, "é": [1.5, None]}}])
    app = portal_app(stage.portal, without_signatures(EXAMS, listens_on=["127.0.0.1"]), log=log)
    answers: dict[str, str] = {}

    def keep(name: str, answer: Answer) -> Answer:
        answers[name] = f"{answer.status} {answer.body.decode()}"
        return answer

    async def payment(name: str, method: str, outcome: str, **misbehaviour: Any) -> None:
        body = _init_body(stage)
        begun = keep(f"POST /init, {name}", await ask(app, "POST", "/init", body))
        stage.simulator.pay(begun.json["token"], method, outcome)
        if misbehaviour:
            stage.misbehave(**misbehaviour)
        with stage.collections_unseen():
            keep(f"POST /process, {name}", await ask(app, "POST", "/process", {"token": begun.json["token"]}))
        stage.plan.clear()
        details = f"/details/{body['transactionReferenceId']}"
        keep(f"GET /details, {name}", await ask(app, "GET", details))
        keep(f"GET /details/events, {name}", await ask(app, "GET", f"{details}/events"))

    await payment("paid by card", "PLASTIC_CARD", "Success")
    await payment("settling", "ACH", "Success")
    await payment("declined", "PAYPAL", "Failed")
    await payment("answer lost", "PLASTIC_CARD", "Success", kind="drop", operations=("complete",), times=1)
    await _stale(stage, app, keep)
    for target in (
        "/health",
        "/transactions",
        "/transactions/success",
        "/transactions/paid",
        "/transaction-payment-status",
        "/transaction-log",
        "/transaction-log?status=failed&page=2&pageSize=7&sort=feeName&order=asc&includeTotals=true",
        "/transaction-log?export=true&page=2",
        "/transaction-log?page=0&colour=red&from=11/22/2026",
    ):
        keep(f"GET {target}", await ask(app, "GET", target))
    stage.misbehave("refuse")
    stage.portal.paygov_healthy_until = 0
    keep("GET /health, Pay.gov refuses", await ask(app, "GET", "/health"))
    for name, body in _REFUSED.items():
        keep(f"POST /init, {name}", await ask(app, "POST", "/init", body))
    keep("POST /process, no such token", await ask(app, "POST", "/process", {"token": "0" * 32}))
    keep("GET /details, no such reference", await ask(app, "GET", "/details/nothing"))
    return answers


async def _stale(stage: Stage, app: AsgiApp, keep: Any) -> None:
    """Keep the details of a settling payment that Pay.gov does not answer about."""
    body = _init_body(stage)
    token = (await ask(app, "POST", "/init", body)).json["token"]
    stage.simulator.pay(token, "ACH", "Success")
    await ask(app, "POST", "/process", {"token": token})
    stage.misbehave("refuse")
    keep("GET /details, stale", await ask(app, "GET", f"/details/{body['transactionReferenceId']}"))
    stage.plan.clear()


def _init_body(stage: Stage) -> dict[str, Any]:
    return {
        "transactionReferenceId": stage.reference(),
        "fee": "PETITION_FILING_FEE",
        "urlSuccess": "https://client.example/success",
        "urlCancel": "https://client.example/cancel",
        "metadata": {"docketNumber": "123-26"},
    }


_REFUSED: dict[str, Any] = {
    "no body": None,
    "not JSON": b"{",
    "duplicate key": b'{"fee": 1, "fee": 2}',
    "empty": {},
    "every problem": {
        "transactionReferenceId": "1",
        "fee": "NO_FEE",
        "urlSuccess": "javascript:alert(1)",
        "urlCancel": 5,
        "metadata": [],
        "amount": 0.001,
        "colour": "red",
    },
}


def _record(path: WritePath) -> dict[str, str]:
    recorded: dict[str, str] = {}

    @on_stage
    async def scene(stage: Stage) -> None:
        recorded.update(await _answers(stage))

    scene(path)
    return recorded


@pytest.mark.only_write_path("swap", reason="the other path draws its random ids in another order")
def test_every_answer_is_as_recorded(write_path: WritePath) -> None:
    recorded = json.loads(RECORDED.read_text())
    answers = _record(write_path)
    assert {name: answer for name, answer in answers.items() if answer != recorded.get(name)} == {}
    assert set(answers) == set(recorded)


def test_every_endpoint_has_a_recorded_answer() -> None:
    recorded = RECORDED.read_text()
    paths = {endpoint.path for endpoint in all_endpoints(FakeLog(), Metrics())} - NOT_RECORDED
    assert [path for path in paths if path.split("/{")[0] not in recorded] == []


if __name__ == "__main__":
    print(json.dumps(_record(SWAP), indent=1, ensure_ascii=False))
