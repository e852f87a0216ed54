"""Serve API Gateway's proxy events (REST and HTTP APIs) on Lambda, with the same application as the HTTP door.

    handler = LambdaDoor(Instance(compose))   # compose(stack) makes the Application, once in a cold start

``bursar.bootstrap.lambda_functions.portal`` makes a handler from the settings. API Gateway verifies the caller and
passes the ARN. The event loop does not run between two events, so completions that have begun are finished before the
reply is returned.
"""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from string import punctuation
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

from bursar.portal.api.application import Application
from bursar.portal.contract.error_catalogue import MISSING_PRINCIPAL, UNREADABLE_REQUEST
from bursar.portal.contract.errors import Forbidden, InvalidRequest, PortalError
from bursar.portal.contract.messages import Call, Reply

DRAIN_TIMEOUT_S: Final = 25.0  # API Gateway waits 29 s for an answer
LONE_SURROGATES: Final = "surrogatepass"
"""JSON may hold a lone surrogate. Encoded this way, it is rejected as invalid UTF-8 where it is read."""

_log = logging.getLogger(__name__)

Kept = TypeVar("Kept")
Result = TypeVar("Result")


class Instance(Generic[Kept]):
    """The event loop of one function instance, and the object that lives on it from event to event."""

    def __init__(
        self,
        make: Callable[[AsyncExitStack], Awaitable[Kept]],
        *,
        is_stale: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Create an instance. ``make`` makes the object, and puts what must be closed with it on the stack.

        ``is_stale`` is asked before each event: if it returns True, the object is made again. If that fails, the known
        object stays, with one ERROR line.
        """
        self._make = make
        self._is_stale = is_stale
        self._runner: asyncio.Runner | None = None
        self._ending = AsyncExitStack()
        self._made: Kept | None = None

    def prepare(self) -> None:
        """Make the object before the first event. If this fails, log the reason and let the first event try again."""
        try:
            self._run_on_loop(self._prepared())
        except Exception as error:  # Lambda would restart the instance at once, and again and again
            _log.error("the function cannot start: %s", error)

    def run(self, use: Callable[[Kept], Awaitable[Result]]) -> Result:
        """Return the result of ``use`` for the object. If making the object fails, the next event tries again."""
        return self._run_on_loop(self._run(use))

    def _run_on_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(work)

    async def _run(self, use: Callable[[Kept], Awaitable[Result]]) -> Result:
        if self._made is not None and self._is_stale is not None and await self._is_stale():
            await self._renew()
        return await use(await self._prepared())

    async def _prepared(self) -> Kept:
        if self._made is None:
            self._made = await self._make_or_close(self._ending)
        return self._made

    async def _renew(self) -> None:
        ending = AsyncExitStack()
        try:
            made = await self._make_or_close(ending)
        except Exception as error:
            _log.error("the function goes on with what it has: %s", error)
            return
        before, self._ending, self._made = self._ending, ending, made
        await before.aclose()

    async def _make_or_close(self, ending: AsyncExitStack) -> Kept:
        try:
            return await self._make(ending)
        except BaseException:
            await ending.aclose()
            raise

    def close(self) -> None:
        """Close the object and the loop, for tests. Lambda freezes and kills an instance without notice."""
        if self._runner is not None:
            self._runner.run(self._ending.aclose())
            self._runner.close()
            self._runner = self._made = None


class LambdaDoor:
    """A Lambda handler. The store and the connections to Pay.gov live on one event loop until the process ends."""

    def __init__(self, instance: Instance[Application]) -> None:
        """Create a handler over the application of ``instance``."""
        self.instance = instance

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Return the proxy reply to a proxy event."""
        return self.instance.run(lambda application: self._handle(application, event))

    async def _handle(self, application: Application, event: Any) -> dict[str, Any]:
        application.portal.renew_name()  # Lambda restores several instances from one snapshot
        reply = await handle_event(application, event)
        await application.portal.drain(DRAIN_TIMEOUT_S)
        return reply


async def handle_event(application: Application, event: Any) -> dict[str, Any]:
    """Return the reply to one event, payload format 1.0 (REST API) or 2.0 (HTTP API). Any other event is refused."""
    try:
        call = call_of_event(event)
    except PortalError as error:
        call = _head_of_event(event)
        return _event_reply(call, application.refuse(call, error))
    return _event_reply(call, await application.handle(call))


def call_of_event(event: Any) -> Call:
    """Return the call that an event describes.

    Source: API Gateway developer guide, "Input format of a Lambda function for proxy".

    Raises ``InvalidRequest`` and, if the event cannot hold the caller's ARN, ``Forbidden``.
    """
    if not isinstance(event, Mapping):
        raise _unreadable("The event is not an object")
    call = _head_of_event(event)
    if not isinstance(event.get("requestContext") or {}, Mapping):
        raise Forbidden(MISSING_PRINCIPAL)
    call.query = _query(event)
    call.headers = {str(name).lower(): str(value) for name, value in _object_or_refuse(event, "headers").items()}
    call.body = _body(event)
    call.role_arn = _role_arn(_object(event.get("requestContext")))
    return call


def _head_of_event(event: Any) -> Call:
    """Return the call's method, path, query and headers."""
    event = _object(event)
    context = _object(event.get("requestContext"))
    return Call(
        method=str(event.get("httpMethod") or _object(context.get("http")).get("method") or ""),
        path=_path(event, context),
        query="",
        headers={},
        request_id=str(context.get("requestId") or ""),
    )


def _path(event: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Return the path, still percent-encoded and without the stage. In format 1.0, ``path`` is decoded already."""
    raw = event.get("rawPath")
    if raw is None:
        return quote(str(event.get("path") or "/"), safe="/%", errors=LONE_SURROGATES)
    raw = quote(str(raw), safe=punctuation, errors=LONE_SURROGATES)
    stage = str(context.get("stage") or "$default")
    # A custom domain leaves the stage out, and a path may begin with the stage's letters: /t and /transactions.
    if f"{raw}/".startswith(f"/{stage}/"):
        return raw.removeprefix(f"/{stage}") or "/"
    return raw


def _query(event: Mapping[str, Any]) -> str:
    if "rawQueryString" in event:
        return quote(str(event["rawQueryString"] or ""), safe=punctuation, errors=LONE_SURROGATES)
    several = _object_or_refuse(event, "multiValueQueryStringParameters")
    if not several:
        return urlencode(list(_object_or_refuse(event, "queryStringParameters").items()), errors=LONE_SURROGATES)
    if not all(isinstance(values, list) for values in several.values()):
        raise _unreadable("multiValueQueryStringParameters of the event holds what is not a list")
    return urlencode([(name, value) for name, values in several.items() for value in values], errors=LONE_SURROGATES)


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not isinstance(body, str):
        raise _unreadable("body of the event is not text")
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", LONE_SURROGATES)
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:  # binascii.Error is a ValueError
        raise _unreadable("invalid base64 in request body") from None


def _role_arn(context: Mapping[str, Any]) -> str | None:
    """Return ``identity.userArn`` (format 1.0) or ``authorizer.iam.userArn`` (format 2.0); None without either."""
    iam = _object(_object(context.get("authorizer")).get("iam"))
    arn = _object(context.get("identity")).get("userArn") or iam.get("userArn")
    return None if arn is None else str(arn)


def _object(value: Any) -> Mapping[str, Any]:
    """Return ``value`` if it is an object, otherwise an empty object."""
    return value if isinstance(value, Mapping) else {}


def _object_or_refuse(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object ``name`` of ``event``, empty for null. Raises ``InvalidRequest`` for any other type."""
    value = event.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise _unreadable(f"{name} of the event is not an object")
    return value or {}


def _unreadable(message: str) -> InvalidRequest:
    return InvalidRequest(UNREADABLE_REQUEST.saying(message))


def _event_reply(call: Call, reply: Reply) -> dict[str, Any]:
    headers = {"content-type": reply.content_type, "cache-control": "no-store", "x-request-id": call.request_id}
    return {
        "statusCode": reply.status,
        "headers": {**headers, **reply.headers},
        "body": "" if call.method == "HEAD" else reply.body.decode("utf-8"),
        "isBase64Encoded": False,
    }
