"""Remember which items the last requests have written, as if their transactions were still in progress."""

from collections import Counter, OrderedDict
from typing import Final

from bursar.dynamo.storage.table import Table

ITEMS_MAX: Final = 10_000


class RecentWrites:
    """The last writes of items, by the number of the table's write request: no clock is involved."""

    def __init__(self) -> None:
        self._requests: Counter[int] = Counter()
        self._written: OrderedDict[tuple[int, bytes], tuple[int, bool]] = OrderedDict()

    def begin(self, table: Table) -> None:
        """Count a request that writes to a table, whether or not it is refused."""
        self._requests[table.id] += 1

    def note(self, table: Table, key: bytes, *, transactional: bool) -> None:
        """Note that the present request has written an item."""
        self._written[table.id, key] = (self._requests[table.id], transactional)
        self._written.move_to_end((table.id, key))
        if len(self._written) > ITEMS_MAX:
            self._written.popitem(last=False)

    def is_contended(self, table: Table, key: bytes, requests: int, *, by_transaction: bool) -> bool:
        """Return whether one of the last ``requests`` requests wrote the item; optionally, only in a transaction."""
        written = self._written.get((table.id, key))
        if written is None:
            return False
        number, transactional = written
        return self._requests[table.id] - number <= requests and (transactional or not by_transaction)
