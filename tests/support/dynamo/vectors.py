"""Tables with vector indexes, and vectors."""

from collections.abc import Sequence
from typing import Any


def vector_index(name: str = "vix", **members: Any) -> dict[str, Any]:
    """Return a vector index of three dimensions by cosine, which projects every attribute; ``members`` replace its."""
    return {
        "IndexName": name,
        "VectorAttribute": {"AttributeName": "embedding"},
        "Dimensions": 3,
        "DistanceFunction": "COSINE",
        "Projection": {"ProjectionType": "ALL"},
        **members,
    }


def searchable(name: str, indexes: Sequence[dict[str, Any]], **attributes: str) -> dict[str, Any]:
    """Return a CreateTable request with vector indexes; ``attributes`` have the types of their search schemas."""
    return {
        "TableName": name,
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": kind} for attribute, kind in {"pk": "S", **attributes}.items()
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "VectorIndexes": list(indexes),
    }


def vectors(*vector: float) -> list[dict[str, str]]:
    """Return the elements of a vector."""
    return [{"N": str(number)} for number in vector]


def numbers(*vector: float) -> dict[str, Any]:
    """Return a vector as an attribute."""
    return {"L": vectors(*vector)}
