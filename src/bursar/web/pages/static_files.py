"""The static files of a room's pages, read once and served under paths that change with their content.

A room adds its files to those that all rooms share (``SHARED``: the design system, htmx, `pages.css`).
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from starlette.responses import Response

SHARED: Final = Path(__file__).parent / "static"
VERSION_CHARS: Final = 12
_COMPRESSED: Final = frozenset({".css", ".js", ".svg"})
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2"}


@dataclass(frozen=True)
class StaticFile:
    """One file; ``compressed`` is its gzip form, if that is worthwhile."""

    media_type: str
    content: bytes
    compressed: bytes | None


class StaticFiles:
    """The files of several folders, by their path below their folder. The folders are read at the first use."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    @cached_property
    def files(self) -> dict[str, StaticFile]:
        """Every file, by its path below its folder."""
        return {
            path.relative_to(folder).as_posix(): _read(path)
            for folder in self._folders
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    @cached_property
    def version(self) -> str:
        """A text that changes when any file changes."""
        digest = hashlib.sha256()
        for name, file in self.files.items():
            digest.update(name.encode() + b"\0" + file.content)
        return digest.hexdigest()[:VERSION_CHARS]

    def response(self, name: str, version: str, accepts: str) -> Response | None:
        """Return the answer with a file; None if there is none.

        A file under the present version may be kept for a year. ``accepts``: the header Accept-Encoding.
        """
        file = self.files.get(name)
        if file is None:
            return None
        kept = "public, max-age=31536000, immutable" if version == self.version else "no-cache"
        headers = {"cache-control": kept, "vary": "accept-encoding"}
        if file.compressed is not None and "gzip" in accepts:
            return Response(file.compressed, headers=headers | {"content-encoding": "gzip"}, media_type=file.media_type)
        return Response(file.content, headers=headers, media_type=file.media_type)


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    return StaticFile(kind, content, gzip.compress(content, mtime=0) if path.suffix in _COMPRESSED else None)
