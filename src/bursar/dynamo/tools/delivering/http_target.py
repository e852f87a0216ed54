"""Post records to an HTTP target, as Lambda's event source mapping does to a function.

    {"Records": [ … ]} ──► POST ──► 2xx accepts the batch, but for the failures that the answer names

Source of the events: Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB".
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from bursar.dynamo.tools.delivering.delivery import Rejected
from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError

TIMEOUT_S = 60.0
ANSWER_BYTES_MAX = 8 * 1024 * 1024
"""The most bytes of an answer, which is above the 6 MB that a function of Lambda may return."""
FUNCTION_ERROR = "x-amz-function-error"


class HttpTarget:
    """A URL that gets records."""

    def __init__(self, url: str) -> None:
        """Set up a target, without sending anything.

        Raises ``ValueError`` for a URL of a scheme other than HTTP or HTTPS.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"target: must begin with http:// or https://; got {url}")
        self._url = url
        self._http = HttpClient(connections_max=1, reply_bytes_max=ANSWER_BYTES_MAX)

    async def send(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Post records. Raises :class:`Rejected`."""
        body = orjson.dumps({"Records": records})
        try:
            reply = await self._http.post(self._url, body, {"Content-Type": "application/json"}, TIMEOUT_S)
        except HttpClientError as error:
            raise Rejected(f"{self._url}: {error or type(error).__name__}") from None
        if not 200 <= reply.status < 300:
            raise Rejected(f"{self._url}: HTTP {reply.status}")
        _check_answer(self._url, reply.headers.get(FUNCTION_ERROR), reply.body, records)

    async def close(self) -> None:
        """Close the connection."""
        await self._http.close()


def _check_answer(url: str, function_error: str | None, body: bytes, records: Sequence[Mapping[str, Any]]) -> None:
    """Raise :class:`Rejected` if the function failed, and if its answer has batch item failures."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        answer = None
    document = answer if isinstance(answer, dict) else {}
    if function_error is not None or "errorType" in document:
        raise Rejected(f"{url}: the function failed: {document.get('errorMessage', function_error)}")
    failures = document.get("batchItemFailures")
    if not failures:
        return
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    failed = [one.get("itemIdentifier") if isinstance(one, dict) else None for one in failures]
    known = [numbers.index(number) for number in failed if number in numbers]
    accepted = min(known) if len(known) == len(failed) else 0
    raise Rejected(f"{url}: {len(failed)} batch item failures", accepted)
