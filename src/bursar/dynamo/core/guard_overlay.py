"""A guard's view of a request before its writes are applied: the file, overlaid with the writes.

A guard judges the state that the request would produce (see :mod:`bursar.dynamo.core.guards`). No item is written
before the judgement, so a refusal must release only the unique values that the request has taken. It needs neither a
savepoint nor copies of pages.
"""

from collections.abc import Callable, Iterator, Sequence

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import ItemWrite, Table


class GuardOverlay:
    """The ``GuardView`` of one guarded table over the open transaction and the writes about to be made in it.

    Changed owners are kept in memory until :meth:`write_owners`; newly owned values are written to the file at once.
    """

    def __init__(
        self, storage: Storage, tables: Callable[[str], Table], writes: Sequence[ItemWrite], guarded: Table
    ) -> None:
        self._storage = storage
        self._tables = tables
        self._items: dict[tuple[int, bytes], Item | None] = {(one.table.id, one.key): one.new for one in writes}
        self._spaces = f"{guarded.id}:"
        """The prefix of each space's name, because two tables may use one name.

        ``Storage.remove_table`` finds spaces by it.
        """
        self._owners: dict[tuple[str, bytes], bytes | None] = {}
        """The owner of each unique value that the request changed; None for a released one."""
        self._newly_owned: list[tuple[str, bytes]] = []
        """Values that were free before the request, and whose new owners are already in the file."""

    def write_owners(self) -> None:
        """Write the changed owners to the file."""
        for (space, value), owner in self._owners.items():
            if owner is None:
                self._storage.release(space, value)
            else:
                self._storage.set_owner(space, value, owner)

    def release_taken(self) -> None:
        """Release the newly owned values of a refused request."""
        for space, value in self._newly_owned:
            self._storage.release(space, value)

    def get(self, table: str, key: Item) -> Item | None:
        """See ``GuardView``."""
        stored_table = self._tables(table)
        encoded = stored_table.encoded_key(key)
        if (stored_table.id, encoded) in self._items:
            return self._items[stored_table.id, encoded]
        row = stored_table.rows.get(encoded)
        return None if row is None else orjson.loads(row[2])

    def owner(self, space: str, value: bytes) -> bytes | None:
        """See ``GuardView``."""
        space = self._spaces + space
        return self._owners[space, value] if (space, value) in self._owners else self._storage.owner(space, value)

    def own(self, space: str, value: bytes, owner: bytes) -> bytes | None:
        """See ``GuardView``."""
        space = self._spaces + space
        if (space, value) in self._owners:
            present = self._owners[space, value]
            if present is None:
                self._owners[space, value] = owner
            return present
        present = self._storage.own(space, value, owner)
        if present is None:
            self._newly_owned.append((space, value))
        return present

    def set_owner(self, space: str, value: bytes, owner: bytes) -> None:
        """See ``GuardView``."""
        self._owners[self._spaces + space, value] = owner

    def release(self, space: str, value: bytes) -> None:
        """See ``GuardView``."""
        self._owners[self._spaces + space, value] = None

    def scan(self, table: str) -> Iterator[Item]:
        """See ``GuardView``."""
        stored_table = self._tables(table)
        written = {key: item for (table_id, key), item in self._items.items() if table_id == stored_table.id}
        kept = ((key, orjson.loads(body)) for _, key, _, body in stored_table.rows.all_rows() if key not in written)
        return iter([item for _, item in sorted([*kept, *written.items()], key=_by_key) if item is not None])


def _by_key(keyed: tuple[bytes, Item | None]) -> bytes:
    return keyed[0]
