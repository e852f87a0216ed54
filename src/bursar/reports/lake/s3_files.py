"""The files of a lake on S3, with fewer requests than pyiceberg makes by default.

| | by default | here |
|---|---|---|
| write a small file | 3 requests: begin an upload of parts, one part, end it | 1 request |
| look whether a new file of metadata exists | 2 requests | none |
| read a file of metadata | 2 requests, each time that a step of a pass needs it | 2 requests in a minute |

The name of a file has a new UUID. So no file exists before it is written, and a known content of metadata is right. It
is kept for a minute only, so that a process notices a file that was removed.
"""

import io
import time
from typing import TYPE_CHECKING, Any, Final

from pyiceberg.io import InputFile
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

METADATA_SUFFIXES: Final = (".avro", ".metadata.json")
"""Manifests, lists of manifests, and the metadata of tables."""
KNOWN_AGE_MAX_S: Final = 60.0
KNOWN_BYTES_MAX: Final = 32 * 1024 * 1024

_known: dict[str, tuple[float, bytes]] = {}
"""Location → when it was read (monotonic seconds), and the content. The oldest is first."""


class S3Files(PyArrowFileIO):
    """Opens the files of a lake on S3. pyiceberg makes it for each table, by its option ``py-io-impl``."""

    def _initialize_s3_fs(self, netloc: str | None) -> "FileSystem":
        """Return the file system of pyiceberg's options, which writes a small file with one request.

        Source: Arrow, ``S3FileSystem(allow_delayed_open=True)``.
        """
        rebuild, (options,) = super()._initialize_s3_fs(netloc).__reduce__()
        delayed: FileSystem = rebuild({**options, "allow_delayed_open": True})
        return delayed

    def new_input(self, location: str) -> Any:
        """Return the file at ``location``, whose content may be known if it is metadata."""
        file = super().new_input(location)
        return _MetadataFile(file) if location.endswith(METADATA_SUFFIXES) else file

    def new_output(self, location: str) -> PyArrowFile:
        """Return a new file at ``location``, which must have a new name."""
        scheme, netloc, path = self.parse_location(location, self.properties)
        return _NewFile(location, path, self.fs_by_scheme(scheme, netloc))


class _NewFile(PyArrowFile):
    """A file with a new name."""

    def create(self, overwrite: bool = False) -> Any:
        return super().create(overwrite=True)


class _MetadataFile(InputFile):
    """A file of metadata, which is read at once."""

    def __init__(self, file: InputFile) -> None:
        super().__init__(file.location)
        self._file = file

    def __len__(self) -> int:
        return len(self._content())

    def exists(self) -> bool:
        return self._file.exists()

    def open(self, seekable: bool = True) -> Any:
        return io.BytesIO(self._content())

    def _content(self) -> bytes:
        now = time.monotonic()
        for location, (read_at, _) in tuple(_known.items()):
            if now - read_at > KNOWN_AGE_MAX_S:
                _known.pop(location, None)
        found = _known.get(self.location)
        if found is not None:
            return found[1]
        with self._file.open() as stream:
            content = bytes(stream.read())
        _known[self.location] = now, content
        while sum(len(each) for _, each in tuple(_known.values())) > KNOWN_BYTES_MAX:
            _known.pop(next(iter(_known)), None)
        return content
