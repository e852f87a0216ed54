"""Make HTTP responses as Amazon's endpoint sends them: the head with request id and CRC32, gzip, refusals.

The engine makes the body of a response as bytes. Only the head is made here, from a template that is renewed once a
second, because it holds the date.
"""

import gzip
import time
from binascii import crc32
from collections.abc import Mapping
from typing import Final

import orjson

from bursar.dynamo.errors import DynamoError
from bursar.web.refusals import RefusalReason

JSON: Final = b"application/json"
AMZ_JSON: Final = b"application/x-amz-json-1.0"
XML_UNKNOWN: Final = b"<UnknownOperationException/>\n"

GZIP_BYTES_MIN = 1024
"""The least size of a body that is compressed."""
GZIP_LEVEL = 1

PREFLIGHT_AGE_S = 172_800

_REQUEST_ID_PREFIX_CHARACTERS = 16
_REQUEST_ID_SUFFIX = "VV4KQNSO5AEMVJF66Q9ASUAAJG"  # Amazon's request ids all have this ending
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    413: "Request Entity Too Large",
    500: "Internal Server Error",
}
_BASE32 = "0123456789ABCDEFGHIJKLMNOPQRSTUV"

SERIALIZATION: Final = b'{"__type":"com.amazon.coral.service#SerializationException"}'
UNKNOWN_OPERATION: Final = b'{"__type":"com.amazon.coral.service#UnknownOperationException"}'

INTERNAL_ERROR: Final = orjson.dumps(DynamoError("InternalServerError", "The request could not be processed.").body())

_NO_BODY: Final = b"Connection: close\r\nContent-Length: 0\r\n\r\n"
REFUSALS: Final[Mapping[RefusalReason, bytes]] = {
    RefusalReason.NOT_HTTP: b"HTTP/1.1 400 Bad Request\r\n" + _NO_BODY,
    RefusalReason.TOO_SLOW: b"HTTP/1.1 408 Request Timeout\r\n" + _NO_BODY,
    RefusalReason.TOO_LARGE: (
        b"HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    RefusalReason.HEAD_TOO_LARGE: b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _NO_BODY,
    RefusalReason.FAILED: b"HTTP/1.1 500 Internal Server Error\r\n" + _NO_BODY,
    RefusalReason.TOO_BUSY: b"HTTP/1.1 503 Service Unavailable\r\n" + _NO_BODY,
}
"""Whole answers to requests that cannot be read. The connection ends after them."""


class Responses:
    """The responses of one process. ``process_id_bytes`` (10 random bytes) keeps request ids of processes apart."""

    def __init__(self, process_id_bytes: bytes) -> None:
        number = int.from_bytes(process_id_bytes[:10], "big")
        self._prefix = "".join(_BASE32[number >> (5 * place) & 31] for place in range(_REQUEST_ID_PREFIX_CHARACTERS))
        self._count = 0
        self.renew_date()

    def renew_date(self) -> None:
        """Update the date in the heads. The server calls this once a second."""
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        self._date = date
        self._ok_head = self._head(200, AMZ_JSON, "keep-alive", "")

    def ok_head(self, body: bytes) -> bytes:
        """Return the head of the most frequent response: 200, keep-alive, JSON 1.0, uncompressed."""
        self._count = count = self._count + 1
        return self._ok_head % (len(body), count, crc32(body))

    def head_and_body(
        self,
        status: int,
        body: bytes,
        *,
        content_type: bytes = AMZ_JSON,
        keep_alive: bool = True,
        compress: bool = False,
        extra: str = "",
    ) -> tuple[bytes, bytes]:
        """Return the head and the body of any response. ``extra`` is further header lines, each ended by CRLF."""
        if compress and len(body) >= GZIP_BYTES_MIN:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            extra += "Content-Encoding: gzip\r\n"
        self._count = count = self._count + 1
        head = self._head(status, content_type, "keep-alive" if keep_alive else "close", extra)
        # The checksum is of the bytes on the wire, compressed or not.
        return head % (len(body), count, crc32(body)), body

    def _head(self, status: int, content_type: bytes, connection: str, extra: str) -> bytes:
        return (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nServer: Server\r\nDate: {self._date}\r\n"
            f"Content-Type: {content_type.decode()}\r\nContent-Length: %d\r\nConnection: {connection}\r\n"
            f"x-amzn-RequestId: {self._prefix}%010X{_REQUEST_ID_SUFFIX}\r\nx-amz-crc32: %d\r\n"
            # Header text from the client may hold a percent sign.
            f"{extra.replace('%', '%%')}\r\n"
        ).encode("latin-1")


def coral_error(code: str, message: str) -> bytes:
    """Return the body of an error of Amazon's service framework, whose member ``message`` is in lower case."""
    return orjson.dumps({"__type": f"com.amazon.coral.service#{code}", "message": message})
