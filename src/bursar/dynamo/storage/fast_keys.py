"""A fast path for keys of short ASCII strings, which most keys are.

Its plain twins are ``Table._key_of`` and ``Table._key_of_item``, which validate and encode any key. Property tests in
tests/dynamo/storage/test_fast_keys.py hold it equal to them. Gain: 25 % of a GetItem.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bursar.dynamo.items.key_encoding import END

ASCII_KEY_CHARACTERS_MAX = 1024
"""The longest ASCII string that always fits a partition key and a sort key."""


def encode_ascii_key(names_and_types: Iterable[tuple[str, str]], values: Mapping[str, Any]) -> bytes | None:
    """Return the encoded key whose attributes are in ``values``; None if one of them needs the plain twin."""
    encoded = b""
    for name, kind in names_and_types:
        value = values.get(name)
        if kind != "S" or type(value) is not dict or len(value) != 1:
            return None
        text = value.get("S")
        if type(text) is not str or not text or not text.isascii() or "\x00" in text:
            return None
        if len(text) > ASCII_KEY_CHARACTERS_MAX:
            return None
        encoded += text.encode() + END
    return encoded
