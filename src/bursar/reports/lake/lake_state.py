"""The state of a lake: one snapshot of each table, with its files and how far they are complete."""

from dataclasses import dataclass

from bursar.reports.lake.position import Position
from bursar.reports.lake.schema import TABLES, TableSchema


@dataclass(frozen=True, slots=True)
class TableState:
    """One snapshot of one table: its data files with their numbers of rows, and how far they are complete.

    ``live_files`` are the files of the live partition; ``files`` are all others.
    """

    schema: TableSchema
    snapshot_id: int | None
    position: Position | None
    watermark: float | None
    files: dict[str, int]
    live_files: tuple[str, ...]

    @property
    def row_count(self) -> int:
        """The number of rows in ``files``."""
        return sum(self.files.values())


LakeState = dict[str, TableState]
"""Table name → its state. Before the first write there are no snapshots, watermarks and files."""


def no_state() -> LakeState:
    """Return the state of an empty lake."""
    return {schema.name: nothing_of(schema) for schema in TABLES}


def nothing_of(schema: TableSchema) -> TableState:
    """Return the state of an empty table."""
    return TableState(schema, None, None, None, {}, ())
