"""Write an answer as text: a table for people, CSV and JSON for programs."""

import csv
import io
import json
import shutil
import sys
import unicodedata
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from bursar.clock import iso_ms
from bursar.reports.sql.answer import SqlAnswer, distinct_names

TABLE_ROWS_MAX: Final = 10_000
"""Rows of a table for people; CSV and JSON have all rows."""
_GAP: Final = "  "
_NUMBERS: Final = ("DECIMAL", "BIGINT", "INTEGER", "DOUBLE", "HUGEINT", "FLOAT", "SMALLINT", "TINYINT")
# A spreadsheet treats a cell that begins with one of these as a formula.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def as_table(answer: SqlAnswer, width: int | None = None) -> str:
    """Return a table for a terminal of ``width`` columns, with row count and "as of" below.

    None: the width of the terminal, or no limit if standard output is not a terminal. Rows that are wider than the
    terminal are turned on their side, one column a line, because a folded table cannot be read.
    """
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    cells = [[_shown(value) for value in row] for row in answer.rows]
    names = [_shown(name) for name in answer.columns]
    widths = [max(map(_width, column)) for column in zip(names, *cells, strict=True)]
    if width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        lines = _records(names, cells)
    else:
        right = [kind.startswith(_NUMBERS) for kind in answer.types]
        lines = [_line(names, widths, right), "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))]
        lines += [_line(row, widths, right) for row in cells]
    count = len(answer.rows)
    more = "; there are more: narrow the question, or use --format csv" if answer.cut else ""
    lines += ["", f"{count} row{'' if count == 1 else 's'}, as of {iso_ms(answer.as_of)}{more}"]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = []
    for cell, width, is_right in zip(cells, widths, right, strict=True):
        space = " " * (width - _width(cell))
        padded.append(space + cell if is_right else cell + space)
    return _GAP.join(padded)


def _records(names: list[str], rows: list[list[str]]) -> list[str]:
    """Return each row as a block with one column a line."""
    longest = max(map(_width, names))
    lines: list[str] = []
    for number, row in enumerate(rows, start=1):
        lines.append(f"── row {number} ──")
        lines += [f"{name}{' ' * (longest - _width(name))}{_GAP}{cell}" for name, cell in zip(names, row, strict=True)]
    return lines


def _shown(value: Any) -> str:
    """Return a value in one line without control characters, which a terminal would obey."""
    text = "" if value is None else _plain(value)
    return text if text.isprintable() else "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _width(text: str) -> int:
    """Return the number of terminal columns that ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum((unicodedata.east_asian_width(char) in "WF") + (not unicodedata.combining(char)) for char in text)


def as_csv(answer: SqlAnswer) -> str:
    """Return CSV with a header line and LF line ends.

    Null is empty. A text that starts like a formula gets a ' first.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def as_json(answer: SqlAnswer) -> str:
    """Return ``{"columns", "types", "rows", "asOf"}``. Rows are objects, money and times are text."""
    body = {
        "columns": list(distinct_names(answer.columns)),
        "types": list(answer.types),
        "rows": [{name: _json(value) for name, value in row.items()} for row in answer.dicts()],
        "asOf": iso_ms(answer.as_of),
    }
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"


FORMATS: Final[dict[str, Callable[[SqlAnswer], str]]] = {"table": as_table, "csv": as_csv, "json": as_json}


def _cell(value: Any) -> str:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return iso_ms(value.timestamp()) if value.tzinfo is not None else value.isoformat(sep=" ")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(_json(value), ensure_ascii=False)
    return str(value)


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, list):
        return [_json(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _json(each) for name, each in value.items()}
    if isinstance(value, Decimal | datetime | date | time):
        return _plain(value)
    return str(value)
