"""The syntax trees of expressions as written, before names and values are known.

``str()`` of a node is an expression that parses to an equal tree.
"""

from typing import Any, TypeAlias

PathPart: TypeAlias = str | int
"""An attribute or map key as written (``price`` or the placeholder ``#p``), or a list index."""


class Node:
    """A node is equal to another of its class with equal parts.

    Nodes are not dataclasses, because a dozen dataclasses would add 8 ms to each start.
    """

    __slots__: tuple[str, ...] = ()

    def _parts(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__slots__])

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._parts() == self._parts()

    def __hash__(self) -> int:
        return hash((type(self), self._parts()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._parts()))})"


class Path(Node):
    """A document path: ``orders[0].#total``."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[PathPart, ...]) -> None:
        self.parts = parts

    def __str__(self) -> str:
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.parts)
        return text[1:]


class Value(Node):
    """A value placeholder, with its colon."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class FunctionCall(Node):
    """A function with its operands; in an update also ``+`` and ``-``, functions of two operands."""

    __slots__ = ("name", "operands")

    def __init__(self, name: str, operands: tuple["Operand", ...]) -> None:
        self.name = name
        self.operands = operands

    def __str__(self) -> str:
        if self.name in ("+", "-"):
            return f" {self.name} ".join(map(str, self.operands))
        return f"{self.name}({', '.join(map(str, self.operands))})"


Operand: TypeAlias = Path | Value | FunctionCall


class Comparison(Node):
    """``left operator right``; the operators are = <> < <= > >=."""

    __slots__ = ("left", "operator", "right")

    def __init__(self, operator: str, left: Operand, right: Operand) -> None:
        self.operator = operator
        self.left = left
        self.right = right

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


class Between(Node):
    """``operand BETWEEN lower AND upper``, both ends included."""

    __slots__ = ("lower", "operand", "upper")

    def __init__(self, operand: Operand, lower: Operand, upper: Operand) -> None:
        self.operand = operand
        self.lower = lower
        self.upper = upper

    def __str__(self) -> str:
        return f"{self.operand} BETWEEN {self.lower} AND {self.upper}"


class In(Node):
    """``operand IN (options)``."""

    __slots__ = ("operand", "options")

    def __init__(self, operand: Operand, options: tuple[Operand, ...]) -> None:
        self.operand = operand
        self.options = options

    def __str__(self) -> str:
        return f"{self.operand} IN ({', '.join(map(str, self.options))})"


class Logical(Node):
    """``left AND right`` or ``left OR right``."""

    __slots__ = ("left", "operator", "right")

    def __init__(self, operator: str, left: "Condition", right: "Condition") -> None:
        self.operator = operator
        self.left = left
        self.right = right

    def __str__(self) -> str:
        # AND has a higher precedence than OR, and both are left-associative. So parentheses are needed around a left
        # side of lower precedence, and around an AND or OR on the right unless its precedence is higher.
        left, right = str(self.left), str(self.right)
        if isinstance(self.left, Logical) and _RANK[self.left.operator] < _RANK[self.operator]:
            left = f"({left})"
        if isinstance(self.right, Logical) and _RANK[self.right.operator] <= _RANK[self.operator]:
            right = f"({right})"
        return f"{left} {self.operator} {right}"


class Not(Node):
    """``NOT condition``."""

    __slots__ = ("condition",)

    def __init__(self, condition: "Condition") -> None:
        self.condition = condition

    def __str__(self) -> str:
        return f"NOT ({self.condition})" if isinstance(self.condition, Logical) else f"NOT {self.condition}"


Condition: TypeAlias = Comparison | Between | In | Logical | Not | FunctionCall

_RANK = {"OR": 1, "AND": 2}


class PathAction(Node):
    """One action of an update: SET path = operand, REMOVE path, ADD path value, DELETE path value."""

    __slots__ = ("operand", "path", "section")

    def __init__(self, section: str, path: Path, operand: Operand | None) -> None:
        self.section = section
        self.path = path
        self.operand = operand

    def __str__(self) -> str:
        if self.operand is None:
            return str(self.path)
        return f"{self.path} = {self.operand}" if self.section == "SET" else f"{self.path} {self.operand}"


class ConditionTree(Node):
    """A whole condition, filter or key condition."""

    __slots__ = ("kind", "operators", "redundant_parentheses", "root")

    def __init__(self, kind: str, root: Condition, redundant_parentheses: bool, operators: int) -> None:
        self.kind = kind
        self.root = root
        self.redundant_parentheses = redundant_parentheses
        self.operators = operators

    def __str__(self) -> str:
        return str(self.root)


class UpdateTree(Node):
    """A whole update: its actions in the order written, and a section that occurs twice, or None."""

    __slots__ = ("actions", "operators", "redundant_parentheses", "repeated_section")

    def __init__(
        self, actions: tuple[PathAction, ...], repeated_section: str | None, redundant_parentheses: bool, operators: int
    ) -> None:
        self.actions = actions
        self.repeated_section = repeated_section
        self.redundant_parentheses = redundant_parentheses
        self.operators = operators

    def __str__(self) -> str:
        text = []
        for section in dict.fromkeys(action.section for action in self.actions):
            actions = ", ".join(str(action) for action in self.actions if action.section == section)
            text.append(f"{section} {actions}")
        return " ".join(text)


class ProjectionTree(Node):
    """A whole projection."""

    __slots__ = ("paths",)

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths))
