"""The syntax trees of statements as written, before parameters and tables are known."""

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from bursar.dynamo.expressions.parsing.syntax_tree import PathPart
from bursar.dynamo.items.attribute_values import AttributeValue


@dataclass(frozen=True, slots=True)
class Reference:
    """A document path: ``m.x[0]``."""

    parts: tuple[PathPart, ...]
    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, a number, a boolean or null, as an attribute value."""

    value: AttributeValue
    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Missing:
    """The word MISSING in place of a value."""

    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class ParameterExpression:
    """A question mark, counted from 0."""

    index: int
    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Series:
    """``[a, b]``, ``(a, b)``, or with ``is_set`` ``<<a, b>>``."""

    elements: tuple["Expression", ...]
    is_set: bool
    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class StructExpression:
    """``{'a': 1}``."""

    members: tuple[tuple["Expression", "Expression"], ...]
    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class FunctionExpression:
    """A function; its name is in lower case."""

    name: str
    operands: tuple["Expression", ...]
    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class OperatorExpression:
    """An operator in lower case, with its operands: ``and or not = <> < <= > >= in between is + - …``."""

    operator: str
    operands: tuple["Expression", ...]
    place: str = field(compare=False)


Expression: TypeAlias = (
    Reference
    | Literal
    | Missing
    | ParameterExpression
    | Series
    | StructExpression
    | FunctionExpression
    | OperatorExpression
)


@dataclass(frozen=True, slots=True)
class Order:
    """One part of ORDER BY."""

    name: str
    descending: bool


@dataclass(frozen=True, slots=True)
class SelectStatement:
    """``SELECT projection FROM table.index WHERE … ORDER BY …``; no projection means all attributes."""

    verb: ClassVar[str] = "Select"
    table: str
    index: str | None
    projection: tuple[Reference, ...] | None
    where: Expression | None
    order: tuple[Order, ...]
    parameters: int
    refusal: str | None = None
    """The text for an aggregate function in the projection of a SELECT on an index: its index is checked first."""


@dataclass(frozen=True, slots=True)
class InsertStatement:
    """``INSERT INTO table VALUE {…}``."""

    verb: ClassVar[str] = "Insert"
    table: str
    item: StructExpression
    parameters: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """``SET path = value``, or ``REMOVE path`` without a value."""

    path: Reference
    value: Expression | None


@dataclass(frozen=True, slots=True)
class UpdateStatement:
    """``UPDATE table SET … REMOVE … WHERE … RETURNING … *``.

    ``returning`` is ``all`` or ``modified``, and ``old`` or ``new``.
    """

    verb: ClassVar[str] = "Update"
    table: str
    assignments: tuple[Assignment, ...]
    where: Expression | None
    returning: tuple[str, str] | None
    parameters: int


@dataclass(frozen=True, slots=True)
class DeleteStatement:
    """``DELETE FROM table WHERE … RETURNING ALL OLD *``; ``returning`` is True when the clause is present."""

    verb: ClassVar[str] = "Delete"
    table: str
    where: Expression | None
    returning: bool
    parameters: int


@dataclass(frozen=True, slots=True)
class ExistsStatement:
    """``EXISTS (SELECT …)``."""

    select: SelectStatement


PartiqlStatement: TypeAlias = SelectStatement | InsertStatement | UpdateStatement | DeleteStatement | ExistsStatement
