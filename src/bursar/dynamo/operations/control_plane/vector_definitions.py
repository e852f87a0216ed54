"""The definitions of vector indexes: their shapes in CreateTable and UpdateTable, and Amazon's checks of them.

Texts: paritysuite/dynamodb-conformance, error-messages/vectorIndexes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bursar.dynamo.errors import DynamoError, invalid_parameter
from bursar.dynamo.operations.control_plane.projections import PROJECTION, check_projection
from bursar.dynamo.operations.requests.common_members import NAME
from bursar.dynamo.operations.requests.shapes import IntegerShape, ListShape, Shape, StringShape, StructureShape

VECTOR = "VectorIndexes"
VECTOR_INDEXES_MAX = 5
DIMENSIONS_MAX = 4096
VECTOR_INDEX_MEMBERS = ("IndexName", "SearchSchema", "Projection", "VectorAttribute", "Dimensions", "DistanceFunction")
"""The members of a vector index that its definition and its description have in common."""

_SEARCH_ELEMENT = StructureShape(
    {
        "AttributeName": StringShape(0, 65535),
        "SearchSchemaElementType": StringShape(choices=("HASH", "INLINE_FILTER")),
    },
    ("AttributeName", "SearchSchemaElementType"),
)
_MEMBERS: dict[str, Shape] = {
    "IndexName": NAME,
    "VectorAttribute": StructureShape({"AttributeName": StringShape(1, 255)}, ("AttributeName",)),
    "SearchSchema": ListShape(_SEARCH_ELEMENT, fewest=1),
    "Projection": PROJECTION,
    "Dimensions": IntegerShape(1, java="Long"),
    "DistanceFunction": StringShape(choices=("COSINE", "DOT_PRODUCT", "EUCLIDEAN")),
}
VECTOR_INDEX = StructureShape(
    _MEMBERS, ("IndexName", "VectorAttribute", "Projection", "Dimensions", "DistanceFunction")
)
VECTOR_INDEX_UPDATE = StructureShape(
    {"Create": VECTOR_INDEX, "Delete": StructureShape({"IndexName": NAME}, ("IndexName",))}
)


def check_vectors(
    indexes: Sequence[Mapping[str, Any]], types: Mapping[str, str], names: set[str], *, on_demand: bool
) -> None:
    """Raise ValidationException for invalid vector indexes of a table.

    ``types`` are those of its AttributeDefinitions, ``names`` the names of its other indexes.
    """
    if indexes and not on_demand:
        raise only_on_demand()
    if len(indexes) > VECTOR_INDEXES_MAX:
        raise invalid_parameter(f"VectorIndex count exceeds the per-table limit of {VECTOR_INDEXES_MAX}")
    dimensions: dict[str, int] = {}
    for index in indexes:
        check_projection(index, names)
        schema = index.get("SearchSchema") or ()
        if any(part["AttributeName"] not in types for part in schema):
            raise invalid_parameter("One element in SearchSchema is not defined in attribute definitions")
        if sum(part["SearchSchemaElementType"] == "HASH" for part in schema) > 1:
            raise invalid_parameter("SearchSchema must not have more than one HASH element")
        if index["Dimensions"] > DIMENSIONS_MAX:
            raise invalid_parameter(f"Number of dimensions must be between 1 and {DIMENSIONS_MAX} inclusive.")
        attribute = index["VectorAttribute"]["AttributeName"]
        if dimensions.setdefault(attribute, index["Dimensions"]) != index["Dimensions"]:
            raise invalid_parameter(
                f"Conflicting attribute definition for '{attribute}'. "
                "All VectorIndexes on the same vector attribute must use the same dimensions."
            )


def only_on_demand() -> DynamoError:
    """Return the error of a vector index on a table with provisioned capacity."""
    return invalid_parameter("Vector indexes are only supported for PAY_PER_REQUEST tables")


def vector_document(index: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return a vector index as the table's document stores it."""
    return {**{member: index[member] for member in VECTOR_INDEX_MEMBERS if index.get(member)}, "Number": number}


def search_names(indexes: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the attributes of the indexes' search schemas."""
    return {part["AttributeName"] for index in indexes for part in index.get("SearchSchema") or ()}
