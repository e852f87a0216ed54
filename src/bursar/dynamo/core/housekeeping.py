"""Housekeeping: delete expired items, backups, stream records and pasts, and roll shards.

Servers and clients call it regularly (``Engine.run_housekeeping``). One run is one transaction with a bounded number of
deletions; a run with nothing to do writes nothing. An expired item is deleted by ``Core.apply`` like any other:
indexes, streams and rules see the deletion, and an item that a rule protects is not deleted.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from bursar.dynamo.core.catalogue import Core, GuardRefused
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.storage.backups import Backup
from bursar.dynamo.storage.change_streams import RETENTION_S, SHARD_LIFE_S, Stream
from bursar.dynamo.storage.history import History, micros, recovery_of
from bursar.dynamo.storage.table import ItemWrite, Table
from bursar.dynamo.storage.ttl_index import TtlIndex

ITEMS_PER_RUN_MAX = 200
RECORDS_PER_RUN_MAX = 2_000

_START = b""


class Housekeeping:
    """The housekeeping of one store by one process."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._positions: dict[int, bytes] = {}
        """The last examined entry of each table whose last run ended at the limit.

        The next run continues after it, so that items that rules protect do not block it.
        """
        self.ttl_delay_s: Callable[[str], float] = lambda _table: 0.0
        """A function of a table's name: the seconds for which its expired items are kept."""

    def is_due(self) -> bool:
        """Return whether a run would write anything; it only reads."""
        now = self._core.clock()
        self._core.refresh()
        for table in self._core.tables():
            ttl_index = self._core.ttl_index(table)
            if ttl_index is not None and ttl_index.expired(now - self.ttl_delay_s(table.name), _START, 1):
                return True
        if any(self._is_expired(backup, now) for backup in self._core.backups.all()):
            return True
        if any(history.is_due(instant) for history, instant in self._histories(now)):
            return True
        return any(self._stream_is_due(stream, now) for stream in self._core.streams.with_captures())

    def run(self, limit: int = ITEMS_PER_RUN_MAX) -> int:
        """Delete up to ``limit`` expired items and old stream records; return how many items were examined."""
        core = self._core
        now = core.clock()
        examined = 0
        for table in core.tables():
            ttl_index = core.ttl_index(table)
            if ttl_index is not None and examined < limit:
                examined += self._expire(table, ttl_index, now - self.ttl_delay_s(table.name), limit - examined)
        changed = [
            self._update_stream(stream, now)
            for stream in core.streams.with_captures()
            if self._stream_is_due(stream, now)
        ]
        if any(changed):
            core.changed()
        for backup in core.backups.all():
            if self._is_expired(backup, now):
                core.backups.remove(backup)
        for history, instant in self._histories(now):
            history.trim(instant, RECORDS_PER_RUN_MAX)
        return examined

    def _is_expired(self, backup: Backup, now: float) -> bool:
        return backup.expires_at is not None and backup.expires_at <= now

    def _histories(self, now: float) -> Iterator[tuple[History, int]]:
        """Return each table's history, and the instant (µs) up to which it is no longer needed."""
        for table in self._core.tables():
            recovery = recovery_of(table)
            if recovery is not None:
                yield History(self._core.storage, table.id), micros(recovery.earliest(now))

    # Items ----------------------------------------------------------------------------------------------------

    def _expire(self, table: Table, ttl_index: TtlIndex, now: float, limit: int) -> int:
        expired = ttl_index.expired(now, self._positions.pop(table.id, _START), limit)
        for _, row_id, size, body in expired:
            write = ItemWrite(table, b"", (row_id, size, body), None, None)
            write.key = table.stored_key_of(write.old or {})
            write.by_service = True
            # A rule protects the item, or this engine has no guard loader and may not write to a table with rules.
            with suppress(GuardRefused, DynamoError):
                self._core.apply([write])
        if len(expired) == limit:
            self._positions[table.id] = expired[-1][0]
        return len(expired)

    # Streams --------------------------------------------------------------------------------------------------

    def _stream_is_due(self, stream: Stream, now: float) -> bool:
        streams = self._core.streams
        if stream.disabled_at is not None and stream.disabled_at <= now - RETENTION_S:
            return True
        return self._shard_is_due(stream, now) or streams.first(stream.id) < streams.first_since(
            stream.id, now - RETENTION_S
        )

    def _shard_is_due(self, stream: Stream, now: float) -> bool:
        """Return whether the open shard must roll. A capture is one shard, so its shard is never due.

        An empty shard is never due either, because it has no sequence number at which it can end.
        """
        last = stream.shards[-1]
        return (
            stream.disabled_at is None
            and stream.destination is None
            and last.opened_at <= now - SHARD_LIFE_S
            and self._core.streams.last(stream.id) >= last.starting
        )

    def _update_stream(self, stream: Stream, now: float) -> bool:
        """Trim and roll a stream, or remove it; return whether its document changed."""
        streams = self._core.streams
        if stream.disabled_at is not None and stream.disabled_at <= now - RETENTION_S:
            streams.remove(stream)
            return True
        horizon = streams.first_since(stream.id, now - RETENTION_S)
        streams.trim(stream.id, min(horizon, streams.first(stream.id) + RECORDS_PER_RUN_MAX))
        shards = streams.kept_shards(stream, streams.first(stream.id))
        if self._shard_is_due(stream, now):
            streams.roll(stream, shards, now)
            return True
        if len(shards) < len(stream.shards):
            streams.keep_shards(stream, shards)
            return True
        return False
