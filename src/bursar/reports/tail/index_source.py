"""Changes of any DynamoDB, by the index of changes, in the order of the times that writers gave them.

A writer sets the time of a change before it commits the change, and the clocks of writers differ. So a change may
become visible after a later one was read:

    ──────┬──────────────────────┬──────────────┬───────►
      position − overlap     position          now
          │   read every time,   │              │   and no upper end: an attempt that changes during the read has an
          │   mostly known       │              │   event forward in the index, and is read with it

The position moves to the newest change that was seen, but not beyond now − margin. The overlap covers clocks that
differ by up to two hours.
"""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from bursar.clock import Clock
from bursar.payments.ledger.lookups import CHANGES_SPAN_MAX_S
from bursar.payments.records import Item
from bursar.reports.lake.fast_rows import item_row
from bursar.reports.lake.position import Position
from bursar.reports.lake.rows import RowKey, micros
from bursar.reports.tail.scan import scan_table
from bursar.reports.tail.sources import SAFETY_MARGIN_S, ChangePage, RowChange

if TYPE_CHECKING:
    from bursar.dynamo import Store

SOURCE: Final = "index"
OVERLAP_S: Final = 2 * 3600.0
READ_AHEAD_S: Final = 3 * 3600.0
"""How far beyond now to read: a writer's clock may be ahead."""
PAGE_CHANGES: Final = 1_000
_MICROS: Final = 1_000_000
_NO_VERSION: Final = {"N": "0"}


class LedgerChanges(Protocol):
    """The part of the ledger that this source needs."""

    def changed_items(self, since: float, until: float) -> AsyncIterator[Item]:
        """Yield the items of records that changed in ``since`` ≤ t < ``until``, those of the index oldest first.

        An attempt that is not in the index comes before its events. The span is at most ``CHANGES_SPAN_MAX_S``.
        """
        ...


class IndexSource:
    """The changes that ``ledger`` lists, and the rows of its table in ``store``."""

    is_ordered: Final = False

    def __init__(self, ledger: LedgerChanges, store: "Store", table: str, clock: Clock) -> None:
        self._ledger = ledger
        self._store = store
        self._table = table
        self._clock = clock

    async def position(self) -> Position:
        """Return the position of now − margin."""
        return Position(SOURCE, micros(self._clock() - SAFETY_MARGIN_S))

    def accepts(self, position: Position) -> bool:
        """Return whether this source made the position, within the span for which the index is read."""
        return position.source == SOURCE and self._clock() - position.order / _MICROS < CHANGES_SPAN_MAX_S / 2

    async def changes(self, position: Position) -> AsyncIterator[ChangePage]:
        """Yield every visible change since ``position`` − overlap."""
        now = self._clock()
        settled = max(position.order, micros(now - SAFETY_MARGIN_S))
        newest = position.order
        page: list[RowChange] = []
        since = position.order / _MICROS - OVERLAP_S
        async for item in changes_between(self._ledger, since, now + READ_AHEAD_S):
            change = _change(item)
            if change is None:
                continue
            # An attempt that is not in the index may be newer than the events after it: only they order the pages.
            if "changedAt" in item:
                if len(page) >= PAGE_CHANGES and change.order >= newest:
                    yield ChangePage(page, Position(SOURCE, min(newest, settled)))
                    page = []
                newest = max(newest, change.order + 1)
            page.append(change)
        yield ChangePage(page, Position(SOURCE, min(newest, settled)))

    def scan_columns(self) -> None:
        """Return None: the rows of a scan have orders."""

    def scan(self, *, consistent: bool = True) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every row of the table."""
        return scan_table(
            self._store,
            self._table,
            lambda schema, row: row[schema.position(schema.change_time)],
            consistent=consistent,
        )

    async def changed_since(self, since: int) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every row that changed at or after ``since``, as the index has it; the attempts come last.

        An attempt is read strongly consistent, and as often as the index has pages with its events. So the attempts are
        kept in memory up to the end, each in its newest state.
        """
        attempts: dict[RowKey, RowChange] = {}
        page: list[RowChange] = []
        async for item in changes_between(self._ledger, since / _MICROS, self._clock() + READ_AHEAD_S):
            change = _change(item)
            if change is None or change.changed_at < since:
                continue
            if "changedAt" not in item:
                known = attempts.get(change.key)
                if known is None or known.version <= change.version:
                    attempts[change.key] = change
                continue
            page.append(change)
            if len(page) >= PAGE_CHANGES:
                yield page
                page = []
        yield page
        yield list(attempts.values())


async def changes_between(ledger: LedgerChanges, since: float, until: float) -> AsyncIterator[Item]:
    """Yield the changed items in ``since`` ≤ t < ``until``, oldest first, over a span of any length."""
    while since < until:
        step = min(since + CHANGES_SPAN_MAX_S, until)
        async for item in ledger.changed_items(since, step):
            yield item
        since = step


def _change(item: Item) -> RowChange | None:
    found = item_row(item)
    if found is None:
        return None
    schema, key, row = found
    version = int(item.get("version", _NO_VERSION)["N"])
    return RowChange(schema, key, row, row[schema.position(schema.change_time)], version=version)
