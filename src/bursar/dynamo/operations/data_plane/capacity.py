"""Compute consumed capacity as Amazon bills it.

A strongly consistent read takes one unit per 4 KB, an eventually consistent one half, a transactional one double; at
least one step is billed. A write takes one unit per 1 KB of the larger of the old and the new item, double in a
transaction. Each index whose projected part changes is billed too, twice (a delete and a put) when its key changes; a
transaction does not double it. Source: Developer Guide, "Read/write capacity mode" and "Global secondary indexes:
Provisioned throughput considerations"; the factor of an index in a transaction was measured against Amazon's
(nubo-db/dynoxide, pull request 188).

A vector of a vector index counts 4 bytes for each dimension in a write, and the index reports the bytes of its changed
entry. Source: paritysuite/dynamodb-conformance, vectorSearch/consumedCapacity.
"""

from collections.abc import Mapping
from typing import Any

from bursar.dynamo.items.attribute_values import Item, item_size
from bursar.dynamo.storage.secondary_index import SecondaryIndex
from bursar.dynamo.storage.table import Table
from bursar.dynamo.storage.vector_index import VectorIndex, billed_bytes

READ_UNIT_BYTES = 4096
WRITE_UNIT_BYTES = 1024
TRANSACTION_FACTOR = 2.0
VECTOR_BYTES_MIN = 1024
"""The least that a changed entry of a vector index is billed for."""


def read_units(size_bytes: int, *, consistent: bool, transactional: bool = False) -> float:
    """Return the units for reading ``size_bytes`` at once, at least the units of one step."""
    steps = max(1, -(-size_bytes // READ_UNIT_BYTES))
    return steps * (TRANSACTION_FACTOR if transactional else 1.0 if consistent else 0.5)


def write_units(size_bytes: int, *, transactional: bool = False) -> float:
    """Return the units for writing an item; ``size_bytes`` is the larger of its old and new sizes."""
    steps = max(1, -(-size_bytes // WRITE_UNIT_BYTES))
    return steps * (TRANSACTION_FACTOR if transactional else 1.0)


def index_write_units(index: SecondaryIndex, old: Item | None, new: Item | None) -> float:
    """Return the units that a change of an item costs in one index; 0 when the index entry stays the same."""
    old_key = index.key_of(old) if old is not None else None
    new_key = index.key_of(new) if new is not None else None
    if old_key is None and new_key is None:
        return 0.0
    old_part = index.project(old) if old is not None and old_key is not None else None
    new_part = index.project(new) if new is not None and new_key is not None else None
    if old_key == new_key:
        if old_part == new_part:
            return 0.0
        return write_units(max(item_size(old_part or {}), item_size(new_part or {})))
    return sum(write_units(item_size(part)) for part in (old_part, new_part) if part is not None)


class Consumption:
    """The capacity that one request consumed of one table, by index."""

    __slots__ = ("indexes", "kind", "table", "units", "vectors")

    def __init__(self, table: Table, kind: str) -> None:
        """Start at zero; ``kind`` is ``read`` or ``write``."""
        self.table = table
        self.kind = kind
        self.units = 0.0
        self.indexes: dict[str, float] = {}
        self.vectors: dict[str, float] = {}
        """Bytes written to each vector index."""

    def add_write(self, old: Item | None, new: Item | None, size_bytes: int, *, transactional: bool) -> None:
        """Count one item's write."""
        vectors = self.table.vector_indexes
        if vectors:
            size_bytes = self._with_vectors(vectors, old, new)
        self.units += write_units(size_bytes, transactional=transactional)
        for index in self.table.indexes.values():
            units = index_write_units(index, old, new)
            if units:
                self.indexes[index.name] = self.indexes.get(index.name, 0.0) + units

    def _with_vectors(self, vectors: Mapping[str, VectorIndex], old: Item | None, new: Item | None) -> int:
        """Count the vector indexes whose part of the item changes; return the bytes that the table is billed for."""
        for index in vectors.values():
            parts = [index.project(item) if item and index.holds(item) else None for item in (old, new)]
            if parts[0] != parts[1]:
                held = max(
                    index.size_of(item, 0) for item, part in zip((old, new), parts, strict=True) if item and part
                )
                self.vectors[index.name] = self.vectors.get(index.name, 0.0) + max(VECTOR_BYTES_MIN, held)
        return max(billed_bytes(vectors, item, item_size(item)) for item in (old or {}, new or {}))

    def response(self, detail: str, *, by_kind: bool = False) -> dict[str, Any]:
        """Return ``ConsumedCapacity`` for TOTAL or INDEXES.

        ``by_kind`` adds ReadCapacityUnits or WriteCapacityUnits, as transactions do.
        """
        total = self.units + sum(self.indexes.values())
        answer: dict[str, Any] = {"TableName": self.table.name, "CapacityUnits": total}
        member = "ReadCapacityUnits" if self.kind == "read" else "WriteCapacityUnits"
        if by_kind:
            answer[member] = total
        if detail == "INDEXES":
            answer["Table"] = _detail(self.units, member if by_kind else None)
            for group, is_global in (("GlobalSecondaryIndexes", True), ("LocalSecondaryIndexes", False)):
                indexes = {
                    name: _detail(units, member if by_kind else None)
                    for name, units in self.indexes.items()
                    if self.table.indexes[name].is_global is is_global
                }
                if indexes:
                    answer[group] = indexes
            if self.vectors:
                answer["VectorIndexes"] = {
                    name: {"VectorWriteRequestBytes": written} for name, written in self.vectors.items()
                }
        return answer


def _detail(units: float, member: str | None) -> dict[str, float]:
    return {"CapacityUnits": units} if member is None else {"CapacityUnits": units, member: units}


def consumption_detail(request: Mapping[str, Any]) -> str | None:
    """Return TOTAL or INDEXES if the request asks for its consumption; otherwise None."""
    detail = request.get("ReturnConsumedCapacity")
    return detail if detail in ("TOTAL", "INDEXES") else None
