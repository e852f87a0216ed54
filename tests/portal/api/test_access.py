"""Every endpoint against every caller that it must refuse, and every answer with the headers that all answers have."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bursar.payments.catalogue.clients import Client
from bursar.portal.api.all_endpoints import all_endpoints
from bursar.portal.api.authentication import sigv4, without_signatures
from bursar.portal.api.endpoints import Endpoint
from bursar.portal.doors.asgi import AsgiApp, portal_app
from bursar.portal.metrics.metrics import Metrics
from tests.support.portal.asgi import Answer, ask
from tests.support.portal.fake_log import FakeLog
from tests.support.portal.fake_reports import EmptyReports
from tests.support.portal.stage import DAWSON, EXAMS, Stage, on_stage
from tests.support.write_paths import WritePath

ENDPOINTS = all_endpoints(FakeLog(), Metrics(), reports=EmptyReports())
PUBLIC = {"/health", "/metrics", "/openapi.json", "/docs"}
"""The paths that answer without a signature: nothing in them is about a payer."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
COPY_FEE_ALONE = replace(DAWSON, fees=frozenset({"COPY_FEE"}))
NOT_FOR_IT = {
    "/sql": "not_authorized_for_sql",
    "/reports": "not_authorized_for_reports",
    "/reports/{name}": "not_authorized_for_reports",
    "/transactions": "not_authorized_for_overview",
    "/transactions/{paymentStatus}": "not_authorized_for_overview",
    "/transaction-payment-status": "not_authorized_for_overview",
    "/transaction-log": "not_authorized_for_overview",
    "/init": "not_authorized_for_fee",
    "/process": "not_authorized_for_fee",
    "/details/{transactionReferenceId}": "not_authorized_for_fee",
    "/details/{transactionReferenceId}/events": "not_authorized_for_fee",
}
"""Path → the code for a client that may charge no fee of the payment, and ask nothing."""
OF_ANOTHER = {
    "/process": "token_not_found",
    "/details/{transactionReferenceId}": "reference_not_found",
    "/details/{transactionReferenceId}/events": "reference_not_found",
}
"""Path → the code for a client that names a payment of another client."""


def app_of(stage: Stage, client: Client | None, **more: Any) -> AsgiApp:
    """Return a door with every endpoint. ``client`` sends each request; None: requests must be signed."""
    signed = sigv4(stage.clients, clock=stage.loop.clock)
    known = signed if client is None else without_signatures(client, listens_on=["127.0.0.1"])
    return portal_app(stage.portal, known, log=FakeLog(), metrics=Metrics(), reports=EmptyReports(), **more)


class Payments:
    """A payment of DAWSON that its payer has paid, named in requests to every endpoint."""

    def __init__(self, stage: Stage, token: str, reference: str) -> None:
        self.stage = stage
        self.token = token
        self.reference = reference

    def request(self, endpoint: Endpoint) -> tuple[str, str, Any]:
        """Return the method, the target and the body of a good request to ``endpoint``."""
        bodies: dict[str, Any] = {
            "/init": {
                "transactionReferenceId": self.stage.reference(),
                "fee": "PETITION_FILING_FEE",
                "urlSuccess": "https://client.example/success",
                "urlCancel": "https://client.example/cancel",
                "metadata": {"docketNumber": "123-26"},
            },
            "/process": {"token": self.token},
            "/sql": {"statement": "SELECT 1"},
        }
        values = {"transactionReferenceId": self.reference, "paymentStatus": "failed", "name": "trend"}
        return endpoint.method, endpoint.path.format(**values), bodies.get(endpoint.path)


def at_every_endpoint(paths: Any) -> Callable[[Any], Any]:
    """Run a scene for each endpoint of ``paths``, on one write path: access does not depend on how a write is made."""
    chosen = [endpoint for endpoint in ENDPOINTS if endpoint.path in paths]
    assert {endpoint.path for endpoint in chosen} == set(paths)

    def decorate(scene: Any) -> Any:
        @pytest.mark.only_write_path("swap", reason="access does not depend on how a write is made")
        @pytest.mark.parametrize("endpoint", chosen, ids=[endpoint.operation_id for endpoint in chosen])
        def test(endpoint: Endpoint, write_path: WritePath) -> None:
            @on_stage
            async def played(stage: Stage) -> None:
                token = await stage.paid()
                await scene(Payments(stage, token, (await stage.attempt(token)).reference), endpoint)

            played(write_path)

        return test

    return decorate


async def answer_to(client: Client | None, payments: Payments, endpoint: Endpoint, **how: Any) -> Answer:
    return await ask(app_of(payments.stage, client), *payments.request(endpoint), **how)


@at_every_endpoint({endpoint.path for endpoint in ENDPOINTS} - PUBLIC)
async def test_a_request_without_a_signature_is_refused(payments: Payments, endpoint: Endpoint) -> None:
    answer = await answer_to(None, payments, endpoint)
    assert (answer.status, answer.json["code"]) == (403, "signature_refused")


@at_every_endpoint(PUBLIC)
async def test_a_public_endpoint_needs_no_signature(payments: Payments, endpoint: Endpoint) -> None:
    assert (await answer_to(None, payments, endpoint)).status == 200


def test_every_other_endpoint_refuses_a_client_that_has_no_right_to_it() -> None:
    assert set(NOT_FOR_IT) == {endpoint.path for endpoint in ENDPOINTS} - PUBLIC


@at_every_endpoint(NOT_FOR_IT)
async def test_a_client_with_another_fee_is_refused(payments: Payments, endpoint: Endpoint) -> None:
    answer = await answer_to(COPY_FEE_ALONE, payments, endpoint)
    assert (answer.status, answer.json["code"]) == (403, NOT_FOR_IT[endpoint.path])
    assert (await payments.stage.attempt(payments.token)).status == "initiated"


@at_every_endpoint(OF_ANOTHER)
async def test_a_payment_of_another_client_is_not_found(payments: Payments, endpoint: Endpoint) -> None:
    answer = await answer_to(EXAMS, payments, endpoint)
    assert (answer.status, answer.json["code"]) == (404, OF_ANOTHER[endpoint.path])
    assert (await payments.stage.attempt(payments.token)).status == "initiated"


@at_every_endpoint({endpoint.path for endpoint in ENDPOINTS})
async def test_any_other_method_is_refused_and_the_allowed_ones_are_named(
    payments: Payments, endpoint: Endpoint
) -> None:
    _, target, _ = payments.request(endpoint)
    allowed = ["GET", "HEAD"] if endpoint.method == "GET" else [endpoint.method]
    for method in (each for each in METHODS if each not in allowed):
        answer = await ask(app_of(payments.stage, EXAMS), method, target)
        assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
        assert sorted(answer.headers["allow"].split(", ")) == allowed


@at_every_endpoint({endpoint.path for endpoint in ENDPOINTS})
async def test_every_answer_is_of_its_type_and_is_neither_kept_nor_guessed_at(
    payments: Payments, endpoint: Endpoint
) -> None:
    client = replace(EXAMS, name=DAWSON.name, sql=True, reports=True)
    answer = await answer_to(client, payments, endpoint, headers={"X-Request-Id": "abc-1"})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(endpoint.content_type)
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == "abc-1"
