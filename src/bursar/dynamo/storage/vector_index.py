"""A vector index as the engine uses it: the vectors that it holds, and their distance from a query's vector.

An entry has the encoded HASH attribute of the search schema, if there is one, and the key of the item; the vector stays
in the item. A search reads the entries of one partition and compares every vector, so its answer is exact, where
Amazon's is approximate. Vectors are compared at the index's precision of 32 bits (Developer Guide, "Vector indexes").
"""

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from operator import mul
from struct import pack, unpack
from typing import Any, TypeAlias

from bursar.dynamo.items.attribute_values import AttributeType, AttributeValue, Item, item_size, value_size
from bursar.dynamo.storage.secondary_index import DoesNotFitTable, SecondaryIndex, index_parts
from bursar.dynamo.storage.sqlite_file import Storage

FLOAT_BYTES = 4
FLOAT_MAX = 3.4028234663852886e38
"""The largest 32-bit number; a larger dot product is reported as this one."""
FLOAT_DIGITS_MAX = 9
"""The decimal digits that always suffice to identify a 32-bit number."""

Vector: TypeAlias = "array[float]"
"""A vector at 32 bits."""


@dataclass(frozen=True, slots=True)
class VectorIndex(SecondaryIndex):
    """An index of the vectors in one attribute; its key is the HASH attribute of the search schema, if there is one."""

    attribute: str
    """The attribute with the vector, a list of numbers."""
    dimensions: int
    distance: str
    """COSINE, EUCLIDEAN or DOT_PRODUCT."""
    searchable: frozenset[str]
    """The attributes of the search schema: those that a condition may name."""

    @property
    def read_names(self) -> tuple[str, ...]:
        """See :class:`SecondaryIndex`."""
        return (self.attribute, *self.types)

    def key_of(self, item: Item) -> bytes | None:
        """See :class:`SecondaryIndex`. An item without a vector of these dimensions is not in the index."""
        value = item.get(self.attribute)
        if value is None or self._misfit_of(value) is not None:
            return None
        return SecondaryIndex.key_of(self, item)

    def check_item(self, item: Item) -> None:
        """Raise :class:`DoesNotFitTable` for an item about to be stored that is unfit for the index."""
        value = item.get(self.attribute)
        problem = None if value is None else self._misfit_of(value)
        if problem is not None:
            raise DoesNotFitTable(f"One or more parameter values were invalid. {problem} IndexName: {self.name}")
        for name, kind in self.key_types:
            if name in item:
                self.check_value(name, kind, item[name])

    def _misfit_of(self, value: AttributeValue) -> str | None:
        """Return Amazon's text about a value that the index cannot hold; None for a valid value."""
        elements = value.get("L")
        if elements is None:
            return f"Invalid type for parameter {self.attribute}, Expected: 32-bit floating point number list"
        if len(elements) != self.dimensions:
            return f"Invalid size for parameter {self.attribute}, Expected: {self.dimensions}, Actual: {len(elements)}"
        wrong = wrong_element(elements)
        if wrong is None:
            return None
        return (
            f"Invalid type for parameter {self.attribute}[{wrong}], Expected: 32-bit floating point number, "
            f"Actual: {next(iter(elements[wrong]))}."
        )

    def vector_of(self, item: Item) -> Vector:
        """Return the vector of an item that is in the index."""
        return vector(item[self.attribute]["L"])

    def project(self, item: Item) -> Item:
        """See :class:`SecondaryIndex`. The vector has the index's precision of 32 bits."""
        held = dict(SecondaryIndex.project(self, item))
        held[self.attribute] = {"L": [{"N": number_text(number)} for number in self.vector_of(item)]}
        return held

    def size_of(self, item: Item, size: int) -> int:
        """See :class:`SecondaryIndex`. A vector counts its name and 4 bytes for each dimension."""
        others = {name: value for name, value in SecondaryIndex.project(self, item).items() if name != self.attribute}
        return item_size(others) + len(self.attribute.encode()) + FLOAT_BYTES * self.dimensions

    def score(self, wanted: Vector, item: Item) -> float:
        """Return the distance of an item from ``wanted``, or its dot product, at 32 bits."""
        found = self.vector_of(item)
        if self.distance == "EUCLIDEAN":
            return _at_32_bits(math.dist(wanted, found))
        product = sum(map(mul, wanted, found))
        if self.distance == "DOT_PRODUCT":
            return _at_32_bits(product)
        length = math.hypot(*wanted) * math.hypot(*found)
        # A vector of length 0 has no direction, so it counts as neither near nor opposite.
        return _at_32_bits(1.0 - product / length) if length else 1.0


def vector_index(
    storage: Storage,
    table_id: int,
    table_keys: tuple[str, ...],
    document: Mapping[str, Any],
    types: Mapping[str, AttributeType],
) -> VectorIndex:
    """Return the vector index of a document; ``types`` are those of the table's AttributeDefinitions."""
    schema = document.get("SearchSchema", ())
    partition = tuple(one["AttributeName"] for one in schema if one["SearchSchemaElementType"] == "HASH")
    searchable = frozenset(one["AttributeName"] for one in schema)
    attribute = document["VectorAttribute"]["AttributeName"]
    keys: dict[str, tuple[str, ...]] = {"HASH": partition, "RANGE": ()}
    parts = index_parts(storage, table_id, table_keys, document, keys, types)
    if parts["projected"] is not None:
        parts["projected"] |= searchable | {attribute}
    return VectorIndex(
        is_global=True,
        **parts,
        attribute=attribute,
        dimensions=document["Dimensions"],
        distance=document["DistanceFunction"],
        searchable=searchable,
    )


def wrong_element(elements: list[AttributeValue]) -> int | None:
    """Return the position of the first element that is not a 32-bit number; None if all are."""
    for position, element in enumerate(elements):
        if "N" not in element or math.isinf(array("f", [float(element["N"])])[0]):
            return position
    return None


def vector(elements: list[AttributeValue]) -> Vector:
    """Return the vector of a list of numbers that :func:`wrong_element` accepts."""
    return array("f", [float(element["N"]) for element in elements])


def number_text(number: float) -> str:
    """Return the shortest decimal text that identifies a 32-bit number."""
    for digits in range(1, FLOAT_DIGITS_MAX):
        text = f"{number:.{digits}g}"
        if array("f", [float(text)])[0] == number:
            return str(float(text))
    return str(float(f"{number:.{FLOAT_DIGITS_MAX}g}"))


def billed_bytes(indexes: Mapping[str, VectorIndex], item: Item | None, size: int) -> int:
    """Return the bytes that a write of ``item`` is billed for: a vector costs 4 bytes for each dimension."""
    billed = {index.attribute: index.dimensions for index in indexes.values()}
    for name, dimensions in billed.items():
        if item is not None and name in item:
            size += FLOAT_BYTES * dimensions - value_size(item[name])
    return size


def _at_32_bits(number: float) -> float:
    found: float = unpack("f", pack("f", max(-FLOAT_MAX, min(number, FLOAT_MAX))))[0]
    return found
