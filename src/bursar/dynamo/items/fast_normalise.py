"""Validate, normalise and measure an item in one pass.

| here                        | plain twin in ``attribute_values``     | gain               |
|-----------------------------|----------------------------------------|--------------------|
| ``normalise_and_measure``   | ``normalise_item`` and ``item_size``   | 25 % of PutItem    |
| ``size_after``              | ``item_size``                          | 12 % of UpdateItem |

Property tests in tests/dynamo/items/test_fast_normalise.py hold each pair equal. The gain is possible because most
attributes are strings, which need no change. Most others are repeated numbers, whose canonical text and size are
cached.
"""

from collections.abc import Iterable
from functools import lru_cache

from bursar.dynamo.errors import invalid
from bursar.dynamo.items.attribute_values import (
    BOOLEAN_BYTES,
    CONTAINER_BYTES,
    ELEMENT_BYTES,
    EMPTY_NAME,
    NESTING_MAX,
    AttributeValue,
    Item,
    normalise,
    value_size,
)
from bursar.dynamo.items.numbers import canonical, number_size

NUMBERS_CACHED = 8192


def normalise_and_measure(item: Item, depth: int = 0) -> tuple[Item, int]:
    """Return (the normalised item, its size in bytes). Raises as ``attribute_values.normalise_item`` does.

    Values that needed no change are shared with the argument, not copied. ``depth`` counts the maps around the item,
    since the members of a map are normalised like the attributes of an item.
    """
    if "" in item:
        raise invalid(EMPTY_NAME)
    normal = item
    size = 0
    # Joining all names and strings and measuring them once costs less than measuring each.
    texts = list(item)
    kept: AttributeValue
    for name, value in item.items():
        if type(value) is dict and len(value) == 1:
            # The four most frequent types first.
            text = value.get("S")
            if type(text) is str:
                texts.append(text)
                continue
            text = value.get("N")
            if type(text) is str:
                plain, number_bytes = _canonical_and_size(text)
                size += number_bytes
                if plain == text:
                    continue
                kept = {"N": plain}
            elif type(value.get("BOOL")) is bool:
                size += BOOLEAN_BYTES
                continue
            elif type(value.get("M")) is dict and depth < NESTING_MAX:
                members = value["M"]
                inner, inner_bytes = normalise_and_measure(members, depth + 1)
                size += inner_bytes + CONTAINER_BYTES + ELEMENT_BYTES * len(members)
                if inner is members:
                    continue
                kept = {"M": inner}
            else:
                kept = normalise(value, depth)
                size += value_size(kept)
        else:
            kept = normalise(value, depth)
            size += value_size(kept)
        if kept is not value:
            normal = item.copy() if normal is item else normal
            normal[name] = kept
    joined = "".join(texts)
    return normal, size + (len(joined) if joined.isascii() else len(joined.encode()))


@lru_cache(NUMBERS_CACHED)
def _canonical_and_size(text: str) -> tuple[str, int]:
    plain = canonical(text)
    return plain, number_size(plain)


def size_after(size: int, old: Item, new: Item, heads: Iterable[str]) -> int:
    """Return the size of ``new``, which differs from ``old`` only in the attributes ``heads``.

    ``size`` is that of ``old``, in bytes.
    """
    for name in heads:
        before, after = old.get(name), new.get(name)
        if before is not None:
            text = before.get("S")
            size -= len(text) if text is not None and text.isascii() else value_size(before)
        if after is not None:
            text = after.get("S")
            size += len(text) if text is not None and text.isascii() else value_size(after)
        if before is None or after is None:
            size += len(name.encode()) * ((after is not None) - (before is not None))
    return size
