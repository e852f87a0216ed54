"""The short cut: the three requests of an ordinary payment, answered from the bytes that came, without a framework.

    POST /services/TCSOnlineService    POST /tcssinglequery/services/TCSSingleQueryService    POST /pay/…/…?token=…

It is the same simulator: the same service, the same books, and bodies that are the app's to the byte. Whatever is not
a whole and plain request for one of these, or goes wrong, or is to go wrong by a plan, is left to the app. A
benchmark's Pay.gov must not be its bottleneck, and a framework costs several times what the simulator itself does.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from bursar.paygov.protocol import BEARER_HEADER, PAY_PATH, TOKEN_FIELD, Operation
from bursar.paygov.simulator.answers import SoapService
from bursar.paygov.simulator.core import PayerRefused, Simulator
from bursar.paygov.simulator.wire import Answer

JSON_TYPE: Final = "application/json"
BODY_BYTES_MAX: Final = 16 * 1024
HEADS_MAX: Final = 1_000
"""Heads remembered; a client sends the same one with every request, but for its length."""

_METHOD, _VERSION, _LINE_END = b"POST ", b" HTTP/1.1", b"\r\n"
_PAID: Final = re.compile(rf"{PAY_PATH}/([A-Z_]+)/([A-Za-z]+)\?{TOKEN_FIELD}=([0-9a-f]+)".encode())
_HEADER: Final = re.compile(rb"([A-Za-z-]+):[ \t]*([!-~](?:[ -~]*[!-~])?|)[ \t]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,5}")
_UNFIT: Final = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"content-encoding"))
_CLOSES: Final = {b"keep-alive": False, b"close": True}
"""What a Connection header says that is understood here."""


class _Head(NamedTuple):
    """What matters of a request's headers."""

    body_bytes: int
    content_type: str
    authentication: str
    closes: bool


class ShortReply(NamedTuple):
    """An answer, whole; ``closes``: the connection ends with it."""

    answer: Answer
    closes: bool


class ShortCut:
    """The short cut to one simulator."""

    def __init__(
        self, simulator: Simulator, service: SoapService, services: Mapping[str, Mapping[str, Operation]]
    ) -> None:
        self._simulator = simulator
        self._service = service
        self._services = {path.encode(): operations for path, operations in services.items()}
        self._heads: dict[bytes, _Head | None] = {}

    def reply(self, data: bytes) -> ShortReply | None:
        """The reply to the one request that is ``data``; None: it has to go the long way, nothing has happened."""
        line_end = data.find(_LINE_END)
        head_end = data.find(b"\r\n\r\n", line_end)
        if head_end < 0 or not data.startswith(_METHOD) or data[line_end - 9 : line_end] != _VERSION:
            return None
        head = self._head(data[line_end + 2 : head_end])
        if head is None or len(data) != head_end + 4 + head.body_bytes:
            return None
        path = data[5 : line_end - 9]
        operations = self._services.get(path)
        if operations is None:
            answer = self._pay(path)
        else:
            body = data[head_end + 4 :]
            answer = self._service.answer_at_once(operations, body, head.content_type, head.authentication)
        return None if answer is None else ShortReply(answer, head.closes)

    def _pay(self, path: bytes) -> Answer | None:
        asked = _PAID.fullmatch(path)
        if asked is None:
            return None
        payment_type, outcome, token = asked.groups()
        try:
            url = self._simulator.pay(token.decode(), payment_type.decode(), outcome.decode())
        except PayerRefused:
            return None
        return Answer(200, JSON_TYPE, orjson.dumps({"redirectUrl": url}))

    def _head(self, raw: bytes) -> _Head | None:
        try:
            return self._heads[raw]
        except KeyError:
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            head = self._heads[raw] = _read_head(raw)
            return head


def _read_head(raw: bytes) -> _Head | None:
    """None for a head that is not wholly plain."""
    headers: dict[bytes, bytes] = {}
    for line in raw.split(_LINE_END):
        found = _HEADER.fullmatch(line)
        if found is None:
            return None
        name = found[1].lower()
        if name in headers or name in _UNFIT:
            return None
        headers[name] = found[2]
    length = headers.get(b"content-length", b"")
    if b"host" not in headers or not _LENGTH.fullmatch(length) or int(length) > BODY_BYTES_MAX:
        return None
    closes = _CLOSES.get(headers.get(b"connection", b"keep-alive").lower())
    if closes is None:
        return None
    content_type, authentication = headers.get(b"content-type", b""), headers.get(BEARER_HEADER.lower().encode(), b"")
    return _Head(int(length), content_type.decode(), authentication.decode(), closes)
