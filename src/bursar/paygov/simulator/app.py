"""The simulator over HTTP: two SOAP endpoints, the hosted pages, the books, and the list of misbehaviours.

POST /services/TCSOnlineService, /tcssinglequery/services/TCSSingleQueryService
GET  /pay?token=…   POST /pay   POST /pay/{PLASTIC_CARD|ACH|PAYPAL}/{Success|Failed}?token=…   POST /pay/cancel?token=…
GET  /books[?agency_tracking_id=…]   POST /return?paygov_tracking_id=…
GET  /activity?date=…[&to=…][&format=xml|csv][&plant=KIND,…][&seed=N]
GET, POST, DELETE /misbehave
GET  /health, /
"""

import asyncio
import itertools
import random
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from bursar.clock import iso_ms
from bursar.paygov.protocol import (
    BEARER_HEADER,
    ONLINE_OPERATIONS,
    ONLINE_PATH,
    PAY_PATH,
    QUERY_OPERATIONS,
    QUERY_PATH,
    SoapOperation,
)
from bursar.paygov.simulator.activity_file import FORMS, activity_records, planted
from bursar.paygov.simulator.answers import SoapService
from bursar.paygov.simulator.books import Charge
from bursar.paygov.simulator.core import PayerRefused, Simulator
from bursar.paygov.simulator.hosted_pages import HostedPages, bounded_body, page, refusal
from bursar.paygov.simulator.misbehaviour import KINDS, Misbehaviour, MisbehaviourPlan
from bursar.paygov.simulator.wire import Ending, SimulatorAnswer

REQUEST_BYTES_MAX = 64 * 1024
CONTROL_BYTES_MAX = 64 * 1024
DROP_HOLD_MAX_S = 120.0
"""The seconds for which a caller gets no reply before the connection is closed."""
BOOKS_PAGE = 1_000
"""The most charges that GET /books lists, which are the newest."""

DRIP_PIECES = 40
"""The number of pieces of a dripped reply."""

ABORT_EXTENSION = "bursar.abort"
"""ASGI extension of ``server.py``: a function that ends the connection, with a reset if its argument is True."""

_BEARER_HEADER: Final = BEARER_HEADER.lower().encode()


def simulator_app(simulator: Simulator, plan: MisbehaviourPlan | None = None) -> Starlette:
    """Return the app. ``plan``: the misbehaviours at the start. POST /misbehave adds to it."""
    plan = plan if plan is not None else MisbehaviourPlan(simulator.randomness)
    service = SoapService(simulator, plan)
    pages = HostedPages(simulator)
    operator = OperatorEndpoints(simulator, service)
    services = {ONLINE_PATH: ONLINE_OPERATIONS, QUERY_PATH: QUERY_OPERATIONS}
    return Starlette(
        routes=[
            *(Route(path, SoapDoor(service, operations), methods=["POST"]) for path, operations in services.items()),
            Route(PAY_PATH + "/cancel", pages.cancel_by_script, methods=["POST"]),
            Route(PAY_PATH + "/{payment_type}/{outcome}", pages.pay_by_script, methods=["POST"]),
            Route(PAY_PATH, pages.show, methods=["GET"]),
            Route(PAY_PATH, pages.submit, methods=["POST"]),
            Route("/books", operator.books, methods=["GET"]),
            Route("/activity", operator.activity, methods=["GET"]),
            Route("/return", operator.return_debit, methods=["POST"]),
            Route("/misbehave", operator.list_misbehaviours, methods=["GET"]),
            Route("/misbehave", operator.add_misbehaviours, methods=["POST"]),
            Route("/misbehave", operator.clear_misbehaviours, methods=["DELETE"]),
            Route("/health", operator.health, methods=["GET"]),
            Route("/", operator.front_page, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _http_error},
    )


class SoapDoor:
    """One SOAP endpoint, as plain ASGI: it builds no request object, and can reset the connection."""

    def __init__(self, service: SoapService, operations: Mapping[str, SoapOperation]) -> None:
        self._service = service
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await _whole_body(receive)
        if body is None:
            return await _send_whole(send, SimulatorAnswer(413, "text/plain; charset=utf-8", b"Too large\n"))
        headers = dict(scope["headers"])
        answer = await self._service.answer(
            self._operations,
            body,
            headers.get(b"content-type", b"").decode("latin-1"),
            headers.get(_BEARER_HEADER, b"").decode("latin-1"),
        )
        return await _ENDINGS[answer.ending](answer, scope, receive, send)


class OperatorEndpoints:
    """The endpoints for tests and for the operators of a running simulator."""

    def __init__(self, simulator: Simulator, service: SoapService) -> None:
        self._simulator = simulator
        self._service = service

    async def books(self, request: Request) -> Response:
        """Answer ``GET /books`` with the charges: those of one agency tracking id, or the newest BOOKS_PAGE."""
        if refused := self._refusal_unless_admitted(request):
            return refused
        books = self._simulator.books
        wanted = request.query_params.get("agency_tracking_id")
        charges = books.charges(wanted) if wanted is not None else tuple(books.all_charges())
        return JSONResponse(
            {
                "collections": len(books) if wanted is None else len(books.entries(wanted)),
                "charges": len(charges),
                "total": str(sum(charge.amount for charge in charges)),
                "returned": str(sum(charge.amount for charge in charges if charge.returned_at is not None)),
                "newest": [_charge(charge) for charge in itertools.islice(reversed(charges), BOOKS_PAGE)],
            }
        )

    async def activity(self, request: Request) -> Response:
        """Answer ``GET /activity``: the activity file of some days, with planted differences on request."""
        if refused := self._refusal_unless_admitted(request):
            return refused
        asked = request.query_params
        try:
            first = date.fromisoformat(asked.get("date", "")).isoformat()
            last = date.fromisoformat(asked.get("to", first)).isoformat()
            content_type, write = FORMS[asked.get("format", "xml")]
            kinds = [kind for kind in asked.get("plant", "").split(",") if kind]
            chance = random.Random(int(asked.get("seed", "0")))
            records = activity_records(self._simulator, first, last)
            lines, _ = planted(records, kinds, chance)
        except KeyError:
            return refusal(400, f"format: must be {' or '.join(FORMS)}")
        except ValueError as error:
            return refusal(400, f"must be a day such as ?date=2026-11-29, with valid options: {error}")
        return Response(write(lines), media_type=content_type)

    async def return_debit(self, request: Request) -> Response:
        """Answer ``POST /return``: return a settled ACH debit, as the payer's bank does."""
        if refused := self._refusal_unless_admitted(request):
            return refused
        try:
            entry = self._simulator.return_debit(request.query_params.get("paygov_tracking_id", ""))
        except PayerRefused as refused_payer:
            return refusal(refused_payer.http_status, str(refused_payer))
        return JSONResponse({"agencyTrackingId": entry.agency_tracking_id, "amount": str(entry.amount)})

    async def list_misbehaviours(self, request: Request) -> Response:
        """Answer ``GET /misbehave`` with the misbehaviours in force and all kinds."""
        if refused := self._refusal_unless_admitted(request):
            return refused
        return JSONResponse(
            {
                "inForce": [each.to_mapping() for each in self._service.plan.in_force()],
                "kinds": {name: kind.meaning for name, kind in KINDS.items()},
            }
        )

    async def add_misbehaviours(self, request: Request) -> Response:
        """Answer ``POST /misbehave``: add the misbehaviour, or the list of them, in the JSON body; all or none."""
        if refused := self._refusal_unless_admitted(request):
            return refused
        body = await bounded_body(request, CONTROL_BYTES_MAX)
        if body is None:
            return refusal(413, f"at most {CONTROL_BYTES_MAX} bytes")
        try:
            given = orjson.loads(body)
            wanted = [Misbehaviour.from_mapping(each) for each in (given if isinstance(given, list) else [given])]
            self._service.plan.add(*wanted)
        except (ValueError, TypeError) as error:
            return refusal(400, f"not a misbehaviour: {error}")
        return await self.list_misbehaviours(request)

    async def clear_misbehaviours(self, request: Request) -> Response:
        """Answer ``DELETE /misbehave``: remove every misbehaviour."""
        if refused := self._refusal_unless_admitted(request):
            return refused
        self._service.plan.clear()
        return await self.list_misbehaviours(request)

    async def health(self, _request: Request) -> Response:
        """Answer ``GET /health``."""
        return JSONResponse({"status": "ok", "misbehaviours": len(self._service.plan)})

    async def front_page(self, _request: Request) -> Response:
        """Answer ``GET /`` with a page about the simulator."""
        return page(
            "notice.html",
            heading="Pay.gov simulator",
            sentence="Applications send payers to /pay. This address has no payment.",
            back=None,
            lines=[
                ("Collections started", f"{len(self._simulator.books):,}"),
                ("Misbehaviours in force", str(len(self._service.plan))),
                ("The charges", "GET /books"),
                ("The activity file", "GET /activity?date=…"),
                ("Return a settled ACH debit", "POST /return?paygov_tracking_id=…"),
                ("Add a misbehaviour", "POST /misbehave"),
            ],
        )

    def _refusal_unless_admitted(self, request: Request) -> Response | None:
        if self._service.admits(request.headers.get(BEARER_HEADER, "")):
            return None
        return refusal(401, "The Authentication header must be: Bearer <token>")


def _charge(charge: Charge) -> dict[str, Any]:
    returned_at = None if charge.returned_at is None else iso_ms(charge.returned_at)
    return asdict(charge) | {"amount": str(charge.amount), "at": iso_ms(charge.at), "returned_at": returned_at}


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail)


async def _whole_body(receive: Receive) -> bytes | None:
    """Return the body of the request, which is usually one message; None if it is too large.

    If the caller has disconnected, this is the part that arrived.
    """
    message = await receive()
    whole: bytes = message.get("body", b"")
    while message.get("more_body", False):
        if len(whole) > REQUEST_BYTES_MAX:
            return None
        message = await receive()
        whole += message.get("body", b"")
    return whole if len(whole) <= REQUEST_BYTES_MAX else None


# The endings of a reply, over a real connection


async def _send_whole(send: Send, answer: SimulatorAnswer) -> None:
    await send(_head(answer))
    await send({"type": "http.response.body", "body": answer.body})


async def _whole(answer: SimulatorAnswer, _scope: Scope, _receive: Receive, send: Send) -> None:
    await _send_whole(send, answer)


async def _dripped(answer: SimulatorAnswer, _scope: Scope, receive: Receive, send: Send) -> None:
    await send(_head(answer))
    piece = -(-len(answer.body) // DRIP_PIECES)
    for at in range(0, len(answer.body), piece):
        await send({"type": "http.response.body", "body": answer.body[at : at + piece], "more_body": True})
        if await _caller_left(receive, answer.drip_s / DRIP_PIECES):
            return
    await send({"type": "http.response.body", "body": b""})


async def _cut(answer: SimulatorAnswer, scope: Scope, _receive: Receive, send: Send) -> None:
    await send(_head(answer))
    await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
    _close(scope, reset=False)


async def _reset(answer: SimulatorAnswer, scope: Scope, _receive: Receive, send: Send) -> None:
    if ABORT_EXTENSION not in scope.get("extensions", {}):
        # A server that cannot reset ends an unfinished reply: it is lost for the caller too.
        await send(_head(answer))
    _close(scope, reset=True)


async def _dropped(_answer: SimulatorAnswer, scope: Scope, receive: Receive, _send: Send) -> None:
    if not await _caller_left(receive, DROP_HOLD_MAX_S):
        _close(scope, reset=False)


async def _caller_left(receive: Receive, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


def _head(answer: SimulatorAnswer) -> Message:
    return {
        "type": "http.response.start",
        "status": answer.status,
        "headers": [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
        ],
    }


def _close(scope: Scope, *, reset: bool) -> None:
    abort = scope.get("extensions", {}).get(ABORT_EXTENSION)
    if abort is not None:
        abort(reset)


_ENDINGS: Final = {
    Ending.WHOLE: _whole,
    Ending.DRIPPED: _dripped,
    Ending.CUT: _cut,
    Ending.RESET: _reset,
    Ending.DROPPED: _dropped,
    # An accepted connection can no longer be refused.
    Ending.REFUSED: _reset,
}
