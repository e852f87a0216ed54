"""Statements as they were written: what they name and compare, before parameters and tables are known."""

from dataclasses import dataclass, field
from typing import TypeAlias

from bursar.dynamo.items.attribute_values import AttributeValue

PathPart: TypeAlias = str | int


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
    """The word MISSING where a value could stand."""

    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Parameter:
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
class Struct:
    """``{'a': 1}``."""

    members: tuple[tuple["Expression", "Expression"], ...]
    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function, its name in small letters."""

    name: str
    operands: tuple["Expression", ...]
    place: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator in small letters with its operands: ``and or not = <> < <= > >= in between is + - …``."""

    operator: str
    operands: tuple["Expression", ...]
    place: str = field(compare=False)


Expression: TypeAlias = Reference | Literal | Missing | Parameter | Series | Struct | Call | Operation


@dataclass(frozen=True, slots=True)
class Order:
    """One part of ORDER BY."""

    name: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Select:
    """``SELECT projection FROM table.index WHERE … ORDER BY …``; no projection means all attributes."""

    table: str
    index: str | None
    projection: tuple[Reference, ...] | None
    where: Expression | None
    order: tuple[Order, ...]
    parameters: int


@dataclass(frozen=True, slots=True)
class Insert:
    """``INSERT INTO table VALUE {…}``."""

    table: str
    item: Struct
    parameters: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """``SET path = value``, or ``REMOVE path`` without a value."""

    path: Reference
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Update:
    """``UPDATE table SET … REMOVE … WHERE … RETURNING … *``.

    ``returning`` is ``all`` or ``modified``, and ``old`` or ``new``.
    """

    table: str
    assignments: tuple[Assignment, ...]
    where: Expression | None
    returning: tuple[str, str] | None
    parameters: int


@dataclass(frozen=True, slots=True)
class Delete:
    """``DELETE FROM table WHERE … RETURNING ALL OLD *``; ``returning`` says whether that was asked for."""

    table: str
    where: Expression | None
    returning: bool
    parameters: int


@dataclass(frozen=True, slots=True)
class Exists:
    """``EXISTS (SELECT …)``."""

    select: Select


Statement: TypeAlias = Select | Insert | Update | Delete | Exists
