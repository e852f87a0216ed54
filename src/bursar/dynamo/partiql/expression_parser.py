"""Parse the expressions and paths of which all statements consist.

Only the syntax is checked here. The user of an expression checks whether its kind is allowed.
"""

from collections.abc import Callable

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.expressions.parsing.syntax_tree import PathPart
from bursar.dynamo.items.attribute_values import AttributeValue
from bursar.dynamo.items.numbers import fits_java_decimal
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
"""The deepest nesting of parentheses, lists, maps, calls and NOTs; Amazon's bound is not known.

Values nest 32 levels. A level needs up to 13 nested calls in Python, which allows a thousand.
"""

IS_TYPES = {"null": "NULL", "bool": "BOOL", "boolean": "BOOL", "string": "S", "list": "L", "struct": "M", "blob": "B"}
"""The types that IS tests besides MISSING."""
_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_BINARY = (frozenset({"||"}), frozenset({"+", "-"}), frozenset({"*", "/", "%"}))
"""The operators with a higher precedence than comparisons, the lowest first."""
_KEYWORD_FUNCTIONS = frozenset({"size", "exists", "char_length", "character_length", "upper", "lower", "coalesce"})
_AGGREGATES = frozenset({"avg", "count", "max", "min", "sum"})
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
        """Return the next expression, operators included."""
        self.deeper()
        left = self.conjunction()
        while self.is_word("or"):
            left = self.operation("or", left, self.conjunction)
        self.depth -= 1
        return left

    def conjunction(self) -> Expression:
        """Return expressions joined by AND."""
        left = self.negation()
        while self.is_word("and"):
            left = self.operation("and", left, self.negation)
        return left

    def operation(self, operator: str, left: Expression, right: Callable[[], Expression]) -> Expression:
        """Return ``operator`` with ``left`` and the operand that ``right`` reads."""
        place = self.token.place
        self.advance()
        return OperatorExpression(operator, (left, right()), place)

    def negation(self) -> Expression:
        """Return a comparison, or a NOT of one."""
        if not self.is_word("not"):
            return self.comparison()
        place = self.token.place
        self.advance()
        self.deeper()
        operand = self.negation()
        self.depth -= 1
        return OperatorExpression("not", (operand,), place)

    def comparison(self) -> Expression:
        """Return an operand, or comparisons, IS, IN and BETWEEN of operands."""
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
        """Return ``left IN …`` or ``left BETWEEN … AND …``. Raise ValidationException for LIKE."""
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
            # Elsewhere, parentheses around one element only group it.
            right = Series((right,), False, place) if self.tokens[self.at - 1].text == ")" else right
        return OperatorExpression(operator, (left, right), place)

    def presence(self, left: Expression) -> Expression:
        """Return ``left IS [NOT] MISSING`` or ``left IS [NOT] NULL``."""
        place = self.token.place
        self.advance()
        negated = self.word_taken("not")
        kind = self.one_of("missing", *IS_TYPES)
        test: Expression = OperatorExpression(f"is {kind}", (left,), place)
        return OperatorExpression("not", (test,), place) if negated else test

    def binary(self, level: int) -> Expression:
        """Return operands joined by the operators of ``_BINARY[level]`` and of higher precedence."""
        if level == len(_BINARY):
            return self.unary()
        left = self.binary(level + 1)
        while self.token.kind == SIGN and self.token.text in _BINARY[level]:
            token = self.token
            self.advance()
            left = OperatorExpression(token.text, (left, self.binary(level + 1)), token.place)
        return left

    def unary(self) -> Expression:
        """Return an operand with its signs; a sign before a number is part of the number."""
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
            return Literal({"N": text}, token.place)
        return OperatorExpression(token.text, (operand,), token.place)

    def primary(self) -> Expression:
        """Return a literal, a parameter, a path, a call, or an expression in brackets."""
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
            return Literal({"N": _readable(token.text)}, token.place)
        if token.kind == SIGN:
            return self.bracketed(token)
        raise malformed("Unexpected term")

    def bracketed(self, token: StatementToken) -> Expression:
        """Return a parameter, a list, a set, a map, or an expression in parentheses."""
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
        """Return a constant, MISSING or a call of a function whose name is a keyword."""
        constant = _CONSTANTS.get(token.text)
        if constant is not None:
            self.advance()
            return Literal(dict(constant), token.place)
        if token.text == "missing":
            self.advance()
            return Missing(token.place)
        if token.text in _KEYWORD_FUNCTIONS and self.tokens[self.at + 1].text == "(":
            return self.call()
        if self.is_aggregate():
            raise invalid(f"Unsupported token in expression: {token.text} {token.place}")
        if token.text in ("case", "cast"):
            raise invalid(f"Unsupported token in expression: {token.text.upper()} {token.place}")
        raise self.unexpected()

    def is_aggregate(self) -> bool:
        """Return whether the next expression is a call of COUNT, SUM or the like, which no statement may have."""
        return self.token.kind == KEYWORD and self.token.text in _AGGREGATES and self.tokens[self.at + 1].text == "("

    def call(self) -> Expression:
        """Return a function with its operands."""
        token = self.token
        self.advance()
        self.advance()
        return FunctionExpression(token.text.lower(), self.elements(")"), token.place)

    def elements(self, closing: str) -> tuple[Expression, ...]:
        """Return expressions up to ``closing``."""
        elements: list[Expression] = []
        if self.sign_taken(closing):
            return ()
        while True:
            elements.append(self.expression())
            if self.sign_taken(closing):
                return tuple(elements)
            self.expect_sign(",")

    def struct(self, token: StatementToken) -> StructExpression:
        """Return a map; its opening brace has been read."""
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
        """Return a name, quoted or not."""
        token = self.token
        if token.kind not in (WORD, QUOTED):
            raise self.unexpected()
        self.advance()
        return token.text

    def reference(self) -> Reference:
        """Return a document path."""
        token = self.token
        parts: list[PathPart] = [self.part_name(token)]
        while True:
            if self.is_sign(".") and self.tokens[self.at + 1].text != "*":
                self.advance()
                if self.token.kind == KEYWORD:
                    raise malformed("Invalid path dot component")
                parts.append(self.part_name(self.token))
            elif self.sign_taken("["):
                parts.append(self.bracketed_part())
                self.expect_sign("]")
            else:
                return Reference(tuple(parts), token.place)

    def part_name(self, token: StatementToken) -> str:
        """Return a name in a path. Raise ValidationException for an empty one."""
        name = self.name()
        if not name:
            raise invalid("Path component cannot be an empty string")
        return name

    def bracketed_part(self) -> PathPart:
        """Return the index or the name in the brackets of a path."""
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
        """Go to the next token, but not beyond END."""
        if self.token.kind != END:
            self.at += 1
            self.token = self.tokens[self.at]

    def deeper(self) -> None:
        """Count one more level of nesting. Raise ValidationException beyond ``NESTING_MAX``."""
        self.depth += 1
        if self.depth > NESTING_MAX:
            raise too_deep()

    def is_word(self, keyword: str) -> bool:
        """Return whether the token is this keyword."""
        return self.token.kind == KEYWORD and self.token.text == keyword

    def word_taken(self, keyword: str) -> bool:
        """Read the keyword if it is the next token; return whether it was."""
        if self.is_word(keyword):
            self.advance()
            return True
        return False

    def expect_word(self, keyword: str) -> None:
        """Read the keyword. Raise ValidationException for another token."""
        if not self.word_taken(keyword):
            raise self.unexpected()

    def one_of(self, *keywords: str) -> str:
        """Read and return one of the keywords. Raise ValidationException for another token."""
        found = self.token.text
        if self.token.kind != KEYWORD or found not in keywords:
            raise self.unexpected()
        self.advance()
        return found

    def is_sign(self, sign: str) -> bool:
        """Return whether the token is this sign."""
        return self.token.kind == SIGN and self.token.text == sign

    def sign_taken(self, sign: str) -> bool:
        """Read the sign if it is the next token; return whether it was."""
        if self.is_sign(sign):
            self.advance()
            return True
        return False

    def expect_sign(self, sign: str) -> None:
        """Read the sign. Raise ValidationException for another token."""
        if not self.sign_taken(sign):
            raise self.unexpected()

    def is_alias(self) -> bool:
        """Return whether the token begins an alias."""
        return self.is_word("as") or self.is_word("at") or self.is_word("by") or self.token.kind in (WORD, QUOTED)

    def unexpected(self) -> DynamoError:
        """Return the error for a token that cannot be at this position."""
        return malformed("Unexpected keyword" if self.token.kind == KEYWORD else "Unexpected term")


def _readable(number: str) -> str:
    """Return a number as written. Raise ValidationException if Java's BigDecimal cannot have its exponent or scale."""
    digits, _, power = number.lower().partition("e")
    if not fits_java_decimal(len(digits.partition(".")[2]), int(power or 0)):
        raise malformed("")
    return number


def too_deep() -> DynamoError:
    """Return the error for a statement that nests deeper than ``NESTING_MAX``."""
    return malformed("The statement is nested too deep")


def _unsupported(operator: str) -> DynamoError:
    return invalid(f"Unsupported operator in Condition Expression. Operator: {operator}")
