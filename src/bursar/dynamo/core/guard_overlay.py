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
from bursar.dynamo.storage.table import Table, Write


class PendingWrites:
    """One request's writes, and the unique values that guards claim and release for them."""

    def __init__(self, storage: Storage, tables: Callable[[str], Table], writes: Sequence[Write]) -> None:
        self.storage = storage
        self.tables = tables
        self.items: dict[tuple[int, bytes], Item | None] = {(one.table.id, one.key): one.new for one in writes}
        self.owners: dict[tuple[str, bytes], bytes | None] = {}
        """Who will hold a value; None for nobody."""
        self.taken: list[tuple[str, bytes]] = []
        """Values that nobody held, and that are in the file already for whoever took them."""

    def view(self, guarded: Table) -> "PendingView":
        """What the guard of the table ``guarded`` may read and keep."""
        return PendingView(self, guarded)

    def keep_owners(self) -> None:
        """Writes what was claimed and released."""
        for (space, value), owner in self.owners.items():
            if owner is None:
                self.storage.release_value(space, value)
            else:
                self.storage.claim(space, value, owner)

    def give_back(self) -> None:
        """The request is refused: frees what was taken for it."""
        for space, value in self.taken:
            self.storage.release_value(space, value)


class PendingView(TransactionView):
    """The ``GuardView`` of one guarded table over the open transaction and the writes about to be made in it."""

    def __init__(self, pending: PendingWrites, guarded: Table) -> None:
        super().__init__(pending.storage, pending.tables, guarded)
        self._pending = pending

    def get(self, table: str, key: Item) -> Item | None:
        """See ``GuardView``."""
        of = self._tables(table)
        encoded = of.key_of(key)[1]
        items = self._pending.items
        if (of.id, encoded) in items:
            return items[of.id, encoded]
        row = of.rows.get(encoded)
        return None if row is None else orjson.loads(row[2])

    def owner(self, space: str, value: bytes) -> bytes | None:
        """See ``GuardView``."""
        held = self._space(space), value
        owners = self._pending.owners
        return owners[held] if held in owners else self._storage.owner(*held)

    def take(self, space: str, value: bytes, owner: bytes) -> bytes | None:
        """See ``GuardView``."""
        held = self._space(space), value
        owners = self._pending.owners
        if held in owners:
            present = owners[held]
            if present is None:
                owners[held] = owner
            return present
        present = self._storage.take(*held, owner)
        if present is None:
            self._pending.taken.append(held)
        return present

    def claim(self, space: str, value: bytes, owner: bytes) -> None:
        """See ``GuardView``."""
        self._pending.owners[self._space(space), value] = owner

    def release(self, space: str, value: bytes) -> None:
        """See ``GuardView``."""
        self._pending.owners[self._space(space), value] = None

    def scan(self, table: str) -> Iterator[Item]:
        """See ``GuardView``."""
        of = self._tables(table)
        written = {key: item for (table_id, key), item in self._pending.items.items() if table_id == of.id}
        kept = ((key, orjson.loads(body)) for _, key, body in of.rows.everything() if key not in written)
        return iter([item for _, item in sorted([*kept, *written.items()], key=_by_key) if item is not None])


def _by_key(keyed: tuple[bytes, Item | None]) -> bytes:
    return keyed[0]
