"""The core of the operations: the catalogue of tables, and the single function through which every item is written.

Nothing here blocks, reads the system clock or uses global randomness. Writes belong to the transaction that
:mod:`bursar.dynamo.engine.engine` has opened.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from bursar.clock import Clock
from bursar.dynamo.buckets.port import Buckets
from bursar.dynamo.core.guard_overlay import GuardOverlay
from bursar.dynamo.core.guards import Change, Guard, GuardLoader, Refusal, TableCheck, TransactionView
from bursar.dynamo.errors import EXPLICIT_DENY, DynamoError, invalid
from bursar.dynamo.items.attribute_values import ITEM_BYTES_MAX
from bursar.dynamo.regions import RegionDifference
from bursar.dynamo.storage.backups import Backups
from bursar.dynamo.storage.change_streams import Recorder, Stream, Streams
from bursar.dynamo.storage.history import HistoryRecorder, TransactionInstant, history_of
from bursar.dynamo.storage.secondary_index import Counted, SecondaryIndex
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import Follower, ItemWrite, Table, no_such_table
from bursar.dynamo.storage.transfers import Transfers
from bursar.dynamo.storage.ttl_index import TtlIndex, ttl_index_of

UNKNOWN_VERSION = -1
INDEX_MEMBERS = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes", "VectorIndexes")
"""The members of a table's document that define its indexes."""


class GuardRefused(Exception):
    """A guard refused; ``index`` is the position of the write in the request."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(index, message)
        self.index = index
        self.message = message


class Core:
    """The tables of one store and the writes to them."""

    def __init__(
        self, storage: Storage, clock: Clock, randomness: random.Random, guard_loader: GuardLoader | None = None
    ) -> None:
        self.storage = storage
        self.clock = clock
        self.randomness = randomness
        self._guard_loader = guard_loader
        self._tables: dict[str, Table] = {}
        self._guards: dict[str, Guard] = {}
        self._added: defaultdict[Counted, list[int]] = defaultdict(lambda: [0, 0])
        """The items and bytes that the open transaction has added so far to each table and index."""
        self._ttl_indexes: dict[int, TtlIndex] = {}
        self._streams: dict[int, Stream] = {}
        self._captures: dict[int, Stream] = {}
        self.version = UNKNOWN_VERSION
        """The catalogue's version at the last refresh: while it does not change, no table's definition has changed."""
        self.streams = Streams(storage, randomness)
        self.instant = TransactionInstant(clock)
        self.backups = Backups(storage, randomness)
        self.transfers = Transfers(storage)
        self.buckets: Buckets | None = None
        """Where exports are written and imports read; None for a store without S3."""
        self.has_kinesis = False
        """Whether the process delivers to Kinesis, so that tables may get destinations."""
        self.address = "localhost"
        """The address of the server of this store, which DescribeEndpoints returns."""
        self.more_followers: Sequence[Callable[[Table], Follower]] = ()
        """Functions that make further followers of every table. Set them before the first request."""
        self.checks_older_writes = RegionDifference.OLDER_WRITES in storage.differences
        """Whether the store's region checks PutItem, UpdateItem and DeleteItem by the older layer."""
        self.tokens_cleared_at = 0.0
        """When expired idempotency tokens were last removed (seconds since the epoch)."""

    # The catalogue --------------------------------------------------------------------------------------------

    def table(self, name: str) -> Table:
        """Return the table of that name or ARN. Raises ResourceNotFoundException."""
        table = self._tables.get(name) or self.find_table(name)
        if table is None:
            raise no_such_table()
        return table

    def find_table(self, name: str) -> Table | None:
        """Return the table of that name or ARN by its definition in the file now; None if there is none."""
        self.refresh()
        return self._tables.get(name.removeprefix(self.storage.table_arn_prefix))

    def tables(self) -> list[Table]:
        """Return every table, by name."""
        self.refresh()
        return list(self._tables.values())

    def refresh(self) -> None:
        """Read the definitions again if any process changed one."""
        version = self.storage.catalogue_version()
        if version == self.version:
            return
        self._streams = self.streams.enabled()
        self._captures = {one.table_id: one for one in self.streams.captures() if one.disabled_at is None}
        self._ttl_indexes = {}
        self._tables = {
            name: Table(self.storage, table_id, name, orjson.loads(document), rules)
            for table_id, name, document, rules in self.storage.definitions()
        }
        for table in self._tables.values():
            self._attach_followers(table)
        self.version = version

    def _attach_followers(self, table: Table) -> None:
        ttl_index = ttl_index_of(self.storage, table)
        if ttl_index is not None:
            self._ttl_indexes[table.id] = ttl_index
            table.follow(ttl_index.item_changed)
        for stream in (self._streams.get(table.id), self._captures.get(table.id)):
            if stream is not None:
                table.follow(Recorder(self.storage, self.clock, stream).item_changed)
        history = history_of(self.storage, table)
        if history is not None:
            table.follow(HistoryRecorder(self.storage, history, self.instant).item_changed)
        for make in self.more_followers:
            table.follow(make(table))

    def ttl_index(self, table: Table) -> TtlIndex | None:
        """Return the expiry times of a table's items, as of the last :meth:`refresh`; None without a time to live."""
        return self._ttl_indexes.get(table.id)

    def discard_cache(self) -> None:
        """Discard the cached definitions and counts of an undone transaction."""
        self.version = UNKNOWN_VERSION
        self._tables = {}
        self._ttl_indexes = {}
        self._streams = {}
        self._captures = {}
        self._added.clear()
        self.instant.transaction += 1

    def create_table(self, name: str, document: dict[str, Any]) -> Table:
        """Add a table with its indexes."""
        table_id = self.storage.add_table(name, orjson.dumps(document))
        for member in INDEX_MEMBERS:
            for index in document.get(member, ()):
                self.storage.add_index(table_id, index["Number"])
        if "StreamSpecification" in document:
            self.streams.start(table_id, name, document, self.clock())
        self.changed()
        return self._tables[name]

    def fill_table(self, table: Table, fill: Callable[[str], None]) -> None:
        """Call ``fill``, which inserts the items of a new table into its SQLite table.

        Then count them and fill the indexes.
        """
        fill(f"items_{table.id}")
        self.storage.add_counts([(*self.storage.measure_items(table.id), *table.counted)])
        for index in table.every_index:
            self._fill(table, index)

    def change_table(self, table: Table, document: dict[str, Any]) -> Table:
        """Replace a table's definition; fill added indexes from the items, and drop the entries of removed ones."""
        self.flush_counts()
        before = {index.number for index in table.every_index}
        self.storage.replace_document(table.id, orjson.dumps(document))
        after = {index["Number"] for member in INDEX_MEMBERS for index in document.get(member, ())}
        for number in before - after:
            self.storage.remove_index(table.id, number)
        for number in after - before:
            self.storage.add_index(table.id, number)
        self._change_stream(table, document)
        ttl_index_before = self.ttl_index(table)
        if ttl_index_before is not None and "TimeToLive" not in document:
            ttl_index_before.drop()
        self.changed()
        changed = self._tables[table.name]
        for index in changed.every_index:
            if index.number not in before:
                self._fill(changed, index)
        ttl_index = self.ttl_index(changed)
        if ttl_index is not None and ttl_index_before is None:
            ttl_index.create(changed)
        return changed

    def _change_stream(self, table: Table, document: dict[str, Any]) -> None:
        wanted = "StreamSpecification" in document
        stream = self._streams.get(table.id)
        if stream is not None and not wanted:
            self.streams.stop(stream, self.clock())
        elif stream is None and wanted:
            self.streams.start(table.id, table.name, document, self.clock())

    def delete_table(self, table: Table) -> None:
        """Remove a table with its items, indexes, rules and expiry times, and disable its stream and its capture.

        The items of a table with point-in-time recovery become a system backup.
        """
        self.flush_counts()
        for stream in (self._streams.get(table.id), self._captures.get(table.id)):
            if stream is not None:
                self.streams.stop(stream, self.clock())
        ttl_index = self.ttl_index(table)
        if ttl_index is not None:
            ttl_index.drop()
        history = history_of(self.storage, table)
        if history is not None:
            history.drop()
            self.backups.keep_deleted_table(table, self.clock())
        self.storage.remove_table(table.id, [index.number for index in table.every_index])
        self.changed()

    def changed(self) -> None:
        """Record that the open transaction changed the catalogue."""
        self.storage.increment_catalogue_version()
        self.refresh()

    def _fill(self, table: Table, index: SecondaryIndex) -> None:
        """Backfill an index.

        Like on Amazon's, an item with an attribute that does not fit the index's key is left out.
        """
        items = size_bytes = 0
        for row_id, key, size, body in table.rows.all_rows():
            item = orjson.loads(body)
            entry = index.key_of(item)
            if entry is not None:
                index.entries.insert(entry + key, row_id)
                items += 1
                size_bytes += index.size_of(item, size)
        self.storage.add_counts([(items, size_bytes, *index.counted)])

    # Rules ----------------------------------------------------------------------------------------------------

    def amend_rules(self, table: Table, document: str) -> None:
        """Change a table's rules for later writes; its items are not judged, and owned values keep their owners."""
        self.storage.put_rules(table.id, document)
        self.changed()
        self.guard(document)

    def put_rules(self, table: Table, document: str | None) -> list[str]:
        """Set a table's rules and return the violations that the table contains.

        With violations, the caller must undo the transaction.
        """
        self.storage.put_rules(table.id, document)
        self.storage.release_owned_values(table.id)
        self.changed()
        if document is None:
            return []
        return self.guard(document).adopt(self._view(table), table.name)

    def guard(self, document: str) -> Guard:
        """Return the guard of a rules document. Raises ValidationException for one that cannot be read."""
        guard = self._guards.get(document)
        if guard is None:
            if self._guard_loader is None:
                raise invalid("The table has rules, and this engine was opened without a guard loader")
            try:
                guard = self._guard_loader(document)
            except ValueError as error:
                raise invalid(f"The table's rules cannot be read: {error}") from error
            self._guards[document] = guard
        return guard

    def _view(self, table: Table) -> TransactionView:
        return TransactionView(self.storage, self.table, table)

    # Writes ---------------------------------------------------------------------------------------------------

    def apply(self, writes: Sequence[ItemWrite], table_check: TableCheck | None = None) -> None:
        """Apply all writes of one request, or none.

        ``table_check`` is the part of the guard's judgement of exactly these writes that still needs the table; callers
        may pass it only if all writes are to one table. Raises :class:`GuardRefused`, and AccessDeniedException for a
        table whose resource policy denies all writes.
        """
        for write in writes:
            if write.table.may_refuse_writes:
                self._apply_judged(writes, table_check)
                return
        for write in writes:
            self._apply(write)

    def _apply_judged(self, writes: Sequence[ItemWrite], table_check: TableCheck | None) -> None:
        for write in writes:
            if write.table.denies_writes and not (write.check_only or write.by_service):
                raise _denied(write)
        # All writes are judged before the first is applied, so a refusal has no write to undo.
        overlays: list[GuardOverlay] = []
        try:
            if table_check is not None:
                overlays.append(GuardOverlay(self.storage, self.table, writes, writes[0].table))
                refusal = table_check(overlays[0])
                if refusal is not None:
                    raise GuardRefused(refusal.change_index, refusal.message)
            else:
                self._judge(writes, overlays)
        except BaseException:
            for overlay in overlays:
                overlay.release_taken()
            raise
        for write in writes:
            self._apply(write)
        for overlay in overlays:
            overlay.write_owners()

    def _judge(self, writes: Sequence[ItemWrite], overlays: list[GuardOverlay]) -> None:
        """Judge the writes to each guarded table; add the overlay of each table that its guard reads."""
        for table in {write.table.name: write.table for write in writes}.values():
            if table.rules is None:
                continue
            changes, positions = [], []
            for position, write in enumerate(writes):
                if write.table is table and not write.check_only and (write.new is not None or write.row is not None):
                    changes.append(Change(table.name, write.key_item, write.old, write.new))
                    positions.append(position)
            if not changes:
                continue
            judged = self.guard(table.rules).judge(changes)
            if isinstance(judged, Refusal):
                refusal: Refusal | None = judged
            else:
                overlays.append(GuardOverlay(self.storage, self.table, writes, table))
                refusal = judged(overlays[-1])
            if refusal is not None:
                raise GuardRefused(positions[refusal.change_index], refusal.message)

    def _apply(self, write: ItemWrite) -> None:
        """Change an item, its index entries and its table's counters; no other function does."""
        table, row, new = write.table, write.row, write.new
        if new is None:
            if row is None:
                return
            row_id, items, grown_bytes = row[0], -1, -row[1]
            table.rows.delete(row_id)
        elif row is None:
            items, grown_bytes = 1, write.size
            row_id = table.rows.insert(write.key, write.size, write.body)
        else:
            # The item is unchanged: writing it would rewrite a page of the file needlessly.
            if row[2] == write.body:
                return
            row_id, items, grown_bytes = row[0], 0, write.size - row[1]
            table.rows.update(row_id, write.size, write.body)
        added = self._added[table.counted]
        added[0] += items
        added[1] += grown_bytes
        if row is not None or not table.index_key_names.isdisjoint(new or ()):
            self._apply_to_indexes(write, row_id)
        for follow in table.followers:
            follow(write, row_id)

    @contextmanager
    def rewound(self, writes: Iterable[ItemWrite]) -> Iterator[None]:
        """Restore earlier states of items for the length of a ``with``, only in the items and the indexes.

        All is undone at its end, so no other process sees it.
        """
        with self.storage.trial():
            for write in writes:
                followers, write.table.followers = write.table.followers, ()
                try:
                    self._apply(write)
                finally:
                    write.table.followers = followers
            self._added.clear()
            yield

    def _apply_to_indexes(self, write: ItemWrite, row_id: int) -> None:
        old, new, row = write.old, write.new, write.row
        for index in write.table.every_index:
            before = after = None
            items = grown_bytes = 0
            if old is not None and row is not None:
                before = index.key_of(old)
                if before is not None:
                    items, grown_bytes = -1, -index.size_of(old, row[1])
            if new is not None:
                after = index.key_of(new)
                if after is not None:
                    items += 1
                    grown_bytes += index.size_of(new, write.size)
            if before != after:
                if before is not None:
                    index.entries.delete(before + write.key)
                if after is not None:
                    index.entries.insert(after + write.key, row_id)
            if items or grown_bytes:
                added = self._added[index.counted]
                added[0] += items
                added[1] += grown_bytes

    def flush_counts(self) -> None:
        """Write the counts that the open transaction changed, immediately before its commit."""
        self.storage.add_counts(
            [(items, grown, *counted) for counted, (items, grown) in self._added.items() if items or grown]
        )
        self._added.clear()
        self.instant.transaction += 1


def check_size(size: int, message: str) -> None:
    """Raise ValidationException with ``message`` for an item that is too large."""
    if size > ITEM_BYTES_MAX:
        raise invalid(message)


def _denied(write: ItemWrite) -> DynamoError:
    action = "DeleteItem" if write.new is None else "PutItem" if write.row is None else "UpdateItem"
    return DynamoError(
        "AccessDeniedException",
        f"The caller is not authorized to perform: dynamodb:{action} on resource: {write.table.arn} {EXPLICIT_DENY}",
    )


def internal(message: str) -> DynamoError:
    """Return DynamoDB's error 500 for a failure of the file or the machine."""
    return DynamoError("InternalServerError", message)
