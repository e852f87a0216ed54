"""The lake: two Iceberg tables in a folder or in S3, their watermarks, and how to open and read them.

The summary of a table's snapshot has the watermark, so data and watermark are one commit. Every change before the
watermark is in the snapshot, changes at the watermark may be, and the tail (:mod:`bursar.reports.lake.tail`) has the
rest. Only :mod:`bursar.reports.lake.writer` writes here.

    file:FOLDER            FOLDER/catalog.db (Iceberg's SQL catalog on SQLite), FOLDER/<tables>
    s3://BUCKET/PREFIX     the same tables on S3; the catalog is AWS Glue, so Athena can read them at once. Query
                           parameters are pyiceberg properties: ?catalog=sqlite:////path/c.db&s3.endpoint=…

A lake is derived data: a damaged lake may be deleted, and is then written again from the table.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from bursar.clock import from_iso_ms
from bursar.reports.errors import LakeBroken
from bursar.reports.lake.schema import TABLES, TableSchema, iceberg_partitions, iceberg_schema

if TYPE_CHECKING:
    from datetime import datetime

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

NAMESPACE: Final = "bursar"
FORMAT: Final = 1
WATERMARK: Final = "bursar.watermark"  # in a snapshot's summary: ISO ms
_FORMAT_PROPERTY: Final = "bursar.format"
_METADATA_VERSIONS_MAX: Final = 20

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


@dataclass(frozen=True, slots=True)
class TableState:
    """One snapshot of one table: its data files and the watermark up to which they are complete."""

    schema: TableSchema
    snapshot_id: int | None
    watermark: float | None
    files: tuple[str, ...]
    row_count: int


LakeState = dict[str, TableState]
"""Table name → its state. Before the first write there are no snapshots, watermarks and files."""


@dataclass(frozen=True)
class Lake:
    """The place of a lake: ``folder`` for ``file:``; else None, and ``warehouse`` is an S3 URL."""

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
            return cls(f"s3://{parts.netloc}{parts.path}".rstrip("/"), None, {**kind, **options})
        raise ValueError(f"the lake: must be file:FOLDER or s3://BUCKET/PREFIX; got {url!r}")

    @property
    def exists(self) -> bool:
        """Whether there is a catalog. It is assumed for S3."""
        return self.folder is None or (self.folder / "catalog.db").exists()

    @contextmanager
    def catalog(self) -> "Iterator[Catalog]":
        """Open the lake's catalog for the length of a ``with``. Create an empty catalog if there is none."""
        from pyiceberg.catalog import load_catalog

        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        catalog = load_catalog(NAMESPACE, warehouse=self.warehouse, **self.properties)
        try:
            yield catalog
        finally:
            close = getattr(catalog, "close", None)
            if close is not None:
                close()

    def tables(self, catalog: "Catalog") -> "dict[str, Table]":
        """Return both tables; create missing ones. Raise :class:`LakeBroken` for a lake of a newer format."""
        catalog.create_namespace_if_not_exists(NAMESPACE)
        return {schema.name: self._table(catalog, schema) for schema in TABLES}

    def _table(self, catalog: "Catalog", schema: TableSchema) -> "Table":
        identifier = (NAMESPACE, schema.name)
        table = catalog.create_table_if_not_exists(
            identifier,
            iceberg_schema(schema),
            location=f"{self.warehouse}/{schema.name}",
            partition_spec=iceberg_partitions(schema),
            properties=_TABLE_PROPERTIES,
        )
        self._check_format(table)
        return table

    def state(self) -> LakeState:
        """Return the present state of the lake; create nothing. Raise :class:`LakeBroken` if it cannot be read."""
        if not self.exists:
            return {schema.name: _nothing(schema) for schema in TABLES}
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
            return _nothing(schema)
        self._check_format(table)
        return table_state(schema, table)

    def _check_format(self, table: "Table") -> None:
        found = int(table.properties.get(_FORMAT_PROPERTY, "0"))
        if found != FORMAT:
            raise LakeBroken(f"the lake at {self.warehouse} has format {found}; this Bursar reads format {FORMAT}")


def _nothing(schema: TableSchema) -> TableState:
    return TableState(schema, snapshot_id=None, watermark=None, files=(), row_count=0)


def watermark_of(table: "Table") -> float | None:
    """Return the watermark of the table's current snapshot, epoch seconds; None before the first write."""
    snapshot = table.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return None
    text = snapshot.summary.get(WATERMARK)
    return None if text is None else from_iso_ms(text)


def table_state(schema: TableSchema, table: "Table") -> TableState:
    """Return the table's current snapshot as a :class:`TableState`."""
    snapshot = table.current_snapshot()
    files, row_count = [], 0
    for task in table.scan().plan_files() if snapshot is not None else ():
        if task.delete_files:
            raise LakeBroken(f"{schema.name} has Iceberg delete files: another program wrote to the lake")
        files.append(task.file.file_path)
        row_count += task.file.record_count
    return TableState(
        schema=schema,
        snapshot_id=None if snapshot is None else snapshot.snapshot_id,
        watermark=watermark_of(table),
        files=tuple(sorted(files)),
        row_count=row_count,
    )


def in_months(schema: TableSchema, months: "list[datetime]") -> str:
    """Return the Iceberg predicate for exactly the rows of these UTC months, given by their first moments."""
    column = schema.partition_time
    ranges = []
    for start in months:
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        ranges.append(f"({column} >= '{start.isoformat()}' AND {column} < '{end.isoformat()}')")
    return " OR ".join(ranges)
