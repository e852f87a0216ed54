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


def positions_of(state: LakeState) -> dict[str, Position] | None:
    """Return the position of each table; None if a table has none, so that the lake is not built."""
    found = {name: table.position for name, table in state.items() if table.position is not None}
    return found if len(found) == len(state) else None


def earliest_of(positions: dict[str, Position]) -> Position:
    """Return the position before all others."""
    return min(positions.values(), key=lambda position: position.order)


def snapshots_of(state: LakeState) -> list[int | None]:
    """Return the snapshot of each table. Two states with equal snapshots are one state."""
    return [table.snapshot_id for table in state.values()]


def is_empty(state: LakeState) -> bool:
    """Return whether nothing was ever written."""
    return all(table.snapshot_id is None for table in state.values())
