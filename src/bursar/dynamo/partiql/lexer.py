"""Split a statement into tokens.

SELECT "a b", m.x[0] FROM t WHERE d = 'it''s' AND n > 1.5e3   word, quoted, text, number, sign
"""

import re
from typing import NamedTuple

from bursar.dynamo.errors import DynamoError, invalid

MALFORMED = "Statement wasn't well formed, can't be processed"
WORD = "word"
KEYWORD = "keyword"
QUOTED = "quoted"
TEXT = "text"
NUMBER = "number"
SIGN = "sign"
END = "end"

_TOKEN = re.compile(
    r"(?:\s|--[^\n]*|/\*.*?\*/)*(?:"
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_$][A-Za-z0-9_$]*)"
    r'|(?P<quoted>"(?:[^"]|"")*")'
    r"|(?P<text>'(?:[^']|'')*')"
    r"|(?P<unfinished>/\*)"
    r"|(?P<sign><>|!=|<=|>=|<<|>>|\|\||[-=<>()\[\]{},.:;?*+/%`])"
    r"|(?P<end>\Z)"
    r"|(?P<unknown>.))",
    re.DOTALL,
)

KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        absolute action add all allocate alter and any are as asc assertion at authorization avg bag begin between
        bit bit_length blob bool boolean by cascade cascaded case cast catalog char char_length character
        character_length check clob close coalesce collate collation column commit conflict connect connection
        constraint constraints continue convert corresponding count create cross current current_date current_time
        current_timestamp current_user cursor date date_add date_diff deallocate dec decimal declare default
        deferrable deferred delete desc describe descriptor diagnostics disconnect distinct do domain double drop
        else end escape except exception exec execute exists external extract false fetch first float for foreign
        found from full get global go goto grant group having identity immediate in index indicator initially inner
        input insensitive insert int integer intersect interval into is isolation join key language last left let
        level like limit list local lower match max min missing modified module names national natural nchar new
        next no not nothing null nullif numeric octet_length of old on only open option or order outer output
        overlaps pad partial pivot position precision prepare preserve primary prior privileges procedure public
        read real references relative remove restrict returning revoke right rollback rows schema scroll section
        select session session_user set sexp size smallint some space sql sqlcode sqlerror sqlstate string struct
        substring sum symbol system_user table temporary then time timestamp to transaction translate translation
        trim true tuple union unique unknown unpivot update upper usage user using value values varchar varying view
        when whenever where with work write zone
        """,
    )
)
"""The keywords of SQL-92 and PartiQL, which can be names only if they are quoted."""


class StatementToken(NamedTuple):
    """A token; ``text`` is a keyword in lower case, a name or string without its quotes, or the text as written."""

    kind: str
    text: str
    line: int
    column: int
    length: int

    @property
    def place(self) -> str:
        """Return the position as errors write it: ``at line:column:length``."""
        return f"at {self.line}:{self.column}:{self.length}"


def tokens_of(statement: str) -> list[StatementToken]:
    """Return all tokens, the last one being END.

    Raise ValidationException for a character that starts no token, and for an unfinished comment.
    """
    tokens: list[StatementToken] = []
    at = 0
    line, line_start, counted = 1, 0, 0
    while True:
        match = _TOKEN.match(statement, at)
        assert match is not None  # the last alternative matches any character
        kind = match.lastgroup or END
        if kind in ("unknown", "unfinished"):
            raise malformed("")
        start, at = match.span(kind)
        breaks = statement.count("\n", counted, start)
        if breaks:
            line += breaks
            line_start = statement.rindex("\n", counted, start) + 1
        counted = start
        kind, text = _read(kind, statement[start:at])
        tokens.append(StatementToken(kind, text, line, start - line_start + 1, at - start))
        if kind == END:
            return tokens


def _read(kind: str, text: str) -> tuple[str, str]:
    if kind == WORD and text.lower() in KEYWORDS:
        return KEYWORD, text.lower()
    if kind == TEXT:
        return TEXT, text[1:-1].replace("''", "'")
    if kind == QUOTED:
        return QUOTED, text[1:-1].replace('""', '"')
    return kind, text


def malformed(detail: str) -> DynamoError:
    """Return the error for a text that is not a statement."""
    return invalid(f"{MALFORMED}: {detail}")
