"""Write CSV, JSON and JSON lines, row by row. Lines end with LF."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from bursar.clock import iso_ms
from bursar.reports.output.head import AnswerHead, Totals
from bursar.reports.output.values import cell, json_value


class CsvWriter:
    """CSV in UTF-8 with a header line. The names are those of SQL, without units, and there is no line of totals."""

    def __init__(self, head: AnswerHead, file: BinaryIO) -> None:
        self._zone = head.zone
        self._file = file
        self._write_lines([head.columns])

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows."""
        self._write_lines([cell(value, self._zone) for value in row] for row in rows)

    def end(self) -> None:
        """Do nothing: every row is written."""

    def _write_lines(self, lines: Iterable[Sequence[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._file.write(text.getvalue().encode())


class JsonWriter:
    """``{"columns", "types", "rows", "totals", "asOf"}``. Rows are objects; only a report has totals."""

    def __init__(self, head: AnswerHead, file: BinaryIO) -> None:
        self._head = head
        self._file = file
        self._totals = Totals(head)
        columns = json.dumps(list(head.names), ensure_ascii=False)
        self._put(f'{{\n  "columns": {columns},\n  "types": {json.dumps(list(head.types))},\n  "rows": [')

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows."""
        lines = _objects(self._head, rows)
        separator = ",\n    " if self._totals.rows else "\n    "
        if rows:
            self._put(separator + ",\n    ".join(lines))
        self._totals.add(rows)

    def end(self) -> None:
        """Write the totals, and the time as of which the answer holds."""
        self._put("\n  ]," if self._totals.rows else "],")
        if self._totals.has_any:
            totals = json.dumps(json_value(self._totals.by_name()), ensure_ascii=False)
            self._put(f'\n  "totals": {totals},')
        self._put(f'\n  "asOf": "{iso_ms(self._head.as_of)}"\n}}\n')

    def _put(self, text: str) -> None:
        self._file.write(text.encode())


class JsonLinesWriter:
    """One JSON object a line, for programs that read rows as they come."""

    def __init__(self, head: AnswerHead, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows."""
        self._file.write("".join(f"{line}\n" for line in _objects(self._head, rows)).encode())

    def end(self) -> None:
        """Do nothing: every row is written."""


def _objects(head: AnswerHead, rows: Sequence[tuple[Any, ...]]) -> Iterable[str]:
    names, zone = head.names, head.zone
    for row in rows:
        values = {name: json_value(value, zone) for name, value in zip(names, row, strict=True)}
        yield json.dumps(values, ensure_ascii=False)
