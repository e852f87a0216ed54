"""A guard's view of a request before its writes are applied: the file, overlaid with the writes.

A guard judges the state that the request would produce (see :mod:`bursar.dynamo.core.guards`). No item is written
before the judgement, so a refusal has to release only the unique values that the request has come to own: it needs
neither a savepoint nor copies of pages.
"""

from collections.abc import Callable, Iterator, Sequence

import orjson

from bursar.dynamo.core.guards import TransactionView
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import ItemWrite, Table


class GuardOverlay:
    """One request's writes, and the unique values that guards own and release for them."""

    def __init__(self, storage: Storage, tables: Callable[[str], Table], writes: Sequence[ItemWrite]) -> None:
        self.storage = storage
        self.tables = tables
        self.items: dict[tuple[int, bytes], Item | None] = {(one.table.id, one.key): one.new for one in writes}
        self.owners: dict[tuple[str, bytes], bytes | None] = {}
        """The owner of each unique value that the request changed; None for a released one."""
        self.newly_owned: list[tuple[str, bytes]] = []
        """Values that were free before the request and are owned in the file already."""

    def view(self, guarded: Table) -> "OverlayView":
        """Return the view for the guard of the table ``guarded``."""
        return OverlayView(self, guarded)

    def write_owners(self) -> None:
        """Write the changed owners to the file."""
        for (space, value), owner in self.owners.items():
            if owner is None:
                self.storage.release(space, value)
            else:
                self.storage.set_owner(space, value, owner)

    def release_taken(self) -> None:
        """Release the newly owned values of a refused request."""
        for space, value in self.newly_owned:
            self.storage.release(space, value)


class OverlayView(TransactionView):
    """The ``GuardView`` of one guarded table over the open transaction and the writes about to be made in it."""

    def __init__(self, overlay: GuardOverlay, guarded: Table) -> None:
        super().__init__(overlay.storage, overlay.tables, guarded)
        self._overlay = overlay

    def get(self, table: str, key: Item) -> Item | None:
        """See ``GuardView``."""
        stored_table = self._tables(table)
        encoded = stored_table.encoded_key(key)
        items = self._overlay.items
        if (stored_table.id, encoded) in items:
            return items[stored_table.id, encoded]
        row = stored_table.rows.get(encoded)
        return None if row is None else orjson.loads(row[2])

    def owner(self, space: str, value: bytes) -> bytes | None:
        """See ``GuardView``."""
        space_and_value = self._space(space), value
        owners = self._overlay.owners
        return owners[space_and_value] if space_and_value in owners else self._storage.owner(*space_and_value)

    def own(self, space: str, value: bytes, owner: bytes) -> bytes | None:
        """See ``GuardView``."""
        space_and_value = self._space(space), value
        owners = self._overlay.owners
        if space_and_value in owners:
            present = owners[space_and_value]
            if present is None:
                owners[space_and_value] = owner
            return present
        present = self._storage.own(*space_and_value, owner)
        if present is None:
            self._overlay.newly_owned.append(space_and_value)
        return present

    def set_owner(self, space: str, value: bytes, owner: bytes) -> None:
        """See ``GuardView``."""
        self._overlay.owners[self._space(space), value] = owner

    def release(self, space: str, value: bytes) -> None:
        """See ``GuardView``."""
        self._overlay.owners[self._space(space), value] = None

    def scan(self, table: str) -> Iterator[Item]:
        """See ``GuardView``."""
        stored_table = self._tables(table)
        written = {key: item for (table_id, key), item in self._overlay.items.items() if table_id == stored_table.id}
        kept = ((key, orjson.loads(body)) for _, key, body in stored_table.rows.all_rows() if key not in written)
        return iter([item for _, item in sorted([*kept, *written.items()], key=_by_key) if item is not None])


def _by_key(keyed: tuple[bytes, Item | None]) -> bytes:
    return keyed[0]
