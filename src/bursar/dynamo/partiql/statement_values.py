"""Turn the constants of a statement into attribute values: literals, lists, sets, maps and parameters.

{'a': [1, 'x', true], 's': <<1, 2>>}   →   {"M": {"a": {"L": [{"N": "1"}, …]}, "s": {"NS": ["1", "2"]}}}
"""

from collections.abc import Sequence
from typing import Any

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.items.attribute_values import AttributeValue, Item, normalise
from bursar.dynamo.partiql.syntax_tree import (
    Expression,
    FunctionExpression,
    Literal,
    Missing,
    OperatorExpression,
    ParameterExpression,
    Reference,
    Series,
    StructExpression,
)

TOO_FEW = "Number of parameters in request and statement don't match."
NO_SET = "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags"
EMPTY_SET = "Empty bags are not supported"
ROOT = "root"

Constant = Literal | ParameterExpression | Series | StructExpression


class StatementValues:
    """The values of one statement with its parameters."""

    __slots__ = ("_parameters",)

    def __init__(self, parameters: Sequence[Any], wanted: int) -> None:
        """Normalise the parameters. The statement uses the first ``wanted`` of them.

        Raise ValidationException for too few.
        """
        if len(parameters) < wanted:
            raise invalid(TOO_FEW)
        self._parameters = [normalise(parameter) for parameter in parameters]

    def constant(self, node: Expression) -> AttributeValue:
        """Return the value of a literal, a parameter, a list, a set or a map. Raise ValidationException for others."""
        if isinstance(node, ParameterExpression):
            return self._parameters[node.index]
        # Normalised as a whole too: for duplicates in sets and the bound on nesting.
        return normalise(self._literal(node, ROOT))

    def item(self, node: StructExpression) -> Item:
        """Return the item of an INSERT. Only whole attributes may be parameters."""
        return {name: self.constant(member) for name, member in self._members(node, ROOT)}

    def _literal(self, node: Expression, key: str) -> AttributeValue:
        if isinstance(node, Literal):
            try:
                return normalise(node.value)
            except DynamoError as error:
                raise invalid(f"{error.message} under {key}") from None
        if isinstance(node, StructExpression):
            return {"M": {name: self._literal(member, f"{key}.{name}") for name, member in self._members(node, key)}}
        if isinstance(node, Series):
            if node.is_set:
                return self._set(node)
            return {"L": [self._literal(element, f"{key}[{at}]") for at, element in enumerate(node.elements)]}
        raise invalid(f"Unsupported data type: {_called(node)} under key {key} {node.place}")

    def _set(self, node: Series) -> AttributeValue:
        if not node.elements:
            raise invalid(f"{EMPTY_SET} {node.place}")
        values = []
        for element in node.elements:
            if not isinstance(element, Literal):
                raise invalid(f"{NO_SET} {element.place}")
            values.append(element.value)
        if all("S" in value for value in values):
            return {"SS": [value["S"] for value in values]}
        if all("N" in value for value in values):
            return {"NS": [value["N"] for value in values]}
        raise invalid(NO_SET)

    def _members(self, node: StructExpression, key: str) -> list[tuple[str, Expression]]:
        members: dict[str, Expression] = {}
        for name, member in node.members:
            if not (isinstance(name, Literal) and "S" in name.value):
                raise invalid(f"Tuple keys must be of type String. Actual type: {_kind(name)} under {key} {name.place}")
            text = name.value["S"]
            if not text:
                raise invalid("Path component cannot be an empty string")
            if text in members:
                raise invalid(f"Duplicate keys in tuple. Key: {text} under {key} {name.place}")
            members[text] = member
        return list(members.items())


def is_constant(node: Expression) -> bool:
    """Return whether :meth:`StatementValues.constant` accepts the expression."""
    return isinstance(node, Constant)


def missing() -> DynamoError:
    """Return the error for MISSING in place of a value."""
    return invalid("MISSING must be compared using IS operator")


def _called(node: Expression) -> str:
    if isinstance(node, Reference):
        return str(node.parts[0])
    if isinstance(node, FunctionExpression):
        return node.name
    if isinstance(node, OperatorExpression):
        return node.operator
    return "MISSING" if isinstance(node, Missing) else "Parameter"


_KINDS: dict[type[Expression], str] = {
    Reference: "VariableReference",
    FunctionExpression: "Call",
    OperatorExpression: "Operation",
    ParameterExpression: "Parameter",
    StructExpression: "Struct",
}
"""The names of kinds of expressions in errors; other kinds have the names of their classes."""


def _kind(node: Expression) -> str:
    return _KINDS.get(type(node), type(node).__name__)
