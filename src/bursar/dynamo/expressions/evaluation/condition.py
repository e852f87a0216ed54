"""Compile conditions and filters for names and values, and evaluate them on items.

    parse_condition("attribute_not_exists(pk) OR #v < :v").bind(binding).evaluate(item)

A comparison with an attribute that the item lacks is false, except ``<>``. Values of different types are unequal and
have no order. Source: Developer Guide, "Condition and filter expressions, operators, and functions".
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.expressions.evaluation.condition_operands import (
    SIZE_TYPE,
    ConditionOperand,
    bind_operand,
    check_between,
    check_call,
    check_distinct,
    check_ordered,
)
from bursar.dynamo.expressions.evaluation.fast_attribute_tests import ATTRIBUTE_TESTS, VALUE_TESTS
from bursar.dynamo.expressions.evaluation.placeholders import COMPILED_MAX, Binding, ExpressionScope, LateCheck, Pairs
from bursar.dynamo.expressions.evaluation.predicates import (
    EQUALITY,
    FUNCTION_TESTS,
    ORDERINGS,
    Test,
    between,
    one_of,
    size_of,
)
from bursar.dynamo.expressions.parsing.parser import CACHED_TREES, OPERATORS_MAX, condition_tree, too_many_operators
from bursar.dynamo.expressions.parsing.syntax_tree import (
    Between,
    Comparison,
    Condition,
    FunctionCall,
    In,
    Logical,
    Not,
    Operand,
)
from bursar.dynamo.items.attribute_values import Item

IN_OPERANDS_MAX = 100


class CompiledCondition(NamedTuple):
    """A condition compiled for its names and the types of its values, or the problem that ended the compilation."""

    test: Test
    names: frozenset[str]
    values: frozenset[str]
    late_checks: tuple[LateCheck, ...]
    heads: frozenset[str]
    nested_heads: frozenset[str]
    problem: str | None


class BoundCondition:
    """A condition with its values. It reads the attributes ``heads``, and only parts of ``nested_heads``."""

    __slots__ = ("_test", "_values", "heads", "nested_heads")

    def __init__(self, compiled: CompiledCondition, values: Item) -> None:
        self._test = compiled.test
        self._values = values
        self.heads = compiled.heads
        self.nested_heads = compiled.nested_heads

    def evaluate(self, item: Item) -> bool:
        """Return whether the condition holds for ``item``; for an item that does not exist, pass ``{}``."""
        return self._test(item, self._values)


class ParsedCondition:
    """A condition that has passed the checks of its syntax, functions and reserved words."""

    __slots__ = ("kind", "text", "tree")

    def __init__(self, text: str, kind: str) -> None:
        self.text = text
        self.kind = kind
        self.tree = condition_tree(text, kind)

    def bind(self, binding: Binding) -> BoundCondition:
        """Return the condition with the request's names and values.

        Raise ValidationException for wrong placeholders, operand counts and types.
        """
        compiled = compiled_condition(self.text, self.kind, binding.names, binding.types)
        use_compiled(compiled, binding)
        return BoundCondition(compiled, binding.values)


@lru_cache(CACHED_TREES)
def parse_condition(text: str, *, kind: str = "ConditionExpression") -> ParsedCondition:
    """Return the parsed condition, or the filter for ``kind="FilterExpression"``. Raise its syntax error."""
    return ParsedCondition(text, kind)


def use_compiled(compiled: CompiledCondition, binding: Binding) -> None:
    """Mark the placeholders of ``compiled`` as used, and run its late checks.

    Raise the first problem in reading order.
    """
    binding.use(compiled.names, compiled.values, compiled.late_checks)
    if compiled.problem is not None:
        raise invalid(compiled.problem)


@lru_cache(COMPILED_MAX)
def compiled_condition(text: str, kind: str, names: Pairs, types: Pairs) -> CompiledCondition:
    """Compile ``text`` for these names and types of values."""
    tree = condition_tree(text, kind)
    return compile_condition(tree.root, tree.operators, ExpressionScope(kind, names, types))


def compile_condition(root: Condition, operators: int, scope: ExpressionScope) -> CompiledCondition:
    """Compile a tree of ``operators`` operators for the names and types of the scope."""
    compiler = _Compiler(scope)
    test: Test = _never
    problem = None
    try:
        test = compiler.condition(root)
        if operators > OPERATORS_MAX:
            raise too_many_operators(scope.kind)
    except DynamoError as error:
        # use_compiled raises it, because the late checks collected so far are further left in the expression and come
        # first.
        problem = error.message
    return CompiledCondition(
        test,
        frozenset(scope.used_names),
        frozenset(scope.used_values),
        tuple(scope.late_checks),
        frozenset(compiler.heads),
        frozenset(compiler.nested_heads),
        problem,
    )


class _Compiler:
    """Walks a tree in reading order, operands first: DynamoDB reports errors in this order."""

    def __init__(self, scope: ExpressionScope) -> None:
        self.scope = scope
        self.heads: set[str] = set()
        self.nested_heads: set[str] = set()

    def condition(self, root: Condition) -> Test:
        """Compile without recursion: an expression nests nearly as deep as it is long."""
        waiting: list[Condition | _Join] = [root]
        tests: list[Test] = []
        while waiting:
            node = waiting.pop()
            if isinstance(node, Logical):
                terms = _terms(node)
                waiting.append(_Join(node.operator, len(terms)))
                waiting += terms
            elif isinstance(node, Not):
                waiting += (_Join("NOT", 1), node.condition)
            elif isinstance(node, _Join):
                joined = tests[-node.operands :]
                tests[-node.operands :] = [_JOINS[node.operator](joined)]
            else:
                tests.append(self.primitive(node))
        return tests.pop()

    def primitive(self, node: Comparison | Between | In | FunctionCall) -> Test:
        if isinstance(node, Comparison):
            return self.comparison(node)
        if isinstance(node, Between):
            operand, lower, upper = map(self.operand, (node.operand, node.lower, node.upper))
            check_ordered(self.scope, "BETWEEN", (operand, lower, upper))
            check_distinct(self.scope, "BETWEEN", (operand, lower, upper))
            check_between(self.scope, lower, upper)
            return between(operand.get, lower.get, upper.get)
        operands = tuple(map(self.operand, _operands(node)))
        if isinstance(node, FunctionCall):
            check_call(self.scope, node.name, operands)
            if node.name in ATTRIBUTE_TESTS and operands[0].attribute is not None:
                return ATTRIBUTE_TESTS[node.name](operands[0].attribute)
            return FUNCTION_TESTS[node.name](*(operand.get for operand in operands))
        check_distinct(self.scope, "IN", operands)
        first, *options = operands
        if len(options) > IN_OPERANDS_MAX:
            raise self.scope.error(
                f"The IN operator is provided with too many operands; number of operands: {len(options)}"
            )
        return one_of(first.get, [option.get for option in options])

    def comparison(self, node: Comparison) -> Test:
        left, right = self.operand(node.left), self.operand(node.right)
        check_distinct(self.scope, node.operator, (left, right))
        if node.operator in EQUALITY:
            if left.attribute is not None and right.placeholder is not None:
                return VALUE_TESTS[node.operator](left.attribute, right.placeholder)
            return EQUALITY[node.operator](left.get, right.get)
        check_ordered(self.scope, node.operator, (left, right))
        return ORDERINGS[node.operator](left.get, right.get)

    def operand(self, node: Operand) -> ConditionOperand:
        if isinstance(node, FunctionCall):
            # The parser allows no function but size here.
            operands = tuple(map(self.operand, node.operands))
            check_call(self.scope, node.name, operands)
            return ConditionOperand(size_of(operands[0].get), SIZE_TYPE)
        bound = bind_operand(self.scope, node)
        if bound.path is not None:
            head = str(bound.path[0])
            self.heads.add(head)
            if len(bound.path) > 1:
                self.nested_heads.add(head)
        return bound


class _Join(NamedTuple):
    """An operator with ``operands`` operands, whose tests are not compiled yet."""

    operator: str
    operands: int


def _terms(node: Logical) -> list[Condition]:
    """Return the terms of a chain of one operator, the last one first.

    The chain leans left and may be hundreds of terms long: so a loop follows it instead of recursion.
    """
    terms: list[Condition] = []
    left: Condition = node
    while isinstance(left, Logical) and left.operator == node.operator:
        terms.append(left.right)
        left = left.left
    terms.append(left)
    return terms


def _all(tests: Sequence[Test]) -> Test:
    def test(item: Item, values: Item) -> bool:
        for term in tests:  # noqa: SIM110 - a generator here costs a Scan with a filter 14 %
            if not term(item, values):
                return False
        return True

    return test


def _any(tests: Sequence[Test]) -> Test:
    def test(item: Item, values: Item) -> bool:
        for term in tests:  # noqa: SIM110 - as in _all
            if term(item, values):
                return True
        return False

    return test


def _not(tests: Sequence[Test]) -> Test:
    (inner,) = tests
    return lambda item, values: not inner(item, values)


_JOINS: dict[str, Callable[[Sequence[Test]], Test]] = {"AND": _all, "OR": _any, "NOT": _not}


def _operands(node: In | FunctionCall) -> tuple[Operand, ...]:
    return node.operands if isinstance(node, FunctionCall) else (node.operand, *node.options)


def _never(_item: Item, _values: Item) -> bool:
    return False
