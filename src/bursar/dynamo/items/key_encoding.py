"""Key attributes as bytes that sort as DynamoDB sorts, each self-delimiting, so that they can be joined.

A string sorts by its UTF-8 bytes, a binary value by its unsigned bytes, a number by its value. Strings and binaries end
in ``00 00`` and carry an inner zero byte as ``00 FF``; numbers end as ``numbers.number_key`` says. So the bytes of
a partition key followed by those of a sort key sort by partition first, then by sort key, whatever they hold.
"""

from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from bursar.dynamo.items.numbers import number_key

END = b"\x00\x00"
ESCAPED_ZERO = b"\x00\xff"


def encode_key_value(value: dict[str, Any]) -> bytes:
    """The bytes of one normalised S, N or B value. Its type is not in them: a key attribute has only one."""
    text = value.get("S")
    if text is not None:
        raw: bytes = text.encode()
        return raw + END if b"\x00" not in raw else _delimited(raw)
    if "N" in value:
        return number_key(value["N"])
    return _delimited(b64decode(value["B"]))


def compose(pk_value: dict[str, Any], sk_value: dict[str, Any] | None = None) -> bytes:
    """The bytes of a whole key: partition value, then sort value if the table has one."""
    encoded = encode_key_value(pk_value)
    return encoded if sk_value is None else encoded + encode_key_value(sk_value)


def compose_all(values: Iterable[dict[str, Any]]) -> bytes:
    """The bytes of a key of several attributes: of an index with many, or an index's followed by its table's."""
    return b"".join(map(encode_key_value, values))


def encode_key_prefix(value: dict[str, Any]) -> bytes:
    """The bytes with which every S or B value that begins with ``value`` begins."""
    raw = value["S"].encode() if "S" in value else b64decode(value["B"])
    return raw.replace(b"\x00", ESCAPED_ZERO)


def after_prefix(prefix: bytes) -> bytes | None:
    """The least bytes greater than everything that begins with ``prefix``; None when nothing is."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def prefix_range(prefix: bytes) -> tuple[bytes, bytes | None]:
    """``(lower inclusive, upper exclusive)`` of all encoded keys that begin with the bytes ``prefix``."""
    return prefix, after_prefix(prefix)


def _delimited(raw: bytes) -> bytes:
    return (raw.replace(b"\x00", ESCAPED_ZERO) if b"\x00" in raw else raw) + END
