"""Read a form with files: its fields in memory, each file as a stream into a private folder.

The token of the form comes first. A form whose token is missing or wrong is refused before a file is written.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from starlette.requests import Request

from bursar.dashboard.site import PREFIX
from bursar.dashboard.visit import PageError
from bursar.web.asgi_server import UploadLimit

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

UPLOAD_BYTES_MAX: Final = 64 << 20
"""The most bytes of all files of a form together."""
UPLOAD_S_MAX: Final = 300.0
UPLOAD_PATH: Final = "/reconciliation/upload"
UPLOADS: Final = {f"{PREFIX}{UPLOAD_PATH}": UploadLimit(UPLOAD_BYTES_MAX + (1 << 20), UPLOAD_S_MAX)}
"""The paths that accept files, with the server's bounds, which are a little larger than that of the files."""
PARTS_MAX: Final = 16
FIELD_BYTES_MAX: Final = 4 * 1024
HEAD_BYTES_MAX: Final = 8 * 1024
NAME_CHARS_MAX: Final = 100
_NOT_IN_A_NAME: Final = re.compile(r"[^\w.= -]")


@dataclass
class FilledForm:
    """The fields of a form, and its files by the names of their fields. A field without a file is left out."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


async def read_form_with_files(
    request: Request, folder: Path, check: Callable[[Mapping[str, str]], None]
) -> FilledForm:
    """Return the form of a request, with its files in ``folder``.

    ``check`` is called with the fields before the first file, and at the end. Raises what it raises, and
    :class:`PageError` for a form that is too large, cut off, or no form with files.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise PageError(400, "errors.bad_form")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:18]) > UPLOADS[request.url.path].bytes_max:
        raise _too_large()
    reader = _Reader(folder, check)
    parser = MultipartParser(boundary, reader.callbacks())
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > UPLOAD_BYTES_MAX:
                raise _too_large()
            await asyncio.to_thread(parser.write, chunk)
        parser.finalize()
    except FormParserError:
        raise PageError(400, "errors.bad_form") from None
    finally:
        reader.close()
    if not reader.has_ended:
        raise PageError(400, "errors.bad_form")
    check(reader.form.fields)
    return reader.form


def _too_large() -> PageError:
    return PageError(413, "errors.upload_too_large", limit=UPLOAD_BYTES_MAX >> 20)


class _Reader:
    """Receives the parser's callbacks."""

    def __init__(self, folder: Path, check: Callable[[Mapping[str, str]], None]) -> None:
        self.form = FilledForm()
        self.has_ended = False
        self._folder = folder
        self._check = check
        self._parts = 0
        self._head = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._name = ""
        self._text = bytearray()
        self._file: BinaryIO | None = None

    def callbacks(self) -> "MultipartCallbacks":
        """Return the callbacks by the parser's names."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._take_head,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_head,
            "on_part_data": self._take_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def close(self) -> None:
        """Close a file that is still open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise PageError(400, "errors.bad_form")
        self._disposition, self._name = b"", ""
        self._text.clear()
        self._head.clear()
        self._value.clear()

    def _take_head(self, data: bytes, start: int, end: int) -> None:
        self._grow(self._head, data[start:end])

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._grow(self._value, data[start:end])

    def _grow(self, kept: bytearray, more: bytes) -> None:
        kept += more
        if len(kept) > HEAD_BYTES_MAX:
            raise PageError(400, "errors.bad_form")

    def _end_header(self) -> None:
        if self._head.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._head.clear()
        self._value.clear()

    def _end_head(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            self._check(self.form.fields)
            given = options[b"filename"].decode("utf-8", "replace")
            if given:
                self._open(given)

    def _open(self, given: str) -> None:
        if self._name in self.form.files:
            raise PageError(400, "errors.bad_form")
        folder = self._folder / str(self._parts)
        folder.mkdir(mode=0o700)
        path = folder / file_name(given)
        self.form.files[self._name] = path
        self._file = path.open("xb")

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > FIELD_BYTES_MAX:
            raise PageError(413, "errors.too_large")

    def _end_part(self) -> None:
        if self._file is not None:
            self.close()
        elif self._name:
            self.form.fields.setdefault(self._name, self._text.decode("utf-8", "replace"))

    def _end(self) -> None:
        self.has_ended = True


def file_name(given: str) -> str:
    """Return the name under which a file is stored: its last part, without characters that have a meaning in paths."""
    last = re.split(r"[/\\]", given)[-1]
    plain = _NOT_IN_A_NAME.sub("_", last).strip(". ")[-NAME_CHARS_MAX:]
    return plain or "file"
