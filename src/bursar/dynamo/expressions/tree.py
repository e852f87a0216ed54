"""The syntax tree of expressions: what was written, before names and values are known.

``str()`` of a node is an expression again, one that parses to an equal tree.
"""

from dataclasses import dataclass
from typing import TypeAlias

PathPart: TypeAlias = str | int
"""An attribute or map key as written (``price`` or the placeholder ``#p``), or a list index."""


@dataclass(frozen=True, slots=True)
class Path:
    """A document path: ``orders[0].#total``."""

    parts: tuple[PathPart, ...]

    def __str__(self) -> str:
        written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.parts)
        return written[1:]


@dataclass(frozen=True, slots=True)
class Value:
    """A value placeholder, colon included."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its operands; in an update also ``+`` and ``-``, which are functions of two operands."""

    name: str
    operands: tuple["Operand", ...]

    def __str__(self) -> str:
        if self.name in ("+", "-"):
            return f" {self.name} ".join(map(str, self.operands))
        return f"{self.name}({', '.join(map(str, self.operands))})"


Operand: TypeAlias = Path | Value | Call


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left operator right``, the operator being one of = <> < <= > >=."""

    operator: str
    left: Operand
    right: Operand

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@dataclass(frozen=True, slots=True)
class Between:
    """``operand BETWEEN lower AND upper``, both ends included."""

    operand: Operand
    lower: Operand
    upper: Operand

    def __str__(self) -> str:
        return f"{self.operand} BETWEEN {self.lower} AND {self.upper}"


@dataclass(frozen=True, slots=True)
class In:
    """``operand IN (options)``."""

    operand: Operand
    options: tuple[Operand, ...]

    def __str__(self) -> str:
        return f"{self.operand} IN ({', '.join(map(str, self.options))})"


@dataclass(frozen=True, slots=True)
class Logical:
    """``left AND right`` or ``left OR right``."""

    operator: str
    left: "Condition"
    right: "Condition"

    def __str__(self) -> str:
        # AND binds closer than OR and both lean left, so parentheses are needed around a looser left side and around
        # any AND or OR on the right that does not bind closer.
        left, right = str(self.left), str(self.right)
        if isinstance(self.left, Logical) and _RANK[self.left.operator] < _RANK[self.operator]:
            left = f"({left})"
        if isinstance(self.right, Logical) and _RANK[self.right.operator] <= _RANK[self.operator]:
            right = f"({right})"
        return f"{left} {self.operator} {right}"


@dataclass(frozen=True, slots=True)
class Not:
    """``NOT condition``."""

    condition: "Condition"

    def __str__(self) -> str:
        return f"NOT ({self.condition})" if isinstance(self.condition, Logical) else f"NOT {self.condition}"


Condition: TypeAlias = Comparison | Between | In | Logical | Not | Call

_RANK = {"OR": 1, "AND": 2}


@dataclass(frozen=True, slots=True)
class Action:
    """One action of an update: SET path = operand, REMOVE path, ADD path value, DELETE path value."""

    section: str
    path: Path
    operand: Operand | None

    def __str__(self) -> str:
        if self.operand is None:
            return str(self.path)
        return f"{self.path} = {self.operand}" if self.section == "SET" else f"{self.path} {self.operand}"


@dataclass(frozen=True, slots=True)
class ConditionTree:
    """A whole condition, filter or key condition."""

    kind: str
    root: Condition
    redundant_parentheses: bool
    operators: int

    def __str__(self) -> str:
        return str(self.root)


@dataclass(frozen=True, slots=True)
class UpdateTree:
    """A whole update: its actions in the order written, and the section that was opened twice, if one was."""

    actions: tuple[Action, ...]
    repeated_section: str | None
    redundant_parentheses: bool
    operators: int

    def __str__(self) -> str:
        written = []
        for section in dict.fromkeys(action.section for action in self.actions):
            actions = ", ".join(str(action) for action in self.actions if action.section == section)
            written.append(f"{section} {actions}")
        return " ".join(written)


@dataclass(frozen=True, slots=True)
class ProjectionTree:
    """A whole projection."""

    paths: tuple[Path, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths))
