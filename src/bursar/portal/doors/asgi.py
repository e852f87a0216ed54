"""The portal as an ASGI application, without a framework.

:mod:`bursar.web.asgi_server` serves it in ``bursar portal`` and ``bursar up``. Any other ASGI server can serve it.

app = portal_app(portal, authenticate)                  # serve it, or mount it
app = portal_app(portal, authenticate, others=pages)    # all other paths go to another ASGI application
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bursar.portal.api.all_endpoints import all_endpoints
from bursar.portal.api.application import Application, Limits
from bursar.portal.api.authentication import Authenticate
from bursar.portal.api.rate_limits import ClientLimits
from bursar.portal.contract.error_catalogue import HEAD_TOO_LARGE, TOO_BUSY, TOO_LARGE, UNREADABLE_REQUEST
from bursar.portal.contract.errors import (
    HeadTooLarge,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PortalError,
    TooLarge,
    TooSlow,
    Unavailable,
    Unexpected,
)
from bursar.portal.contract.messages import BodyStream, Call, CallerLeft, Reply
from bursar.portal.contract.schemas import BODY_BYTES_MAX
from bursar.portal.state.portal import DRAIN_TIMEOUT_S, Portal
from bursar.portal.use_cases.transaction_log import TransactionLog
from bursar.web.refusals import HEAD_BYTES_MAX, RefusalReason, RefusalReply

if TYPE_CHECKING:
    from bursar.portal.metrics.metrics import Metrics
    from bursar.reports.port import StreamedAnswers

REQUEST_ID_CHARS_MAX: Final = 64
HEADERS_MAX: Final = 100
_HEAD_TOO_LARGE: Final = HEAD_TOO_LARGE.saying(
    f"The request's head is larger than {HEAD_BYTES_MAX} bytes, or more than {HEADERS_MAX} headers"
)
STREAM_TIMEOUT_S: Final = 1_860.0
"""How long a streamed answer may take: longer than its statement, which ends first."""
BODY_TIMEOUT_S: Final = 20.0
"""How long a body may take. Any line carries 64 KiB in that time; a slower client is refused."""

_REFUSALS: Final[Mapping[RefusalReason, Callable[[], PortalError]]] = {
    RefusalReason.NOT_HTTP: lambda: InvalidRequest(UNREADABLE_REQUEST),
    RefusalReason.TOO_SLOW: TooSlow,
    RefusalReason.TOO_LARGE: lambda: TooLarge(TOO_LARGE),
    RefusalReason.HEAD_TOO_LARGE: lambda: HeadTooLarge(_HEAD_TOO_LARGE),
    RefusalReason.FAILED: Unexpected,
    RefusalReason.TOO_BUSY: lambda: Unavailable(TOO_BUSY),
}

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[AsgiScope, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)


class PortalApp:
    """An ASGI application: ``http`` and ``lifespan`` scopes."""

    def __init__(
        self,
        application: Application,
        others: AsgiApp | None = None,
        *,
        others_below: str = "/",
        body_timeout_s: float | None = BODY_TIMEOUT_S,
        cors_origins: Collection[str] = (),
    ) -> None:
        """Create an ASGI application. :func:`portal_app` describes the parameters."""
        self.application = application
        self._for_browsers: AsgiApp | None = None
        if cors_origins:
            from bursar.portal.doors.cors import Cors  # imported here: a Lambda function has no CORS and no Starlette

            self._for_browsers = Cors(self._http, cors_origins)
        self._others = others
        self._others_below = others_below
        self._body_timeout_s = body_timeout_s

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Handle a request or the lifespan; close websockets."""
        if scope["type"] == "http":
            answer = self._for_browsers if self._for_browsers and self._is_for_browsers(scope) else self._http
            await answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        path = _path_of(scope)
        if self._others is not None and self._is_for_others(path):
            await self._others(scope, receive, send)
            return
        call = _call(scope, path)
        call.until_left = partial(_until_disconnected, receive)
        try:
            if len(scope["headers"]) > HEADERS_MAX:
                raise HeadTooLarge(_HEAD_TOO_LARGE)
            reading = _read_body(call.headers, receive)
            call.body = await (reading if self._body_timeout_s is None else _in_time(reading, self._body_timeout_s))
            reply = await self.application.handle(call)
        except (HeadTooLarge, TooLarge, TooSlow) as error:
            refused = self.application.refuse(call, error)
            reply = refused._replace(headers={**refused.headers, "connection": "close"})  # the body may still arrive
        except CallerLeft:
            return
        if reply.stream is None:
            await _send(reply, call, send)
        else:
            await _send_stream(reply, reply.stream, call, receive, send)

    def refuse(self, refusal: RefusalReason, scope: AsgiScope | None) -> RefusalReply:
        """Return the answer to a request that the server could not read, in JSON, logged and counted."""
        call = Call("", "/", "", {}) if scope is None else _call(scope, _path_of(scope))
        reply = self.application.refuse(call, _REFUSALS[refusal]())
        return RefusalReply(_reply_headers(reply, call), reply.body)

    def _is_for_others(self, path: str) -> bool:
        return (path == "/" or path.startswith(self._others_below)) and not self._has_endpoint(path)

    def _has_endpoint(self, path: str) -> bool:
        try:
            self.application.routes.find("", path)
        except NotFound:
            return False
        except Exception:  # the method is not allowed, but the path exists
            return True
        return True

    def _is_for_browsers(self, scope: AsgiScope) -> bool:
        try:
            return self.application.routes.find("GET", _path_of(scope))[0].for_browsers
        except (NotFound, MethodNotAllowed):
            return False

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        left = await self.application.portal.drain(DRAIN_TIMEOUT_S)
        if left:
            _log.warning("%d completions were left to the sweeper", left)
        await send({"type": "lifespan.shutdown.complete"})


def portal_app(
    portal: Portal,
    authenticate: Authenticate,
    *,
    log: TransactionLog | None = None,
    reports: "StreamedAnswers | None" = None,
    metrics: "Metrics | None" = None,
    limits: Limits | None = None,
    others: AsgiApp | None = None,
    others_below: str = "/",
    body_timeout_s: float | None = BODY_TIMEOUT_S,
    cors_origins: Collection[str] = (),
) -> PortalApp:
    """Return the portal as an ASGI application.

    log: answers the dashboard's endpoints, which are not served without it. reports: answer /sql and /reports, which
    are not served without them. metrics: counts requests and answers /metrics; pass it to the portal as its observer
    too. limits: each client's limits; the default is :class:`~bursar.portal.api.rate_limits.ClientLimits`. others: the
    application for other paths, which are a 404 in JSON without it. others_below: others gets only ``/`` and the paths
    that begin so. body_timeout_s: how long a body may take; None for a server that limits the time itself.
    cors_origins: the origins whose pages may read the answers of the dashboard's endpoints.
    """
    application = Application(
        portal,
        authenticate,
        endpoints=all_endpoints(log, metrics, reports=reports),
        limits=limits or ClientLimits(portal.clock),
        observer=metrics,
    )
    return PortalApp(
        application, others, others_below=others_below, body_timeout_s=body_timeout_s, cors_origins=cors_origins
    )


def _call(scope: AsgiScope, path: str) -> Call:
    headers = _headers(scope["headers"])
    return Call(
        method=scope["method"],
        path=path,
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        request_id=sent_request_id(headers),
    )


def _path_of(scope: AsgiScope) -> str:
    """Return the path as the request has it, without the path at which the application is mounted."""
    raw: bytes | None = scope.get("raw_path")
    path = scope["path"] if raw is None else raw.partition(b"?")[0].decode("latin-1")
    return str(path).removeprefix(scope.get("root_path", "")) or "/"


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers by lower-case name. Values are Latin-1; those of a repeated header are joined by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def sent_request_id(headers: Mapping[str, str]) -> str:
    """Return the caller's request id if it may be logged; otherwise an empty text, and the application makes one."""
    sent = headers.get("x-request-id", "")
    if not sent:
        return ""
    good = sent.isascii() and sent.replace("-", "").isalnum() and len(sent) <= REQUEST_ID_CHARS_MAX
    return sent if good else ""


async def _in_time(reading: Awaitable[bytes], timeout_s: float) -> bytes:
    """Return the body. Raises TooSlow if reading it takes longer than ``timeout_s``, and what ``reading`` raises."""
    try:
        async with asyncio.timeout(timeout_s):
            return await reading
    except TimeoutError:
        raise TooSlow from None


async def _read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """Return the whole body. Raises TooLarge as soon as the body is too large, and CallerLeft."""
    length = headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length[:20]) > BODY_BYTES_MAX:
        raise TooLarge(TOO_LARGE)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise TooLarge(TOO_LARGE)
        if not message.get("more_body", False):
            return chunk if not chunks else b"".join([*chunks, chunk])
        chunks.append(chunk)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(reply: Reply, call: Call, send: Send) -> None:
    headers = _reply_headers(reply, call)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else reply.body})


async def _send_stream(reply: Reply, stream: BodyStream, call: Call, receive: Receive, send: Send) -> None:
    """Send a body part by part, until its caller disconnects. A body that fails is cut off, so the caller notices."""
    sending = asyncio.ensure_future(_send_parts(reply, stream, call, send))
    left = asyncio.ensure_future(_until_disconnected(receive))
    try:
        await asyncio.wait({sending, left}, timeout=STREAM_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        left.cancel()
        (cut, _) = await asyncio.gather(sending, left, return_exceptions=True)
        await stream.close()
    if cut is not None:
        _log.warning("the answer to request %s was cut off: %r", call.request_id, cut)


async def _send_parts(reply: Reply, stream: BodyStream, call: Call, send: Send) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": _reply_headers(reply, call)})
    if call.method != "HEAD":
        async for part in stream.parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _reply_headers(reply: Reply, call: Call) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", reply.content_type.encode("latin-1")),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", call.request_id.encode("latin-1")),
    ]
    if reply.stream is None:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    for name, value in reply.headers.items():
        headers.append((name.encode("latin-1"), value.encode("latin-1")))
    return headers
