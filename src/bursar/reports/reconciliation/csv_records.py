"""Read an activity file in CSV as a stream, in bounded memory. The first line names the columns; others are ignored."""

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO, Final

from bursar.reports.reconciliation.mapping import REQUIRED, FileMapping, letters
from bursar.reports.reconciliation.raw_records import BrokenFile, RawRecord

LINE_CHARS_MAX: Final = 64 * 1024
RECORD_LINES_MAX: Final = 20
"""The most lines of one record, whose quoted values may hold line ends. More lines mean an unclosed quote."""


def csv_records(stream: BinaryIO, mapping: FileMapping) -> Iterator[RawRecord]:
    """Yield the records of ``stream``. Raises :class:`BrokenFile` for a missing column or a line without an end."""
    text = io.TextIOWrapper(stream, mapping.encoding, errors="surrogateescape", newline="")
    try:
        yield from _records(BoundedLines(text), mapping)
    except (UnicodeError, LookupError) as error:
        raise BrokenFile(1, f"must be text in {mapping.encoding}: {error}") from None
    finally:
        text.detach()


def _records(lines: "BoundedLines", mapping: FileMapping) -> Iterator[RawRecord]:
    reader = csv.reader(lines, delimiter=mapping.delimiter, strict=True)
    columns: dict[str, int] | None = None
    while True:
        first = lines.number + 1
        lines.first = first
        try:
            cells = next(reader)
        except StopIteration:
            if columns is None:
                raise BrokenFile(1, "the file: must begin with a line that names the columns; got nothing") from None
            return
        except csv.Error as error:
            if columns is None:
                raise BrokenFile(first, f"the line with the columns: must be CSV: {error}") from None
            place = f"lines {first} to {lines.number}" if lines.number > first else "the line"
            yield RawRecord(first, {}, f"{place}: must be CSV: {error}")
            continue
        if columns is None:
            columns = _columns(cells, mapping)
            width = len(cells)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        fields = {name: cells[place].strip() for name, place in columns.items() if place < len(cells)}
        yield RawRecord(first, fields, _problem(cells, width))


def _problem(cells: list[str], width: int) -> str | None:
    if len(cells) != width:
        return f"the line: must have {width} values, as the line with the columns; got {len(cells)}"
    return None


def _columns(header: list[str], mapping: FileMapping) -> dict[str, int]:
    names = [letters(name) for name in header]
    columns: dict[str, int] = {}
    for field, known in mapping.columns.items():
        places = [place for place, name in enumerate(names) if name in known]
        if len(places) > 1:
            raise BrokenFile(1, f"the columns: must have one column for {field}; got {len(places)}")
        if places:
            columns[field] = places[0]
    missing = [field for field in REQUIRED if field not in columns]
    if missing:
        raise BrokenFile(1, f"the columns: must have one for {' and one for '.join(missing)}; a mapping can name it")
    return columns


class BoundedLines:
    """The lines of a text, each of bounded length. ``number`` is the number of lines read."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = 0
        self.first = 1

    def __iter__(self) -> "BoundedLines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(LINE_CHARS_MAX + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LINE_CHARS_MAX:
            raise BrokenFile(self.number, f"the line: must have at most {LINE_CHARS_MAX} characters")
        if self.number - self.first >= RECORD_LINES_MAX:
            raise BrokenFile(self.first, f"a record: must have at most {RECORD_LINES_MAX} lines; is a quote unclosed?")
        return line
