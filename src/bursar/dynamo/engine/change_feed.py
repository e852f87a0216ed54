"""Follow the changes of one table of the embedded engine, in the order of their commits.

    stream of the table:   … 41 │ 42 │ 43 │ 44 │          sequence numbers have no gaps and rise in commit order
                               position ──► read 43, 44 and, in the same snapshot, the present item of each changed key

The order of commits does not depend on any clock, so a reader that keeps its position misses no change. The stream has
the keys of the changed items (KEYS_ONLY), and the items are read from the table: an item that changed several times is
read once.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.storage.change_streams import INSERT, Record, Stream
from bursar.dynamo.storage.table import Table


class PositionLost(Exception):
    """The stream no longer has the changes after a position: it was trimmed, or the store was replaced."""


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """The last change that was read: its stream's label, its sequence number, and when it was recorded.

    ``recorded_at`` (epoch s, None before the first change) distinguishes a store from an older copy of it, whose
    numbers continue from a lower one.
    """

    label: str
    sequence: int
    recorded_at: float | None


class ChangedItem(NamedTuple):
    """One changed key: the number of its last change in the page, whether the page has its creation, and its item."""

    sequence: int
    inserted: bool
    item: Item


class ChangeFeed:
    """The changes of ``table``. Its methods read one committed state and block briefly."""

    def __init__(self, engine: Engine, table: str) -> None:
        """Enable the table's stream, if it has none. Raise ``DynamoError`` if there is no such table."""
        self._engine = engine
        self._table = table
        if self._engine.read_committed(self._found_stream) is None:
            # Another process may enable it at the same time.
            with suppress(DynamoError):
                engine.execute(
                    "UpdateTable",
                    {
                        "TableName": table,
                        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
                    },
                )

    def position(self) -> FeedPosition:
        """Return the position after the last committed change."""
        return self._engine.read_committed(self._position)

    def since(self, position: FeedPosition, limit: int) -> tuple[list[ChangedItem], FeedPosition]:
        """Return the items of the next ``limit`` changes, and the position after them; deleted items are left out.

        Raises :class:`PositionLost`.
        """
        return self._engine.read_committed(lambda core: self._since(core, position, limit))

    def _found_stream(self, core: Core) -> Stream | None:
        core.refresh()
        return core.streams.enabled().get(core.table(self._table).id)

    def _stream(self, core: Core) -> Stream:
        stream = self._found_stream(core)
        if stream is None:
            raise PositionLost(f"the stream of {self._table} was disabled")
        return stream

    def _position(self, core: Core) -> FeedPosition:
        with core.storage.snapshot():
            stream = self._stream(core)
            last = core.streams.last(stream.id)
            return _position_at(core, stream, last)

    def _since(self, core: Core, position: FeedPosition, limit: int) -> tuple[list[ChangedItem], FeedPosition]:
        with core.storage.snapshot():
            stream = self._stream(core)
            _require_kept(core, stream, position)
            records = core.streams.records(stream.id, position.sequence + 1, position.sequence + limit, limit)
            if not records:
                return [], position
            table = core.table(self._table)
            last = records[-1]
            return list(_items(table, records)), FeedPosition(stream.label, last.sequence, last.created_at)


def _position_at(core: Core, stream: Stream, sequence: int) -> FeedPosition:
    found = core.streams.records(stream.id, sequence, sequence, 1) if sequence else []
    return FeedPosition(stream.label, sequence, found[0].created_at if found else None)


def _require_kept(core: Core, stream: Stream, position: FeedPosition) -> None:
    last, first = core.streams.last(stream.id), core.streams.first(stream.id)
    if stream.label != position.label or position.sequence > last:
        raise PositionLost("the store has another stream, or an older one: it was restored or replaced")
    if position.sequence + 1 < first:
        raise PositionLost("the changes since were removed from the stream: it keeps them for 24 hours")
    if position.sequence >= first:
        at = _position_at(core, stream, position.sequence)
        if at.recorded_at != position.recorded_at:
            raise PositionLost("the store has another history: it was restored from an older copy")


def _items(table: Table, records: list[Record]) -> Iterator[ChangedItem]:
    last: dict[bytes, int] = {}
    inserted: set[bytes] = set()
    for record in records:
        last.pop(record.keys, None)  # so that keys are in the order of their last changes
        last[record.keys] = record.sequence
        if record.event == INSERT:
            inserted.add(record.keys)
    for keys, sequence in last.items():
        row = table.rows.get(table.stored_key_of(orjson.loads(keys)))
        if row is not None:
            yield ChangedItem(sequence, keys in inserted, orjson.loads(row[2]))
