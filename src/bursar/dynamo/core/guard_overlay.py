"""What a guard sees of a request's writes before they are applied: the file, with the writes laid over it.

A guard judges what the table would become (see :mod:`bursar.dynamo.core.guards`). No item is written until it has, so
that a
refusal has only the unique values to give back that were taken for the request: that costs no savepoint, and no page
is copied for one.
"""

from collections.abc import Callable, Iterator, Sequence

import orjson

from bursar.dynamo.core.guards import TransactionView
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import ItemWrite, Table


class GuardOverlay:
    """One request's writes, and the unique values that guards claim and release for them."""

    def __init__(self, storage: Storage, tables: Callable[[str], Table], writes: Sequence[ItemWrite]) -> None:
        self.storage = storage
        self.tables = tables
        self.items: dict[tuple[int, bytes], Item | None] = {(one.table.id, one.key): one.new for one in writes}
        self.owners: dict[tuple[str, bytes], bytes | None] = {}
        """Who will hold a value; None for nobody."""
        self.newly_owned: list[tuple[str, bytes]] = []
        """Values that nobody held, and that are in the file already for whoever took them."""

    def view(self, guarded: Table) -> "OverlayView":
        """What the guard of the table ``guarded`` may read and keep."""
        return OverlayView(self, guarded)

    def write_owners(self) -> None:
        """Writes what was claimed and released."""
        for (space, value), owner in self.owners.items():
            if owner is None:
                self.storage.release(space, value)
            else:
                self.storage.set_owner(space, value, owner)

    def release_taken(self) -> None:
        """The request is refused: frees what was taken for it."""
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
        encoded = stored_table.key_of(key)[1]
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
