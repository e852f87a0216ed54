"""Check that a store is consistent: the file, items, index entries, expiry times, counters and streams agree.

    items_7     key = the item's own key · item = canonical bytes · size = its size by DynamoDB's rules
    index_7_1   exactly the entries that follow from the items
    expiry_7    the same, of a table with a time to live
    counters    the item counts and sizes of tables and indexes, as DescribeTable returns them
    stream_7    no record is missing; each begins where the item's previous record ended; the last ends at the item
    history_7   no row is missing, and no instant is earlier than the one before it
    backup_3    as many items and bytes as when it was made

One snapshot is read row by row: memory does not grow with the table, and a server can continue to write.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

import apsw
import orjson

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item, equal, item_bytes, item_size, normalise_item
from bursar.dynamo.storage.backups import Backup, Backups
from bursar.dynamo.storage.change_streams import INSERT, REMOVE, Stream, Streams
from bursar.dynamo.storage.history import History, history_of
from bursar.dynamo.storage.secondary_index import SecondaryIndex
from bursar.dynamo.storage.sqlite_file import TABLE_ITSELF, Storage
from bursar.dynamo.storage.table import Table
from bursar.dynamo.storage.ttl_index import ttl_index_of

PROBLEMS_MAX = 1_000
"""The most problems that are listed."""

_NOT_AN_ITEM = (ValueError, KeyError, TypeError, AttributeError, DynamoError)
"""The exceptions that decoding bytes as an item raises when they are not one."""


def check_store(path: str, *, read_only: bool = False) -> list[str]:
    """Return the problems of the store at ``path``, each one line; an empty list for a sound store.

    Raises ``StoreFormatError`` for a file that is not a store of this format, and ``apsw.Error`` for one that cannot be
    opened.
    """
    storage = Storage(path, read_only=read_only)
    try:
        with storage.snapshot():
            return list(islice(_problems(storage), PROBLEMS_MAX))
    finally:
        storage.close()


def _problems(storage: Storage) -> Iterator[str]:
    try:
        damage = [str(line) for (line,) in storage.connection.execute("PRAGMA integrity_check")]
        if damage != ["ok"]:
            yield from (f"SQLite: {line}" for line in damage)
            return
        tables = []
        for table_id, name, document, rules in storage.definitions():
            try:
                tables.append(Table(storage, table_id, name, orjson.loads(document), rules))
            except _NOT_AN_ITEM as error:
                yield f"{name}: not a definition: {error!r}"
                return
        streams, backups = Streams(storage, Random(0)).with_captures(), Backups(storage, Random(0)).all()
        yield from _catalogue_problems(storage, tables, streams, backups)
        for table in tables:
            yield from _table_problems(storage, table)
            history = history_of(storage, table)
            if history is not None:
                yield from _history_problems(storage, table, history)
        for backup in backups:
            yield from _backup_problems(storage, backup)
        by_id = {table.id: table for table in tables}
        for stream in streams:
            yield from _record_problems(storage, stream)
            if stream.disabled_at is None:
                yield from _last_record_problems(storage, stream, by_id[stream.table_id])
    except (apsw.Error, UnicodeDecodeError) as error:
        yield f"SQLite: {error}"


def _catalogue_problems(
    storage: Storage, tables: list[Table], streams: list[Stream], backups: list[Backup]
) -> Iterator[str]:
    """Report rows and counters without a definition, and missing ones."""
    expected_tables = {f"items_{table.id}" for table in tables}
    expected_tables |= {f"index_{table.id}_{index.number}" for table in tables for index in table.every_index}
    expected_tables |= {f"stream_{stream.id}" for stream in streams}
    expected_tables |= {f"expiry_{table.id}" for table in tables if table.ttl_attribute}
    expected_tables |= {history.name for table in tables if (history := history_of(storage, table)) is not None}
    expected_tables |= {backup.items_name for backup in backups}
    existing_tables = {
        str(name)
        for (name,) in storage.connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND "
            "(name GLOB 'items_*' OR name GLOB 'index_*' OR name GLOB 'stream_*' OR name GLOB 'expiry_*'"
            " OR name GLOB 'history_*' OR name GLOB 'backup_*')"
        )
    }
    yield from (f"{name} belongs to no table" for name in sorted(existing_tables - expected_tables))
    yield from (f"{name} is missing" for name in sorted(expected_tables - existing_tables))
    counted = set(storage.connection.execute("SELECT table_id, index_number FROM counters"))
    numbers = {(table.id, index.number) for table in tables for index in table.every_index}
    numbers |= {(table.id, TABLE_ITSELF) for table in tables}
    yield from (f"counters of {row} belong to no table" for row in sorted(counted - numbers))
    yield from (f"counters of {row} are missing" for row in sorted(numbers - counted))


class _Tally:
    """The count and size that the items of a table give one index, or the table itself (``index`` None)."""

    def __init__(self, index: SecondaryIndex | None) -> None:
        self.index = index
        self.items = 0
        self.size_bytes = 0

    def add(self, item: Item, size: int) -> None:
        if self.index is not None:
            if self.index.key_of(item) is None:
                return
            size = self.index.size_of(item, size)
        self.items += 1
        self.size_bytes += size


def _table_problems(storage: Storage, table: Table) -> Iterator[str]:
    tallies = [_Tally(None), *map(_Tally, table.every_index)]
    ttl_index = ttl_index_of(storage, table)
    expiring = 0
    # A damaged value may be text that is not UTF-8: it is read as bytes, together with its type.
    rows = storage.connection.execute(
        "SELECT CAST(key AS BLOB), iif(typeof(size) = 'integer', size, -1), CAST(item AS BLOB), typeof(key),"
        f" typeof(item) FROM items_{table.id} ORDER BY key"
    )
    for key, size, body, *types in rows:
        try:
            item = orjson.loads(body)
            problem = _item_problem(table, key, size, body, item) or _type_problem(*types)
        except _NOT_AN_ITEM as error:
            yield f"{table.name}, key {key.hex()}: not an item: {error!r}"
            continue
        if problem:
            yield f"{table.name}, key {key.hex()}: {problem}"
        for tally in tallies:
            tally.add(item, size)
        expiring += ttl_index is not None and ttl_index.key_of(item) is not None
    if ttl_index:
        name = f"{table.name}, expiry by {ttl_index.name}"
        yield from _entry_problems(storage, table, name, f"expiry_{table.id}", ttl_index.key_of, expiring)
    for tally in tallies:
        number = tally.index.number if tally.index else TABLE_ITSELF
        name = f"{table.name}, index {tally.index.name}" if tally.index else table.name
        if tally.index:
            entries = f"index_{table.id}_{number}"
            yield from _entry_problems(storage, table, name, entries, tally.index.key_of, tally.items)
        counted = storage.counts(table.id, number)
        if counted != (tally.items, tally.size_bytes):
            yield f"{name}: counted (items, bytes) {counted}, there are {(tally.items, tally.size_bytes)}"


def _item_problem(table: Table, key: bytes, size: int, body: bytes, item: Item) -> str | None:
    canonical = item_bytes(normalise_item(item))
    if table.stored_key_of(item) != key:
        return "stored under another item's key"
    if canonical != body:
        return "not in canonical form"
    if item_size(item) != size:
        return f"its size is {item_size(item)} bytes, not {size}"
    return None


def _type_problem(*types: str) -> str | None:
    """Report text where SQLite should hold bytes: it differs from the same bytes in every comparison."""
    return next((f"kept as {kept}, not as bytes" for kept in types if kept != "blob"), None)


def _entry_problems(
    storage: Storage, table: Table, name: str, kept_in: str, key_of: Callable[[Item], bytes | None], expected: int
) -> Iterator[str]:
    """Report entries that do not follow from the items.

    Entries are unique, so an equal number means that none is missing.
    """
    found = 0
    entries = storage.connection.execute(
        "SELECT CAST(e.entry AS BLOB), typeof(e.entry), CAST(i.key AS BLOB), CAST(i.item AS BLOB)"
        f" FROM {kept_in} e LEFT JOIN items_{table.id} i ON i.id = e.id ORDER BY e.entry"
    )
    for entry, kept, key, body in entries:
        if body is None:
            yield f"{name}: entry {entry.hex()} has no item"
            continue
        try:
            prefix = key_of(orjson.loads(body))
        except _NOT_AN_ITEM:
            yield f"{name}: entry {entry.hex()} is that of no item, key {key.hex()}"
            continue
        if prefix is None or prefix + key != entry:
            yield f"{name}: entry {entry.hex()} does not fit its item, key {key.hex()}"
            continue
        problem = _type_problem(kept)
        if problem:
            yield f"{name}: entry {entry.hex()} is {problem}"
        found += 1
    if found != expected:
        yield f"{name}: {expected - found} of {expected} items have no entry"


def _history_problems(storage: Storage, table: Table, history: History) -> Iterator[str]:
    """Report missing rows, and instants that go back."""
    first, end = history.bounds()
    rows = storage.connection.execute(f"SELECT count(*) FROM {history.name}").get
    if rows != end - first:
        yield f"{table.name}, history: {end - first - rows} rows between {first} and {end - 1} are missing"
    back = storage.connection.execute(
        f"SELECT id FROM (SELECT id, at, lag(at) OVER (ORDER BY id) AS before FROM {history.name}) WHERE at < before"
    )
    yield from (f"{table.name}, history row {row}: its instant is earlier than the one before it" for (row,) in back)


def _backup_problems(storage: Storage, backup: Backup) -> Iterator[str]:
    """Report a backup whose items differ in number or size from those counted when it was made."""
    expected = (backup.document["Items"], backup.document["Bytes"])
    found = storage.connection.execute(f"SELECT count(*), coalesce(sum(size), 0) FROM {backup.items_name}").get
    if found != expected:
        yield f"{backup.arn}: it had (items, bytes) {expected}, there are {found}"


def _record_problems(storage: Storage, stream: Stream) -> Iterator[str]:
    """Report missing records, and records that do not begin where the item's previous record ended."""
    records = f"stream_{stream.id}"
    count, first, last = storage.connection.execute(
        f"SELECT count(*), coalesce(min(sequence), 1), coalesce(max(sequence), 0) FROM {records}"
    ).get
    if count != last - first + 1:
        yield f"{stream.arn}: {last - first + 1 - count} records between {first} and {last} are missing"
    rows = storage.connection.execute(
        "SELECT sequence, event, CAST(old AS BLOB), lag(event) OVER item, lag(CAST(new AS BLOB)) OVER item"
        f" FROM {records} WINDOW item AS (PARTITION BY keys ORDER BY sequence)"
    )
    for sequence, event, old, event_before, new_before in rows:
        if event_before is None:
            continue
        if (event == INSERT) != (event_before == REMOVE):
            yield f"{stream.arn}, record {sequence}: {event} after {event_before} of the same item"
        elif event != INSERT and old is not None and new_before is not None and not _same(old, new_before):
            yield f"{stream.arn}, record {sequence}: its old image is not the new image before it"


def _last_record_problems(storage: Storage, stream: Stream, table: Table) -> Iterator[str]:
    """Report items that differ from the last record about them."""
    rows = storage.connection.execute(
        f"SELECT sequence, event, CAST(keys AS BLOB), CAST(new AS BLOB) FROM stream_{stream.id}"
        f" WHERE sequence IN (SELECT max(sequence) FROM stream_{stream.id} GROUP BY keys)"
    )
    for sequence, event, keys, new in rows:
        try:
            row = table.rows.get(table.stored_key_of(orjson.loads(keys)))
        except _NOT_AN_ITEM as error:
            yield f"{stream.arn}, record {sequence}: its keys are no item's: {error!r}"
            continue
        if (row is None) != (event == REMOVE):
            yield f"{stream.arn}, record {sequence}: {event}, but the item is {'gone' if row is None else 'there'}"
        elif row is not None and new is not None and not _same(new, row[2]):
            yield f"{stream.arn}, record {sequence}: its new image is not the item"


def _same(left: bytes, right: bytes) -> bool:
    if left == right:
        return True
    try:
        return equal({"M": orjson.loads(left)}, {"M": orjson.loads(right)})
    except _NOT_AN_ITEM:
        return False
