"""Split a text into its statements of SQL at the semicolons between them."""

import re
from typing import Final

_PIECE: Final = re.compile(
    r"""
    ;
    | \b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"   # texts and names
    | \$(?P<tag>\w*)\$ .*? \$(?P=tag)\$                              # texts between dollars
    | --[^\n]* | /\*.*?\*/                                           # comments
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


def split_statements(text: str) -> list[str]:
    """Return the statements of ``text`` without their semicolons; a text without semicolons is one statement.

    A semicolon in a string, a quoted name or a comment ends no statement. Parts that are only spaces and comments are
    left out.
    """
    statements, parts, says_something = [], list[str](), False
    for piece in _PIECE.finditer(text):
        found = piece[0]
        if found != ";":
            parts.append(found)
            says_something = says_something or not (found.isspace() or found.startswith(("--", "/*")))
            continue
        if says_something:
            statements.append("".join(parts))
        parts, says_something = [], False
    if says_something:
        statements.append("".join(parts))
    return statements or [text]
