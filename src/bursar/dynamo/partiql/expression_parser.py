"""Tokens → expressions and paths: what every kind of statement is made of.

What an expression may be is judged where it is used; here only its syntax is.
"""

from collections.abc import Callable

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.expressions.syntax_tree import PathPart
from bursar.dynamo.items.attribute_values import AttributeValue, normalise
from bursar.dynamo.partiql.lexer import (
    END,
    KEYWORD,
    NUMBER,
    QUOTED,
    SIGN,
    TEXT,
    WORD,
    StatementToken,
    malformed,
    tokens_of,
)
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

NESTING_MAX = 40
"""Parentheses, lists, maps, calls and NOTs around one another; Amazon's own bound is not known.
Values nest 32 levels. A level takes up to 13 calls of Python's, of which a thousand may be open."""

_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_BINARY = (frozenset({"||"}), frozenset({"+", "-"}), frozenset({"*", "/", "%"}))
"""The operators that bind closer than comparisons, from the loosest to the closest."""
_KEYWORD_FUNCTIONS = frozenset({"size", "exists", "char_length", "character_length", "upper", "lower", "coalesce"})
_CONSTANTS: dict[str, AttributeValue] = {"true": {"BOOL": True}, "false": {"BOOL": False}, "null": {"NULL": True}}


class ExpressionParser:
    """Reads expressions from the tokens of one statement."""

    def __init__(self, text: str) -> None:
        self.tokens = tokens_of(text)
        self.at = 0
        self.token: StatementToken = self.tokens[0]
        self.parameters = 0
        self.depth = 0

    # --- expressions ---

    def expression(self) -> Expression:
        self.deeper()
        left = self.conjunction()
        while self.is_word("or"):
            left = self.operation("or", left, self.conjunction)
        self.depth -= 1
        return left

    def conjunction(self) -> Expression:
        left = self.negation()
        while self.is_word("and"):
            left = self.operation("and", left, self.negation)
        return left

    def operation(self, operator: str, left: Expression, right: Callable[[], Expression]) -> Expression:
        place = self.token.place
        self.advance()
        return OperatorExpression(operator, (left, right()), place)

    def negation(self) -> Expression:
        if not self.is_word("not"):
            return self.comparison()
        place = self.token.place
        self.advance()
        self.deeper()
        operand = self.negation()
        self.depth -= 1
        return OperatorExpression("not", (operand,), place)

    def comparison(self) -> Expression:
        left = self.binary(0)
        while True:
            token = self.token
            if token.kind == SIGN and token.text in _COMPARISONS:
                self.advance()
                left = OperatorExpression(_COMPARISONS[token.text], (left, self.binary(0)), token.place)
            elif self.is_word("is"):
                left = self.presence(left)
            elif self.is_word("not") or self.is_word("in") or self.is_word("between") or self.is_word("like"):
                negated = self.word_taken("not")
                left = self.membership(left)
                if negated:
                    left = OperatorExpression("not", (left,), token.place)
            else:
                return left

    def membership(self, left: Expression) -> Expression:
        place = self.token.place
        operator = self.one_of("in", "between", "like")
        if operator == "between":
            lower = self.binary(0)
            self.expect_word("and")
            return OperatorExpression(operator, (left, lower, self.binary(0)), place)
        if operator == "like":
            raise _unsupported("like")
        right = self.binary(0)
        if not isinstance(right, Series):
            # One element in parentheses is an expression in them, anywhere else.
            right = Series((right,), False, place) if self.tokens[self.at - 1].text == ")" else right
        return OperatorExpression(operator, (left, right), place)

    def presence(self, left: Expression) -> Expression:
        place = self.token.place
        self.advance()
        negated = self.word_taken("not")
        kind = self.one_of("missing", "null")
        test: Expression = OperatorExpression(f"is {kind}", (left,), place)
        return OperatorExpression("not", (test,), place) if negated else test

    def binary(self, level: int) -> Expression:
        if level == len(_BINARY):
            return self.unary()
        left = self.binary(level + 1)
        while self.token.kind == SIGN and self.token.text in _BINARY[level]:
            token = self.token
            self.advance()
            left = OperatorExpression(token.text, (left, self.binary(level + 1)), token.place)
        return left

    def unary(self) -> Expression:
        token = self.token
        if token.kind != SIGN or token.text not in ("-", "+"):
            return self.primary()
        self.advance()
        self.deeper()
        operand = self.unary()
        self.depth -= 1
        if isinstance(operand, Literal) and "N" in operand.value:
            sign = token.text if token.text == "-" else ""
            number = operand.value["N"]
            text = number[1:] if sign and number.startswith("-") else sign + number
            return Literal(normalise({"N": text}), token.place)
        return OperatorExpression(token.text, (operand,), token.place)

    def primary(self) -> Expression:
        token = self.token
        if token.kind in (WORD, QUOTED):
            if token.kind == WORD and self.tokens[self.at + 1].text == "(" and self.tokens[self.at + 1].kind == SIGN:
                return self.call()
            return self.reference()
        if token.kind == KEYWORD:
            return self.keyword(token)
        self.advance()
        if token.kind == TEXT:
            return Literal({"S": token.text}, token.place)
        if token.kind == NUMBER:
            return Literal(normalise({"N": token.text}), token.place)
        if token.kind == SIGN:
            return self.bracketed(token)
        raise malformed("Unexpected term")

    def bracketed(self, token: StatementToken) -> Expression:
        if token.text == "?":
            self.parameters += 1
            return ParameterExpression(self.parameters - 1, token.place)
        if token.text == "[":
            return Series(self.elements("]"), False, token.place)
        if token.text == "<<":
            return Series(self.elements(">>"), True, token.place)
        if token.text == "{":
            return self.struct(token)
        if token.text != "(":
            raise malformed("Unexpected term")
        first = self.expression()
        if self.sign_taken(")"):
            return first
        self.expect_sign(",")
        return Series((first, *self.elements(")")), False, token.place)

    def keyword(self, token: StatementToken) -> Expression:
        constant = _CONSTANTS.get(token.text)
        if constant is not None:
            self.advance()
            return Literal(dict(constant), token.place)
        if token.text == "missing":
            self.advance()
            return Missing(token.place)
        if token.text in _KEYWORD_FUNCTIONS and self.tokens[self.at + 1].text == "(":
            return self.call()
        if token.text in ("case", "cast"):
            raise invalid(f"Unsupported token in expression: {token.text.upper()} {token.place}")
        raise self.unexpected()

    def call(self) -> Expression:
        token = self.token
        self.advance()
        self.advance()
        return FunctionExpression(token.text.lower(), self.elements(")"), token.place)

    def elements(self, closing: str) -> tuple[Expression, ...]:
        elements: list[Expression] = []
        if self.sign_taken(closing):
            return ()
        while True:
            elements.append(self.expression())
            if self.sign_taken(closing):
                return tuple(elements)
            self.expect_sign(",")

    def struct(self, token: StatementToken) -> StructExpression:
        members: list[tuple[Expression, Expression]] = []
        if self.sign_taken("}"):
            return StructExpression((), token.place)
        while True:
            key = self.expression()
            self.expect_sign(":")
            members.append((key, self.expression()))
            if self.sign_taken("}"):
                return StructExpression(tuple(members), token.place)
            self.expect_sign(",")

    # --- names and paths ---

    def name(self) -> str:
        token = self.token
        if token.kind not in (WORD, QUOTED):
            raise self.unexpected()
        self.advance()
        return token.text

    def reference(self) -> Reference:
        token = self.token
        parts: list[PathPart] = [self.part_name(token)]
        while True:
            if self.is_sign(".") and self.tokens[self.at + 1].text != "*":
                self.advance()
                parts.append(self.part_name(self.token))
            elif self.sign_taken("["):
                parts.append(self.bracketed_part())
                self.expect_sign("]")
            else:
                return Reference(tuple(parts), token.place)

    def part_name(self, token: StatementToken) -> str:
        name = self.name()
        if not name:
            raise invalid("Path component cannot be an empty string")
        return name

    def bracketed_part(self) -> PathPart:
        token = self.token
        if token.kind == TEXT:
            self.advance()
            if not token.text:
                raise invalid("Path component cannot be an empty string")
            return token.text
        if self.sign_taken("-"):
            index = self.token
            raise invalid(f"List index is not within the allowable range; index: [-{index.text}] {index.place}")
        if token.kind != NUMBER or not token.text.isdigit():
            if token.kind in (SIGN, END) and token.text != "?":
                raise self.unexpected()
            raise invalid(f"Unexpected path component {token.place}")
        self.advance()
        return int(token.text)

    # --- tokens ---

    def advance(self) -> None:
        if self.token.kind != END:
            self.at += 1
            self.token = self.tokens[self.at]

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > NESTING_MAX:
            raise too_deep()

    def is_word(self, keyword: str) -> bool:
        return self.token.kind == KEYWORD and self.token.text == keyword

    def word_taken(self, keyword: str) -> bool:
        if self.is_word(keyword):
            self.advance()
            return True
        return False

    def expect_word(self, keyword: str) -> None:
        if not self.word_taken(keyword):
            raise self.unexpected()

    def one_of(self, *keywords: str) -> str:
        found = self.token.text
        if self.token.kind != KEYWORD or found not in keywords:
            raise self.unexpected()
        self.advance()
        return found

    def is_sign(self, sign: str) -> bool:
        return self.token.kind == SIGN and self.token.text == sign

    def sign_taken(self, sign: str) -> bool:
        if self.is_sign(sign):
            self.advance()
            return True
        return False

    def expect_sign(self, sign: str) -> None:
        if not self.sign_taken(sign):
            raise self.unexpected()

    def is_alias(self) -> bool:
        return self.is_word("as") or self.is_word("at") or self.is_word("by") or self.token.kind in (WORD, QUOTED)

    def unexpected(self) -> DynamoError:
        return malformed("Unexpected keyword" if self.token.kind == KEYWORD else "Unexpected term")


def too_deep() -> DynamoError:
    """Return the error for a statement that nests deeper than ``NESTING_MAX``."""
    return malformed("The statement is nested too deep")


def _unsupported(operator: str) -> DynamoError:
    return invalid(f"Unsupported operator in Condition Expression. Operator: {operator}")
