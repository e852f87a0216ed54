"""Parse tokens into trees by recursive descent with precedence climbing: one parser for the three grammars.

The parser checks only syntax: DynamoDB reports a syntax error before any other error of an expression.
"""

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.expressions.parsing import lexer
from bursar.dynamo.expressions.parsing.lexer import ExpressionToken, syntax_error, tokens_of
from bursar.dynamo.expressions.parsing.static_checks import check_condition, check_projection, check_update
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
    PathAction,
    PathPart,
    ProjectionTree,
    UpdateTree,
    Value,
)

OPERATORS_MAX = 300
"""The most operators and functions in one expression."""
NESTED_CALLS_MAX = OPERATORS_MAX
"""The most calls inside one another, which the parser follows by recursion; more calls are also too many operators.

Parentheses and NOT need no bound: neither the parser nor the compiler follows them by recursion.
"""
CACHED_TREES = 2048
"""The most parsed expressions in the cache, for each kind; ``placeholders.COMPILED_MAX`` is for compiled ones."""

SECTIONS = frozenset({"SET", "REMOVE", "ADD", "DELETE"})
COMPARATORS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_RANKS = {"OR": 1, "AND": 2, "NOT": 3}


def condition_tree(text: str, kind: str) -> ConditionTree:
    """Return the tree of a condition; ``kind`` is the name of its parameter, for the errors."""
    tree = _Parser(text, kind).condition_expression()
    check_condition(tree)
    return tree


def update_tree(text: str) -> UpdateTree:
    """Return the tree of an UpdateExpression."""
    tree = _Parser(text, "UpdateExpression").update_expression()
    check_update(tree)
    return tree


def projection_tree(text: str) -> ProjectionTree:
    """Return the tree of a ProjectionExpression."""
    tree = _Parser(text, "ProjectionExpression").projection_expression()
    check_projection(tree)
    return tree


class _Group:
    """An open parenthesis, or the whole expression: operators without their right side yet, and their left sides."""

    def __init__(self) -> None:
        self.operators: list[str] = []
        self.nodes: list[Condition] = []


class _Parser:
    def __init__(self, text: str, kind: str) -> None:
        self.text = text
        self.kind = kind
        self.tokens = tokens_of(text, kind)
        self.at = 0
        self.token: ExpressionToken = self.tokens[0]
        self.calls_open = 0
        self.operators = 0
        self.redundant_parentheses = False
        # The node inside the last closing parenthesis: another pair around it is redundant.
        self.wrapped: Operand | Condition | None = None

    # --- whole expressions ---

    def condition_expression(self) -> ConditionTree:
        root = self.as_condition(self.expression())
        self.expect_end()
        return ConditionTree(self.kind, root, self.redundant_parentheses, self.operators)

    def update_expression(self) -> UpdateTree:
        actions: list[PathAction] = []
        opened: set[str] = set()
        repeated = None
        while True:
            section = self.token.kind
            if section not in SECTIONS:
                raise self.error()
            if section in opened and repeated is None:
                repeated = section
            opened.add(section)
            self.advance()
            actions.append(self.action(section))
            while self.takes(","):
                actions.append(self.action(section))
            if self.token.kind == lexer.END:
                return UpdateTree(tuple(actions), repeated, self.redundant_parentheses, self.operators)

    def projection_expression(self) -> ProjectionTree:
        paths = [self.path()]
        while self.takes(","):
            paths.append(self.path())
        self.expect_end()
        return ProjectionTree(tuple(paths))

    # --- conditions ---

    def expression(self) -> Operand | Condition:
        """Return a condition, or a bare operand, which the caller accepts or rejects by the token that follows.

        Parentheses are kept on an explicit stack: Python's call stack cannot hold three hundred levels of them.
        """
        groups = [_Group()]
        while True:
            while self.token.kind == "NOT":
                groups[-1].operators.append("NOT")
                self.count_operator()
            if self.takes("("):
                groups.append(_Group())
                continue
            node: Operand | Condition = self.comparison(self.operand())
            while self.token.text == ")" and len(groups) > 1:
                node = self.comparison(self.close(groups.pop(), node))
            rank = _RANKS.get(self.token.kind)
            if rank is None:
                if len(groups) > 1:
                    raise self.error()
                return self.reduced(groups[-1], node)
            left = self.reduced(groups[-1], self.as_condition(node), rank)
            groups[-1].nodes.append(self.as_condition(left))
            groups[-1].operators.append(self.token.kind)
            self.count_operator()

    def close(self, group: "_Group", node: Operand | Condition) -> Operand | Condition:
        """Return the node of a group at its closing parenthesis."""
        inner = self.reduced(group, node)
        self.expect(")")
        self.redundant_parentheses |= inner is self.wrapped
        self.wrapped = inner
        return inner

    def reduced(self, group: "_Group", node: Operand | Condition, rank: int = 0) -> Operand | Condition:
        """Return ``node`` joined with the operators on its left whose precedence is at least ``rank``."""
        while group.operators and _RANKS[group.operators[-1]] >= rank:
            operator = group.operators.pop()
            right = self.as_condition(node)
            node = Not(right) if operator == "NOT" else Logical(operator, group.nodes.pop(), right)
        return node

    def comparison(self, left: Operand | Condition) -> Operand | Condition:
        """Return ``left`` with the comparison that follows it, or ``left`` itself."""
        kind, text = self.token.kind, self.token.text
        if kind == lexer.SIGN and text in COMPARATORS:
            operand = self.as_operand(left)
            self.count_operator()
            return Comparison(text, operand, self.wrapped_operand())
        if kind == "BETWEEN":
            operand = self.as_operand(left)
            self.count_operator()
            lower = self.wrapped_operand()
            if self.token.kind != "AND":
                raise self.error()
            self.advance()
            return Between(operand, lower, self.wrapped_operand())
        if kind == "IN":
            operand = self.as_operand(left)
            self.count_operator()
            self.expect("(")
            return In(operand, self.operands())
        return left

    # --- operands ---

    def operand(self) -> Operand:
        token = self.token
        if token.kind == lexer.VALUE:
            self.advance()
            return Value(token.text)
        if token.kind == lexer.WORD and self.tokens[self.at + 1].text == "(":
            self.advance()
            self.count_operator()
            self.calls_open += 1
            if self.calls_open > NESTED_CALLS_MAX:
                raise too_many_operators(self.kind)
            operands = self.operands()
            self.calls_open -= 1
            return FunctionCall(token.text, operands)
        return self.path()

    def wrapped_operand(self) -> Operand:
        """Return an operand in any number of parentheses, of which one pair is allowed."""
        opened = self.opened()
        return self.closed(self.operand(), opened)

    def operands(self) -> tuple[Operand, ...]:
        """Return the operands up to the closing parenthesis; the opening one has been read."""
        operands: list[Operand] = []
        while True:
            opened = self.opened()
            operands.append(self.closed(self.operand(), opened))
            if not self.takes(","):
                self.expect(")")
                return tuple(operands)

    def opened(self) -> int:
        opened = 0
        while self.takes("("):
            opened += 1
        return opened

    def closed(self, node: Operand, opened: int) -> Operand:
        for _ in range(opened):
            self.expect(")")
        self.redundant_parentheses |= opened > 1
        return node

    # --- update actions ---

    def action(self, section: str) -> PathAction:
        path = self.path()
        if section == "REMOVE":
            return PathAction(section, path, None)
        if section == "SET":
            self.expect("=")
            return PathAction(section, path, self.new_value())
        if self.token.kind != lexer.VALUE:
            raise self.error()
        value = Value(self.token.text)
        self.advance()
        return PathAction(section, path, value)

    def new_value(self) -> Operand:
        """Return an operand, or the sum or difference of two. The whole or either side may be in parentheses."""
        unclosed = self.opened()
        node = self.operand()
        while True:
            sign = self.token.text
            if sign in ("+", "-") and not (isinstance(node, FunctionCall) and node.name in ("+", "-")):
                self.count_operator()
                node = FunctionCall(sign, (node, self.wrapped_operand()))
            elif unclosed:
                self.expect(")")
                unclosed -= 1
                self.redundant_parentheses |= node is self.wrapped
                self.wrapped = node
            else:
                return node

    # --- paths ---

    def path(self) -> Path:
        return Path((self.path_name(), *self.path_tail()))

    def path_name(self) -> str:
        token = self.token
        if token.kind not in (lexer.WORD, lexer.NAME):
            raise self.error()
        self.advance()
        return token.text

    def path_tail(self) -> tuple[PathPart, ...]:
        parts: list[PathPart] = []
        while True:
            if self.takes("."):
                parts.append(self.path_name())
            elif self.takes("["):
                parts.append(self.path_index())
                self.expect("]")
            else:
                return tuple(parts)

    def path_index(self) -> int:
        token = self.token
        if token.kind != lexer.INDEX:
            raise self.error()
        self.advance()
        return int(token.text)

    # --- tokens ---

    def advance(self) -> None:
        self.at += 1
        self.token = self.tokens[self.at]

    def takes(self, sign: str) -> bool:
        if self.token.kind == lexer.SIGN and self.token.text == sign:
            self.advance()
            return True
        return False

    def expect(self, sign: str) -> None:
        if not self.takes(sign):
            raise self.error()

    def expect_end(self) -> None:
        if self.token.kind != lexer.END:
            raise self.error()

    def count_operator(self) -> None:
        self.operators += 1
        self.advance()

    def as_condition(self, node: Operand | Condition) -> Condition:
        if isinstance(node, Path | Value):
            raise self.error()
        return node

    def as_operand(self, node: Operand | Condition) -> Operand:
        if isinstance(node, Path | Value | FunctionCall):
            return node
        raise self.error()

    def error(self) -> DynamoError:
        return syntax_error(self.kind, self.text, self.tokens, self.at)


def too_many_operators(kind: str) -> DynamoError:
    """Return the error for more than ``OPERATORS_MAX`` operators and functions; DynamoDB stops counting there."""
    count = OPERATORS_MAX + 1
    return invalid(f"Invalid {kind}: The expression contains too many operators; operator count: {count}")
