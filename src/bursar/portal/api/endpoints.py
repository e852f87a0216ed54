"""Define endpoints and routes, and the table of payment endpoints. OpenAPI is generated from the same table."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from bursar.portal.contract.error_catalogue import (
    ALREADY_PAID,
    ALREADY_PROCESSING,
    AMOUNT_NOT_ALLOWED,
    AMOUNT_REQUIRED,
    DIFFERS,
    IN_DOUBT_SINCE_RESTORE,
    INVALID_JSON,
    LOST_RACE,
    METADATA_ERASED,
    MISSING_BODY,
    NO_TOKEN,
    NOT_ACCEPTED_BY_PAYGOV,
    NOT_AUTHORIZED,
    NOTHING_SENT,
    OUTCOME_UNKNOWN,
    PAYGOV_REFUSED,
    REFERENCE_NOT_FOUND,
    ROUTE_NOT_FOUND,
    RULE_REFUSED,
    SIBLING_LIVE,
    STILL_SETTLING,
    STORE_CLOSED,
    STORE_OUTCOME_UNKNOWN,
    STORE_UNAVAILABLE,
    TOKEN_EXPIRED,
    TOKEN_NOT_FOUND,
    TOKEN_USED,
    TOO_MANY_ATTEMPTS,
    VALIDATION_ERROR,
    ErrorCode,
)
from bursar.portal.contract.errors import MethodNotAllowed, NotFound
from bursar.portal.contract.messages import Call, Reply, json_reply
from bursar.portal.contract.schemas import REFERENCE, Schema
from bursar.portal.contract.validation import read_init, read_process
from bursar.portal.contract.views import health_json, history_json, payment_json, started_payment_json
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.health import health
from bursar.portal.use_cases.init_payment import init_payment
from bursar.portal.use_cases.payment_details import details, events
from bursar.portal.use_cases.process_payment import process_payment

Handler = Callable[[Portal, Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class EndpointParameter:
    """One parameter of a path or a query."""

    name: str
    place: str
    schema: Schema
    description: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation. ``path`` has ``{name}`` for each parameter. ``replies``: the component of each success status.

    ``errors``: the errors that not every endpoint may answer, as rows of the catalogue. ``for_browsers``: pages of the
    origins in ``BURSAR_CORS_ORIGINS`` may read its answers. ``ends_with_caller``: it changes nothing and is
    cancelled when its caller disconnects. ``other_types``: media types that the caller may ask for instead.
    """

    method: str
    path: str
    operation_id: str
    summary: str
    run: Handler
    replies: Mapping[int, str]
    errors: tuple[ErrorCode, ...] = ()
    request: str | None = None
    parameters: tuple[EndpointParameter, ...] = ()
    authenticated: bool = True
    for_browsers: bool = False
    ends_with_caller: bool = False
    content_type: str = "application/json"
    other_types: tuple[str, ...] = ()
    description: str = field(default="", repr=False)


async def _init(portal: Portal, call: Call) -> Reply:
    request = read_init(call.body, portal.fees, portal.clock())
    return json_reply(started_payment_json(await init_payment(portal, call.client, request)))


async def _process(portal: Portal, call: Call) -> Reply:
    return json_reply(payment_json(await process_payment(portal, call.client, read_process(call.body))))


async def _details(portal: Portal, call: Call) -> Reply:
    return json_reply(payment_json(await details(portal, call.client, call.values["transactionReferenceId"])))


async def _events(portal: Portal, call: Call) -> Reply:
    return json_reply(history_json(await events(portal, call.client, call.values["transactionReferenceId"])))


async def _health(portal: Portal, call: Call) -> Reply:
    report = await health(portal)
    return json_reply(health_json(report), 200 if report.healthy else 503)


_REFERENCE_IN_PATH: Final = EndpointParameter(
    "transactionReferenceId", "path", REFERENCE, "The reference that the client gave to init."
)

_BODY_ERRORS: Final = (VALIDATION_ERROR, MISSING_BODY, INVALID_JSON)
_STORE_ERRORS: Final = (STORE_UNAVAILABLE, STORE_OUTCOME_UNKNOWN, STORE_CLOSED)
_INIT_ERRORS: Final = (
    *(*_BODY_ERRORS, *_STORE_ERRORS, AMOUNT_NOT_ALLOWED, AMOUNT_REQUIRED, NOT_ACCEPTED_BY_PAYGOV, NOT_AUTHORIZED),
    *(ALREADY_PAID, STILL_SETTLING, ALREADY_PROCESSING, DIFFERS, TOO_MANY_ATTEMPTS, METADATA_ERASED),
    *(LOST_RACE, RULE_REFUSED),
    *(NO_TOKEN, PAYGOV_REFUSED, NOTHING_SENT, IN_DOUBT_SINCE_RESTORE),
)
_PROCESS_ERRORS: Final = (
    *(*_BODY_ERRORS, *_STORE_ERRORS, NOT_AUTHORIZED, TOKEN_NOT_FOUND, ALREADY_PROCESSING, LOST_RACE, RULE_REFUSED),
    *(TOKEN_USED, TOKEN_EXPIRED, SIBLING_LIVE, OUTCOME_UNKNOWN, NOTHING_SENT, IN_DOUBT_SINCE_RESTORE),
)
_DETAILS_ERRORS: Final = (VALIDATION_ERROR, NOT_AUTHORIZED, REFERENCE_NOT_FOUND, *_STORE_ERRORS)

PAYMENT_ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        "POST",
        "/init",
        "initPayment",
        "Begin a payment and get the address to send the payer to",
        _init,
        {200: "InitReply"},
        errors=_INIT_ERRORS,
        request="InitRequest",
        description="Repeated while the payer is on Pay.gov's pages, it returns the same token. It charges no payer.",
    ),
    Endpoint(
        "POST",
        "/process",
        "processPayment",
        "Complete the payment after the payer has returned",
        _process,
        {200: "Payment"},
        errors=_PROCESS_ERRORS,
        request="ProcessRequest",
        description=(
            "After `outcome_unknown` the payment may have been made: ask details, do not begin another. "
            "After `in_process` retry with backoff. Repeated, it answers 410 with the state of the payment."
        ),
    ),
    Endpoint(
        "GET",
        "/details/{transactionReferenceId}",
        "getDetails",
        "The state of a payment, asked of Pay.gov if only Pay.gov knows it",
        _details,
        {200: "Payment"},
        errors=(*_DETAILS_ERRORS, IN_DOUBT_SINCE_RESTORE),
        parameters=(_REFERENCE_IN_PATH,),
    ),
    Endpoint(
        "GET",
        "/details/{transactionReferenceId}/events",
        "getEvents",
        "Every event of every attempt at a payment",
        _events,
        {200: "History"},
        errors=_DETAILS_ERRORS,
        parameters=(_REFERENCE_IN_PATH,),
    ),
    Endpoint(
        "GET",
        "/health",
        "getHealth",
        "Whether each dependency answers",
        _health,
        {200: "Health", 503: "Health"},
        authenticated=False,
    ),
)


_NO_VALUES: Final[Mapping[str, str]] = MappingProxyType({})


class Routes:
    """Finds the endpoint of a method and a path."""

    def __init__(self, endpoints: tuple[Endpoint, ...]) -> None:
        self.endpoints = endpoints
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._with_values: dict[re.Pattern[str], dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            if "{" not in endpoint.path:
                self._exact.setdefault(endpoint.path, {})[endpoint.method] = endpoint
            else:
                self._with_values.setdefault(_form(endpoint.path), {})[endpoint.method] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
        """Return the endpoint and the path's values, decoded; HEAD is GET. Raises NotFound, MethodNotAllowed."""
        methods, values = self._exact.get(path), _NO_VALUES
        if methods is None:
            methods, values = self._matched(path)
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            raise MethodNotAllowed([*methods, *(["HEAD"] if "GET" in methods else [])])
        return endpoint, values

    def _matched(self, path: str) -> tuple[dict[str, Endpoint], Mapping[str, str]]:
        for form, methods in self._with_values.items():
            if found := form.fullmatch(path):
                return methods, {name: unquote(given) for name, given in found.groupdict().items()}
        raise NotFound(ROUTE_NOT_FOUND)


def _form(path: str) -> re.Pattern[str]:
    """Return the pattern of a path such as ``/a/{name}``. Equal paths give equal patterns."""
    parts = [f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in path.split("/")]
    return re.compile("/".join(parts))
