"""The projection of an index, of each kind: its shape, and Amazon's checks of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bursar.dynamo.errors import invalid_parameter
from bursar.dynamo.operations.requests.shapes import ListShape, StringShape, StructureShape

PROJECTED_ATTRIBUTES_MAX = 100

PROJECTION = StructureShape(
    {
        "ProjectionType": StringShape(choices=("ALL", "INCLUDE", "KEYS_ONLY")),
        "NonKeyAttributes": ListShape(StringShape(1, 255), fewest=1, most=20),
    }
)


def check_projection(index: Mapping[str, Any], names: set[str]) -> None:
    """Raise ValidationException for a projection of an index, or a name that is in ``names``; add the name."""
    projection = index["Projection"]
    kind, attributes = projection.get("ProjectionType"), projection.get("NonKeyAttributes")
    if kind is None:
        raise invalid_parameter("Unknown ProjectionType: null")
    if kind != "INCLUDE" and attributes is not None:
        raise invalid_parameter(f"ProjectionType is {kind}, but NonKeyAttributes is specified")
    if kind == "INCLUDE" and attributes is None:
        raise invalid_parameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    for position, name in enumerate(attributes or ()):
        if name in attributes[:position]:
            raise invalid_parameter(f"Duplicate attribute name in NonKeyAttributes: {name}")
    if index["IndexName"] in names:
        raise invalid_parameter(f"Duplicate index name: {index['IndexName']}")
    names.add(index["IndexName"])


def check_projected(indexes: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValidationException if the indexes of a table together list too many projected attributes."""
    if sum(len(index["Projection"].get("NonKeyAttributes") or ()) for index in indexes) > PROJECTED_ATTRIBUTES_MAX:
        raise invalid_parameter(f"Number of NonKeyAttributes exceeds the per-table limit of {PROJECTED_ATTRIBUTES_MAX}")
