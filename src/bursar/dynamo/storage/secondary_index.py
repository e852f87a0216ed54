"""A secondary index as the engine uses it: its items, their encoded keys, and the attributes that it has of them."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.items.attribute_values import AttributeType, AttributeValue, Item, item_size
from bursar.dynamo.items.key_encoding import encode_key_value
from bursar.dynamo.storage.rows import IndexEntries
from bursar.dynamo.storage.sqlite_file import Storage

PARTITION_KEY_BYTES_MAX = 2048
SORT_KEY_BYTES_MAX = 1024

PLAIN_TEXT_MAX = SORT_KEY_BYTES_MAX // 4
"""Longest text, in characters, that cannot be too long for a key: a character has at most 4 bytes."""

NOT_VALID = "One or more parameter values are not valid. "
EMPTY_KEY = "The AttributeValue for a key attribute cannot contain an empty {kind} value."
KINDS = {"S": "string", "B": "binary"}

Counted = tuple[int, int]
"""(table id, index number): the key of the counters of items and bytes."""


@dataclass(frozen=True, slots=True)
class SecondaryIndex:
    """A secondary index. A global one may have up to four attributes in each half of its key."""

    name: str
    number: int
    is_global: bool
    partition_names: tuple[str, ...]
    sort_names: tuple[str, ...]
    key_types: tuple[tuple[str, AttributeType], ...]
    """(name, S | N | B) of the partition attributes, then of the sort attributes."""
    types: Mapping[str, str]
    projection: str
    """ALL, KEYS_ONLY or INCLUDE."""
    projected: frozenset[str] | None
    """The attributes in the index, keys included; None for ALL."""
    entries: IndexEntries
    counted: Counted

    @property
    def read_names(self) -> tuple[str, ...]:
        """The attributes that decide whether an item is in the index, and where."""
        return tuple(self.types)

    def key_of(self, item: Item) -> bytes | None:
        """Return the encoded index key of a stored item; None when the item is not in the index.

        An item that is older than the index may have an attribute that is unfit for the key: such an item is not in the
        index.
        """
        encoded = b""
        for name, kind in self.key_types:
            value = item.get(name)
            if value is None or kind not in value:
                return None
            if not 0 < len(value[kind]) <= PLAIN_TEXT_MAX and not self._fits(name, kind, value[kind]):
                return None
            encoded += encode_key_value(value)
        return encoded

    def holds(self, item: Item) -> bool:
        """Return whether a stored item is in the index."""
        return self.key_of(item) is not None

    def _fits(self, name: str, kind: str, content: str) -> bool:
        most = PARTITION_KEY_BYTES_MAX if name in self.partition_names else SORT_KEY_BYTES_MAX
        return content != "" and key_bytes(kind, content) <= most

    def check_value(self, name: str, kind: AttributeType, value: AttributeValue) -> None:
        """Raise :class:`DoesNotFitTable` for a value about to be stored that is unfit for the index's key.

        Any value of the key's type with 1 to ``PLAIN_TEXT_MAX`` characters fits.
        """
        if kind not in value:
            raise misfit(
                f"Type mismatch for Index Key {name} Expected: {kind} Actual: {next(iter(value))} "
                f"IndexName: {self.name}"
            )
        if value[kind] == "":
            raise invalid(
                f"{NOT_VALID}A value specified for a secondary index key is not supported. "
                f"{EMPTY_KEY.format(kind=KINDS[kind])} IndexName: {self.name}, IndexKey: {name}"
            )
        check_key_size(value, kind, is_partition=name in self.partition_names)

    def project(self, item: Item) -> Item:
        """Return the part of an item that the index contains."""
        projected = self.projected
        return item if projected is None else {name: value for name, value in item.items() if name in projected}

    def size_of(self, item: Item, size: int) -> int:
        """Return the bytes of an item's part in the index; ``size`` is the size of the whole item."""
        return size if self.projected is None else item_size(self.project(item))


def index_parts(
    storage: Storage,
    table_id: int,
    table_keys: tuple[str, ...],
    document: Mapping[str, Any],
    keys: Mapping[str, tuple[str, ...]],
    types: Mapping[str, AttributeType],
) -> dict[str, Any]:
    """Return the members that every kind of index has, from its document.

    ``keys`` has the partition attributes (HASH) and the sort attributes (RANGE) of the index.
    """
    names = keys["HASH"] + keys["RANGE"]
    projection = document["Projection"]
    held = frozenset((*names, *table_keys, *projection.get("NonKeyAttributes", ())))
    return {
        "name": document["IndexName"],
        "number": document["Number"],
        "partition_names": keys["HASH"],
        "sort_names": keys["RANGE"],
        "key_types": tuple((name, types[name]) for name in names),
        "types": {name: types[name] for name in names},
        "projection": projection["ProjectionType"],
        "projected": None if projection["ProjectionType"] == "ALL" else held,
        "entries": IndexEntries(storage, table_id, document["Number"]),
        "counted": (table_id, document["Number"]),
    }


def secondary_index(
    storage: Storage,
    table_id: int,
    table_keys: tuple[str, ...],
    document: Mapping[str, Any],
    types: Mapping[str, AttributeType],
    *,
    is_global: bool,
) -> SecondaryIndex:
    """Return the secondary index of a document; ``types`` are those of the table's AttributeDefinitions."""
    keys = {
        role: tuple(one["AttributeName"] for one in document["KeySchema"] if one["KeyType"] == role)
        for role in ("HASH", "RANGE")
    }
    return SecondaryIndex(is_global=is_global, **index_parts(storage, table_id, table_keys, document, keys, types))


class DoesNotFitTable(DynamoError):
    """A ValidationException about an item or a key that does not fit the table.

    In a transaction it is a cancellation reason, not an error of the whole request.
    """

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


def misfit(message: str) -> DoesNotFitTable:
    """Return the error of an attribute that does not fit the table or an index."""
    return DoesNotFitTable(f"One or more parameter values were invalid: {message}")


def key_bytes(kind: str, content: str) -> int:
    """Return the bytes that count towards the limit of a key; a number counts as 0, because it is never too long."""
    return len(content.encode()) if kind == "S" else len(b64decode(content)) if kind == "B" else 0


def check_key_size(value: AttributeValue, kind: AttributeType, *, is_partition: bool) -> None:
    """Raise :class:`DoesNotFitTable` for a value that is too long for a key."""
    size = key_bytes(kind, value[kind])
    if is_partition and size > PARTITION_KEY_BYTES_MAX:
        # Amazon's text lacks the space.
        raise misfit(f"Size of hashkey has exceeded the maximum size limit of{PARTITION_KEY_BYTES_MAX} bytes")
    if not is_partition and size > SORT_KEY_BYTES_MAX:
        raise misfit(f"Aggregated size of all range keys has exceeded the size limit of {SORT_KEY_BYTES_MAX} bytes")
