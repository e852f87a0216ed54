"""The shapes of members that many requests have: table names, expressions, return values."""

import re
from collections.abc import Iterator
from typing import Any

from bursar.dynamo.operations.requests.shapes import AttributeMapShape, BooleanShape, Shape, StringShape

NAMES_KNOWN_MAX = 10_000
NAME_PATTERN = re.compile(r"[a-zA-Z0-9_.-]+")
ARN_PATTERN = re.compile(r"arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]+:table/[a-zA-Z0-9_.-]+")


class TableNameShape:
    """The shape of a table's name or ARN."""

    def __init__(self, shortest: int = 1, longest: int = 255) -> None:
        self.shortest = shortest
        self.longest = longest
        self._known: set[str] = set()

    def fast_accepts(self, value: Any) -> bool:
        """See :class:`Shape`."""
        if type(value) is not str:
            return False
        if value in self._known:
            return True
        if not self.shortest <= len(value) <= self.longest or NAME_PATTERN.fullmatch(value) is None:
            return False
        if len(self._known) < NAMES_KNOWN_MAX:
            self._known.add(value)
        return True

    def check_type(self, value: Any) -> None:
        """See :class:`Shape`."""
        StringShape().check_type(value)

    def violations(self, value: Any, path: str) -> Iterator[str]:
        """See :class:`Shape`."""
        if ARN_PATTERN.fullmatch(value) is None:
            yield from StringShape(self.shortest, self.longest, NAME_PATTERN).violations(value, path)


TABLE_NAMES_OF_A_MAP = (
    "failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to "
    "255, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: "
    f"{NAME_PATTERN.pattern}]"
)


class TableNamesOfAMap:
    """The constraint of a batch's tables: names, or ARNs."""

    as_map_keys = TABLE_NAMES_OF_A_MAP

    def __init__(self) -> None:
        self._name = TableNameShape(shortest=3)

    def fast_accepts(self, value: Any) -> bool:
        """Return whether ``value`` is a table's name or ARN."""
        return self._name.fast_accepts(value) or ARN_PATTERN.fullmatch(value) is not None


NAME = StringShape(3, 255, NAME_PATTERN)
CAPACITY = StringShape(choices=("INDEXES", "TOTAL", "NONE"))
METRICS = StringShape(choices=("SIZE", "NONE"))
NEWER_ENUMS = {
    "ReturnValues": "satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
    "ConditionalOperator": "satisfy enum value set: [ALL, OR]",
}
"""Amazon's newer texts for two members, with its spelling."""
RETURN_VALUES = StringShape(choices=("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"))
ON_FAILURE = StringShape(choices=("ALL_OLD", "NONE"))
STRING = StringShape()
BOOLEAN = BooleanShape()
ATTRIBUTE_MAP = AttributeMapShape()
TABLE_NAME = TableNameShape()

EXPRESSIONS: dict[str, Shape] = {
    "ExpressionAttributeNames": ATTRIBUTE_MAP,
    "ExpressionAttributeValues": ATTRIBUTE_MAP,
}
