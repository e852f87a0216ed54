"""Every endpoint is documented, and the answers to generated requests match the document."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck
from openapi_spec_validator import validate
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bursar.portal.api.all_endpoints import all_endpoints
from bursar.portal.api.authentication import without_signatures
from bursar.portal.api.openapi import STATUS_MEANINGS, docs_page, errors_by_status, openapi
from bursar.portal.contract.examples import EXAMPLES
from bursar.portal.contract.schemas import COMPONENTS
from bursar.portal.doors.asgi import portal_app
from bursar.portal.metrics.metrics import Metrics
from tests.support.hypothesis_profiles import examples
from tests.support.portal.asgi import ask
from tests.support.portal.fake_log import FakeLog
from tests.support.portal.fake_reports import EmptyReports
from tests.support.portal.stage import EXAMS, Stage, on_stage
from tests.support.write_paths import WritePath

ENDPOINTS = all_endpoints(FakeLog(), Metrics(), reports=EmptyReports())
DOCUMENT = json.loads(json.dumps(openapi(ENDPOINTS), default=str))
API = schemathesis.openapi.from_dict(DOCUMENT)
CHECKS = (status_code_conformance, content_type_conformance, response_schema_conformance)
EXAMPLES_MAX = 12


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_every_endpoint_is_documented_and_every_one_of_the_contract_is_served() -> None:
    documented = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert documented == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    assert documented >= {
        ("POST", "/init"),
        ("POST", "/process"),
        ("GET", "/details/{transactionReferenceId}"),
        ("GET", "/details/{transactionReferenceId}/events"),
        ("GET", "/transactions"),
        ("GET", "/transactions/{paymentStatus}"),
        ("GET", "/transaction-payment-status"),
        ("GET", "/transaction-log"),
        ("POST", "/sql"),
        ("GET", "/reports"),
        ("GET", "/reports/{name}"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
    }


def test_every_component_is_referred_to_and_every_reference_leads_somewhere() -> None:
    referred = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT)))
    assert referred == set(COMPONENTS)


def test_every_error_status_has_a_meaning() -> None:
    used = {status for endpoint in ENDPOINTS for status in errors_by_status(endpoint)}
    assert used == set(STATUS_MEANINGS) - {405}


def test_the_refusals_of_the_door_are_documented_everywhere() -> None:
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            assert {"408", "413", "431"} <= set(operation["responses"])


def test_every_path_is_named_by_a_test() -> None:
    """Demand a test that names the path of each endpoint."""
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    unnamed = [e.path for e in ENDPOINTS if e.path.split("{")[0].rstrip("/") not in tests]
    assert unnamed == []


@on_stage
async def test_docs_and_document_are_served_without_a_signature_and_load_nothing(stage: Stage) -> None:
    async def nobody(call: Any) -> None:
        return None

    app = portal_app(stage.portal, nobody)
    page = await ask(app, "GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(rb"<(script|img|link)|src=", page.body)
    assert b"/details/{transactionReferenceId}" in page.body
    document = await ask(app, "GET", "/openapi.json")
    assert document.json["openapi"].startswith("3.1")


async def _at_once(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


@API.parametrize()
@examples(EXAMPLES_MAX, suppress_health_check=list(HealthCheck))
def test_answers_match_the_document(write_path: WritePath, case: Any) -> None:
    sent = requests.Request(**case.as_transport_kwargs(base_url="http://portal.example")).prepare()
    answered: list[Any] = []

    @on_stage
    async def scene(stage: Stage) -> None:
        authenticate = without_signatures(replace(EXAMS, sql=True, reports=True), listens_on=["127.0.0.1"])
        app = portal_app(stage.portal, authenticate, log=FakeLog(), reports=EmptyReports(), metrics=Metrics())
        target = str(sent.url).removeprefix("http://portal.example")
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
        headers = {name: str(value) for name, value in sent.headers.items()}
        answered.append(await ask(app, str(sent.method), target, body, headers))

    with patch("asyncio.to_thread", _at_once):  # no thread ends in virtual time
        scene(write_path)
    answer = answered[0]
    assert answer.status < 500
    response = requests.Response()
    response.status_code, response._content, response.request = answer.status, answer.body, sent
    response.headers.update(answer.headers)
    response.url, response.raw = str(sent.url), None
    case.validate_response(
        Response(
            status_code=answer.status,
            headers={name: [value] for name, value in answer.headers.items()},
            content=answer.body,
            request=sent,
            elapsed=0.0,
            verify=False,
        ),
        checks=list(CHECKS),
    )


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_is_of_its_schema(name: str) -> None:
    _valid({"$ref": f"#/components/schemas/{name}"}, EXAMPLES[name])


def test_every_body_has_an_example_and_every_error_one_for_each_code() -> None:
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            for message in (operation.get("requestBody"), *operation["responses"].values()):
                content = (message or {}).get("content", {}).get("application/json", {})
                if not content.get("schema"):
                    continue  # a body of any shape, such as this document
                codes = content["schema"]["allOf"][1]["properties"]["code"]["enum"] if "examples" in content else []
                assert list(content.get("examples", {})) == codes
                assert codes or content["example"]
                for example in content.get("examples", {}).values():
                    _valid(content["schema"], example["value"])


def test_the_page_shows_an_example_of_each_body_and_each_error() -> None:
    page = html.unescape(docs_page(DOCUMENT))
    assert all(json.dumps(example, indent=2, ensure_ascii=False) in page for example in EXAMPLES.values())
    assert all(f"<code>{each.code}</code>" in page for endpoint in ENDPOINTS for each in endpoint.errors)


def _valid(schema: Any, value: Any) -> None:
    whole = json.loads(json.dumps({**schema, "components": DOCUMENT["components"]}, default=str))
    jsonschema_rs.validator_for(whole).validate(json.loads(json.dumps(value)))
