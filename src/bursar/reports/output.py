"""Write an answer as text: a table for people, CSV and JSON for programs."""

import csv
import io
import json
import sys
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from bursar.clock import iso_ms
from bursar.reports.sql.answer import SqlAnswer

PIPED_COLUMNS: Final = 10_000
_NUMBERS: Final = ("DECIMAL", "BIGINT", "INTEGER", "DOUBLE", "HUGEINT", "FLOAT", "SMALLINT", "TINYINT")
# A spreadsheet treats a cell that begins with one of these as a formula.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def as_table(answer: SqlAnswer, width: int | None = None) -> str:
    """Return a table for a terminal of ``width`` columns, with row count and "as of" below.

    None: the width of the terminal, or no limit if standard output is not a terminal, because a cut value in a pipe
    would be worse than a long line.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, kind in zip(answer.columns, answer.types, strict=True):
        table.add_column(Text(name), justify="right" if kind.startswith(_NUMBERS) else "left", overflow="fold")
    for row in answer.rows:
        table.add_row(*(Text("" if value is None else _plain(value)) for value in row))
    out = io.StringIO()
    if width is None and not sys.stdout.isatty():
        width = PIPED_COLUMNS
    console = Console(file=out, width=width, force_terminal=False)
    console.print(table)
    count = len(answer.rows)
    console.print(f"{count} row{'' if count == 1 else 's'}, as of {iso_ms(answer.as_of)}", highlight=False)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "".join(f"{line}\n" for line in lines[not lines[0] :])


def as_csv(answer: SqlAnswer) -> str:
    """Return CSV by RFC 4180 with a header line. Null is empty; a text that starts like a formula gets a ' first."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def as_json(answer: SqlAnswer) -> str:
    """Return ``{"columns", "types", "rows", "asOf"}``. Rows are objects, money and times are text."""
    body = {
        "columns": list(answer.columns),
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
