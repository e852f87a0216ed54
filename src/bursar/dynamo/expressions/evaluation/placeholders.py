"""Check the placeholders of a request, track which of them its expressions use, and resolve them.

A tree is bound in two steps. Its *compiled* form depends on the text, the names and the types of the values, and is
cached. The values themselves are passed when it is evaluated. So a check that needs only types runs once for each form
of request, and a check that needs values (``LateCheck``) for each request.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from bursar.dynamo.errors import DynamoError, InvalidValue, in_current_wording, invalid, unreadable
from bursar.dynamo.expressions.parsing.syntax_tree import Path
from bursar.dynamo.items.attribute_values import TOO_DEEP, Item, normalise, normalise_item

Pairs: TypeAlias = tuple[tuple[str, str], ...]
ResolvedPath: TypeAlias = tuple[str | int, ...]
"""A document path without placeholders."""
LateCheck: TypeAlias = Callable[[Item], None]

PATH_PARTS_MAX = 32
INDEX_MAX = 2**31 - 1
"""The largest index of a list element."""
COMPILED_MAX = 2048
"""The most compiled expressions in the cache, for each kind."""

NOT_A_STRING = "Unexpected value type in payload"

_NAME_KEY = re.compile(r"#[A-Za-z0-9_]+")
_VALUE_KEY = re.compile(r":[A-Za-z0-9_]+")


class Binding:
    """The placeholders of one request. Raises the placeholders' errors, in DynamoDB's order."""

    __slots__ = ("names", "types", "used_names", "used_values", "values")

    def __init__(self, names: Mapping[str, Any] | None, values: Mapping[str, Any] | None) -> None:
        """Check ``names`` and ``values``, the request's ExpressionAttributeNames and ExpressionAttributeValues."""
        self.names: Pairs = () if names is None else _checked_names(names)
        self.values: Item = {} if values is None else _checked_values(values)
        self.types: Pairs = tuple([(name, kind) for name, value in self.values.items() for kind in value])
        self.used_names: frozenset[str] = frozenset()
        self.used_values: frozenset[str] = frozenset()

    def use(self, names: frozenset[str], values: frozenset[str], checks: Sequence[LateCheck]) -> None:
        """Mark the placeholders of a compiled expression as used, and run the checks that need the values."""
        self.used_names |= names
        self.used_values |= values
        for check in checks:
            check(self.values)

    def check_all_used(self) -> None:
        """Raise ValidationException when a name or a value is defined and no expression bound so far uses it."""
        if len(self.used_names) < len(self.names):
            unused = [name for name, _ in self.names if name not in self.used_names]
            raise invalid(_unused("ExpressionAttributeNames", unused))
        if len(self.used_values) < len(self.values):
            unused = [name for name in self.values if name not in self.used_values]
            raise invalid(_unused("ExpressionAttributeValues", unused))


def _unused(parameter: str, names: list[str]) -> str:
    return f"Value provided in {parameter} unused in expressions: keys: {{{', '.join(names)}}}"


def _checked_names(names: Mapping[str, Any]) -> Pairs:
    if not names:
        raise invalid("ExpressionAttributeNames must not be empty")
    pairs = tuple(names.items())
    try:
        check_names(pairs)
    except TypeError:  # not hashable: a list or a map in place of a name
        raise unreadable(NOT_A_STRING) from None
    return pairs


@lru_cache(COMPILED_MAX)
def check_names(pairs: Pairs) -> None:
    """Raise the error of invalid ExpressionAttributeNames."""
    for key, _ in pairs:
        if not _NAME_KEY.fullmatch(key):
            raise invalid(f'ExpressionAttributeNames contains invalid key: Syntax error; key: "{key}"')
    for key, name in pairs:
        if type(name) is not str:
            raise unreadable(NOT_A_STRING)
        if not name:
            raise invalid(f"ExpressionAttributeNames contains invalid value: Empty attribute name for key {key}")


def _checked_values(values: Mapping[str, Any]) -> Item:
    if not values:
        raise invalid("ExpressionAttributeValues must not be empty")
    check_value_keys(tuple(values))
    try:
        return normalise_item(values)
    except DynamoError:
        for key, value in values.items():
            _check_value(key, value)
        raise


@lru_cache(COMPILED_MAX)
def check_value_keys(keys: tuple[str, ...]) -> None:
    """Raise the error of invalid names in ExpressionAttributeValues."""
    for key in keys:
        if not _VALUE_KEY.fullmatch(key):
            raise invalid(f'ExpressionAttributeValues contains invalid key: Syntax error; key: "{key}"')


def _check_value(key: str, value: Any) -> None:
    try:
        normalise(value)
    except DynamoError as error:
        # DynamoDB names the value in its error, except for a value that is nested too deep.
        if error.code != "ValidationException" or error.message == TOO_DEEP:
            raise
        text = f"ExpressionAttributeValues contains invalid value: {error.message} for key {key}"
        raise InvalidValue(text, in_current_wording(error).message) from None


class ExpressionScope:
    """One expression being compiled: resolves its placeholders, and collects the checks that need values.

    Problems are raised at once, so a compiler must resolve operands in DynamoDB's order of errors.
    """

    def __init__(self, kind: str, names: Pairs, types: Pairs) -> None:
        self.kind = kind
        self.names = dict(names)
        self.types = dict(types)
        self.used_names: set[str] = set()
        self.used_values: set[str] = set()
        self.late_checks: list[LateCheck] = []

    def error(self, message: str) -> DynamoError:
        """Return the error with the expression's prefix. Legacy parameters and statements have no prefix."""
        return invalid(f"Invalid {self.kind}: {message}" if self.kind else message)

    def path(self, path: Path) -> ResolvedPath:
        """Return ``path`` with its placeholders replaced."""
        if len(path.parts) > PATH_PARTS_MAX:
            raise self.error(f"The document path has too many nesting levels; nesting levels: {len(path.parts)}")
        return tuple(self.name(part) if isinstance(part, str) else self.index(part) for part in path.parts)

    def name(self, part: str) -> str:
        """Return an attribute name or map key: the word itself, or the name of its placeholder."""
        if not part.startswith("#"):
            return part
        name = self.names.get(part)
        if name is None:
            raise self.error(
                f"An expression attribute name used in the document path is not defined; attribute name: {part}"
            )
        self.used_names.add(part)
        return name

    def index(self, part: int) -> int:
        """Return a list index. Raise ValidationException for one above ``INDEX_MAX``."""
        if part > INDEX_MAX:
            raise self.error(f"List index is not within the allowable range; index: [{part}]")
        return part

    def value_type(self, name: str) -> str:
        """Return the type of a value placeholder."""
        kind = self.types.get(name)
        if kind is None:
            raise self.error(
                f"An expression attribute value used in expression is not defined; attribute value: {name}"
            )
        self.used_values.add(name)
        return kind
