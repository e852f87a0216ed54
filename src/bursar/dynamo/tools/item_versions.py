"""Read a table's past: the versions of an item, and the differences between two instants."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.operations.requests.timestamps import LATEST_S
from bursar.dynamo.storage.history import MICROS, History, micros, recovery_of
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import Table
from bursar.dynamo.storage.table_states import changes_between


class PastRefused(ValueError):
    """The past cannot answer the question; the text is the reason."""


class Version(NamedTuple):
    """An item from an instant on (µs since the epoch; None: before the table's past); ``item`` None: no item."""

    at: int | None
    item: Item | None


class ImagePair(NamedTuple):
    """An item that differs between two instants, before and after; None if there is no item."""

    old: Item | None
    new: Item | None


def item_versions(path: str, table_name: str, key: Sequence[str], *, read_only: bool = False) -> list[Version]:
    """Return the versions of the item with the key ``name=value …``, oldest first. Raises :class:`PastRefused`."""
    with closing(Storage(path, read_only=read_only)) as storage, storage.snapshot():
        table, history = _past_in(storage, table_name)
        return _versions(table, history, _key(table, key))


def versions_in(storage: Storage, table_name: str, key: Item) -> list[Version]:
    """Return the versions of the item with a key in DynamoDB JSON, oldest first, from an open store in a snapshot.

    Raises :class:`PastRefused`.
    """
    table, history = _past_in(storage, table_name)
    return _versions(table, history, key)


def _versions(table: Table, history: History, key: Item) -> list[Version]:
    try:
        encoded = table.encoded_key(key)
    except DynamoError as error:
        raise PastRefused(f"key: {error.message}") from None
    rows = history.of_key(encoded)
    present = table.rows.get(encoded)
    bodies = [*(row.item for row in rows), None if present is None else present[2]]
    instants = [None, *(row.at for row in rows)]
    versions = [Version(at, _loaded(body)) for at, body in zip(instants, bodies, strict=True)]
    return versions if versions[0].item is not None else versions[1:]


def differences(
    path: str, table_name: str, earlier: float, later: float, now: float, *, read_only: bool = False
) -> Iterator[ImagePair]:
    """Yield the items that differ between two instants (epoch s), in the keys' order. Raises :class:`PastRefused`."""
    with closing(Storage(path, read_only=read_only)) as storage:
        table, history = _past_in(storage, table_name)
        recovery = recovery_of(table)
        if recovery is not None and earlier < recovery.earliest(now):
            since = iso_micros(micros(recovery.earliest(now)))
            raise PastRefused(f"instant: must not be before the table's past, which begins at {since}")
        if later < earlier:
            raise PastRefused("instant: must not be before the earlier one, which is given first")
        with storage.scratch_on_disk(), storage.snapshot():
            for change in changes_between(storage, table, history, micros(earlier), micros(later)):
                if change.old != change.new:
                    yield ImagePair(_loaded(change.old), _loaded(change.new))


def parse_instant(text: str, now: float) -> float:
    """Return seconds since the epoch for ``now``, seconds or ISO 8601, UTC by default. Raises ``ValueError``."""
    if text == "now":
        return now
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds <= LATEST_S:  # this includes nan, which is not a number
        raise ValueError(text)
    return seconds


def iso_micros(at: int) -> str:
    """Return microseconds since the epoch as ISO 8601 in UTC: ``2026-11-22T19:30:00.125000Z``."""
    return f"{datetime.fromtimestamp(at // MICROS, UTC):%Y-%m-%dT%H:%M:%S}.{at % MICROS:06d}Z"


def _past_in(storage: Storage, table_name: str) -> tuple[Table, History]:
    """Return a table and its history. Raises :class:`PastRefused`."""
    for table_id, name, document, rules in storage.definitions():
        if name == table_name:
            table = Table(storage, table_id, name, orjson.loads(document), rules)
            if recovery_of(table) is None:
                raise PastRefused(f"{name} has no past: its point-in-time recovery is off")
            return table, History(storage, table_id)
    raise PastRefused(f"there is no table {table_name}")


def _key(table: Table, parts: Sequence[str]) -> dict[str, Any]:
    key: dict[str, Any] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or name not in table.types:
            expected = " ".join(f"{name}=VALUE" for name in table.key_names)
            raise PastRefused(f"key: must be {expected}; got {' '.join(parts)}")
        key[name] = {table.types[name]: value}
    return key


def _loaded(body: bytes | None) -> Item | None:
    return None if body is None else orjson.loads(body)
