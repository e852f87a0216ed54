"""The past of a table: for each change, the item as it was before, and the instant of the change.

    history_7:  id │ at (µs since the epoch) │ key │ size │ item before the change (NULL: there was none)

A row is written in the transaction of its change (by :class:`HistoryRecorder`, a follower of the table), so that
history and items cannot disagree. The rows have no gaps, and ids and instants never decrease, even if the system clock
goes back. All changes of one request have the same instant.

    the item under a key at an instant = the item in the key's first row after the instant, or the present item
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from bursar.clock import Clock
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import ItemWrite, Table

MICROS = 1_000_000
DAY_S = 24 * 3600
PERIOD_DAYS_MAX = 35


def micros(seconds: float) -> int:
    """Return seconds since the epoch as whole microseconds."""
    return round(seconds * MICROS)


class TransactionInstant:
    """The instant of the open transaction, by the clock: the time of its first change of a table with a history."""

    __slots__ = ("_at", "_clock", "_of", "transaction")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = 0
        self._of = -1
        self.transaction = 0
        """A number that differs between transactions of this process: it is increased at the end of each."""

    def now(self) -> int:
        """Return the instant in microseconds since the epoch."""
        if self._of != self.transaction:
            self._of, self._at = self.transaction, micros(self._clock())
        return self._at


class OldItem(NamedTuple):
    """An item before a change; None where there was none."""

    at: int
    """The instant of the change, in microseconds since the epoch."""
    item: bytes | None


class History:
    """The rows of one table's history."""

    __slots__ = ("_connection", "_cursor", "name")

    def __init__(self, storage: Storage, table_id: int) -> None:
        self._connection = storage.connection
        self._cursor = storage.cursor
        self.name = f"history_{table_id}"

    def create(self) -> None:
        """Create an empty history."""
        self._connection.execute(
            f"CREATE TABLE {self.name} (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, key BLOB NOT NULL,"
            " size INTEGER NOT NULL, item BLOB)"
        )

    def drop(self) -> None:
        """Remove the history."""
        self._connection.execute(f"DROP TABLE {self.name}")

    def last_at(self) -> int:
        """Return the instant of the last change; 0 when the history is empty."""
        at = self._cursor.execute(f"SELECT at FROM {self.name} ORDER BY id DESC LIMIT 1").get
        return 0 if at is None else int(at)

    def bounds(self) -> tuple[int, int]:
        """Return the first id and one after the last; equal when the history is empty."""
        # SQLite looks up a single min or max, but reads every row for two in one SELECT.
        first, last = self._cursor.execute(
            f"SELECT (SELECT min(id) FROM {self.name}), (SELECT max(id) FROM {self.name})"
        ).get
        return (1, 1) if first is None else (int(first), int(last) + 1)

    def first_after(self, instant: int) -> int:
        """Return the id of the first change after an instant (µs); one after the last when there is none."""
        low, high = self.bounds()
        at = f"SELECT at FROM {self.name} WHERE id = ?"
        while low < high:
            middle = (low + high) // 2
            if self._cursor.execute(at, (middle,)).get <= instant:
                low = middle + 1
            else:
                high = middle
        return low

    def trim(self, instant: int, rows_max: int) -> None:
        """Remove changes up to an instant (µs), the oldest ``rows_max`` at most."""
        before = min(self.first_after(instant), self.bounds()[0] + rows_max)
        # The last row is kept: the next row's id and instant must not be lower.
        before = min(before, self.bounds()[1] - 1)
        self._connection.execute(f"DELETE FROM {self.name} WHERE id < ?", (before,))

    def is_due(self, instant: int) -> bool:
        """Return whether :meth:`trim` would remove a row."""
        first, end = self.bounds()
        at = self._cursor.execute(f"SELECT at FROM {self.name} WHERE id = ?", (first,)).get
        return first < end - 1 and at is not None and int(at) <= instant

    def of_key(self, key: bytes) -> list[OldItem]:
        """Return the rows of one key, oldest first. Reads the whole history."""
        rows = self._connection.execute(f"SELECT at, item FROM {self.name} WHERE key = ? ORDER BY id", (key,))
        return [OldItem(*row) for row in rows]

    def fill(self, target: str, source: str, instant: int) -> None:
        """Fill the empty items table ``target`` with the items of ``source`` at an instant (µs).

        Memory does not grow with the table.
        """
        execute = self._connection.execute
        # An empty item, which no table stores, means that there was none under the key.
        execute(
            f"INSERT OR IGNORE INTO {target} (key, size, item) SELECT key, size, coalesce(item, x'')"
            f" FROM {self.name} WHERE id >= ? ORDER BY id",
            (self.first_after(instant),),
        )
        changed = execute(f"SELECT coalesce(max(id), 0) FROM {target}").get
        execute(f"INSERT OR IGNORE INTO {target} (key, size, item) SELECT key, size, item FROM {source} ORDER BY key")
        execute(f"DELETE FROM {target} WHERE id <= ? AND item = x''", (changed,))


class HistoryRecorder:
    """Writes a row for each change of one table's items."""

    __slots__ = ("_at", "_cursor", "_history", "_insert", "_instant", "_transaction")

    def __init__(self, storage: Storage, history: History, instant: TransactionInstant) -> None:
        self._cursor = storage.cursor
        self._history = history
        self._instant = instant
        self._transaction = -1
        self._at = 0
        self._insert = f"INSERT INTO {history.name} (at, key, size, item) VALUES (?, ?, ?, ?)"

    def item_changed(self, write: ItemWrite, row_id: int) -> None:
        """Write the row of a change; a follower of the table."""
        if self._transaction != self._instant.transaction:
            self._transaction = self._instant.transaction
            # Another process may have written since, and the clock may have gone back.
            self._at = max(self._instant.now(), self._history.last_at())
        row = write.row
        size, item = (0, None) if row is None else (row[1], row[2])
        self._cursor.execute(self._insert, (self._at, write.key, size, item))


def history_of(storage: Storage, table: Table) -> History | None:
    """Return the history of ``table``; None for a table without point-in-time recovery."""
    return History(storage, table.id) if recovery_of(table) is not None else None


@dataclass(frozen=True, slots=True)
class Recovery:
    """A table's point-in-time recovery: on since ``enabled_at`` (epoch s), for ``period_days``."""

    enabled_at: float
    period_days: int

    def earliest(self, now: float) -> float:
        """Return the earliest restorable time (epoch s)."""
        return max(self.enabled_at, now - self.period_days * DAY_S)

    def member(self) -> dict[str, Any]:
        """Return the recovery as the member of the table's document."""
        return {"EnabledAt": self.enabled_at, "PeriodDays": self.period_days}


RECOVERY = "PointInTimeRecovery"
"""The member of a table's document that shows that the table has a history."""


def recovery_of(table: Table) -> Recovery | None:
    """Return the point-in-time recovery of a table; None when it is off."""
    member = table.document.get(RECOVERY)
    return None if member is None else Recovery(member["EnabledAt"], member["PeriodDays"])
