"""The Lambda door: API Gateway's proxy events (REST and HTTP APIs) over the same application as the HTTP door.

    door = LambdaDoor(compose)              # compose() makes the Application; a cold start pays for it once
    def handler(event, context): return door(event, context)

API Gateway verifies the caller and passes the ARN. Between two events the loop stands still: what a completion has
begun is finished before the reply goes out, because afterwards nothing may run.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from bursar.portal.application import Application
from bursar.portal.calls import Call, Reply

DRAIN_TIMEOUT_S: Final = 25.0  # API Gateway waits 29 s for an answer


class LambdaDoor:
    """A Lambda handler. One event loop for the life of the process: the store and Pay.gov's connections live on it."""

    def __init__(self, compose: Callable[[], Awaitable[Application]]) -> None:
        self._compose = compose
        self._runner: asyncio.Runner | None = None
        self._application: Application | None = None

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """The proxy reply to a proxy event."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._handle(event))

    async def _handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        if self._application is None:
            self._application = await self._compose()
        reply = await handle_event(self._application, event)
        await self._application.portal.drain(DRAIN_TIMEOUT_S)
        return reply

    def close(self) -> None:
        """Ends the loop; for tests."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None


async def handle_event(application: Application, event: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to one event of API Gateway, payload format 1.0 (REST API) or 2.0 (HTTP API)."""
    call = call_of_event(event)
    return _event_reply(call, await application.handle(call))


def call_of_event(event: Mapping[str, Any]) -> Call:
    """The call in an event. Source: API Gateway developer guide, "Input format of a Lambda function for proxy"."""
    context = event.get("requestContext") or {}
    headers = {name.lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    body = event.get("body") or ""
    raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    return Call(
        method=_method(event, context),
        path=_path(event),
        query=_query(event),
        headers=headers,
        body=raw,
        request_id=str(context.get("requestId") or ""),
        role_arn=_role_arn(context),
    )


def _method(event: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    return str(event.get("httpMethod") or (context.get("http") or {}).get("method") or "")


def _path(event: Mapping[str, Any]) -> str:
    """Still percent-encoded, without the stage. Format 1.0 gives it decoded in ``path``."""
    raw = event.get("rawPath")
    if raw is None:
        return quote(str(event.get("path") or "/"), safe="/%")
    stage = str((event.get("requestContext") or {}).get("stage") or "$default")
    # A domain of one's own leaves the stage out, and a path may begin with its letters: /t and /transactions.
    if f"{raw}/".startswith(f"/{stage}/"):
        return str(raw).removeprefix(f"/{stage}") or "/"
    return str(raw)


def _query(event: Mapping[str, Any]) -> str:
    if "rawQueryString" in event:
        return str(event["rawQueryString"] or "")
    several = event.get("multiValueQueryStringParameters")
    if several:
        return urlencode([(name, value) for name, values in several.items() for value in values])
    return urlencode(list((event.get("queryStringParameters") or {}).items()))


def _role_arn(context: Mapping[str, Any]) -> str | None:
    """``identity.userArn`` (format 1.0) or ``authorizer.iam.userArn`` (format 2.0)."""
    identity = context.get("identity") or {}
    iam = (context.get("authorizer") or {}).get("iam") or {}
    arn = identity.get("userArn") or iam.get("userArn")
    return None if arn is None else str(arn)


def _event_reply(call: Call, reply: Reply) -> dict[str, Any]:
    headers = {"content-type": reply.content_type, "cache-control": "no-store", "x-request-id": call.request_id}
    return {
        "statusCode": reply.status,
        "headers": {**headers, **reply.headers},
        "body": "" if call.method == "HEAD" else reply.body.decode("utf-8"),
        "isBase64Encoded": False,
    }
