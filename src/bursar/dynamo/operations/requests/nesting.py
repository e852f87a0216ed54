"""How deeply a request nests, which decides the layer that reports its faults.

PutItem, UpdateItem and DeleteItem report all faults of a request in the older texts when one of its values nests more
than about 62 levels. Source: paritysuite/dynamodb-conformance, validation-ordering/deepRequests, October 2026.
"""

from collections.abc import Mapping
from typing import Any

JSON_LEVELS_PER_NESTING = 2
"""A level of a document is two of JSON: ``{"M": {"name": …}}``."""
JSON_LEVELS_AROUND = 4
"""The request, the member, a condition, and the innermost value."""
NEWER_NESTING_MAX = 62


def nests_beyond_newer_layer(request: Mapping[str, Any]) -> bool:
    """Return whether a value of the request nests so deeply that the older layer of checks reads the request."""
    level: list[Any] = [request]
    for _ in range(JSON_LEVELS_AROUND + JSON_LEVELS_PER_NESTING * NEWER_NESTING_MAX):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True
