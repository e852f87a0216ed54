"""Split an expression into tokens; build its syntax error with DynamoDB's ``near`` window.

SET #total = price + :fee        word, name, sign, word, sign, value
"""

import re
from typing import NamedTuple

from bursar.dynamo.errors import DynamoError, invalid

EXPRESSION_BYTES_MAX = 4096

KEYWORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"})
"""The keywords of all grammars; no grammar accepts any of them as a name."""

WORD = "word"
NAME = "name"
VALUE = "value"
INDEX = "index"
SIGN = "sign"
UNKNOWN = "unknown"
END = "end"

_TOKEN = re.compile(
    r"[ \t\r\n]*(?:"
    r"(?P<word>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<name>#[A-Za-z0-9_]+)"
    r"|(?P<value>:[A-Za-z0-9_]+)"
    r"|(?P<index>0|[1-9][0-9]*)"
    r"|(?P<sign><>|<=|>=|[=<>()\[\].,+-])"
    r"|(?P<end>\Z)"
    r"|(?P<unknown>.))",
    re.DOTALL,
)


class ExpressionToken(NamedTuple):
    """A token at ``start:end``; ``kind`` is one of the constants above, or the keyword itself in capitals."""

    kind: str
    text: str
    start: int
    end: int


def tokens_of(text: str, kind: str) -> list[ExpressionToken]:
    """Return all tokens of ``text``, the last one being END. ``kind`` is the parameter's name, for the errors.

    Keywords, in any case, become tokens of their kind. A character that starts no token becomes UNKNOWN. The parser
    rejects it, so the first error in reading order is reported.
    """
    if not text:
        raise invalid(f"Invalid {kind}: The expression can not be empty;")
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > EXPRESSION_BYTES_MAX:
        size = "" if kind == "UpdateExpression" else f" expression size: {size_bytes}"
        raise invalid(f"Invalid {kind}: Expression size has exceeded the maximum allowed size;{size}")
    tokens: list[ExpressionToken] = []
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        assert match is not None  # the last alternative matches any character
        token_kind = match.lastgroup or END
        start, at = match.span(token_kind)
        word = text[start:at]
        if token_kind == WORD and word.upper() in KEYWORDS:
            token_kind = word.upper()
        tokens.append(ExpressionToken(token_kind, word, start, at))
        if token_kind == END:
            return tokens


def syntax_error(kind: str, text: str, tokens: list[ExpressionToken], at: int) -> DynamoError:
    """Return the error at token number ``at``; ``near`` is the text from the token before it to the token after it."""
    token = tokens[at]
    near_start = tokens[at - 1].start if at else 0
    last = tokens[min(at + 1, len(tokens) - 1)]
    shown = "<EOF>" if token.kind == END else token.text
    near = text[near_start : last.end]
    return invalid(f'Invalid {kind}: Syntax error; token: "{shown}", near: "{near}"')
