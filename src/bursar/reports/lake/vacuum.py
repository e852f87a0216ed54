"""Keep the lake small: expire old snapshots and delete the files that only they need.

A query reads the files of one snapshot for at most its time limit. So no query reads a file that is unreferenced and
older than :data:`READER_GRACE_S`. Files of a writer that died before its commit are deleted too.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pyiceberg.table import Table

SNAPSHOTS_MAX: Final = (
    20  # up to this number no snapshot is expired; each kept snapshot makes pyiceberg's commits a little slower
)
READER_GRACE_S: Final = 180.0


def vacuum(table: "Table", now: float) -> int:
    """Expire snapshots and delete unreferenced files older than the grace. Return the number of files deleted."""
    if len(table.metadata.snapshots) <= SNAPSHOTS_MAX:
        return 0
    before = now - READER_GRACE_S
    table.maintenance.expire_snapshots().older_than(datetime.fromtimestamp(before, UTC)).commit()
    table.refresh()
    needed = _needed(table)
    files, base = _listing(table)
    deleted = 0
    for entry in files:
        if entry.path not in needed and entry.mtime is not None and entry.mtime.timestamp() < before:
            base.delete_file(entry.path)
            deleted += 1
    return deleted


def _needed(table: "Table") -> set[str]:
    """Return every file that the table's metadata refers to, as paths of its file system."""
    locations = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    seen: set[str] = set()
    for snapshot in table.metadata.snapshots:
        locations.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in seen:
                continue
            seen.add(manifest.manifest_path)
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            locations.update(entry.data_file.file_path for entry in entries)
    return {_path(location) for location in locations | seen}


def _listing(table: "Table") -> tuple[list[Any], Any]:
    """Return the files below the table's location, and their Arrow file system."""
    from pyarrow.fs import FileSelector, FileType
    from pyiceberg.io.pyarrow import PyArrowFileIO

    io: Any = table.io  # always Arrow's: it is pyiceberg's default, and no other is installed
    scheme, netloc, path = PyArrowFileIO.parse_location(table.location(), io.properties)
    files: Any = io.fs_by_scheme(scheme, netloc)
    found = files.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
    return [entry for entry in found if entry.type == FileType.File], files


def _path(location: str) -> str:
    return location.partition("://")[2] or location
