"""The only writer of the lake: commits rows and the position after them.

Final rows are appended, and the live partition is replaced, so the cost of a commit does not depend on
the size of the month. Each table is one Iceberg commit with its own position, and a writer that dies at any point
leaves each table complete up to its own position:

    die before a commit          nothing changed; the vacuum deletes files that belong to no snapshot
    die between two tables       one table is ahead; readers and the next writer use the position of each
    die after the last           done

A build makes several commits without a position, so a build that died begins again. Small files are merged
(:mod:`bursar.reports.lake.merging`). One process writes at a time, under a lock that the operating system frees when
the process dies. If two writers meet on S3, Iceberg refuses the commit of the slower one.
"""

import fcntl
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import iso_ms
from bursar.reports.errors import LakeBroken, LakeBusy
from bursar.reports.lake.encodings import in_stored_order
from bursar.reports.lake.iceberg import commit_files, data_files, months_of, read_files, rows_of_file
from bursar.reports.lake.lake import COLUMNS, POSITION, WATERMARK, Lake, summary_of, table_state
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.merging import to_merge
from bursar.reports.lake.position import Position
from bursar.reports.lake.retention import month_number
from bursar.reports.lake.schema import PAYMENTS, TABLES, TableSchema
from bursar.reports.lake.vacuum import vacuum

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

_LOCK_FILE: Final = "writer.lock"


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one commit: final rows by table name, and all live attempts.

    ``replaced`` are the keys of final attempts whose rows in the lake are wrong and must be removed. ``live`` is None
    if the live partition does not change.
    """

    rows: "Mapping[str, pa.Table]"
    live: "pa.Table | None"
    replaced: Collection[str] = ()


class LakeWriter:
    """An open lake that only this process may write. :func:`writing` makes it."""

    def __init__(self, catalog: "Catalog", tables: "dict[str, Table]") -> None:
        self._catalog = catalog
        self._tables = tables

    def state(self) -> LakeState:
        """Return the present state of the lake."""
        return {schema.name: table_state(schema, self._tables[schema.name]) for schema in TABLES}

    def clear(self) -> None:
        """Remove all rows and positions: a build begins."""
        for schema in TABLES:
            table = self._tables[schema.name]
            files = data_files(table)
            if files or summary_of(table, POSITION) is not None:
                self._commit(schema, files, [], {})

    def commit(self, batch: Batch, position: Position | None, watermark: float | None) -> LakeState:
        """Add a batch and move every position to ``position``. Return the new state.

        Without a position, the lake stays a lake that is being built. Raises :class:`LakeBusy` if another writer
        committed in between.
        """
        summary: dict[str, str] = {} if position is None else {POSITION: position.text()}
        if watermark is not None:
            summary[WATERMARK] = iso_ms(watermark)
        for schema in TABLES:
            self._commit_batch(schema, batch, summary)
        return self.state()

    def fill(self, parts: "Callable[[TableSchema], Iterable[pa.Table]]", watermark: float) -> LakeState:
        """Add the final rows of a lake that is being built, without a position. Return the new state.

        ``parts`` returns the rows of a table in parts, which are in memory one at a time. Raises as :meth:`commit`.
        """
        for schema in TABLES:
            added = (in_stored_order(schema, rows) for rows in parts(schema))
            self._commit(schema, [], added, {WATERMARK: iso_ms(watermark), COLUMNS: str(len(schema.columns))})
        return self.state()

    def replace_month(self, schema: TableSchema, month: int, rows: "pa.Table") -> LakeState:
        """Replace the rows of one month, counted from 1970-01; the position does not change. Return the new state."""
        table = self._tables[schema.name]
        removed = [file for file in data_files(table) if file.partition[0] == month]
        self._commit(schema, removed, [in_stored_order(schema, rows)], self._present(table))
        return self.state()

    def remove_before(self, first: "Mapping[str, date]") -> LakeState:
        """Remove the months of each table before the day ``first``; live attempts stay. Return the new state."""
        for schema in TABLES:
            table, kept_from = self._tables[schema.name], month_number(first[schema.name])
            files = [file for month, files in months_of(data_files(table)) if month < kept_from for file in files]
            if files:
                self._commit(schema, files, [], self._present(table))
        return self.state()

    def merge(self, *, building: bool = False) -> LakeState:
        """Merge small files; no row changes. Return the new state.

        A commit merges at most one group of files of each month. One group at a time is in memory.
        ``building``: the lake is being built, so every month will get more files.
        """
        for schema in TABLES:
            table = self._tables[schema.name]
            while groups := self._groups_to_merge(table, building):
                merged = (in_stored_order(schema, read_files(schema, table, group)) for group in groups)
                self._commit(schema, [file for group in groups for file in group], merged, self._present(table))
        return self.state()

    def needs_merge(self, *, building: bool = False) -> bool:
        """Return whether :meth:`merge` has something to do."""
        return any(self._groups_to_merge(table, building) for table in self._tables.values())

    def _groups_to_merge(self, table: "Table", building: bool) -> "list[list[DataFile]]":
        months = list(months_of(data_files(table)))
        groups = [
            to_merge(files, is_growing=building or place == len(months))
            for place, (_, files) in enumerate(months, start=1)
        ]
        return [group for group in groups if group]

    def tidy(self) -> int:
        """Expire old snapshots and delete files that no snapshot needs. Return the number of files deleted."""
        # Iceberg and file systems use the system clock for their timestamps, so ours does not apply here.
        now = time.time()
        return sum(vacuum(self._tables[schema.name], now) for schema in TABLES)

    def _present(self, table: "Table") -> dict[str, str]:
        found = {name: summary_of(table, name) for name in (POSITION, WATERMARK, COLUMNS)}
        return {name: value for name, value in found.items() if value is not None}

    def _commit_batch(self, schema: TableSchema, batch: Batch, summary: Mapping[str, str]) -> None:
        table = self._tables[schema.name]
        summary = {**summary, COLUMNS: str(len(schema.columns))}
        added, removed = [in_stored_order(schema, batch.rows[schema.name])], []
        files = data_files(table)
        if schema is PAYMENTS:
            if batch.live is not None:
                removed += [file for file in files if file.partition[0] is None]
                added.append(batch.live)
            if batch.replaced:
                rewritten, kept = _without(table, files, batch.replaced)
                removed += rewritten
                added.append(kept)
        if removed or any(rows.num_rows for rows in added) or summary != self._present(table):
            self._commit(schema, removed, added, summary)

    def _commit(
        self,
        schema: TableSchema,
        removed: "list[DataFile]",
        added: "Iterable[pa.Table]",
        summary: Mapping[str, str],
    ) -> None:
        from pyiceberg.exceptions import CommitFailedException

        try:
            commit_files(self._tables[schema.name], removed, added, summary)
        except CommitFailedException as error:
            raise LakeBusy("another process wrote the lake at the same time; nothing was changed") from error


def _without(table: "Table", files: "list[DataFile]", keys: Collection[str]) -> "tuple[list[DataFile], pa.Table]":
    """Return the files of final attempts that have any of the keys, and the other rows of these files."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(keys))
    found, kept = [], []
    for file in files:
        if file.partition[0] is None:
            continue
        rows = rows_of_file(PAYMENTS, table.io, file.file_path)
        is_replaced = pc.is_in(rows[PAYMENTS.key[0]], value_set=wanted)
        if pc.any(is_replaced).as_py():
            found.append(file)
            kept.append(rows.filter(pc.invert(is_replaced)))
    return found, pa.concat_tables(kept) if kept else read_files(PAYMENTS, table, [])


@contextmanager
def writing(lake: Lake) -> Iterator[LakeWriter]:
    """Open the lake for writing; create it if it is missing.

    Raises :class:`LakeBusy` if another process writes it, and :class:`LakeBroken` if it cannot be opened or written: a
    full or read-only disk, for example.
    """
    try:
        with _locked(lake), lake.catalog() as catalog:
            yield LakeWriter(catalog, _tables_or_busy(lake, catalog))
    except OSError as error:
        raise LakeBroken(f"the lake at {lake.warehouse} cannot be written: {error}") from error
    except Exception as error:
        if _is_database_error(error):
            reason = str(error).splitlines()[0]
            raise LakeBroken(f"the lake at {lake.warehouse} cannot be written: {reason}") from error
        raise


def _tables_or_busy(lake: Lake, catalog: "Catalog") -> "dict[str, Table]":
    from pyiceberg.exceptions import CommitFailedException, TableAlreadyExistsError

    try:
        return lake.tables(catalog)
    except (CommitFailedException, TableAlreadyExistsError) as error:
        raise LakeBusy("another process created or changed the lake's tables at the same time") from error


def _is_database_error(error: Any) -> bool:
    if "sqlalchemy" not in sys.modules:  # the catalog is AWS Glue
        return False
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, SQLAlchemyError)


@contextmanager
def _locked(lake: Lake) -> Iterator[None]:
    if lake.folder is None:  # on S3, Iceberg's check at the commit replaces the lock
        yield
        return
    lake.folder.mkdir(parents=True, exist_ok=True)
    with (lake.folder / _LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LakeBusy(f"another process is writing the lake at {lake.folder}") from None
        yield
