"""A table's definition as the engine uses it: key attributes, indexes, and the encoded keys of an item.

The *document* of a table is stored in the catalogue: the members of Amazon's ``TableDescription`` that a caller chose,
in Amazon's own names. Each process makes a :class:`Table` from it, once per change of the document. An
:class:`ItemWrite` is one item's change; a table calls its *followers* after each.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.items.attribute_values import AttributeType, AttributeValue, Item, normalise
from bursar.dynamo.items.key_encoding import encode_key_value
from bursar.dynamo.storage.fast_keys import encode_ascii_key
from bursar.dynamo.storage.rows import ItemRows, StoredRow
from bursar.dynamo.storage.secondary_index import (
    EMPTY_KEY,
    KINDS,
    NOT_VALID,
    PLAIN_TEXT_MAX,
    Counted,
    DoesNotFitTable,
    SecondaryIndex,
    check_key_size,
    misfit,
    secondary_index,
)
from bursar.dynamo.storage.sqlite_file import TABLE_ITSELF, Storage
from bursar.dynamo.storage.vector_index import VectorIndex, vector_index
from bursar.dynamo.storage.write_denial import denies_all_writes

KEY_MISMATCH = "The provided key element does not match the schema"

Follower = Callable[["ItemWrite", int], None]
"""A callback after each change of a table's item, in its transaction, with the change and the row's id."""


class Table:
    """One table: its definition and its rows."""

    __slots__ = (
        "_arn_prefix",
        "checked_indexes",
        "counted",
        "denies_writes",
        "document",
        "every_index",
        "followers",
        "id",
        "index_key_names",
        "indexes",
        "key_names",
        "key_types",
        "local_indexes",
        "may_refuse_writes",
        "name",
        "partition_name",
        "partition_type",
        "rows",
        "rules",
        "sort_name",
        "sort_type",
        "ttl_attribute",
        "types",
        "vector_indexes",
    )

    def __init__(
        self, storage: Storage, table_id: int, name: str, document: Mapping[str, Any], rules: str | None
    ) -> None:
        self._arn_prefix = storage.table_arn_prefix
        self.id = table_id
        self.counted: Counted = (table_id, TABLE_ITSELF)
        self.name = name
        self.document = document
        self.rules = rules
        """The rules document, if the table has one."""
        types = {one["AttributeName"]: one["AttributeType"] for one in document["AttributeDefinitions"]}
        self.key_names: tuple[str, ...] = tuple(one["AttributeName"] for one in document["KeySchema"])
        self.key_types = tuple((name, types[name]) for name in self.key_names)
        self.types: Mapping[str, str] = dict(self.key_types)
        self.partition_name = self.key_names[0]
        self.partition_type: str = types[self.partition_name]
        self.sort_name = self.key_names[1] if len(self.key_names) == 2 else None
        self.sort_type = types[self.sort_name] if self.sort_name else None
        self.rows = ItemRows(storage, table_id)
        self.indexes: dict[str, SecondaryIndex] = {}
        for is_global, member in ((False, "LocalSecondaryIndexes"), (True, "GlobalSecondaryIndexes")):
            for index in document.get(member, ()):
                self.indexes[index["IndexName"]] = secondary_index(
                    storage, table_id, self.key_names, index, types, is_global=is_global
                )
        self.checked_indexes = tuple(self.indexes[name] for name in sorted(self.indexes))
        """The secondary indexes in the order in which Amazon checks a written item against them."""
        self.vector_indexes: dict[str, VectorIndex] = {
            index["IndexName"]: vector_index(storage, table_id, self.key_names, index, types)
            for index in document.get("VectorIndexes", ())
        }
        self.every_index: tuple[SecondaryIndex, ...] = (*self.indexes.values(), *self.vector_indexes.values())
        """The secondary indexes and the vector indexes: those with entries in the file."""
        self.index_key_names = frozenset(name for index in self.every_index for name in index.read_names)
        """The attributes that decide which items are in an index, and where."""
        self.local_indexes = any(not index.is_global for index in self.indexes.values())
        lives = document.get("TimeToLive")
        self.ttl_attribute: str | None = lives["AttributeName"] if lives else None
        """The attribute with an item's expiry time; None for a table without a time to live."""
        self.denies_writes = denies_all_writes(document)
        """Whether the table's resource policy closes it to every writer."""
        self.may_refuse_writes = self.denies_writes or rules is not None
        """Whether a valid write can be refused, by the table's rules or by its resource policy."""
        self.followers: tuple[Follower, ...] = ()
        """The callbacks that update a TTL index and a stream with the items; most tables have none."""

    @property
    def arn(self) -> str:
        """The table's Amazon resource name."""
        return self._arn_prefix + self.name

    def follow(self, follower: Follower) -> None:
        """Call ``follower`` after each later change of an item, after the followers that exist already."""
        self.followers = (*self.followers, follower)

    def key_of_item(self, item: Item) -> bytes:
        """Return the encoded key of a normalised item about to be stored.

        Raises :class:`DoesNotFitTable` for a key attribute that is missing or unfit. An empty one is a fault of the
        request itself, a ValidationException in a transaction too.
        """
        fast = encode_ascii_key(self.key_types, item)
        return self._key_of_item(item) if fast is None else fast

    def _key_of_item(self, item: Item) -> bytes:
        encoded = b""
        for name, kind in self.key_types:
            value = item.get(name)
            if value is None:
                raise misfit(f"Missing the key {name} in the item")
            if kind not in value:
                raise misfit(f"Type mismatch for key {name} expected: {kind} actual: {next(iter(value))}")
            encoded += self._encode(name, kind, value)
        return encoded

    def key_of(self, key: Mapping[str, Any]) -> tuple[Item, bytes]:
        """Return a request's ``Key`` normalised, and encoded.

        Raises :class:`DoesNotFitTable` for a key that does not fit the schema, and what ``normalise`` raises.
        """
        if len(key) == len(self.key_types):
            fast = encode_ascii_key(self.key_types, key)
            if fast is not None:
                return {name: key[name] for name in self.key_names}, fast
        return self._key_of(key)

    def encoded_key(self, key: Mapping[str, Any]) -> bytes:
        """Return a request's ``Key`` encoded. Raises as :meth:`key_of` does."""
        fast = encode_ascii_key(self.key_types, key) if len(key) == len(self.key_types) else None
        return self._key_of(key)[1] if fast is None else fast

    def _key_of(self, key: Mapping[str, Any]) -> tuple[Item, bytes]:
        if len(key) != len(self.key_types) or not key.keys() >= self.types.keys():
            # DynamoDB reports a value that is no attribute value before a key that does not fit.
            for value in key.values():
                normalise(value)
            raise DoesNotFitTable(KEY_MISMATCH)
        normal: Item = {}
        encoded = b""
        for name, kind in self.key_types:
            value = normal[name] = normalise(key[name])
            if kind not in value:
                raise DoesNotFitTable(KEY_MISMATCH)
            encoded += self._encode(name, kind, value)
        return normal, encoded

    def check_index_keys(self, item: Item) -> None:
        """Raise :class:`DoesNotFitTable` for an item, or changed attributes, unfit for the key of an index."""
        if self.index_key_names.isdisjoint(item):
            return
        for index in self.checked_indexes:
            for name, kind in index.key_types:
                value = item.get(name)
                if value is not None and not (kind in value and 0 < len(value[kind]) <= PLAIN_TEXT_MAX):
                    index.check_value(name, kind, value)
        for vectors in self.vector_indexes.values():
            vectors.check_item(item)

    def stored_key_of(self, item: Item) -> bytes:
        """Return the encoded key of a stored item, or of a valid key."""
        return b"".join([encode_key_value(item[name]) for name in self.key_names])

    def key_item(self, item: Item) -> Item:
        """Return the key attributes of an item."""
        return {name: item[name] for name in self.key_names}

    def index(self, name: str, operation: str = "Scan") -> SecondaryIndex:
        """Return the secondary index of that name. Raises ValidationException if there is none, or a vector index."""
        found = self.indexes.get(name)
        if found is None and name in self.vector_indexes:
            raise invalid(f"{operation} operation not supported on this index type")
        if found is None:
            raise invalid(f"The table does not have the specified index: {name}")
        return found

    def _encode(self, name: str, kind: AttributeType, value: AttributeValue) -> bytes:
        content: str = value[kind]
        if content == "":
            raise invalid(f"{NOT_VALID}{EMPTY_KEY.format(kind=KINDS[kind])} Key: {name}")
        if len(content) > PLAIN_TEXT_MAX:
            check_key_size(value, kind, is_partition=name == self.partition_name)
        return encode_key_value(value)


class ItemWrite:
    """One item's change before it is stored: the present ``row``, and the ``new`` item (None for a deletion)."""

    __slots__ = ("_key_item", "_old", "body", "by_service", "check_only", "key", "new", "row", "size", "table")

    def __init__(
        self,
        table: Table,
        key: bytes,
        row: StoredRow | None,
        old: Item | None,
        new: Item | None,
        size: int = 0,
        body: bytes | None = None,
    ) -> None:
        """Prepare a change. ``size`` is the size of ``new``, and ``body`` its bytes if the caller has them.

        ``old`` may be None although there is a row. Then it is decoded from the row when it is first needed.
        """
        self.table = table
        self.key = key
        self.row = row
        self._old = old
        self._key_item: Item | None = None
        self.new = new
        self.size = size
        self.body = body if body is not None else b"" if new is None else orjson.dumps(new)
        self.check_only = False
        self.by_service = False
        """Whether time to live makes the change, not a request; its stream record contains this."""

    @classmethod
    def check(cls, table: Table, key: bytes, row: StoredRow | None, old: Item | None) -> "ItemWrite":
        """Return a write that changes nothing: a transaction's ConditionCheck."""
        write = cls(table, key, row, old, None)
        write.check_only = True
        if row is not None:
            write.new, write.size, write.body = old, row[1], row[2]
        return write

    @property
    def key_item(self) -> Item:
        """The key attributes of the item."""
        if self._key_item is None:
            item = self.new or self.old or {}
            self._key_item = {name: item[name] for name in self.table.key_names}
        return self._key_item

    @property
    def larger_bytes(self) -> int:
        """The larger size of the two items, which is what Amazon bills."""
        return self.size if self.row is None else max(self.size, self.row[1])

    @property
    def old(self) -> Item | None:
        """The item before the change."""
        if self._old is None and self.row is not None:
            self._old = orjson.loads(self.row[2])
        return self._old


def no_such_table() -> DynamoError:
    """Return the error that the item operations raise for a missing table."""
    return DynamoError("ResourceNotFoundException", "Requested resource not found")
