"""A client of Athena's API: signed requests in JSON, repeated if a repetition changes nothing.

Source: Athena API reference. A start has a token, so a repeated start does not run a statement twice; the other calls
read or stop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import orjson

from bursar.clock import Clock, system_clock
from bursar.reports.errors import AthenaFailed
from bursar.web.aws import AwsKeySource, KeysNotFound, endpoint, find_keys, find_region
from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError
from bursar.web.sigv4_signing import signed_headers

SERVICE: Final = "athena"
TARGET: Final = "AmazonAthena"
CALL_TIMEOUT_S: Final = 30.0
REPLY_BYTES_MAX: Final = 64 * 1024 * 1024
"""A page of results has at most 1,000 rows."""
TRIES_MAX: Final = 5
RETRY_DELAY_S: Final = 0.5
_THROTTLES: Final = frozenset({"TooManyRequestsException", "ThrottlingException"})

Sleep = Callable[[float], Awaitable[None]]


class AthenaCalls(Protocol):
    """Athena's API, which :class:`AthenaApi` implements; tests have another implementation."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one operation. Raises :class:`AthenaFailed`."""


class AthenaApi:
    """Signs and sends requests to Athena. :func:`open_athena` makes it."""

    def __init__(
        self, url: str, region: str, keys: AwsKeySource, *, clock: Clock = system_clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._url = url
        self._region = region
        self._keys = keys
        self._clock = clock
        self._sleep = sleep
        self._http = HttpClient(reply_bytes_max=REPLY_BYTES_MAX)

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one operation. Raises :class:`AthenaFailed` with Athena's reason."""
        body = orjson.dumps(request)
        for tried in range(1, TRIES_MAX + 1):
            try:
                status, answer = await self._exchange(operation, body)
            except (HttpClientError, ValueError) as error:
                failure, may_repeat = AthenaFailed(f"Athena cannot be reached: {error}"), True
            except KeysNotFound as error:
                raise AthenaFailed(f"AWS credentials: {error}") from error
            else:
                if status == 200:
                    return answer
                code = str(answer.get("__type", status)).rpartition("#")[2]
                reason = answer.get("message") or answer.get("Message") or "no reason given"
                failure = AthenaFailed(f"Athena refused {operation}: {code}: {reason}")
                may_repeat = status >= 500 or code in _THROTTLES
            if not may_repeat or tried == TRIES_MAX:
                raise failure
            await self._sleep(RETRY_DELAY_S * 2 ** (tried - 1))
        raise AssertionError("unreachable: the last try returns or raises")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _exchange(self, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{TARGET}.{operation}"}
        signed = signed_headers(
            self._url, headers, body, await self._keys.keys(), service=SERVICE, region=self._region, now=self._clock()
        )
        reply = await self._http.post(self._url, body, signed, CALL_TIMEOUT_S)
        answer = orjson.loads(reply.body or b"{}")
        return reply.status, answer if isinstance(answer, dict) else {}


def open_athena() -> AthenaApi:
    """Return the client of the configured account and region, without sending anything.

    ``AWS_ENDPOINT_URL_ATHENA`` replaces Athena's address, as in the AWS SDKs. Raises :class:`AthenaFailed`.
    """
    region = find_region()
    if region is None:
        raise AthenaFailed("AWS region: must be configured, as in AWS_DEFAULT_REGION=us-east-1; none was found")
    try:
        keys, url = find_keys(), endpoint(SERVICE, region)
    except (KeysNotFound, ValueError) as error:
        raise AthenaFailed(f"AWS credentials: {error}") from error
    if keys is None:
        raise AthenaFailed("AWS credentials: must be configured; none were found")
    return AthenaApi(url, region, keys)
