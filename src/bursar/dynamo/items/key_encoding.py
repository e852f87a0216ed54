"""Encode key attributes as bytes that sort as DynamoDB sorts; each is self-delimiting, so they can be concatenated.

A string sorts by its UTF-8 bytes, a binary value by its unsigned bytes, a number by its value. Strings and binaries end
in ``00 00`` and encode an inner zero byte as ``00 FF``; ``numbers.number_key`` describes the end of a number. So a
partition key's bytes followed by a sort key's bytes sort by partition first, then by sort key.
"""

from base64 import b64decode
from collections.abc import Iterable

from bursar.dynamo.items.attribute_values import AttributeValue
from bursar.dynamo.items.numbers import number_key

END = b"\x00\x00"
ESCAPED_ZERO = b"\x00\xff"


def encode_key_value(value: AttributeValue) -> bytes:
    """Return the bytes of one normalised S, N or B value, without its type: a key attribute has only one type."""
    text = value.get("S")
    if text is not None:
        raw: bytes = text.encode()
        return raw + END if b"\x00" not in raw else _delimited(raw)
    if "N" in value:
        return number_key(value["N"])
    return _delimited(b64decode(value["B"]))


def compose(pk_value: AttributeValue, sk_value: AttributeValue | None = None) -> bytes:
    """Return the bytes of a whole key: partition value, then sort value if the table has one."""
    encoded = encode_key_value(pk_value)
    return encoded if sk_value is None else encoded + encode_key_value(sk_value)


def compose_all(values: Iterable[AttributeValue]) -> bytes:
    """Return the bytes of a key of several attributes: an index's with many, or an index's followed by its table's."""
    return b"".join(map(encode_key_value, values))


def encode_key_prefix(value: AttributeValue) -> bytes:
    """Return the common prefix of the encodings of all S or B values that begin with ``value``."""
    raw = value["S"].encode() if "S" in value else b64decode(value["B"])
    return raw.replace(b"\x00", ESCAPED_ZERO)


def after_prefix(prefix: bytes) -> bytes | None:
    """Return the least bytes greater than all bytes that begin with ``prefix``; None when there are none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def prefix_range(prefix: bytes) -> tuple[bytes, bytes | None]:
    """Return the bounds (lower inclusive, upper exclusive) of all encoded keys that begin with ``prefix``."""
    return prefix, after_prefix(prefix)


def _delimited(raw: bytes) -> bytes:
    return (raw.replace(b"\x00", ESCAPED_ZERO) if b"\x00" in raw else raw) + END
