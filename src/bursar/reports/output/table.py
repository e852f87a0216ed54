"""Draw an answer as a table for people."""

import shutil
import sys
import unicodedata
from decimal import Decimal
from typing import Any, Final

from bursar.clock import iso_ms
from bursar.reports.output.head import DURATION, NO_SUBJECT, SHARE, AnswerHead, Subject, Totals
from bursar.reports.output.values import duration, plain
from bursar.reports.sql.answer import SqlAnswer

TABLE_ROWS_MAX: Final = 10_000
"""The most rows of a table for people. The other forms have all rows."""
TOTAL: Final = "Total"
_GAP: Final = "  "
NUMBERS: Final = ("DECIMAL", "BIGINT", "INTEGER", "DOUBLE", "HUGEINT", "FLOAT", "SMALLINT", "TINYINT")


def as_table(answer: SqlAnswer, width: int | None = None, subject: Subject = NO_SUBJECT) -> str:
    """Return a table for a terminal of ``width`` columns, with row count and "as of" below.

    None: the width of the terminal, or no limit if standard output is not a terminal. If rows are wider than the
    terminal, each row is a block with one column a line, because a wrapped table cannot be read.
    """
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    head = AnswerHead.of(answer, subject)
    if answer.columns == ("explain_key", "explain_value"):
        return "".join(f"{plan}\n" for _, plan in answer.rows)
    cells = [_cells(head, row) for row in answer.rows]
    total = None if answer.cut else _total_line(head, answer)
    names = [_printable(name) for name in head.headings]
    drawn = [names, *cells, *([] if total is None else [total])]
    widths = [max(map(_width, column)) for column in zip(*drawn, strict=True)]
    if width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        lines = _records(names, cells, total)
    else:
        right = [kind.startswith(NUMBERS) for kind in answer.types]
        rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
        lines = [_line(names, widths, right), rule]
        lines += [_line(row, widths, right) for row in cells]
        if total is not None:
            lines += [rule, _line(total, widths, right)]
    return "".join(f"{line.rstrip()}\n" for line in [*lines, "", _foot(answer)])


def shown(value: Any, head: AnswerHead, place: int) -> str:
    """Return a value for people, in one line: money with thousands separators, a share as a percentage."""
    unit = head.unit(place)
    if value is None:
        return ""
    if unit == SHARE and isinstance(value, float | Decimal):
        return f"{100 * value:.2f}"
    if unit == DURATION and isinstance(value, int | float | Decimal):
        return duration(float(value))
    if unit is not None and isinstance(value, int | Decimal | float):
        return f"{value:,}"
    return _printable(plain(value, head.zone))


def total_line(head: AnswerHead, totals: Totals) -> list[str] | None:
    """Return the cells of the line of totals, None if there is no total."""
    if not totals.has_any:
        return None
    line = [shown(totals.value(place), head, place) for place in range(len(head.columns))]
    return line if line[0] else [TOTAL, *line[1:]]


def _cells(head: AnswerHead, row: tuple[Any, ...]) -> list[str]:
    return [shown(value, head, place) for place, value in enumerate(row)]


def _total_line(head: AnswerHead, answer: SqlAnswer) -> list[str] | None:
    totals = Totals(head)
    totals.add(answer.rows)
    return total_line(head, totals) if len(answer.rows) > 1 else None


def _foot(answer: SqlAnswer) -> str:
    count = len(answer.rows)
    more = "; there are more: narrow the question, or use --format csv" if answer.cut else ""
    return f"{count} row{'' if count == 1 else 's'}, as of {iso_ms(answer.as_of)}{more}"


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = []
    for cell, width, is_right in zip(cells, widths, right, strict=True):
        space = " " * (width - _width(cell))
        padded.append(space + cell if is_right else cell + space)
    return _GAP.join(padded)


def _records(names: list[str], rows: list[list[str]], total: list[str] | None) -> list[str]:
    """Return each row as a block with one column a line."""
    longest = max(map(_width, names))
    lines: list[str] = []
    for number, row in enumerate(rows, start=1):
        lines.append(f"── row {number} ──")
        lines += [f"{name}{' ' * (longest - _width(name))}{_GAP}{cell}" for name, cell in zip(names, row, strict=True)]
    if total is not None:
        lines.append(f"── {TOTAL} ──")
        lines += [
            f"{name}{' ' * (longest - _width(name))}{_GAP}{cell}"
            for name, cell in zip(names, total, strict=True)
            if cell not in ("", TOTAL)
        ]
    return lines


def _printable(text: str) -> str:
    """Return ``text`` without control characters, which a terminal would obey."""
    return text if text.isprintable() else "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _width(text: str) -> int:
    """Return the number of terminal columns that ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum((unicodedata.east_asian_width(char) in "WF") + (not unicodedata.combining(char)) for char in text)
