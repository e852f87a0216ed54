"""The request of SearchVectors.

The search itself is loaded when it is called first: because most processes never search.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import invalid, unreadable
from bursar.dynamo.operations.requests.common_members import CAPACITY, EXPRESSIONS, NAME, STRING, TABLE_NAME
from bursar.dynamo.operations.requests.shapes import AttributeMapShape, IntegerShape, ListShape, Request
from bursar.dynamo.regions import RegionDifference

VECTOR_NUMBERS_MAX = 4096
_READ_AS = {"TableName": "a string", "IndexName": "a string", "SearchVector": "a sequence", "TopK": "i32"}
"""Required member → Amazon's name of its type."""


class _SearchRequest(Request):
    """The shape of SearchVectors, whose service parses the body strictly: a null member is an error."""

    def check(self, request: Any, differences: frozenset[RegionDifference] = frozenset()) -> None:
        """See :class:`Request`. Source of texts: paritysuite/dynamodb-conformance, error-messages/searchVectors.

        The column in the text is that of a request without spaces, as SDKs send it.
        """
        if isinstance(request, dict):
            for name, kind in _READ_AS.items():
                if name in request and request[name] is None:
                    raise unreadable(f"invalid type: null, expected {kind} at {_place(request, name)}")
            for name in _READ_AS:
                if name not in request:
                    raise invalid(f"missing field `{name}` at {_place(request)}")
        super().check(request, differences)


SEARCH_VECTORS = _SearchRequest(
    {
        "TableName": TABLE_NAME,
        "IndexName": NAME,
        "ReturnConsumedCapacity": CAPACITY,
        "ProjectionExpression": STRING,
        "SearchVector": ListShape(AttributeMapShape(), 1, VECTOR_NUMBERS_MAX),
        "SearchConditionExpression": STRING,
        "TopK": IntegerShape(1),
        **EXPRESSIONS,
    },
    ("TableName", "IndexName", "SearchVector", "TopK"),
)


def search_vectors(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items whose vectors are nearest to the request's."""
    from bursar.dynamo.operations.data_plane.vector_search import search

    return search(core, request)


def _place(request: Mapping[str, Any], null: str | None = None) -> str:
    """Return the position of the end of the body, or of the end of its member ``null``."""
    body = orjson.dumps(request)
    if null is not None:
        body = body[: body.index(b'"%s":null' % null.encode()) + len(null) + len('"":null')]
    return f"line 1 column {len(body)}"
