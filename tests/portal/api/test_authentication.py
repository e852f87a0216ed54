"""Authentication accepts requests of Amazon's signer, rejects altered ones, and knows API Gateway and loopback."""

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bursar.clock import system_clock
from bursar.payments.catalogue.clients import AccessKey, Clients
from bursar.portal.api.authentication import api_gateway, sigv4, without_signatures
from bursar.portal.contract.errors import Forbidden
from bursar.portal.contract.messages import Call
from bursar.portal.doors.asgi import portal_app
from tests.support.portal.asgi import ask
from tests.support.portal.stage import DAWSON, EXAMS, Stage, on_stage

KEY = AccessKey("AKIADAWSON", "a secret that is long enough")
CLIENTS = Clients([replace(DAWSON, access_keys=(KEY,)), EXAMS])


def _signed(method: str, target: str, body: bytes = b"", *, key: AccessKey = KEY, service: str = "execute-api") -> Any:
    """Return the headers with which botocore signs a request, now."""
    request = AWSRequest(method, f"http://portal.example{target}", data=body, headers={"Host": "portal.example"})
    SigV4Auth(Credentials(key.access_key_id, key.secret), service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


async def _caller(headers: dict[str, str], target: str = "/init", body: bytes = b"", **more: Any) -> str | None:
    path, _, query = target.partition("?")
    lower = {name.lower(): value for name, value in headers.items()}
    call = Call("POST", path, query, lower, body)
    client = await sigv4(CLIENTS, clock=more.get("clock", system_clock))(call)
    return client.name if client else None


async def test_a_request_signed_by_amazons_signer_is_let_in() -> None:
    assert await _caller(_signed("POST", "/init", b"{}"), body=b"{}") == "dawson"
    target = "/transaction-log?status=failed&from=11%2F22%2F2026&to=11%2F22%2F2026"
    assert await _caller(_signed("POST", target), target) == "dawson"


@pytest.mark.parametrize(
    ("target", "body"),
    [("/process", b"{}"), ("/init?x=1", b"{}"), ("/init", b"{ }")],
)
async def test_an_altered_request_is_refused(target: str, body: bytes) -> None:
    with pytest.raises(Forbidden, match="does not match"):
        await _caller(_signed("POST", "/init", b"{}"), target, body)


async def test_old_and_future_signatures_are_refused() -> None:
    headers = _signed("POST", "/init")
    for seconds in (301, -301):
        with pytest.raises(Forbidden, match="Signature"):
            await _caller(headers, clock=lambda seconds=seconds: system_clock() + seconds)
    assert await _caller(headers, clock=lambda: system_clock() + 290) == "dawson"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "missing Authentication Token"),
        ({"authorization": "AWS4-HMAC-SHA256 nonsense", "x-amz-date": "now"}, "Authorization header requires"),
        ({"authorization": "Bearer abc"}, "missing Authentication Token"),
    ],
)
async def test_no_or_broken_signatures(headers: dict[str, str], message: str) -> None:
    with pytest.raises(Forbidden, match=message) as refused:
        await _caller(headers)
    assert "nonsense" not in refused.value.message


async def test_a_portal_of_one_region_refuses_a_signature_for_another() -> None:
    lower = {name.lower(): value for name, value in _signed("POST", "/init").items()}
    call = Call("POST", "/init", "", lower)
    assert await sigv4(CLIENTS, clock=system_clock, region="us-east-1")(call) is not None
    with pytest.raises(Forbidden, match="should be scoped to a valid region"):
        await sigv4(CLIENTS, clock=system_clock, region="us-gov-west-1")(call)


async def test_an_unknown_key_is_not_registered() -> None:
    with pytest.raises(Forbidden, match=r"^Client not registered$"):
        await _caller(_signed("POST", "/init", key=AccessKey("AKIANOBODY", KEY.secret)))


async def test_a_wrong_secret_or_service_is_refused() -> None:
    with pytest.raises(Forbidden):
        await _caller(_signed("POST", "/init", key=AccessKey(KEY.access_key_id, "another secret entirely")))
    with pytest.raises(Forbidden, match="execute-api"):
        await _caller(_signed("POST", "/init", service="dynamodb"))


@pytest.mark.parametrize(
    ("arn", "client"),
    [
        ("arn:aws:sts::123456789012:assumed-role/dawson/session-1", "dawson"),
        ("arn:aws:iam::123456789012:role/dawson", "dawson"),
        ("arn:aws:sts::999999999999:assumed-role/dawson/session-1", None),
        ("arn:aws:iam::123456789012:user/dawson", None),
        ("nonsense", None),
    ],
)
async def test_api_gateways_arn_is_matched_to_its_role(arn: str, client: str | None) -> None:
    found = await api_gateway(CLIENTS)(Call("POST", "/init", "", {}, role_arn=arn))
    assert (found.name if found else None) == client


async def test_a_call_without_an_arn_is_refused() -> None:
    with pytest.raises(Forbidden, match="Missing IAM principal"):
        await api_gateway(CLIENTS)(Call("POST", "/init", "", {}))


def test_signatures_are_switched_off_on_loopback_only() -> None:
    without_signatures(DAWSON, listens_on=["127.0.0.1", "::1", "localhost"])
    for address in ("0.0.0.0", "10.0.0.1", "::", "portal.example"):
        with pytest.raises(ValueError, match="loopback"):
            without_signatures(DAWSON, listens_on=[address])


@on_stage
async def test_a_client_that_is_not_registered_gets_403_as_json(stage: Stage) -> None:
    app = portal_app(stage.portal, api_gateway(stage.clients))
    answer = await ask(app, "POST", "/init", {})
    assert (answer.status, answer.json) == (
        403,
        {"message": "Missing IAM principal", "code": "missing_principal", "errors": []},
    )

    async def unknown(call: Call) -> None:
        return None

    answer = await ask(portal_app(stage.portal, unknown), "POST", "/process", json.dumps({}).encode())
    assert (answer.status, answer.json["message"]) == (403, "Client not registered")


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({}, True),
        ({"host": "127.0.0.1:8080"}, True),
        ({"host": "localhost:8080", "origin": "http://localhost:3000"}, True),
        ({"host": "[::1]:8080"}, True),
        ({"host": "rebound.example:8080"}, False),
        ({"host": "127.0.0.1.rebound.example"}, False),
        ({"host": ""}, False),
        ({"host": "[:"}, False),
        ({"host": "127.0.0.1:8080", "origin": "https://evil.example"}, False),
        ({"host": "127.0.0.1:8080", "origin": "null"}, False),
    ],
)
async def test_without_signatures_pages_of_other_sites_are_refused(headers: dict[str, str], let_in: bool) -> None:
    authenticate = without_signatures(DAWSON, listens_on=["127.0.0.1"])
    call = Call("POST", "/init", "", headers)
    if let_in:
        assert await authenticate(call) == DAWSON
        return
    with pytest.raises(Forbidden, match="own addresses"):
        await authenticate(call)
