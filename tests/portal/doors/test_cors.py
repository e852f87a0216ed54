"""CORS: pages of the named origins may read the dashboard's endpoints, and no other page and no other endpoint."""

from collections.abc import Callable
from typing import Any

import pytest

from bursar.portal.api.authentication import sigv4
from bursar.portal.contract.messages import Call
from bursar.portal.doors.asgi import PortalApp, portal_app
from tests.support.portal.asgi import Answer, ask
from tests.support.portal.fake_log import FakeLog
from tests.support.portal.stage import EXAMS, Stage, on_stage
from tests.support.write_paths import WritePath

ORIGIN = "https://dashboard.example"
DASHBOARD = ("/transactions", "/transactions/failed", "/transaction-payment-status", "/transaction-log?page=2")
OTHERS = ("/health", "/details/550e8400-e29b-41d4-a716-446655440000", "/openapi.json", "/init", "/nowhere")


async def _as_exams(_call: Call) -> Any:
    return EXAMS


def _app(stage: Stage, authenticate: Any = _as_exams, origins: tuple[str, ...] = (ORIGIN,)) -> PortalApp:
    return portal_app(stage.portal, authenticate, log=FakeLog(), cors_origins=origins)


async def _preflight(app: PortalApp, target: str, origin: str = ORIGIN, **changes: str) -> Answer:
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET", **changes}
    return await ask(app, "OPTIONS", target, headers=asked)


def _cors_headers(answer: Answer) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


@on_stage
async def test_a_page_of_a_named_origin_may_send_a_signed_request(stage: Stage) -> None:
    app = _app(stage, sigv4(stage.clients, clock=stage.loop.clock))
    signed = {"Access-Control-Request-Headers": "authorization,x-amz-content-sha256,x-amz-date,x-amz-security-token"}
    for target in DASHBOARD:
        answer = await _preflight(app, target, **signed)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, ORIGIN), "needs no signature"
        assert "Origin" in answer.headers["vary"]
        assert {"x-amz-date", "authorization"} <= set(answer.headers["access-control-allow-headers"].split(", "))
        assert "access-control-allow-credentials" not in answer.headers


@on_stage
async def test_the_page_may_read_answers_and_errors(stage: Stage) -> None:
    for target, status in [*((each, 200) for each in DASHBOARD), ("/transaction-log?page=0", 400)]:
        answer = await ask(_app(stage), "GET", target, headers={"Origin": ORIGIN})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, ORIGIN)
        assert answer.headers["vary"] == "Origin"
        assert answer.headers["access-control-expose-headers"] == "x-request-id, retry-after"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://dashboard.example", f"{ORIGIN}.evil.example", f"{ORIGIN}:8443", "null"]
)
def test_a_page_of_another_origin_may_not(write_path: WritePath, origin: str) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        answer = await _preflight(_app(stage), "/transactions", origin)
        assert (answer.status, answer.json["code"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in answer.headers
        read = await ask(_app(stage), "GET", "/transactions", headers={"Origin": origin})
        assert "access-control-allow-origin" not in read.headers
        assert read.headers["vary"] == "Origin"

    scene(write_path)


@on_stage
async def test_other_methods_and_headers_are_refused(stage: Stage) -> None:
    for change in ({"Access-Control-Request-Method": "POST"}, {"Access-Control-Request-Headers": "x-evil"}):
        assert (await _preflight(_app(stage), "/transactions", **change)).status == 403


@on_stage
async def test_no_other_endpoint_is_open_to_pages(stage: Stage) -> None:
    for target in OTHERS:
        assert (await _preflight(_app(stage), target)).status in (404, 405)
        assert _cors_headers(await ask(_app(stage), "GET", target, headers={"Origin": ORIGIN})) == set()


@on_stage
async def test_without_the_setting_no_page_may_read_anything(stage: Stage) -> None:
    app = _app(stage, origins=())
    assert (await _preflight(app, "/transactions")).status == 405
    assert _cors_headers(await ask(app, "GET", "/transactions", headers={"Origin": ORIGIN})) == set()


def test_a_dashboard_endpoint_is_for_browsers_and_a_payment_endpoint_is_not(
    write_path: WritePath,
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        endpoints = _app(stage).application.routes.endpoints
        is_dashboard: Callable[[str], bool] = lambda path: path.startswith("/transaction")  # noqa: E731 - one use
        assert [each.path for each in endpoints if each.for_browsers != is_dashboard(each.path)] == []

    scene(write_path)
