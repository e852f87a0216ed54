"""Read the items of the files that ImportTable imports: DynamoDB JSON and CSV, plain, gzip or Zstandard.

    DYNAMODB_JSON   {"Item": {…}} a line, as in exports
    CSV             a header line, or the request's HeaderList; key attributes have their types, all others are strings

A line that cannot be parsed ends its object, because the rest may be misread; the items before it count. Source:
Developer Guide, "Amazon S3 import formats for DynamoDB" and "Import format quotas and validation".
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import orjson

LINE_BYTES_MAX = 4 * 1024 * 1024
"""The longest line, which is longer than any item."""
CSV_FIELD_CHARACTERS_MAX = 400 * 1024

Attributes = dict[str, Any]


class BadLine(Exception):
    """The rest of the object cannot be parsed; the text gives the place and the reason."""


class CsvForm:
    """How CSV is read: the delimiter, the header (None: the first line), the types of key attributes."""

    def __init__(self, delimiter: str, header: Sequence[str] | None, key_types: Mapping[str, str]) -> None:
        self.delimiter = delimiter
        self.header = header
        self.key_types = key_types


def opened(raw: IO[bytes], compression: str) -> io.BufferedReader:
    """Return the content of an object; ``compression`` is NONE, GZIP or ZSTD.

    Reading it raises :class:`BadLine` for damaged content. Raises ``ImportError`` for ZSTD without ``zstandard``.
    """
    content: Any = raw
    errors: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error)
    if compression == "GZIP":
        content = gzip.GzipFile(fileobj=raw)
    elif compression == "ZSTD":
        import zstandard

        content = zstandard.ZstdDecompressor().stream_reader(raw)
        errors = (*errors, zstandard.ZstdError)
    return io.BufferedReader(_Content(content, errors), LINE_BYTES_MAX)


def json_items(content: io.BufferedReader) -> Iterator[tuple[int, Attributes]]:
    """Yield (size of the line in bytes, item) of DynamoDB JSON. Raises :class:`BadLine`."""
    for _, size, record in json_records(content):
        yield size, record["Item"]


def json_records(content: io.BufferedReader) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield (number of the line, its size in bytes, object with the member ``Item``). Raises :class:`BadLine`."""
    for number, line in numbered_lines(content):
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BadLine(f"line {number}: must be JSON: {error}") from None
        if not isinstance(document, dict) or not isinstance(document.get("Item"), dict):
            raise BadLine(f'line {number}: must be {{"Item": {{…}}}}')
        yield number, len(line), document


def numbered_lines(content: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line) of each line that is not blank. Raises :class:`BadLine` for one that is too long."""
    for number, line in enumerate(iter(lambda: content.readline(LINE_BYTES_MAX + 1), b""), 1):
        if not line.strip():
            continue
        if len(line) > LINE_BYTES_MAX:
            raise BadLine(f"line {number}: must have at most {LINE_BYTES_MAX} bytes")
        yield number, line


def csv_items(content: io.BufferedReader, form: CsvForm) -> Iterator[tuple[int, Attributes]]:
    """Yield (size of the line in characters, item) of CSV; an empty field gives no attribute.

    Raises :class:`BadLine`.
    """
    csv.field_size_limit(CSV_FIELD_CHARACTERS_MAX)
    text = io.TextIOWrapper(content, "utf-8", newline="")
    rows = csv.reader(text, delimiter=form.delimiter, strict=True)
    header = form.header
    try:
        if header is None:
            header = next(rows, None)
        if header is None:
            return
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise BadLine(f"line {rows.line_num}: must have {len(header)} fields; got {len(row)}")
            fields = zip(header, row, strict=True)
            yield sum(map(len, row)) + len(row), {name: _value(form, name, field) for name, field in fields if field}
    except csv.Error as error:
        raise BadLine(f"line {rows.line_num}: must be CSV: {error}") from None
    except UnicodeDecodeError as error:  # found before the reader has returned the lines before it
        raise BadLine(f"after line {rows.line_num}: must be UTF-8: {error.reason}") from None


def _value(form: CsvForm, name: str, field: str) -> dict[str, str]:
    return {form.key_types.get(name, "S"): field}


class _Content(io.RawIOBase):
    """Decompressed content; the errors of its source become :class:`BadLine`."""

    def __init__(self, source: Any, errors: tuple[type[Exception], ...]) -> None:
        self._source = source
        self._errors = errors

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._source.read(len(buffer))
        except self._errors as error:
            raise BadLine(f"the object cannot be read: {error}") from None
        buffer[: len(piece)] = piece
        return len(piece)
