"""Translate WHERE and SET into the trees of DynamoDB's expressions.

a.b[0] >= 5 AND c IS MISSING   →   a.b[0] >= :0 AND attribute_not_exists(c)
SET n = n + 1                  →   SET n = n + :0
SET s = set_add(s, <<'x'>>)    →   ADD s :0
"""

from collections.abc import Sequence

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.expressions.evaluation.tree_builder import TreeBuilder
from bursar.dynamo.expressions.parsing.static_checks import CONDITION_FUNCTIONS, UPDATE_FUNCTIONS
from bursar.dynamo.expressions.parsing.syntax_tree import (
    Between,
    Comparison,
    Condition,
    FunctionCall,
    In,
    Logical,
    Not,
    Operand,
    Path,
    PathAction,
)
from bursar.dynamo.partiql.expression_parser import IS_TYPES, NESTING_MAX, too_deep
from bursar.dynamo.partiql.statement_values import EMPTY_SET, StatementValues, missing
from bursar.dynamo.partiql.syntax_tree import (
    Assignment,
    Expression,
    FunctionExpression,
    Literal,
    Missing,
    OperatorExpression,
    Reference,
    Series,
)

NOT_BOOLEAN = "WHERE clause must contain an expression that resolves to a boolean"
NO_LIST = (
    "IN operator must have a left hand argument of type Variable Reference and right hand argument of type Seq "
    "with at least one member"
)
COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_SET_FUNCTIONS = {"set_add": "ADD", "set_delete": "DELETE"}
_NOT_TESTS = frozenset({"size"})


class Translator:
    """Builds the trees of one statement."""

    __slots__ = ("builder", "values")

    def __init__(self, values: StatementValues) -> None:
        self.values = values
        self.builder = TreeBuilder()

    # --- conditions ---

    def condition(self, node: Expression) -> Condition:
        """Return the condition. Raise ValidationException for other expressions and unsupported operators."""
        if isinstance(node, OperatorExpression):
            return self._operation(node)
        if isinstance(node, FunctionExpression) and node.name not in _NOT_TESTS:
            if node.name not in CONDITION_FUNCTIONS:
                raise _unrecognised(node)
            return FunctionCall(node.name, tuple(self._operand(operand) for operand in node.operands))
        raise invalid(NOT_BOOLEAN)

    def _operation(self, node: OperatorExpression) -> Condition:
        operator = node.operator
        if operator in ("and", "or"):
            return self._joined(node)
        if operator == "not":
            return Not(self.condition(node.operands[0]))
        if operator in COMPARISONS:
            call, constant = node.operands
            if operator == "=" and _is_test(call) and isinstance(constant, Literal) and "BOOL" in constant.value:
                holds = self.condition(call)
                return holds if constant.value["BOOL"] else Not(holds)
            left, right = map(self._operand, node.operands)
            return Comparison(operator, left, right)
        if operator == "between":
            operand, lower, upper = map(self._operand, node.operands)
            return Between(operand, lower, upper)
        if operator == "in":
            return self._membership(*node.operands)
        path = self._operand(node.operands[0])
        if operator == "is missing":
            return FunctionCall("attribute_not_exists", (path,))
        kind = IS_TYPES.get(operator.removeprefix("is "))
        if kind is not None:
            return FunctionCall("attribute_type", (path, self.builder.value({"S": kind})))
        raise _unsupported(operator)

    def _joined(self, node: OperatorExpression) -> Condition:
        # A chain is left-associative and may be long, so a loop follows it instead of recursion.
        rights: list[Expression] = []
        left: Expression = node
        while isinstance(left, OperatorExpression) and left.operator == node.operator:
            rights.append(left.operands[1])
            left = left.operands[0]
        joined = self.condition(left)
        for right in reversed(rights):
            joined = Logical(node.operator.upper(), joined, self.condition(right))
        return joined

    def _membership(self, left: Expression, right: Expression) -> Condition:
        if not isinstance(right, Series) or not right.elements:
            raise invalid(NO_LIST)
        return In(self._operand(left), tuple(self._operand(element) for element in right.elements))

    def _operand(self, node: Expression) -> Operand:
        if isinstance(node, Reference):
            return self.path(node)
        if isinstance(node, Missing):
            raise missing()
        if isinstance(node, OperatorExpression):
            raise _unsupported(node.operator)
        if not isinstance(node, FunctionExpression):
            return self.builder.value(self.values.constant(node))
        if node.name not in CONDITION_FUNCTIONS:
            raise _unrecognised(node)
        if node.name != "size":
            raise invalid(f"The function is not allowed to be used this way in an expression; function: {node.name}")
        return FunctionCall(node.name, tuple(self._operand(operand) for operand in node.operands))

    def path(self, node: Reference) -> Path:
        """Return the document path."""
        return self.builder.path(*node.parts)

    # --- updates ---

    def action(self, assignment: Assignment) -> PathAction:
        """Return the action SET path = value, or REMOVE path."""
        path, value = self.path(assignment.path), assignment.value
        if value is None:
            return PathAction("REMOVE", path, None)
        if isinstance(value, FunctionExpression) and value.name in _SET_FUNCTIONS:
            return self._set_action(path, assignment, value)
        return PathAction("SET", path, self._new_value(value, 0))

    def _set_action(self, path: Path, assignment: Assignment, call: FunctionExpression) -> PathAction:
        name = call.name.upper()
        if len(call.operands) != 2:
            raise invalid(f"{name} must have exactly two arguments {call.place}")
        target, members = call.operands
        if target != assignment.path:
            raise invalid(f"The first argument to {name} must equal the assignment value {call.place}")
        if isinstance(members, Series) and members.is_set and not members.elements:
            raise invalid(EMPTY_SET)
        value = (
            None
            if isinstance(members, Reference | FunctionExpression | OperatorExpression | Missing)
            else self.values.constant(members)
        )
        if value is None or value.keys().isdisjoint(("SS", "NS", "BS")):
            raise invalid(f"The second argument to {name} must be a value with type SET {target.place}")
        return PathAction(_SET_FUNCTIONS[call.name], path, self.builder.value(value))

    def _new_value(self, node: Expression, depth: int) -> Operand:
        # The parser bounds brackets and calls. A chain of sums is left-associative, so its depth is its length.
        if depth > NESTING_MAX:
            raise too_deep()
        if isinstance(node, Reference):
            return self.path(node)
        if isinstance(node, Missing):
            raise missing()
        if isinstance(node, OperatorExpression):
            if node.operator not in ("+", "-"):
                raise invalid(f"Unsupported operator in Update Expression. Operator: {node.operator}")
            if len(node.operands) != 2:
                raise _wrong_count(node.operator, len(node.operands))
            return FunctionCall(node.operator, self._new_values(node.operands, depth + 1))
        if isinstance(node, FunctionExpression):
            if node.name in CONDITION_FUNCTIONS:
                raise invalid(f"The function is not allowed in an update expression; function: {node.name}")
            if node.name not in UPDATE_FUNCTIONS:
                raise _unrecognised(node)
            return FunctionCall(node.name, self._new_values(node.operands, depth + 1))
        return self.builder.value(self.values.constant(node))

    def _new_values(self, nodes: Sequence[Expression], depth: int) -> tuple[Operand, ...]:
        return tuple(self._new_value(node, depth) for node in nodes)


def conjuncts(where: Expression | None) -> list[Expression]:
    """Return the conditions that AND joins, in the order written."""
    joined: list[Expression] = []
    waiting = [] if where is None else [where]
    while waiting:
        node = waiting.pop()
        if isinstance(node, OperatorExpression) and node.operator == "and":
            waiting += reversed(node.operands)
        else:
            joined.append(node)
    return joined


def _unsupported(operator: str) -> DynamoError:
    return invalid(f"Unsupported operator in Condition Expression. Operator: {operator}")


def _unrecognised(node: FunctionExpression) -> DynamoError:
    return invalid(f"Unrecognized function: {node.name} {node.place}")


def _is_test(node: Expression) -> bool:
    return isinstance(node, FunctionExpression) and node.name in CONDITION_FUNCTIONS and node.name not in _NOT_TESTS


def _wrong_count(name: str, count: int) -> DynamoError:
    return invalid(
        f"Incorrect number of operands for operator or function; operator or function: {name}, "
        f"number of operands: {count}"
    )
