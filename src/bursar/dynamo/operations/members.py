"""Members that the requests of many operations have: table names, expressions, what to return."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bursar.dynamo.operations.shapes import Flag, Items, Shape, Text

NAMES_KNOWN_MAX = 10_000
NAME_PATTERN = re.compile(r"[a-zA-Z0-9_.-]+")
ARN_PATTERN = re.compile(r"arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]+:table/[a-zA-Z0-9_.-]+")


@lru_cache(NAMES_KNOWN_MAX)
def _is_name(text: str) -> bool:
    return NAME_PATTERN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class TableName:
    """A table's name, or its ARN."""

    shortest: int = 1
    longest: int = 255

    def accepts(self, value: Any) -> bool:
        """See :class:`Shape`."""
        return type(value) is str and self.shortest <= len(value) <= self.longest and _is_name(value)

    def check_type(self, value: Any) -> None:
        """See :class:`Shape`."""
        Text().check_type(value)

    def faults(self, value: Any, path: str) -> Iterator[str]:
        """See :class:`Shape`."""
        if ARN_PATTERN.fullmatch(value) is None:
            yield from Text(self.shortest, self.longest, NAME_PATTERN).faults(value, path)


NAME = Text(3, 255, NAME_PATTERN)
ATTRIBUTE_NAME_LONGEST = 65535
CAPACITY = Text(choices=("INDEXES", "TOTAL", "NONE"))
METRICS = Text(choices=("SIZE", "NONE"))
RETURN_VALUES = Text(choices=("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"))
ON_FAILURE = Text(choices=("ALL_OLD", "NONE"))
TEXT = Text()
FLAG = Flag()
ITEMS = Items()
TABLE_NAME = TableName()

EXPRESSIONS: dict[str, Shape] = {
    "ExpressionAttributeNames": ITEMS,
    "ExpressionAttributeValues": ITEMS,
}
