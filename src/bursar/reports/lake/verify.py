"""Prove that the lake equals the table at the lake's watermark, month by month: counts, sums and a checksum.

The proof shares no path with the loader: it reads the table by Scan, not through the index of changes, and the lake
through Iceberg, not through DuckDB. Rows that changed at or after the watermark are left out on both sides. An attempt
that changes during the proof is compared if it was scanned before its change, and left out otherwise.

The checksum of a month is the sum of its rows' 64-bit hashes, so it does not depend on their order.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import iso_ms
from bursar.payments.records import Attempt, Event, from_item
from bursar.reports.lake.lake import NAMESPACE, Lake
from bursar.reports.lake.rows import RowKey, TableRow, changed_at, record_row
from bursar.reports.lake.schema import PAYMENTS, TABLES, TableSchema

if TYPE_CHECKING:
    from bursar.dynamo import Store

_HASH_BYTES: Final = 8
_HASHES: Final = 1 << (8 * _HASH_BYTES)
_MICROS: Final = 1_000_000


@dataclass(slots=True)
class Tally:
    """The rows of one month on one side: their number, their amount in dollars and their checksum."""

    rows: int = 0
    amount: Decimal = Decimal(0)
    checksum: int = 0

    def add(self, schema: TableSchema, row: TableRow) -> None:
        """Add one row of the table."""
        self.rows += 1
        if schema is PAYMENTS:
            self.amount += row[schema.position("amount")]
        digest = blake2b(repr(row).encode(), digest_size=_HASH_BYTES).digest()
        self.checksum = (self.checksum + int.from_bytes(digest)) % _HASHES

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.amount} dollars, checksum {self.checksum:016x}"


@dataclass(frozen=True, slots=True)
class MonthCheck:
    """One month of one table, in the store and in the lake."""

    table: str
    month: str
    stored: Tally
    lake: Tally

    @property
    def equal(self) -> bool:
        """Whether store and lake have the same rows."""
        return self.stored == self.lake


@dataclass(frozen=True, slots=True)
class Verification:
    """Every month of both tables, and the watermarks (epoch s) at which they were compared."""

    watermarks: Mapping[str, float | None]
    months: tuple[MonthCheck, ...]

    @property
    def equal(self) -> bool:
        """Whether every month is equal."""
        return all(check.equal for check in self.months)

    def lines(self) -> list[str]:
        """Return lines for people: each table with its watermark, each month with its tally, and every difference."""
        lines = []
        for name, watermark in self.watermarks.items():
            lines.append(f"{name} at {'no watermark: never written' if watermark is None else iso_ms(watermark)}")
            for check in self.months:
                if check.table != name:
                    continue
                if check.equal:
                    lines.append(f"  {check.month}  equal    {check.lake}")
                else:
                    lines.append(f"  {check.month}  DIFFERS  table: {check.stored}")
                    lines.append(f"                    lake:  {check.lake}")
        return lines


@dataclass(slots=True)
class _StoredSide:
    """One table in the store: its tallies by month, and the keys that changed since the watermark."""

    months: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    changed_since: set[RowKey] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Pinned:
    """The lake at one moment: watermark and snapshot of each table."""

    watermarks: dict[str, float | None]
    snapshots: dict[str, int | None]


def pin(lake: Lake) -> Pinned:
    """Return the present watermarks and snapshots of the lake. It blocks."""
    state = lake.state()
    return Pinned(
        {name: table.watermark for name, table in state.items()},
        {name: table.snapshot_id for name, table in state.items()},
    )


async def tally_table(store: "Store", table: str, watermarks: Mapping[str, float | None]) -> dict[str, _StoredSide]:
    """Return the tallies of the store, from one strongly consistent Scan. The store's errors are raised."""
    sides = {schema.name: _StoredSide() for schema in TABLES}
    async for record in _scan(store, table):
        schema, key, row = record_row(record)
        watermark = watermarks[schema.name]
        side = sides[schema.name]
        if watermark is None or changed_at(record) >= watermark:
            side.changed_since.add(key)
        else:
            side.months[_month(schema, row)].add(schema, row)
    return sides


def compare(lake: Lake, pinned: Pinned, sides: Mapping[str, _StoredSide]) -> Verification:
    """Tally the lake and compare it with ``sides``, the tallies of the store. It blocks."""
    checks: list[MonthCheck] = []
    for schema in TABLES:
        side = sides[schema.name]
        months = _tally_lake(lake, schema, pinned.snapshots[schema.name], side.changed_since)
        checks += [
            MonthCheck(schema.name, month, side.months.get(month, Tally()), months.get(month, Tally()))
            for month in sorted({*side.months, *months})
        ]
    return Verification(pinned.watermarks, tuple(checks))


async def _scan(store: "Store", table: str) -> AsyncIterator[Attempt | Event]:
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    while True:
        reply = await store.call("Scan", request)
        for item in reply["Items"]:
            record = from_item(item)
            if isinstance(record, Attempt | Event):
                yield record
        if "LastEvaluatedKey" not in reply:
            return
        request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]


def _tally_lake(lake: Lake, schema: TableSchema, snapshot: int | None, changed_since: set[RowKey]) -> dict[str, Tally]:
    months: dict[str, Tally] = defaultdict(Tally)
    if snapshot is None:
        return months
    key_at = [schema.position(name) for name in schema.key]
    with lake.catalog() as catalog:
        scan = catalog.load_table((NAMESPACE, schema.name)).scan(snapshot_id=snapshot)
        for batch in scan.to_arrow_batch_reader():
            for row in _plain_rows(schema, batch):
                if tuple(row[place] for place in key_at) not in changed_since:
                    months[_month(schema, row)].add(schema, row)
    return months


def _plain_rows(schema: TableSchema, batch: Any) -> Any:
    """Return the batch's rows as :mod:`bursar.reports.lake.rows` makes them: times as whole microseconds."""
    import pyarrow as pa

    columns = []
    for name in schema.column_names:
        column = batch.column(batch.schema.get_field_index(name))
        columns.append((column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist())
    return zip(*columns, strict=True)


def _month(schema: TableSchema, row: TableRow) -> str:
    return iso_ms(row[schema.position(schema.partition_time)] / _MICROS)[:7]
