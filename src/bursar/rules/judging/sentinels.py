"""Sentinels: one small item per unique value, so that the uniqueness of its key gives the uniqueness of the value.

    {"pk": {"S": "unique#token#abc"}, "sk": {"S": "sentinel"}, "kind": {"S": "sentinel"},
     "rule": {"S": "token"}, "owner": {"M": {"pk": …, "sk": …}}}

The partition key contains the rule and the value. ``owner`` is the key of the item that owns the value, so a sentinel
is also a strongly consistent lookup. Both keys of the table must be text for sentinels to fit in.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

from bursar.dynamo.items.attribute_values import AttributeValue, Item
from bursar.dynamo.items.numbers import canonical
from bursar.rules.language.named_rule import SENTINEL_KIND
from bursar.rules.language.vocabulary import Unique, UniqueWhile

VALUE_BYTES_MAX = 1024
"""The longest value in a sentinel's key.

A longer one is replaced by its SHA-256, because DynamoDB's partition keys have at most 2,048 bytes.
"""

TEXTS_CACHED = 1024

SORT_VALUE = "sentinel"
OWNER = "owner"
RULE = "rule"
PREFIX = "unique#"


def sentinel_prefix(rule: Unique | UniqueWhile) -> str:
    """Return the text with which the partition keys of the rule's sentinels start."""
    return f"{PREFIX}{rule.name}#"


def value_text(values: Sequence[AttributeValue]) -> str:
    """Return typed values as one text that differs for different values; it follows the prefix in a sentinel's key.

    Text is kept, with ``%`` and ``#`` escaped. Other types get a mark that no escaped text can start with, and numbers
    are canonical (1.0 is 1). Raises ``ValueError`` for any type but text, number and binary.
    """
    if len(values) == 1 and "S" in values[0]:
        return _text_value(values[0]["S"])
    return _bounded("#".join(map(_part, values)))


@lru_cache(TEXTS_CACHED)
def _text_value(text: str) -> str:
    """Return one text value's text; cached, because one payment needs the text of one value about ten times."""
    return _bounded(_escaped(text))


def _bounded(text: str) -> str:
    encoded = text.encode("utf-8", "surrogatepass")
    return text if len(encoded) <= VALUE_BYTES_MAX else f"%H{sha256(encoded).hexdigest()}"


def _part(value: AttributeValue) -> str:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return _escaped(str(content))
        case "N":
            return f"%N{canonical(content)}"
        case "B":
            return f"%B{content}"
        case _:
            raise ValueError(f"unique value: must be of type S, N or B; got {kind}")


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("#", "%23")


def sentinel_key(key_names: Sequence[str], partition: str) -> dict[str, Any]:
    """Return the whole key of the sentinel whose partition key is ``partition``."""
    key: dict[str, Any] = {key_names[0]: {"S": partition}}
    if len(key_names) == 2:
        key[key_names[1]] = {"S": SORT_VALUE}
    return key


def sentinel_partition(key_names: Sequence[str], key: Item) -> str | None:
    """Return the partition key in ``key``; None for a key that :func:`sentinel_key` cannot have made."""
    if len(key_names) == 2 and key[key_names[1]].get("S") != SORT_VALUE:
        return None
    partition: str | None = key[key_names[0]].get("S")
    return partition


def sentinel_item(
    key_names: Sequence[str], kind_attribute: str, partition: str, rule: str, owner: Item
) -> dict[str, Any]:
    """Return the sentinel of ``partition``; ``owner`` is the key of the item that owns the value."""
    key = sentinel_key(key_names, partition)
    return {**key, kind_attribute: {"S": SENTINEL_KIND}, RULE: {"S": rule}, OWNER: {"M": dict(owner)}}


def is_sentinel(item: Item, kind_attribute: str) -> bool:
    """Return whether the item is a sentinel."""
    return bool(item.get(kind_attribute) == {"S": SENTINEL_KIND})
