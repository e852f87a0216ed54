"""Conditions and filters: bound to names and values, then true or false of an item.

    parse_condition("attribute_not_exists(pk) OR #v < :v").bind(binding).evaluate(item)

An attribute that the item lacks makes every comparison false but ``<>``; values of different types are unequal and have
no order (Developer Guide, "Condition and filter expressions, operators, and functions").
"""

from functools import lru_cache
from typing import NamedTuple

from bursar.dynamo.expressions.binding import COMPILED_MAX, Binding, LateCheck, Pairs, Scope
from bursar.dynamo.expressions.condition_operands import (
    CONDITION_FUNCTIONS,
    Bound,
    bind_operand,
    check_between,
    check_call,
    check_distinct,
    check_ordered,
)
from bursar.dynamo.expressions.parser import OPERATORS_MAX, condition_tree, too_many_operators
from bursar.dynamo.expressions.predicates import EQUALITY, FUNCTION_TESTS, ORDERINGS, Test, between, one_of
from bursar.dynamo.expressions.tree import (
    Between,
    Call,
    Comparison,
    Condition,
    ConditionTree,
    In,
    Logical,
    Not,
    Operand,
)
from bursar.dynamo.values import Item

IN_OPERANDS_MAX = 100


_ERROR_ORDER = ("parentheses", "unknown function", "misused function", "reserved", "condition")
_PRIMITIVE_ERROR_ORDER = ("placeholder", "operand count", "distinct", "operand type")


class CompiledCondition(NamedTuple):
    """A condition whose names are known and whose values' types are."""

    test: Test
    names: frozenset[str]
    values: frozenset[str]
    late_checks: tuple[LateCheck, ...]
    heads: frozenset[str]
    nested_heads: frozenset[str]


class BoundCondition:
    """A condition with its values. ``heads`` are the attributes it reads, ``nested_heads`` those it reads into."""

    __slots__ = ("_test", "_values", "heads", "nested_heads")

    def __init__(self, compiled: CompiledCondition, values: Item) -> None:
        self._test = compiled.test
        self._values = values
        self.heads = compiled.heads
        self.nested_heads = compiled.nested_heads

    def evaluate(self, item: Item) -> bool:
        """Whether the condition holds for ``item``; for an item that does not exist, pass ``{}``."""
        return self._test(item, self._values)


class ParsedCondition:
    """A condition whose syntax is right."""

    __slots__ = ("kind", "text", "tree")

    def __init__(self, text: str, kind: str) -> None:
        self.text = text
        self.kind = kind
        self.tree: ConditionTree = condition_tree(text, kind)

    def bind(self, binding: Binding) -> BoundCondition:
        """The condition with the request's names and values. Raises for placeholders, functions, operand types."""
        compiled = compiled_condition(self.text, self.kind, binding.names, binding.types)
        binding.use(compiled.names, compiled.values, compiled.late_checks)
        return BoundCondition(compiled, binding.values)


@lru_cache(COMPILED_MAX)
def compiled_condition(text: str, kind: str, names: Pairs, types: Pairs) -> CompiledCondition:
    """``text`` compiled for these names and types of values."""
    tree = condition_tree(text, kind)
    scope = Scope(kind, names, types, name_category="placeholder", value_category="placeholder")
    if tree.redundant_parentheses:
        scope.note("parentheses", "The expression has redundant parentheses;")
    compiler = _Compiler(scope)
    test = compiler.condition(tree.root)
    scope.raise_first(_ERROR_ORDER)
    if tree.operators > OPERATORS_MAX:
        raise too_many_operators(kind, tree.operators)
    if tree.in_operands_max > IN_OPERANDS_MAX:
        raise scope.error(
            f"The IN operator is provided with too many operands; number of operands: {tree.in_operands_max}"
        )
    return CompiledCondition(
        test,
        frozenset(scope.used_names),
        frozenset(scope.used_values),
        tuple(scope.late_checks),
        frozenset(compiler.heads),
        frozenset(compiler.nested_heads),
    )


class _Compiler:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.heads: set[str] = set()
        self.nested_heads: set[str] = set()

    def condition(self, node: Condition) -> Test:
        if isinstance(node, Logical):
            return self.logical(node)
        if isinstance(node, Not):
            inner = self.condition(node.condition)
            return lambda item, values: not inner(item, values)
        test = self.primitive(node)
        problem = next((p for c in _PRIMITIVE_ERROR_ORDER if (p := self.scope.problems.get(c))), None)
        if problem is not None:
            self.scope.note("condition", problem)
        return test

    def logical(self, node: Logical) -> Test:
        # The left side of a chain is as deep as the chain is long: walked down, not recursed into.
        operator = node.operator
        terms: list[Condition] = []
        left: Condition = node
        while isinstance(left, Logical) and left.operator == operator:
            terms.append(left.right)
            left = left.left
        terms.append(left)
        tests = [self.condition(term) for term in reversed(terms)]
        if len(tests) == 2:
            first, second = tests
            if operator == "AND":
                return lambda item, values: first(item, values) and second(item, values)
            return lambda item, values: first(item, values) or second(item, values)
        if operator == "AND":
            return lambda item, values: all(test(item, values) for test in tests)
        return lambda item, values: any(test(item, values) for test in tests)

    def primitive(self, node: Comparison | Between | In | Call) -> Test:
        if isinstance(node, Comparison):
            left, right = self.value(node.left), self.value(node.right)
            check_distinct(self.scope, node.operator, (left, right))
            if node.operator in EQUALITY:
                return EQUALITY[node.operator](left.get, right.get)
            check_ordered(self.scope, node.operator, (left, right))
            return ORDERINGS[node.operator](left.get, right.get)
        if isinstance(node, Between):
            operand, lower, upper = self.value(node.operand), self.value(node.lower), self.value(node.upper)
            check_ordered(self.scope, "BETWEEN", (operand, lower, upper))
            check_between(self.scope, lower, upper)
            return between(operand.get, lower.get, upper.get)
        if isinstance(node, In):
            operand = self.value(node.operand)
            return one_of(operand.get, [self.value(option).get for option in node.options])
        operands = tuple(self.value(operand) for operand in node.operands)
        if node.name == "size":
            self.misused(node.name)
        check_call(self.scope, node.name, operands)
        test = FUNCTION_TESTS.get(node.name)
        # A call that check_call has noted is never evaluated; it only needs some test to stand for it.
        if test is None or len(operands) != CONDITION_FUNCTIONS[node.name]:
            return _never
        return test(*(operand.get for operand in operands))

    def value(self, node: Operand) -> Bound:
        """An operand that has a value: any but a function other than size."""
        bound = bind_operand(self.scope, node)
        if isinstance(node, Call) and node.name != "size":
            self.misused(node.name)
        if bound.path is not None:
            head = str(bound.path[0])
            self.heads.add(head)
            if len(bound.path) > 1:
                self.nested_heads.add(head)
        return bound

    def misused(self, function: str) -> None:
        self.scope.note(
            "misused function",
            f"The function is not allowed to be used this way in an expression; function: {function}",
        )


def _never(_item: Item, _values: Item) -> bool:
    return False
