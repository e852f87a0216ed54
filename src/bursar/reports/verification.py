"""Prove that the lake equals the table, month by month: counts, sums and a checksum. Rebuild what differs.

The proof shares little with the writer: it reads the table by Scan, not through the changes, and the lake through
Iceberg, not through DuckDB or the twin. Final attempts, events and reversals are compared, because they never change.
The rows of the tail are left out on both sides: the lake does not hold them yet.

The checksum of a month is the sum of its rows' 64-bit hashes, so it does not depend on their order, and a row can be
taken out again.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from bursar.clock import Clock, iso_ms
from bursar.reports.lake.lake import NAMESPACE, Lake
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.rows import RowKey, TableRow, arrow_table, micros, plain_rows
from bursar.reports.lake.schema import PAYMENTS, TABLES, TableSchema, table_named

if TYPE_CHECKING:
    from bursar.reports.current import Current
    from bursar.reports.lake.writer import LakeWriter
    from bursar.reports.tail.sources import ChangeSource
    from bursar.reports.tail.tail import Tail

RECENT_S: Final = 2 * 3600.0
"""Rows that changed this shortly before the scan are compared at its end, when it is known which of them are new."""
REPAIR_TRIES: Final = 3
_HASH_BYTES: Final = 8
_HASHES: Final = 1 << (8 * _HASH_BYTES)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """The rows of one month on one side: their number, their amount in dollars, if any, and their checksum."""

    rows: int = 0
    amount: Decimal = Decimal(0)
    checksum: int = 0

    def add(self, schema: TableSchema, row: TableRow, times: int = 1) -> None:
        """Add one row of the table; take it out if ``times`` is -1."""
        self.rows += times
        if "amount" in schema.column_names:
            self.amount += times * row[schema.position("amount")]
        digest = blake2b(repr(row).encode(), digest_size=_HASH_BYTES).digest()
        self.checksum = (self.checksum + times * int.from_bytes(digest)) % _HASHES

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
    """Every month of each table, the watermarks (epoch s) at which they were compared, and the rebuilt months.

    ``rebuilt`` has (table, month) of each month that differed and was written again from the table.
    """

    watermarks: Mapping[str, float | None]
    months: tuple[MonthCheck, ...]
    rebuilt: tuple[tuple[str, str], ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every month was equal."""
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
                if (name, check.month) in self.rebuilt:
                    lines.append("                    rebuilt from the table")
        return lines


Months = dict[str, dict[str, Tally]]
"""Table name → month → its tally."""


@dataclass(slots=True)
class _StoredSide:
    """The store: its tallies, and the recent rows that are not in them yet."""

    recent_from: int
    months: Months = field(default_factory=lambda: {schema.name: defaultdict(Tally) for schema in TABLES})
    recent: dict[tuple[str, RowKey], TableRow] = field(default_factory=dict)

    def add(self, schema: TableSchema, key: RowKey, row: TableRow) -> None:
        if row[schema.position(schema.change_time)] >= self.recent_from:
            self.recent[schema.name, key] = row
        else:
            self.months[schema.name][month_of(schema, row)].add(schema, row)

    def leave_out(self, tail: "Tail") -> None:
        """Take out the rows of the tail, and add the other recent rows."""
        for schema in TABLES:
            rows = tail.finals[schema.name]
            for key in rows:
                row = rows.row(key)
                if row is None or self.recent.pop((schema.name, key), None) is not None:
                    continue
                if row[schema.position(schema.change_time)] < self.recent_from:
                    self.months[schema.name][month_of(schema, row)].add(schema, row, -1)
        for (name, _), row in self.recent.items():
            schema = table_named(name)
            self.months[name][month_of(schema, row)].add(schema, row)
        self.recent.clear()


async def verified(
    current: "Current", source: "ChangeSource", lake: Lake, clock: Clock, thread: Executor, *, repairs: bool
) -> Verification:
    """Compare the lake with the table, and rebuild the months that differ, if ``repairs``.

    The store's errors are raised, :class:`bursar.reports.errors.LakeBroken` and ``LakeBusy``.
    """
    stored = _StoredSide(micros(clock() - RECENT_S))
    await current.with_tail(lambda tail, state: None)  # a lake that cannot be continued is founded first
    async for page in source.scan():
        for change in page:
            if not change.schema.is_live(change.row):
                stored.add(change.schema, change.key, change.row)

    def finish(tail: "Tail", state: LakeState) -> tuple[LakeState, frozenset[str]]:
        stored.leave_out(tail)
        return state, frozenset(tail.replaced)

    state, replaced = await current.with_tail(finish)
    loop = asyncio.get_running_loop()
    in_lake = await loop.run_in_executor(thread, _tally_lake, lake, state, replaced)
    checks = tuple(
        MonthCheck(name, month, stored.months[name].get(month, Tally()), in_lake[name].get(month, Tally()))
        for name in stored.months
        for month in sorted({*stored.months[name], *in_lake[name]})
        if state[name].snapshot_id is not None
    )
    checks = tuple(check for check in checks if check.stored.rows or check.lake.rows)
    wrong = tuple((check.table, check.month) for check in checks if not check.equal)
    if wrong and repairs:
        _log.error("the lake differs from the table and is rebuilt: %s", ", ".join(map(" ".join, wrong)))
        await _rebuild(current, source, wrong)
    watermarks = {name: table.watermark for name, table in state.items()}
    return Verification(watermarks, checks, wrong if repairs else ())


async def _rebuild(current: "Current", source: "ChangeSource", wrong: tuple[tuple[str, str], ...]) -> None:
    """Write the wrong months again from a scan. Raise ``LakeBusy`` if the lake is written again and again meanwhile."""
    from bursar.reports.errors import LakeBusy

    for _ in range(REPAIR_TRIES):
        before = await current.with_tail(lambda tail, state: state)
        rows: dict[tuple[str, str], dict[RowKey, TableRow]] = {place: {} for place in wrong}
        async for page in source.scan():
            for change in page:
                if change.schema.is_live(change.row):
                    continue
                found = rows.get((change.schema.name, month_of(change.schema, change.row)))
                if found is not None:
                    found[change.key] = change.row
        if await current.rewrite(before, _rewriting(rows)):
            return
    raise LakeBusy("the lake was written while a month was rebuilt; run the verification again")


def _rewriting(
    rows: "Mapping[tuple[str, str], Mapping[RowKey, TableRow]]",
) -> "Callable[[LakeWriter, Tail], LakeState]":
    def rewrite(writer: "LakeWriter", tail: "Tail") -> LakeState:
        for (name, month), found in rows.items():
            schema, later = table_named(name), tail.finals[name]
            kept = [row for key, row in found.items() if key not in later]
            writer.replace_month(schema, _month_number(month), arrow_table(schema, kept))
        return writer.state()

    return rewrite


def _tally_lake(lake: Lake, state: LakeState, replaced: frozenset[str]) -> Months:
    months: Months = {schema.name: defaultdict(Tally) for schema in TABLES}
    for schema in TABLES:
        snapshot = state[schema.name].snapshot_id
        if snapshot is None:
            continue
        with lake.catalog() as catalog:
            scan = catalog.load_table((NAMESPACE, schema.name)).scan(snapshot_id=snapshot)
            for batch in scan.to_arrow_batch_reader():
                for row in plain_rows(schema, batch):
                    if schema.is_live(row):
                        continue
                    if schema is not PAYMENTS or row[0] not in replaced:
                        months[schema.name][month_of(schema, row)].add(schema, row)
    return months


def month_of(schema: TableSchema, row: TableRow) -> str:
    """Return the month of a final row's partition, as ``2026-11``."""
    day: date = row[schema.position(schema.partition_day)]
    return f"{day:%Y-%m}"


def _month_number(month: str) -> int:
    year, number = map(int, month.split("-"))
    return (year - 1970) * 12 + number - 1
