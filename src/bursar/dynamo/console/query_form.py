"""The form of the page of items: convert its fields to a request of Query or Scan.

The condition of the key comes from one field per key attribute of the table or index; a form without a partition key
is a Scan. Up to :data:`FILTERS` further conditions become the filter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bursar.dynamo.console.item_texts import TextRefused, key_of_token

FILTERS: Final = 3
PAGE_SIZES: Final = (25, 50, 100)
SORT_OPERATORS: Final = ("=", "<", "<=", ">", ">=", "BETWEEN", "begins_with")
FILTER_OPERATORS: Final = (
    "=", "<>", "<", "<=", ">", ">=", "begins_with", "contains", "attribute_exists", "attribute_not_exists",
)  # fmt: skip
FILTER_TYPES: Final = ("S", "N", "BOOL", "B", "NULL")
KEYS_OF_TABLE: Final = "(table)"
"""The choice of the table itself. No index can have this name."""
_UNARY: Final = frozenset({"attribute_exists", "attribute_not_exists"})
_PART: Final = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)")


@dataclass(frozen=True, slots=True)
class KeyField:
    """One key attribute of the table or index that is read."""

    name: str
    type: str
    is_partition: bool


def key_fields(table: Mapping[str, Any], index: str) -> list[KeyField]:
    """Return the key attributes of a described table, or of its index. Raises :class:`TextRefused`: no such index."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    schemas = {each["IndexName"]: each["KeySchema"] for each in indexes_of(table)}
    if index and index not in schemas:
        raise TextRefused(f"index: must be an index of the table; got {index}")
    schema = schemas[index] if index else table["KeySchema"]
    return [KeyField(key["AttributeName"], types[key["AttributeName"]], key["KeyType"] == "HASH") for key in schema]


def indexes_of(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the indexes of a described table, local ones first."""
    return [*table.get("LocalSecondaryIndexes", []), *table.get("GlobalSecondaryIndexes", [])]


class QueryForm:
    """The form with the values ``fields``, for a described table. Raises :class:`TextRefused`."""

    def __init__(self, table: Mapping[str, Any], fields: Mapping[str, str]) -> None:
        self.table = table
        self.fields = fields
        self.index = fields.get("index", "")
        self.keys = key_fields(table, self.index)
        self.page_size = _page_size(fields.get("size", ""))
        # Values that were entered for the keys of another index are not used.
        self.keys_of = self.index or KEYS_OF_TABLE
        self.is_of_index = fields.get("keys_of", self.keys_of) == self.keys_of

    def key_value(self, number: int) -> str:
        """Return the entered value of a key attribute."""
        return self.fields.get(f"k{number}", "") if self.is_of_index else ""

    @property
    def has_filter(self) -> bool:
        """Whether any filter was entered."""
        return any(self.fields.get(f"f{number}_name") for number in range(FILTERS))

    @property
    def operation(self) -> str:
        """The operation: Query if a partition key was entered, or Scan."""
        return "Query" if any(self.key_value(n) for n, key in enumerate(self.keys) if key.is_partition) else "Scan"

    def request(self) -> dict[str, Any]:
        """Return the request of one page. Raises :class:`TextRefused`."""
        building = _Expressions()
        request: dict[str, Any] = {"TableName": self.table["TableName"], "ReturnConsumedCapacity": "INDEXES"}
        if self.index:
            request["IndexName"] = self.index
        if self.index not in {each["IndexName"] for each in self.table.get("GlobalSecondaryIndexes", [])}:
            request["ConsistentRead"] = True  # global indexes do not support it
        if self.operation == "Query":
            request["KeyConditionExpression"] = " AND ".join(self._key_tests(building))
            if self.fields.get("order") == "desc":
                request["ScanIndexForward"] = False
        tests = [test for number in range(FILTERS) for test in self._filter_test(number, building)]
        if tests:
            request["FilterExpression"] = " AND ".join(tests)
        request |= building.members()
        request["Limit"] = self.page_size
        if self.fields.get("start"):
            request["ExclusiveStartKey"] = key_of_token(self.fields["start"])
        return request

    def _key_tests(self, building: "_Expressions") -> list[str]:
        tests = []
        operator = self.fields.get("sort_operator", "=")
        for number, key in enumerate(self.keys):
            entered = self.key_value(number)
            if key.is_partition and not entered:
                raise TextRefused(f"{key.name}: must be given; every attribute of the partition key is needed")
            if entered:
                tests.append(self._key_test(key, entered, "=" if key.is_partition else operator, building))
        return tests

    def _key_test(self, key: KeyField, entered: str, operator: str, building: "_Expressions") -> str:
        if operator not in SORT_OPERATORS:
            raise TextRefused(f"{key.name}: the comparison must be one of {', '.join(SORT_OPERATORS)}; got {operator}")
        name, value = building.name(key.name), building.value({key.type: entered})
        if operator == "BETWEEN":
            return f"{name} BETWEEN {value} AND {building.value({key.type: self.fields.get('sort_end', '')})}"
        return f"begins_with({name}, {value})" if operator == "begins_with" else f"{name} {operator} {value}"

    def _filter_test(self, number: int, building: "_Expressions") -> list[str]:
        path = self.fields.get(f"f{number}_name", "").strip()
        if not path:
            return []
        operator = self.fields.get(f"f{number}_operator", "=")
        if operator not in FILTER_OPERATORS:
            raise TextRefused(f"filter: the comparison must be one of {', '.join(FILTER_OPERATORS)}; got {operator}")
        name = building.path(path)
        if operator in _UNARY:
            return [f"{operator}({name})"]
        typed = typed_value(self.fields.get(f"f{number}_type", "S"), self.fields.get(f"f{number}_value", ""))
        value = building.value(typed)
        return [f"{operator}({name}, {value})" if operator[0].isalpha() else f"{name} {operator} {value}"]


def typed_value(kind: str, entered: str) -> Mapping[str, Any]:
    """Return the entered text as a value of a type of :data:`FILTER_TYPES`. Raises :class:`TextRefused`."""
    if kind not in FILTER_TYPES:
        raise TextRefused(f"filter: the type must be one of {', '.join(FILTER_TYPES)}; got {kind}")
    if kind == "BOOL":
        if entered not in ("true", "false"):
            raise TextRefused(f"filter: a BOOL must be true or false; got {entered}")
        return {"BOOL": entered == "true"}
    return {"NULL": True} if kind == "NULL" else {kind: entered}


def _page_size(entered: str) -> int:
    sizes = {str(size): size for size in PAGE_SIZES}
    return sizes.get(entered, PAGE_SIZES[0])


class _Expressions:
    """The placeholders of the expressions of one request."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Mapping[str, Any]] = {}

    def name(self, name: str) -> str:
        """Return the placeholder of an attribute's name."""
        return self._names.setdefault(name, f"#n{len(self._names)}")

    def path(self, text: str) -> str:
        """Return a document path, as in ``lines[0].price``, in placeholders. Raises :class:`TextRefused`."""
        parts = [_PART.fullmatch(part) for part in text.split(".")]
        if not all(parts):
            raise TextRefused(f"filter: the attribute must be a path, as in lines[0].price; got {text}")
        return ".".join(self.name(part[1]) + part[2] for part in parts if part is not None)

    def value(self, value: Mapping[str, Any]) -> str:
        """Return the placeholder of a value."""
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def members(self) -> dict[str, Any]:
        """Return the members of a request that define the placeholders."""
        members: dict[str, Any] = {}
        if self._names:
            members["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            members["ExpressionAttributeValues"] = self._values
        return members
