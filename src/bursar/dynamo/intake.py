"""An item on its way in: validated, in canonical form and measured, in one pass.

It gives what ``values.normalise_item`` and ``values.item_size`` give, and costs half: most attributes are strings,
which need neither changing nor more than a look.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bursar.dynamo.values import Item, attribute_size, normalise, value_size


def taken_in(item: Mapping[str, Any]) -> tuple[Item, int]:
    """(the normalised item, its size in bytes). Raises as ``values.normalise_item`` does."""
    normal: Item = {}
    size = 0
    for name, value in item.items():
        size += len(name) if name.isascii() else len(name.encode())
        if type(value) is dict and len(value) == 1:
            text = value.get("S")
            if type(text) is str:
                size += len(text) if text.isascii() else len(text.encode())
                normal[name] = value
                continue
        normal[name] = value = normalise(value)
        size += value_size(value)
    return normal, size


def size_after(size: int, old: Item, new: Item, heads: Iterable[str]) -> int:
    """The size of ``new``, which differs from ``old`` of ``size`` bytes at most in the attributes ``heads``."""
    for name in heads:
        before, after = old.get(name), new.get(name)
        if before is not None:
            size -= attribute_size(name, before)
        if after is not None:
            size += attribute_size(name, after)
    return size
