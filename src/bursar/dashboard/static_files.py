"""The static files of the dashboard, read once and served under a path that changes with their content."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from starlette.responses import Response

FOLDER: Final = Path(__file__).parent / "static"
VERSION_CHARS: Final = 12
_COMPRESSED: Final = frozenset({".css", ".js", ".svg"})
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2"}


@dataclass(frozen=True)
class StaticFile:
    """One file; ``compressed`` is its gzip form, if that is worthwhile."""

    media_type: str
    content: bytes
    compressed: bytes | None


@cache
def static_files() -> dict[str, StaticFile]:
    """Return every static file by its path below the folder."""
    return {path.relative_to(FOLDER).as_posix(): _read(path) for path in sorted(FOLDER.rglob("*")) if path.is_file()}


@cache
def static_version() -> str:
    """Return a text that changes when any static file changes."""
    digest = hashlib.sha256()
    for name, file in static_files().items():
        digest.update(name.encode() + b"\0" + file.content)
    return digest.hexdigest()[:VERSION_CHARS]


def static_response(name: str, version: str, accepts: str) -> Response | None:
    """Return the answer with a file; None if there is none. A file under the present version may be kept for a year."""
    file = static_files().get(name)
    if file is None:
        return None
    kept = "public, max-age=31536000, immutable" if version == static_version() else "no-cache"
    headers = {"cache-control": kept, "vary": "accept-encoding"}
    if file.compressed is not None and "gzip" in accepts:
        return Response(file.compressed, headers=headers | {"content-encoding": "gzip"}, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    return StaticFile(kind, content, gzip.compress(content, mtime=0) if path.suffix in _COMPRESSED else None)
