"""Check expressions before any name or value is looked up.

There are three checks, in DynamoDB's order. The first check finds redundant parentheses. The second check finds
reserved words, and functions that are unknown or misplaced; it goes in reading order, and a function comes before its
operands. The third finds sections opened twice.
"""

from collections.abc import Iterator

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.expressions.parsing.reserved_words import is_reserved
from bursar.dynamo.expressions.parsing.syntax_tree import (
    Between,
    Comparison,
    Condition,
    ConditionTree,
    FunctionCall,
    In,
    Logical,
    Not,
    Operand,
    Path,
    ProjectionTree,
    UpdateTree,
    Value,
)

CONDITION_FUNCTIONS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
}
"""The functions of conditions, with their numbers of operands."""

UPDATE_FUNCTIONS = {"if_not_exists": 2, "list_append": 2, "+": 2, "-": 2}
"""The functions of updates, arithmetic included, with their numbers of operands."""

_CONDITION_OPERANDS = frozenset({"size"})
_UPDATE_OPERANDS = frozenset({"if_not_exists"})


class _Check:
    """The functions of one grammar, those that may be operands, and those of the other grammar."""

    def __init__(self, kind: str, *, of_updates: bool) -> None:
        self.kind = kind
        self.own = UPDATE_FUNCTIONS if of_updates else CONDITION_FUNCTIONS
        self.others = CONDITION_FUNCTIONS if of_updates else UPDATE_FUNCTIONS
        self.operands = _UPDATE_OPERANDS if of_updates else _CONDITION_OPERANDS
        self.place = "an update expression" if of_updates else "a condition expression"

    def operand(self, node: Operand, *, outermost: bool = False) -> None:
        """Check an operand; ``outermost`` is True for the whole right side of a SET."""
        if isinstance(node, Path):
            self.path(node)
        elif isinstance(node, FunctionCall):
            self.function(node.name)
            if not outermost and node.name not in self.operands:
                raise self.misused(node.name)
            for operand in node.operands:
                self.operand(operand)

    def test(self, node: FunctionCall) -> None:
        """Check a function that is used as a condition."""
        self.function(node.name)
        if node.name in self.operands:
            raise self.misused(node.name)
        for operand in node.operands:
            self.operand(operand)

    def function(self, name: str) -> None:
        if name in self.own:
            return
        if name in self.others:
            raise self.error(f"The function is not allowed in {self.place}; function: {name}")
        raise self.error(f"Invalid function name; function: {name}")

    def path(self, path: Path) -> None:
        for part in path.parts:
            # Placeholders begin with a number sign, reserved words do not.
            if isinstance(part, str) and is_reserved(part):
                raise self.error(f"Attribute name is a reserved keyword; reserved keyword: {part}")

    def misused(self, function: str) -> DynamoError:
        return self.error(f"The function is not allowed to be used this way in an expression; function: {function}")

    def redundant_parentheses(self) -> DynamoError:
        return self.error("The expression has redundant parentheses;")

    def error(self, message: str) -> DynamoError:
        return invalid(f"Invalid {self.kind}: {message}")


def check_condition(tree: ConditionTree) -> None:
    """Raise ValidationException for a condition, filter or key condition that is invalid for all names and values."""
    check = _Check(tree.kind, of_updates=False)
    if tree.redundant_parentheses:
        raise check.redundant_parentheses()
    for node in primitives(tree.root):
        if isinstance(node, FunctionCall):
            check.test(node)
        elif isinstance(node, Comparison):
            check.operand(node.left)
            check.operand(node.right)
        elif isinstance(node, Between):
            for operand in (node.operand, node.lower, node.upper):
                check.operand(operand)
        else:
            for operand in (node.operand, *node.options):
                check.operand(operand)


def check_update(tree: UpdateTree) -> None:
    """Raise ValidationException for an update that is invalid for all names and values."""
    check = _Check("UpdateExpression", of_updates=True)
    if tree.redundant_parentheses:
        raise check.redundant_parentheses()
    for action in tree.actions:
        check.path(action.path)
        if action.operand is not None and not isinstance(action.operand, Value):
            check.operand(action.operand, outermost=True)
    if tree.repeated_section is not None:
        raise check.error(f'The "{tree.repeated_section}" section can only be used once in an update expression;')


def check_projection(tree: ProjectionTree) -> None:
    """Raise ValidationException for a reserved word in a projection."""
    check = _Check("ProjectionExpression", of_updates=False)
    for path in tree.paths:
        check.path(path)


def primitives(root: Condition) -> Iterator[Comparison | Between | In | FunctionCall]:
    """Return the conditions that AND, OR and NOT join, in reading order."""
    waiting: list[Condition] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Logical):
            waiting += (node.right, node.left)
        elif isinstance(node, Not):
            waiting.append(node.condition)
        else:
            yield node
