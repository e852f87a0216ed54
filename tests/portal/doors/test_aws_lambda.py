"""API Gateway's events, in both formats, reach the same application as HTTP."""

import base64
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from bursar.portal.api.application import Application
from bursar.portal.api.authentication import api_gateway
from bursar.portal.contract.messages import json_reply
from bursar.portal.doors.aws_lambda import Instance, LambdaDoor, call_of_event, handle_event
from tests.support.portal.stage import Stage, on_stage
from tests.support.write_paths import WritePath

ARN = "arn:aws:sts::123456789012:assumed-role/dawson/session-1"


def _rest(method: str, path: str, body: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "httpMethod": method,
        "path": path,
        "headers": {"Content-Type": "application/json"},
        "body": body,
        "isBase64Encoded": False,
        "requestContext": {"requestId": "r-1", "identity": {"userArn": ARN}},
        **more,
    }


def _http(method: str, path: str, body: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": method}, "authorizer": {"iam": {"userArn": ARN}}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


@pytest.mark.parametrize("event", [_rest, _http])
def test_a_whole_payment(write_path: WritePath, event: Any) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        application = Application(stage.portal, api_gateway(stage.clients))
        reference = stage.reference()
        body = {
            "transactionReferenceId": reference,
            "fee": "PETITION_FILING_FEE",
            "urlSuccess": "https://client.example/success",
            "urlCancel": "https://client.example/cancel",
            "metadata": {"docketNumber": "123-26"},
        }
        begun = await handle_event(application, event("POST", "/init", json.dumps(body)))
        assert begun["statusCode"] == 200
        token = json.loads(begun["body"])["token"]
        stage.simulator.pay(token, "PLASTIC_CARD", "Success")
        processed = await handle_event(application, event("POST", "/process", json.dumps({"token": token})))
        assert json.loads(processed["body"])["paymentStatus"] == "success"
        told = await handle_event(application, event("GET", f"/details/{reference}"))
        assert told["body"] == processed["body"]

    scene(write_path)


@on_stage
async def test_errors_are_json(stage: Stage) -> None:
    application = Application(stage.portal, api_gateway(stage.clients))
    for event, status in [
        (_rest("GET", "/nowhere"), 404),
        (_rest("GET", "/init"), 405),
        (_rest("POST", "/init", None), 400),
        (_rest("POST", "/init", "x" * 70_000), 413),
        (_rest("POST", "/init", requestContext={}), 403),
        ({}, 404),
    ]:
        reply = await handle_event(application, event)
        assert reply["statusCode"] == status
        assert set(json.loads(reply["body"])) == {"message", "code", "errors"}


@pytest.mark.parametrize(
    ("event", "status", "message"),
    [
        (_rest("POST", "/init", "e30", isBase64Encoded=True), 400, "invalid base64 in request body"),
        (_rest("POST", "/init", "!!!!", isBase64Encoded=True), 400, "invalid base64 in request body"),
        (_rest("POST", "/init", "\u00e9", isBase64Encoded=True), 400, "invalid base64 in request body"),
        (_rest("POST", "/init", {"a": 1}), 400, "body of the event is not text"),  # type: ignore[arg-type]  # a malformed event is the subject
        (_rest("POST", "/init", "{}", headers=["content-type"]), 400, "headers of the event is not an object"),
        (_rest("POST", "/init", "{}", requestContext="r-1"), 403, "Missing IAM principal"),
        (_http("POST", "/init", "{}", requestContext=["r-1"]), 403, "Missing IAM principal"),
        (_rest("POST", "/init", "{}", requestContext={"identity": ARN}), 403, "Missing IAM principal"),
        (
            _http("POST", "/init", "{}", requestContext={"http": {"method": "POST"}, "authorizer": ARN}),
            403,
            "Missing IAM principal",
        ),
        (
            _http("POST", "/init", "{}", requestContext={"http": {"method": "POST"}, "authorizer": {"iam": ARN}}),
            403,
            "Missing IAM principal",
        ),
        (_rest("POST", "/init", "{}", requestContext={"identity": {"userArn": [ARN]}}), 403, None),
        (_http("POST", "/init", "{}", requestContext={"http": "POST", "authorizer": {}}), 405, "Method not allowed"),
        (_rest("GET", "/x", queryStringParameters="a=b"), 400, "queryStringParameters of the event is not an object"),
        (_rest("GET", "/x", multiValueQueryStringParameters={"a": "b"}), 400, None),
        (_rest("GET", "/x", multiValueQueryStringParameters=["a"]), 400, None),
        (_rest("GET", "/\ud800"), 404, None),
        (_http("GET", "/details/\ud800"), 400, None),
        (_http("GET", 7), 404, None),  # type: ignore[arg-type]  # a malformed event is the subject
        (_rest("\ud800", "/init"), 405, None),
        (_http("GET", "/transaction-log", rawQueryString="\ud800=1"), 404, None),
        (_rest("POST", "/init", "\ud800"), 400, None),
        (["an", "event"], 400, "The event is not an object"),
        (None, 400, "The event is not an object"),
    ],
)
def test_an_invalid_event_is_refused_with_the_usual_error(
    write_path: WritePath, event: Any, status: int, message: str | None
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        reply = await handle_event(Application(stage.portal, api_gateway(stage.clients)), event)
        body = json.loads(reply["body"])
        assert (reply["statusCode"], set(body)) == (status, {"message", "code", "errors"})
        assert message in (None, body["message"])
        assert reply["headers"]["x-request-id"]

    scene(write_path)


def test_a_lone_surrogate_is_passed_on_and_refused_by_its_reader() -> None:
    assert call_of_event(_rest("GET", "/x", queryStringParameters={"a": "\ud800"})).query == "a=%ED%A0%80"
    assert call_of_event(_http("GET", "/x", rawQueryString="a=%41&b=\ud800")).query == "a=%41&b=%ED%A0%80"


def test_bodies_queries_and_stages() -> None:
    assert call_of_event(_rest("POST", "/x", base64.b64encode(b"{}").decode(), isBase64Encoded=True)).body == b"{}"
    several = {"status": ["failed", "failed"], "from": ["11/22/2026"]}
    assert call_of_event(_rest("GET", "/x", multiValueQueryStringParameters=several)).query == (
        "status=failed&status=failed&from=11%2F22%2F2026"
    )
    assert call_of_event(_rest("GET", "/x", queryStringParameters={"page": "2"})).query == "page=2"
    staged = _http("GET", "/prod/details/1", requestContext={"http": {"method": "GET"}, "stage": "prod"})
    assert call_of_event(staged).path == "/details/1"
    for path, is_at in {"/t": "/", "/t/health": "/health", "/transactions": "/transactions"}.items():
        event = _http("GET", path, requestContext={"http": {"method": "GET"}, "stage": "t"})
        assert call_of_event(event).path == is_at


def test_the_handler_composes_once_and_answers_synchronously() -> None:
    composed = []

    class Quiet:
        async def handle(self, call: Any) -> Any:
            return json_reply({"path": call.path})

        class portal:  # noqa: N801
            @staticmethod
            def renew_name() -> None:
                composed.append(2)

            @staticmethod
            async def drain(timeout_s: float) -> int:
                return 0

    async def compose(stack: AsyncExitStack) -> Any:
        composed.append(1)
        stack.callback(composed.clear)
        return Quiet()

    door = LambdaDoor(Instance(compose))
    try:
        replies = [door(_rest("GET", path), None)["body"] for path in ("/a", "/b")]
        assert (replies, composed) == (['{"path":"/a"}', '{"path":"/b"}'], [1, 2, 2])
    finally:
        door.instance.close()
    assert composed == []


def test_an_instance_that_cannot_be_prepared_tries_again_at_the_first_event(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    async def make(stack: AsyncExitStack) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("no table")
        return len(tries)

    async def kept(made: int) -> int:
        return made

    instance = Instance(make)
    try:
        instance.prepare()
        assert caplog.messages == ["the function cannot start: no table"]
        assert [instance.run(kept), instance.run(kept)] == [2, 2]
    finally:
        instance.close()


def test_an_instance_that_is_stale_is_made_again_and_keeps_what_it_has_if_that_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[str] = []
    closed: list[str] = []
    state = {"stale": False, "fails": False}

    async def make(stack: AsyncExitStack) -> str:
        if state["fails"]:
            raise ValueError("a bad certificate")
        made.append(f"part {len(made)}")
        stack.callback(closed.append, made[-1])
        return made[-1]

    async def is_stale() -> bool:
        return state["stale"]

    async def kept(part: str) -> str:
        return part

    instance = Instance(make, is_stale=is_stale)
    try:
        assert instance.run(kept) == "part 0"
        state["stale"] = True
        assert (instance.run(kept), closed) == ("part 1", ["part 0"])
        state["fails"] = True
        assert (instance.run(kept), closed) == ("part 1", ["part 0"])
        assert caplog.messages == ["the function goes on with what it has: a bad certificate"]
    finally:
        instance.close()
    assert closed == ["part 0", "part 1"]
