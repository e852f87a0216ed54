"""Send requests to an ASGI application without a socket."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from bursar.portal.doors.asgi import AsgiApp


@dataclass
class Answer:
    """The status, headers and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def ask(
    app: AsgiApp,
    method: str,
    target: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    chunks: list[bytes] | None = None,
) -> Answer:
    """Send one request and return the answer. ``body`` is JSON unless it is bytes; ``chunks`` are sent one by one."""
    path, _, query = target.partition("?")
    if chunks is None:
        chunks = [body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()]
    incoming = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    ]
    sent: list[Any] = []

    answered_whole = asyncio.Event()

    async def receive() -> Any:
        if incoming:
            return incoming.pop(0)
        await answered_whole.wait()  # the caller stays until it has its answer
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            answered_whole.set()

    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": pairs,
    }
    await app(scope, receive, send)
    start = sent[0]
    answered = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], answered, b"".join(each.get("body", b"") for each in sent[1:]))
