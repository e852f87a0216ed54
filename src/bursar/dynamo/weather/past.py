"""The last changes of items, and reads as of an earlier moment.

A replica that lags shows a partition with all changes up to an earlier moment, and none since. A read as of that moment
runs on the real rows and indexes, which are put back during the read and restored afterwards.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import orjson

from bursar.clock import Clock
from bursar.dynamo.items.key_encoding import encode_key_value
from bursar.dynamo.storage.table import Follower, ItemWrite, Table

CHANGES_MAX: Final = 10_000
"""The most changes of one table that are kept. Older ones are in every replica."""


class _Change(NamedTuple):
    at: float
    key: bytes
    partition: bytes
    size: int
    before: bytes | None
    """The item before the change; None if there was none."""


class Past:
    """The last changes of every table, in order, by this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changes: dict[int, deque[_Change]] = {}

    def follower(self, table: Table) -> Follower:
        """Return a follower that keeps the changes of a table."""
        changes = self._changes.setdefault(table.id, deque(maxlen=CHANGES_MAX))

        def item_changed(write: ItemWrite, _row_id: int) -> None:
            item = write.new or write.old or {}
            partition = encode_key_value(item[table.partition_name])
            size, before = (0, None) if write.row is None else (write.row[1], write.row[2])
            changes.append(_Change(self._clock(), write.key, partition, size, before))

        return item_changed

    def forget(self) -> None:
        """Forget all changes. The lists are emptied in place, because followers hold them."""
        for changes in self._changes.values():
            changes.clear()

    def differences(self, table: Table, since: float, lags: Callable[[bytes], bool]) -> dict[bytes, _Change]:
        """Return the first change since a moment of each item in the partitions that ``lags`` chooses."""
        chosen: dict[bytes, bool] = {}
        first: dict[bytes, _Change] = {}
        for change in reversed(self._changes.get(table.id, ())):
            if change.at <= since:
                break
            if change.partition not in chosen:
                chosen[change.partition] = lags(change.partition)
            if chosen[change.partition]:
                first[change.key] = change  # the loop goes back in time, so the earliest change is last
        return first


def undoing(table: Table, differences: dict[bytes, _Change]) -> Iterator[ItemWrite]:
    """Yield the writes that put items back to their state before the changes."""
    for key, change in differences.items():
        row = table.rows.get(key)
        item = None if change.before is None else orjson.loads(change.before)
        if row is not None or item is not None:
            yield ItemWrite(table, key, row, None, item, change.size, change.before)
