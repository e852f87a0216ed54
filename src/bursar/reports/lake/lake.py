"""The lake: Iceberg tables in a folder or in S3, their positions, and how to open and read them.

    payments         final attempts, append-only, by month of settlement │ the live partition, replaced by each commit
    payment_events   events, append-only, by month
    reversals        reversals, append-only, by month
    deposits         deposits, append-only, by month

The summary of a table's snapshot has the position of the last change that the snapshot holds, so data and position are
one commit. The tail (:mod:`bursar.reports.tail`) has all later changes. A table without a position is not built yet.
The watermark beside the position is for people: the newest change time up to which the snapshot is complete. Only
:mod:`bursar.reports.lake.writer` writes here.

    file:FOLDER            FOLDER/catalog.db (Iceberg's SQL catalog on SQLite), FOLDER/<tables>
    s3://BUCKET/PREFIX     the same tables on S3; the catalog is AWS Glue, so Athena can read them at once. Query
                           parameters are pyiceberg properties: ?catalog=sqlite:////path/c.db&s3.endpoint=…

A lake is derived data: a damaged lake may be deleted, and is then written again from the table.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from bursar.clock import from_iso_ms
from bursar.reports.errors import LakeBroken
from bursar.reports.lake.lake_state import LakeState, TableState, no_state, nothing_of
from bursar.reports.lake.position import Position
from bursar.reports.lake.schema import TABLES, TableSchema, iceberg_partitions, iceberg_schema
from bursar.reports.lake.state_cache import cached_state, keep_state, metadata_files

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.types import NestedField

NAMESPACE: Final = "bursar"
S3_FILES: Final = "bursar.reports.lake.s3_files.S3Files"
FORMAT: Final = 2
"""Format 2: append-only finals and a live partition. A lake of format 1 is built again."""
WATERMARK: Final = "bursar.watermark"  # in a snapshot's summary: ISO ms
POSITION: Final = "bursar.position"  # in a snapshot's summary: see Position.text
COLUMNS: Final = "bursar.columns"  # in a snapshot's summary: the number of columns for which its rows have values
_FORMAT_PROPERTY: Final = "bursar.format"
_METADATA_VERSIONS_MAX: Final = 20
_loading: Final = threading.Lock()
"""The lock for opening the first catalog, which loads SQLAlchemy.

Its modules import each other, so loading it in two threads at the same time fails.
"""

_TABLE_PROPERTIES: Final = {
    _FORMAT_PROPERTY: str(FORMAT),
    # A commit that conflicts with another writer must fail: a retry of pyiceberg would append the same rows on top of
    # the other snapshot. The writer starts again from the new watermark instead.
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": str(_METADATA_VERSIONS_MAX),
    "write.parquet.compression-codec": "zstd",
}


@dataclass(frozen=True)
class Lake:
    """The place of a lake: ``folder`` is set for ``file:``; otherwise ``warehouse`` is an S3 URL."""

    warehouse: str
    folder: Path | None
    properties: dict[str, str]

    @classmethod
    def at(cls, url: str) -> "Lake":
        """Return the lake of ``url`` without opening or creating it. Raise ``ValueError`` for another kind of URL."""
        scheme, _, rest = url.partition(":")
        if scheme == "file" and rest:
            folder = Path(rest.removeprefix("//")).absolute()
            return cls(f"file://{folder}", folder, {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db"})
        if scheme == "s3":
            parts = urlsplit(url)
            options = dict(parse_qsl(parts.query))
            catalog = options.pop("catalog", "glue")
            kind = {"type": "glue"} if catalog == "glue" else {"type": "sql", "uri": catalog}
            return cls(
                f"s3://{parts.netloc}{parts.path}".rstrip("/"), None, {**kind, "py-io-impl": S3_FILES, **options}
            )
        raise ValueError(f"the lake: must be file:FOLDER or s3://BUCKET/PREFIX; got {url!r}")

    @property
    def exists(self) -> bool:
        """Whether there is a catalog. It is assumed for S3."""
        return self.folder is None or (self.folder / "catalog.db").exists()

    @contextmanager
    def catalog(self) -> "Iterator[Catalog]":
        """Open the lake's catalog for the length of a ``with``. Create an empty catalog if there is none."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        with _loading:
            from pyiceberg.catalog import load_catalog

            logging.getLogger("pyiceberg.io").setLevel(logging.WARNING)  # it names its class for each table
            catalog = load_catalog(NAMESPACE, warehouse=self.warehouse, **self.properties)
        try:
            yield catalog
        finally:
            close = getattr(catalog, "close", None)
            if close is not None:
                close()

    def tables(self, catalog: "Catalog") -> "dict[str, Table]":
        """Return every table; create missing ones, replace tables of an older format, and add missing columns.

        A table whose columns were added has no position, so the lake is built again. Raises :class:`LakeBroken` for a
        lake of a newer format.
        """
        # Asked first: a role that writes the lake need not be allowed to create databases.
        if not catalog.namespace_exists(NAMESPACE):
            catalog.create_namespace_if_not_exists(NAMESPACE)
        return {schema.name: self._table(catalog, schema) for schema in TABLES}

    def _table(self, catalog: "Catalog", schema: TableSchema) -> "Table":
        from pyiceberg.exceptions import NoSuchTableError

        # Loaded first: creating a table that exists would leave an orphan metadata file.
        try:
            table = catalog.load_table((NAMESPACE, schema.name))
        except NoSuchTableError:
            return self._create(catalog, schema)
        if self._format(table) == FORMAT:
            _add_columns(schema, table)
            return table
        catalog.drop_table((NAMESPACE, schema.name))
        return self._create(catalog, schema)

    def _create(self, catalog: "Catalog", schema: TableSchema) -> "Table":
        return catalog.create_table(
            (NAMESPACE, schema.name),
            iceberg_schema(schema),
            location=f"{self.warehouse}/{schema.name}",
            partition_spec=iceberg_partitions(schema),
            properties=_TABLE_PROPERTIES,
        )

    def state(self) -> LakeState:
        """Return the present state of the lake; create nothing. Raise :class:`LakeBroken` if it cannot be read."""
        if not self.exists:
            return no_state()
        if self.folder is None:
            return self._read_state()
        files = metadata_files(self.folder)
        known = None if files is None else cached_state(self.folder, files, FORMAT)
        if known is not None and known.keys() >= {schema.name for schema in TABLES}:
            return {schema.name: TableState(schema, **known[schema.name]) for schema in TABLES}
        state = self._read_state()
        if files is not None and metadata_files(self.folder) == files:
            keep_state(self.folder, files, FORMAT, state)
        return state

    def _read_state(self) -> LakeState:
        try:
            with self.catalog() as catalog:
                return {schema.name: self._state(catalog, schema) for schema in TABLES}
        except LakeBroken:
            raise
        except Exception as error:  # pyiceberg, SQLAlchemy and Arrow have no common base class
            raise LakeBroken(f"the lake at {self.warehouse} cannot be read: {error}") from error

    def _state(self, catalog: "Catalog", schema: TableSchema) -> TableState:
        from pyiceberg.exceptions import NoSuchTableError

        try:
            table = catalog.load_table((NAMESPACE, schema.name))
        except NoSuchTableError:
            return nothing_of(schema)
        return table_state(schema, table) if self._format(table) == FORMAT else nothing_of(schema)

    def _format(self, table: "Table") -> int:
        found = int(table.properties.get(_FORMAT_PROPERTY, "0"))
        if found > FORMAT:
            raise LakeBroken(
                f"the lake at {self.warehouse} has format {found}; this Bursar reads formats up to {FORMAT}"
            )
        return found


def summary_of(table: "Table", name: str) -> str | None:
    """Return a value of the summary of the table's current snapshot; None if it has none."""
    snapshot = table.current_snapshot()
    return None if snapshot is None or snapshot.summary is None else snapshot.summary.get(name)


def _missing_columns(schema: TableSchema, table: "Table") -> "list[NestedField]":
    """Return the columns that the table lacks because an older version of Bursar made it."""
    known = set(table.schema().column_names)
    return [column for column in iceberg_schema(schema).fields if column.name not in known]


def _add_columns(schema: TableSchema, table: "Table") -> None:
    missing = _missing_columns(schema, table)
    if missing:
        with table.update_schema() as change:
            for column in missing:
                change.add_column(column.name, column.field_type, doc=column.doc)


def table_state(schema: TableSchema, table: "Table") -> TableState:
    """Return the table's current snapshot as a :class:`TableState`.

    A snapshot that was written without a column of the present schema has no position: its rows lack the values.
    """
    snapshot, watermark, position = table.current_snapshot(), summary_of(table, WATERMARK), summary_of(table, POSITION)
    if int(summary_of(table, COLUMNS) or 0) < len(schema.columns):
        position = None
    files: dict[str, int] = {}
    live_files: list[str] = []
    for task in table.scan().plan_files() if snapshot is not None else ():
        if task.delete_files:
            raise LakeBroken(f"{schema.name} has Iceberg delete files: another program wrote to the lake")
        if task.file.partition[0] is None:
            live_files.append(task.file.file_path)
            continue
        files[task.file.file_path] = task.file.record_count
    return TableState(
        schema=schema,
        snapshot_id=None if snapshot is None else snapshot.snapshot_id,
        position=None if position is None else Position.parse(position),
        watermark=None if watermark is None else from_iso_ms(watermark),
        files=files,
        live_files=tuple(sorted(live_files)),
    )
