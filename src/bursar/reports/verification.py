"""Prove that the lake equals the table, month by month: counts, sums and a checksum. List and rebuild what differs.

The proof shares little with the writer: it reads the table by Scan, not through the changes, and the lake through
Iceberg, not through DuckDB or the twin. Final attempts, events, reversals and deposits are compared, because they never
change. The rows of the tail are left out on both sides: the lake does not hold them yet.

The table is read eventually consistent, at half the price. If a month differs, the table is read again, strongly
consistent, and only the differences of the second read count.

A proof of the recent changes reads the rows that changed since a time: of the table by the source's changes, of the
lake by Iceberg. If they differ, the whole lake is compared, so every difference is named and repaired in one way:

    proof            reads                                        finds
    recent changes   index of changes, attempts of its events;    a recent row that the lake lacks, has twice, has with
                     files of the lake with recent rows           another value, or has although the table lacks it
    whole            every row of both                            the same of every row, and a change without an event

The checksum of a month is the sum of its rows' 64-bit hashes, so it does not depend on their order, and a row can be
subtracted again. If a month differs, its rows are read again, to name the keys.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from bursar.clock import Clock, iso_ms
from bursar.reports.lake.lake import NAMESPACE, Lake
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.retention import Retention
from bursar.reports.lake.rows import RowKey, TableRow, arrow_table, micros, plain_rows
from bursar.reports.lake.schema import PAYMENTS, TABLES, TableSchema, table_named

if TYPE_CHECKING:
    from bursar.reports.current import Current
    from bursar.reports.lake.writer import LakeWriter
    from bursar.reports.tail.sources import ChangeSource, RowChange
    from bursar.reports.tail.tail import Tail

RECENT_S: Final = 2 * 3600.0
"""Rows that changed within this time before the scan are compared at its end, when it is known which are new."""
REPAIR_TRIES: Final = 3
NAMED_KEYS_MAX: Final = 20
"""The most keys of one month and table that are listed."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HASH_BYTES: Final = 8
_INDENT: Final = " " * 20
_HASHES: Final = 1 << (8 * _HASH_BYTES)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """The rows of one month on one side: their number, their amount in dollars, if any, and their checksum."""

    rows: int = 0
    amount: Decimal = Decimal(0)
    checksum: int = 0

    def add(self, schema: TableSchema, row: TableRow, times: int = 1) -> None:
        """Add one row of the table; subtract it if ``times`` is -1."""
        self.rows += times
        if "amount" in schema.column_names:
            self.amount += times * row[schema.position("amount")]
        digest = blake2b(repr(row).encode(), digest_size=_HASH_BYTES).digest()
        self.checksum = (self.checksum + times * int.from_bytes(digest)) % _HASHES

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.amount} dollars, checksum {self.checksum:016x}"


@dataclass(frozen=True, slots=True)
class MonthCheck:
    """One month of one table, in the store and in the lake.

    ``differences``: how each key differs, as text, for the first ``NAMED_KEYS_MAX`` of the ``differing`` keys.
    """

    table: str
    month: str
    stored: Tally
    lake: Tally
    differences: tuple[str, ...] = ()
    differing: int = 0

    @property
    def equal(self) -> bool:
        """Whether store and lake have the same rows."""
        return self.stored == self.lake

    def lines(self) -> list[str]:
        """Return lines for people: the tally, or both tallies and the keys that differ."""
        if self.equal:
            return [f"  {self.month}  equal    {self.lake}"]
        lines = [f"  {self.month}  DIFFERS  table: {self.stored}", f"{_INDENT}lake:  {self.lake}"]
        lines += [_INDENT + difference for difference in self.differences]
        if self.differing > len(self.differences):
            lines.append(f"{_INDENT}and {self.differing - len(self.differences):,} more")
        return lines


@dataclass(frozen=True, slots=True)
class Verification:
    """Every month of each table, the watermarks (epoch s) of the comparison, and the rebuilt months.

    ``rebuilt`` has (table, month) of each month that differed and was written again from the table. ``since`` is the
    time (epoch s) from which changes were compared; None if everything was.
    """

    watermarks: Mapping[str, float | None]
    months: tuple[MonthCheck, ...]
    rebuilt: tuple[tuple[str, str], ...] = ()
    since: float | None = None

    @property
    def equal(self) -> bool:
        """Whether every month was equal."""
        return all(check.equal for check in self.months)

    @property
    def differences(self) -> int:
        """The number of rows that differed; at least one for each month that did."""
        return sum(max(1, check.differing) for check in self.months if not check.equal)

    def lines(self) -> list[str]:
        """Return lines for people: each table with its watermark, each month with its tally, and every difference."""
        lines = []
        part = "" if self.since is None else f", changes since {iso_ms(self.since)}"
        for name, watermark in self.watermarks.items():
            at = "no watermark: never written" if watermark is None else iso_ms(watermark)
            lines.append(f"{name} at {at}{part}")
            for check in self.months:
                if check.table != name:
                    continue
                lines += check.lines()
                if (name, check.month) in self.rebuilt:
                    lines.append(f"{_INDENT}rebuilt from the table")
        return lines


Months = dict[str, dict[str, Tally]]
"""Table name → month → its tally."""
MonthOfTable = tuple[str, str]
"""Table name and month."""
MonthRows = dict[MonthOfTable, dict[RowKey, TableRow]]
Differences = dict[RowKey, str]
"""Key → how it differs."""


@dataclass(slots=True)
class _StoredSide:
    """The store: its tallies, and the recent rows that are not in them yet. Rows before ``since`` are left out."""

    recent_from: int
    since: int
    months: Months = field(default_factory=lambda: {schema.name: defaultdict(Tally) for schema in TABLES})
    recent: dict[tuple[str, RowKey], TableRow] = field(default_factory=dict)

    def add(self, schema: TableSchema, key: RowKey, row: TableRow) -> None:
        if row[schema.position(schema.change_time)] >= self.recent_from:
            self.recent[schema.name, key] = row
        else:
            self.months[schema.name][month_of(schema, row)].add(schema, row)

    def leave_out(self, tail: "Tail") -> None:
        """Subtract the rows of the tail, and add the other recent rows."""
        for schema in TABLES:
            rows = tail.finals[schema.name]
            for key in rows:
                row = rows.row(key)
                if row is None or self.recent.pop((schema.name, key), None) is not None:
                    continue
                if self.since <= row[schema.position(schema.change_time)] < self.recent_from:
                    self.months[schema.name][month_of(schema, row)].add(schema, row, -1)
        for (name, _), row in self.recent.items():
            schema = table_named(name)
            self.months[name][month_of(schema, row)].add(schema, row)
        self.recent.clear()


async def verified(
    current: "Current",
    source: "ChangeSource",
    lake: Lake,
    clock: Clock,
    thread: Executor,
    retention: Retention,
    *,
    repairs: bool,
    since: float | None = None,
) -> Verification:
    """Compare the lake with the table, and rebuild the months that differ, if ``repairs``.

    ``since``: an epoch time; if the changes since then are equal, nothing else is compared.
    Months that ``retention`` does not keep are left out: the lake may still have them.
    The store's errors are raised, :class:`bursar.reports.errors.LakeBroken` and ``LakeBusy``.
    """
    await current.with_tail(lambda tail, state: None)  # a lake that cannot be continued is built first
    if since is not None:
        changed = source.changed_since(micros(since))
        state, checks = await _compared(current, changed, lake, clock, thread, retention, since=micros(since))
        if all(check.equal for check in checks):
            return Verification(_watermarks(state), checks, since=since)
        _log.warning("recent changes differ between lake and table; the whole lake is compared")
    for consistent in (False, True):
        scanned = source.scan(consistent=consistent)
        state, checks = await _compared(current, scanned, lake, clock, thread, retention)
        wrong = tuple((check.table, check.month) for check in checks if not check.equal)
        if not wrong:
            break
    if wrong:
        _log.error("the lake differs from the table: %s", ", ".join(map(" ".join, wrong)))
        found = await _examine(current, source, lake, thread, wrong, repairs=repairs)
        checks = tuple(_with_differences(check, found.get((check.table, check.month), {})) for check in checks)
    return Verification(_watermarks(state), checks, wrong if repairs else ())


def _watermarks(state: LakeState) -> dict[str, float | None]:
    return {name: table.watermark for name, table in state.items()}


async def _compared(
    current: "Current",
    pages: "AsyncIterator[Sequence[RowChange]]",
    lake: Lake,
    clock: Clock,
    thread: Executor,
    retention: Retention,
    *,
    since: int = 0,
) -> tuple[LakeState, tuple[MonthCheck, ...]]:
    """Return the state of the lake, and its months compared with ``pages``, the store's rows that changed ``since``."""
    stored = _StoredSide(micros(clock() - RECENT_S), since)
    async for page in pages:
        for change in page:
            if not change.schema.is_live(change.row):
                stored.add(change.schema, change.key, change.row)

    def finish(tail: "Tail", state: LakeState) -> tuple[LakeState, frozenset[str]]:
        stored.leave_out(tail)
        return state, frozenset(tail.replaced)

    state, replaced = await current.with_tail(finish)
    loop = asyncio.get_running_loop()
    in_lake = await loop.run_in_executor(thread, _tally_lake, lake, state, replaced, since)
    checks = tuple(
        MonthCheck(name, month, stored.months[name].get(month, Tally()), in_lake[name].get(month, Tally()))
        for name in stored.months
        for month in sorted({*stored.months[name], *in_lake[name]})
        if state[name].snapshot_id is not None
    )
    first = retention.first_days(clock())  # checked at the end, because a month that left meanwhile is only on one side
    return state, tuple(
        check
        for check in checks
        if (check.stored.rows or check.lake.rows) and check.month >= f"{first[check.table]:%Y-%m}"
    )


async def _examine(
    current: "Current",
    source: "ChangeSource",
    lake: Lake,
    thread: Executor,
    wrong: tuple[MonthOfTable, ...],
    *,
    repairs: bool,
) -> Mapping[MonthOfTable, Differences]:
    """Return the keys that differ in each wrong month, and write the months again from the table, if ``repairs``.

    If the lake is written again and again meanwhile, raise ``LakeBusy``, or return no keys without ``repairs``.
    """
    from bursar.reports.errors import LakeBusy

    loop = asyncio.get_running_loop()
    for _ in range(REPAIR_TRIES):
        before = await current.with_tail(lambda tail, state: state)
        rows: MonthRows = {place: {} for place in wrong}
        async for page in source.scan():
            for change in page:
                if change.schema.is_live(change.row):
                    continue
                found = rows.get((change.schema.name, month_of(change.schema, change.row)))
                if found is not None:
                    found[change.key] = change.row
        known, later, replaced = await current.with_tail(_newer)
        if known != before:
            continue
        differences = await loop.run_in_executor(thread, _differences, lake, before, rows, later, replaced)
        if not repairs or await current.rewrite(before, _rewriting(rows)):
            return differences
    if not repairs:
        return {}
    raise LakeBusy("the lake was written while a month was rebuilt; run the verification again")


def _newer(tail: "Tail", state: LakeState) -> tuple[LakeState, Mapping[str, frozenset[RowKey]], frozenset[str]]:
    """Return the lake's state, the keys of each table that the tail adds, and the attempts that it replaces."""
    return state, {name: frozenset(rows) for name, rows in tail.finals.items()}, frozenset(tail.replaced)


def _differences(
    lake: Lake,
    state: LakeState,
    rows: MonthRows,
    later: Mapping[str, frozenset[RowKey]],
    replaced: frozenset[str],
) -> dict[MonthOfTable, Differences]:
    """Compare the lake row by row with ``rows`` of the table, without ``later``, which the lake does not have yet."""
    found: dict[MonthOfTable, Differences] = {place: {} for place in rows}
    unseen = {place: set(stored) - later[place[0]] for place, stored in rows.items()}
    for schema in TABLES:
        if not any(name == schema.name for name, _ in rows):
            continue
        for row in _lake_rows(lake, state, schema, replaced):
            place, key = (schema.name, month_of(schema, row)), schema.key_of(row)
            if place not in rows:
                continue
            if key not in rows[place] or key in later[schema.name]:
                found[place][key] = "only in the lake"
            elif key not in unseen[place]:
                found[place][key] = "twice in the lake"
            elif repr(row) != repr(rows[place][key]):
                found[place][key] = "another row in the lake"
            unseen[place].discard(key)
    for place, keys in unseen.items():
        found[place] |= dict.fromkeys(keys, "only in the table")
    return found


def _with_differences(check: MonthCheck, found: Differences) -> MonthCheck:
    named = sorted(found.items())[:NAMED_KEYS_MAX]
    texts = tuple(f"{' '.join(map(str, key))}: {difference}" for key, difference in named)
    return replace(check, differences=texts, differing=len(found))


def _rewriting(rows: MonthRows) -> "Callable[[LakeWriter, Tail], LakeState]":
    def rewrite(writer: "LakeWriter", tail: "Tail") -> LakeState:
        for (name, month), found in rows.items():
            schema, later = table_named(name), tail.finals[name]
            kept = [row for key, row in found.items() if key not in later]
            writer.replace_month(schema, _month_number(month), arrow_table(schema, kept))
        return writer.state()

    return rewrite


def _tally_lake(lake: Lake, state: LakeState, replaced: frozenset[str], since: int) -> Months:
    months: Months = {schema.name: defaultdict(Tally) for schema in TABLES}
    for schema in TABLES:
        for row in _lake_rows(lake, state, schema, replaced, since):
            months[schema.name][month_of(schema, row)].add(schema, row)
    return months


def _lake_rows(
    lake: Lake, state: LakeState, schema: TableSchema, replaced: frozenset[str], since: int = 0
) -> Iterator[TableRow]:
    """Yield the final rows of a table in the lake that changed ``since``, without the attempts that the tail replaces.

    Raises ``LakeBroken`` if a file is missing: it is damaged, or the lake was rewritten minutes ago.
    """
    from bursar.reports.errors import LakeBroken

    snapshot = state[schema.name].snapshot_id
    if snapshot is None:
        return
    try:
        yield from _rows_of_snapshot(lake, schema, snapshot, replaced, since)
    except OSError as error:
        raise LakeBroken(f"a file of the lake cannot be read; run the verification again: {error}") from error


def _rows_of_snapshot(
    lake: Lake, schema: TableSchema, snapshot: int, replaced: frozenset[str], since: int
) -> Iterator[TableRow]:
    with lake.catalog() as catalog:
        table = catalog.load_table((NAMESPACE, schema.name))
        scan = table.scan(snapshot_id=snapshot)
        if since:  # Iceberg skips the files whose rows are all older
            scan = scan.filter(
                f"{schema.change_time} >= '{_EPOCH + timedelta(microseconds=since):%Y-%m-%dT%H:%M:%S}+00:00'"
            )
        for batch in scan.to_arrow_batch_reader():
            for row in plain_rows(schema, batch):
                if not schema.is_live(row) and (schema is not PAYMENTS or row[0] not in replaced):
                    yield row


def month_of(schema: TableSchema, row: TableRow) -> str:
    """Return the month of a final row's partition, as ``2026-11``."""
    day: date = row[schema.position(schema.partition_day)]
    return f"{day:%Y-%m}"


def _month_number(month: str) -> int:
    year, number = map(int, month.split("-"))
    return (year - 1970) * 12 + number - 1
