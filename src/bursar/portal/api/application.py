"""Handle one request for every door: route, authenticate, limit, run, answer, log, count.

A door passes a :class:`Call` and gets a :class:`Reply`. Only cancellation and :class:`CallerLeft` are raised to a door.
A log line never holds what was sent: no body, no query, no token, no personal data.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

from bursar.portal.api.authentication import Authenticate
from bursar.portal.api.endpoints import PAYMENT_ENDPOINTS, Endpoint, Routes
from bursar.portal.contract.error_catalogue import NOT_REGISTERED, TOO_LARGE
from bursar.portal.contract.errors import Forbidden, PortalError, TooLarge, Unexpected, portal_error
from bursar.portal.contract.messages import BodyStream, Call, CallerLeft, Reply, json_reply
from bursar.portal.contract.schemas import BODY_BYTES_MAX
from bursar.portal.state.portal import Portal
from bursar.rules.errors import RuleRefused

UNROUTED: Final = "none"
REQUEST_ID_MAX: Final = 2**64 - 1

_log = logging.getLogger(__name__)


class Limits(Protocol):
    """The limits of each client; see :mod:`bursar.portal.api.rate_limits`."""

    def enter(self, client: str) -> None:
        """Count a request in. Raises ``TooMany``."""

    def leave(self, client: str) -> None:
        """Count a request out that was counted in."""


class RequestObserver(Protocol):
    """The interface to which each answered request is reported."""

    def request_answered(self, operation: str, method: str, status: int, seconds: float) -> None:
        """Report a request: its operation id, its method, the status of the reply, and how long it took."""
        ...


class Application:
    """The portal as a function from calls to replies."""

    def __init__(
        self,
        portal: Portal,
        authenticate: Authenticate,
        *,
        endpoints: tuple[Endpoint, ...] = PAYMENT_ENDPOINTS,
        limits: Limits | None = None,
        observer: RequestObserver | None = None,
    ) -> None:
        self.portal = portal
        self.routes = Routes(endpoints)
        self._authenticate = authenticate
        self._limits = limits
        self._observer = observer
        # Request ids count up from a random number, so that those of several processes differ in one log.
        self._next_id = portal.randomness.getrandbits(64)

    async def handle(self, call: Call) -> Reply:
        """Return the reply to ``call``. Errors are replies too.

        Raises ``CallerLeft`` if the caller of an endpoint that ends with its caller disconnects.
        """
        began = self.portal.clock()
        self._set_request_id(call)
        operation = UNROUTED
        leave: Callable[[], None] | None = None
        try:
            endpoint, call.values = self.routes.find(call.method, call.path)
            operation = endpoint.operation_id
            if len(call.body) > BODY_BYTES_MAX:
                raise TooLarge(TOO_LARGE)
            if endpoint.authenticated:
                leave = await self._enter(call)
            running = endpoint.run(self.portal, call)
            if endpoint.ends_with_caller and call.until_left is not None:
                running = _until_left(running, call.until_left)
            reply = await running
            if reply.stream is not None and leave is not None:
                reply, leave = reply._replace(stream=_counted_out(reply.stream, leave)), None
        except CallerLeft:
            raise
        except Exception as error:  # the only place where errors become replies
            reply = self._error_reply(error, call)
        finally:
            if leave is not None:
                leave()
        self._log_and_count(operation, call, reply.status, self.portal.clock() - began)
        return reply

    def refuse(self, call: Call, error: PortalError) -> Reply:
        """Return the reply to a call that could not be read completely.

        The call gets an id, and is logged and counted.
        """
        self._set_request_id(call)
        try:
            operation = self.routes.find(call.method, call.path)[0].operation_id
        except PortalError:
            operation = UNROUTED
        reply = error_reply(error)
        self._log_and_count(operation, call, reply.status, 0.0)
        return reply

    def _set_request_id(self, call: Call) -> None:
        if not call.request_id:
            self._next_id = (self._next_id + 1) & REQUEST_ID_MAX
            call.request_id = f"{self._next_id:016x}"

    async def _enter(self, call: Call) -> Callable[[], None] | None:
        """Set the caller and count its request in. Return the function that counts it out; None without limits."""
        call.caller = client = await self._authenticate(call)
        if client is None:
            raise Forbidden(NOT_REGISTERED)
        if self._limits is None:
            return None
        self._limits.enter(client.name)
        return partial(self._limits.leave, client.name)

    def _error_reply(self, error: Exception, call: Call) -> Reply:
        known = portal_error(error)
        if isinstance(known, Unexpected):
            _log.error("request %s failed", call.request_id, exc_info=error, extra={"requestId": call.request_id})
        elif isinstance(error, RuleRefused):  # no caller can cause it, so a person should investigate
            message = "request %s would have broken the rule %s"
            _log.error(message, call.request_id, error.rule, extra={"requestId": call.request_id})
        return error_reply(known)

    def _log_and_count(self, operation: str, call: Call, status: int, seconds: float) -> None:
        if self._observer is not None:
            self._observer.request_answered(operation, call.method, status, seconds)
        if not _log.isEnabledFor(logging.INFO):
            return
        _log.info(
            "%s %s %d",
            call.method,
            operation,
            status,
            extra={
                "requestId": call.request_id,
                "operation": operation,
                "method": call.method,
                "status": status,
                "durationMs": round(seconds * 1000, 3),
                "client": call.caller.name if call.caller else None,
            },
        )


async def _until_left(running: Awaitable[Reply], until_left: Callable[[], Awaitable[None]]) -> Reply:
    """Return the result of ``running``; if the caller disconnects before, cancel it and raise :class:`CallerLeft`."""
    work, left = asyncio.ensure_future(running), asyncio.ensure_future(until_left())
    try:
        await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise CallerLeft
        return work.result()
    finally:
        for task in (work, left):
            task.cancel()
        await asyncio.gather(work, left, return_exceptions=True)


def _counted_out(stream: BodyStream, leave: Callable[[], None]) -> BodyStream:
    """Return ``stream`` so that its request counts as in progress until the stream is closed."""

    async def close() -> None:
        try:
            await stream.close()
        finally:
            leave()

    return BodyStream(stream.parts, close)


def error_reply(error: PortalError) -> Reply:
    """Return ``error`` in the JSON shape that is the same for every error."""
    return json_reply(error.body(), error.status, error.headers)
