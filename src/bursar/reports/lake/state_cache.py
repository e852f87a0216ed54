"""The last known state of a lake in a folder, in one JSON file: opening it needs neither pyiceberg nor its catalog.

    catalog.db    names the metadata file of each table, which never changes and has a unique name
    state.json    those names, and the state of each table that they mean

The file is derived: if it is missing, damaged, or about other metadata files, the state is read from the lake.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from bursar.private_files import replacing_private
from bursar.reports.lake.position import Position

if TYPE_CHECKING:
    from bursar.reports.lake.lake_state import TableState

STATE_FILE: Final = "state.json"
STATE_FORMAT: Final = 1
_LOCATIONS: Final = "SELECT table_name, metadata_location FROM iceberg_tables ORDER BY table_name"

MetadataFiles = Mapping[str, str]
"""Table name → the location of its present metadata file."""


def metadata_files(folder: Path) -> MetadataFiles | None:
    """Return the present metadata files of the catalog in ``folder``; None if it cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/catalog.db?mode=ro", uri=True)) as connection:
            return dict(connection.execute(_LOCATIONS).fetchall())
    except sqlite3.Error:
        return None


def cached_state(folder: Path, files: MetadataFiles, lake_format: int) -> dict[str, dict[str, Any]] | None:
    """Return the fields of each table's state, if the file in ``folder`` has the state of these metadata files."""
    try:
        found = orjson.loads((folder / STATE_FILE).read_bytes())
        if found["format"] != [STATE_FORMAT, lake_format] or found["metadata"] != files:
            return None
        return {name: _fields(table) for name, table in found["tables"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_state(folder: Path, files: MetadataFiles, lake_format: int, state: "Mapping[str, TableState]") -> None:
    """Write the state. If the folder cannot be written, there is no such file, and the lake is read each time."""
    tables = {name: asdict(table) | {"schema": None} for name, table in state.items()}
    content = orjson.dumps({"format": [STATE_FORMAT, lake_format], "metadata": dict(files), "tables": tables})
    with suppress(OSError), replacing_private(folder / STATE_FILE) as file:
        file.write(content)


def _fields(table: dict[str, Any]) -> dict[str, Any]:
    position = table["position"]
    return {
        "snapshot_id": table["snapshot_id"],
        "position": None if position is None else Position(position["source"], position["order"], position["mark"]),
        "watermark": table["watermark"],
        "files": table["files"],
        "live_files": tuple(table["live_files"]),
    }
