"""The ASGI door: JSON in and out, errors always JSON, nothing sensitive in a log line."""

import asyncio
import json
import logging
import random
from dataclasses import replace
from typing import Any

import pytest

from bursar.payments.catalogue.fees import DEFAULT_FEES, FeeCatalogue
from bursar.portal.api.authentication import without_signatures
from bursar.portal.contract.schemas import BODY_BYTES_MAX
from bursar.portal.doors.asgi import BODY_TIMEOUT_S, PortalApp, portal_app
from tests.support.portal.asgi import ask
from tests.support.portal.stage import DAWSON, HOUR_S, Stage, on_stage
from tests.support.write_paths import WritePath

RETIRED_FEE = "[fees.PETITION_FILING_FEE]\nretired_from = 2020-01-02"


def _app(stage: Stage, **more: Any) -> PortalApp:
    return portal_app(stage.portal, without_signatures(DAWSON, listens_on=["127.0.0.1"]), **more)


def _init_body(stage: Stage, **changes: Any) -> dict[str, Any]:
    return {
        "transactionReferenceId": stage.reference(),
        "fee": "PETITION_FILING_FEE",
        "urlSuccess": "https://client.example/success",
        "urlCancel": "https://client.example/cancel",
        "metadata": {"docketNumber": "123-26"},
        **changes,
    }


@on_stage
async def test_a_whole_payment(stage: Stage) -> None:
    app = _app(stage)
    body = _init_body(stage)
    begun = await ask(app, "POST", "/init", body)
    assert begun.status == 200
    assert set(begun.json) == {"token", "paymentRedirect"}
    stage.simulator.pay(begun.json["token"], "PAYPAL", "Success")
    processed = await ask(app, "POST", "/process", {"token": begun.json["token"]})
    assert processed.json["paymentStatus"] == "success"
    assert processed.json["transactions"][0]["paymentMethod"] == "PayPal"
    told = await ask(app, "GET", f"/details/{body['transactionReferenceId']}")
    assert told.json == processed.json
    history = await ask(app, "GET", f"/details/{body['transactionReferenceId']}/events")
    assert [each["name"] for each in history.json["events"]] == ["started", "token_given", "claimed", "completed"]
    assert history.json["events"][-1]["detail"] == {
        "payGovTrackingId": processed.json["transactions"][0]["payGovTrackingId"],
        "payGovTransactionStatus": "Success",
        "payGovPaymentType": "PAYPAL",
    }


def _retire_the_fee(stage: Stage) -> None:
    retired = DEFAULT_FEES.read_text().replace("[fees.PETITION_FILING_FEE]", RETIRED_FEE)
    stage.portal.fees = FeeCatalogue.parse(retired.encode(), source="fees.toml")


@on_stage
async def test_a_payment_begun_before_its_fee_was_retired_is_begun_again_and_paid(stage: Stage) -> None:
    app, body = _app(stage), _init_body(stage)
    begun = await ask(app, "POST", "/init", body)
    _retire_the_fee(stage)
    again = await ask(app, "POST", "/init", body)
    assert (again.status, again.json) == (200, begun.json)
    other = await ask(app, "POST", "/init", {**body, "metadata": {"docketNumber": "124-26"}})
    assert other.status == 409
    stage.simulator.pay(begun.json["token"], "PLASTIC_CARD", "Success")
    assert (await ask(app, "POST", "/process", {"token": begun.json["token"]})).json["paymentStatus"] == "success"
    paid = await ask(app, "POST", "/init", body)
    assert (paid.status, paid.json["message"]) == (409, "This transaction reference has already been paid")


@on_stage
async def test_a_retired_fee_begins_nothing_new(stage: Stage) -> None:
    app, body = _app(stage), _init_body(stage)
    await ask(app, "POST", "/init", body)
    _retire_the_fee(stage)
    await asyncio.sleep(3 * HOUR_S)  # the token has expired
    for each in (body, _init_body(stage)):
        refused = await ask(app, "POST", "/init", each)
        assert (refused.status, refused.json["message"]) == (400, "Validation error")
        assert [(problem["path"], problem["code"]) for problem in refused.json["errors"]] == [(["fee"], "enum")]
    view = await stage.ledger.obligation("dawson", body["transactionReferenceId"])
    assert view is not None
    assert [(each.status, each.return_code) for each in view.attempts] == [("failed", "5009")]


@on_stage
async def test_errors_are_json_whatever_goes_wrong(stage: Stage) -> None:
    app = _app(stage)
    large = b" " * (BODY_BYTES_MAX + 1)
    cases = [
        (await ask(app, "GET", "/nowhere"), 404, "Not found"),
        (await ask(app, "DELETE", "/init"), 405, "Method not allowed"),
        (await ask(app, "POST", "/init", large), 413, "The request body is larger than 65536 bytes"),
        (await ask(app, "POST", "/init", headers={"content-length": "99999999"}), 413, None),
        (await ask(app, "POST", "/init", chunks=[large[:40_000], large[:40_000]]), 413, None),
        (await ask(app, "POST", "/init"), 400, "missing body"),
        (await ask(app, "POST", "/init", b"{"), 400, "invalid JSON in request body"),
        (await ask(app, "POST", "/process", {}), 400, "Validation error"),
        (await ask(app, "POST", "/process", {"token": "0" * 32}), 404, "Transaction could not be found"),
        (await ask(app, "GET", "/details/nothing"), 400, "Validation error"),
    ]
    for answer, status, message in cases:
        assert answer.status == status
        assert set(answer.json) == {"message", "code", "errors"}
        assert message in (None, answer.json["message"])
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-request-id"]


@on_stage
async def test_405_says_what_is_allowed_and_head_is_served_as_get(stage: Stage) -> None:
    assert (await ask(_app(stage), "GET", "/process")).headers["allow"] == "POST"
    head = await ask(_app(stage), "HEAD", "/health")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 0


@on_stage
async def test_a_bug_of_the_portal_is_500_without_a_trace(stage: Stage) -> None:
    async def broken(*given: Any) -> Any:
        raise RuntimeError("secret detail")

    stage.portal.ledger.attempt_by_token = broken  # type: ignore[assignment]  # a stand-in
    answer = await ask(_app(stage), "POST", "/process", {"token": "0" * 32})
    assert answer.status == 500
    assert answer.json == {
        "message": "An unexpected error occurred while processing the request",
        "code": "unexpected",
        "errors": [],
    }


@on_stage
async def test_health_names_each_dependency(stage: Stage) -> None:
    well = await ask(_app(stage), "GET", "/health")
    assert (well.status, well.json["status"]) == (200, "healthy")
    assert {name: check["status"] for name, check in well.json["checks"].items()} == dict.fromkeys(
        ("store", "payGov", "clients", "secrets"), "ok"
    )
    assert well.json["developmentClient"] is False
    assert well.json["environment"] == "unknown"
    assert well.json["checks"]["secrets"]["details"] == {"mtlsEnabled": False}
    stage.portal.settings = replace(stage.portal.settings, environment="prod", paygov_certificate=True)
    well = await ask(_app(stage), "GET", "/health")
    assert well.json["environment"] == "prod"
    assert well.json["checks"]["secrets"]["details"] == {
        "certificate": True,
        "privateKey": True,
        "passphraseConfigured": False,
    }
    stage.misbehave("refuse")
    stage.portal.paygov_healthy_until = 0
    ill = await ask(_app(stage), "GET", "/health")
    assert (ill.status, ill.json["checks"]["payGov"]["status"]) == (503, "failed")


@on_stage
async def test_a_store_that_cannot_write_is_not_well_until_it_can(stage: Stage) -> None:
    engine = stage.store.engine
    stage.portal.write_error = stage.store.write_error
    init = {
        "transactionReferenceId": stage.reference(),
        "fee": "PETITION_FILING_FEE",
        "urlSuccess": "https://client.example/success",
        "urlCancel": "https://client.example/cancel",
        "metadata": {"docketNumber": "123-26"},
    }
    engine._storage.connection.execute("PRAGMA query_only=1")
    assert (await ask(_app(stage), "POST", "/init", init)).status == 503
    ill = await ask(_app(stage), "GET", "/health")
    assert (ill.status, ill.json["status"]) == (503, "unhealthy")
    assert ill.json["checks"]["store"]["error"] == "the last write failed: ReadOnlyError"
    engine._storage.connection.execute("PRAGMA query_only=0")
    assert (await ask(_app(stage), "POST", "/init", init)).status == 200
    assert (await ask(_app(stage), "GET", "/health")).status == 200


@on_stage
async def test_a_request_id_is_given_back_or_made(stage: Stage) -> None:
    app = _app(stage)
    assert (await ask(app, "GET", "/x", headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"
    made = (await ask(app, "GET", "/x", headers={"X-Request-Id": "evil\nline"})).headers["x-request-id"]
    assert made.isalnum()


@on_stage
async def test_other_paths_go_to_the_other_application(stage: Stage) -> None:
    async def pages(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})

    app = _app(stage, others=pages)
    assert (await ask(app, "GET", "/anything")).status == 299
    assert (await ask(app, "GET", "/init")).status == 405


def test_no_log_line_holds_a_token_a_reference_or_personal_data(
    write_path: WritePath, caplog: pytest.LogCaptureFixture
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        logging.getLogger("bursar").setLevel(logging.DEBUG)  # the stage restores the level
        app = _app(stage)
        body = _init_body(stage, fee="COPY_FEE", amount=3.5, metadata={"copyRequestId": "1", "numberOfPages": "Ada"})
        assert (await ask(app, "POST", "/init", body)).status == 400
        body = _init_body(stage, metadata={"docketNumber": "123-26", "name": "Ada Lovelace"})
        token = (await ask(app, "POST", "/init", body)).json["token"]
        stage.simulator.pay(token, "PLASTIC_CARD", "Success")
        stage.misbehave("wrong_amount", operations=("complete",), times=1)
        for _ in range(2):
            await ask(app, "POST", "/process", {"token": token})
        await ask(app, "GET", f"/details/{body['transactionReferenceId']}?email=ada@example.org")
        lines = "\n".join(json.dumps(vars(record), default=repr) for record in caplog.records)
        assert lines.count("processPayment") >= 2, "the log tells something"
        for secret in (token, "Ada", "123-26", body["transactionReferenceId"]):
            assert secret not in lines

    scene(write_path)


@on_stage
async def test_lifespan_waits_for_unfinished_work(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("delay", operations=("complete",), delay_s=5.0)
    app = _app(stage)
    caller = asyncio.create_task(ask(app, "POST", "/process", {"token": token}))
    await asyncio.sleep(1)
    caller.cancel()
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (await stage.attempt(token)).status == "processed"


@on_stage
async def test_a_slow_body_is_refused(stage: Stage) -> None:
    sent: list[Any] = []

    async def drip() -> Any:
        await asyncio.sleep(1)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/init", "headers": [(b"x-request-id", b"mine")]}
    began = stage.loop.clock()
    await _app(stage)(scope, drip, send)
    assert (b"x-request-id", b"mine") in sent[0]["headers"]
    assert (sent[0]["status"], stage.loop.clock() - began) == (408, BODY_TIMEOUT_S)
    assert (b"connection", b"close") in sent[0]["headers"]
    assert json.loads(sent[1]["body"]) == {
        "message": "The request body did not arrive in time",
        "code": "request_too_slow",
        "errors": [],
    }


def test_a_rule_that_refuses_a_start_is_named_in_the_log_and_nothing_of_the_payment(
    write_path: WritePath, caplog: pytest.LogCaptureFixture
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        known = FeeCatalogue.parse(
            b"[fees.COPY_FEE]\nname='C'\ntcs_app_id='C'\nversions=[{active_from=2020-01-01,variable=true}]", source="x"
        )
        # The new ledger knows fewer fees than the portal.
        stage.portal.ledger = stage.write_path.ledger(
            stage.store, clock=stage.loop.clock, randomness=random.Random(1), fees=known
        )
        logging.getLogger("bursar").setLevel(logging.ERROR)  # the stage restores the level
        assert (await ask(_app(stage), "POST", "/init", _init_body(stage))).status == 409

    scene(write_path)
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "fee-active" in line.getMessage()
    assert "PETITION" not in line.getMessage()
