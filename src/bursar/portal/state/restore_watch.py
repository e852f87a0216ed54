"""Remember the restores of the store in one process: they are read once, and again while a restore mark is open.

Without a mark, which is the usual case, a process reads them only once.
"""

import asyncio
from typing import Final

from bursar.clock import Clock
from bursar.payments.ledger.store_records.restores import RestoreMark, RestoreRecords, Restores
from bursar.payments.records import partition_key

READ_AGAIN_AFTER_S: Final = 10.0
"""How soon a process notices that an operator has cleared the mark."""
LOST_LOOKUPS_AT_ONCE_MAX: Final = 16
"""The most concurrent questions of one process about lost attempts."""
CHECKED_MAX: Final = 100_000
"""The most obligations that a process remembers as checked."""


class RestoreWatch:
    """The restore marks and lost collections of the store, as this process read them last."""

    def __init__(self, records: RestoreRecords, clock: Clock) -> None:
        self.lookups = asyncio.Semaphore(LOST_LOOKUPS_AT_ONCE_MAX)
        self._records = records
        self._clock = clock
        self._known: Restores | None = None
        self._open_mark: RestoreMark | None = None
        self._read_at = 0.0
        self._checked: set[str] = set()

    async def state(self) -> Restores:
        """Return the restores as the store has them. Raises the store's errors."""
        known = self._known
        if known is None or (self._open_mark is not None and self._clock() - self._read_at >= READ_AGAIN_AFTER_S):
            before, mark_before = known, self._open_mark
            known = await self._records.read()
            self._known, self._open_mark, self._read_at = known, known.open_mark, self._clock()
            if before is not None and mark_before != self._open_mark:
                self._checked.clear()
        return known

    async def needs_care(self) -> bool:
        """Return whether a restore mark is open or lost collections are recorded; False in the usual case."""
        state = await self.state()
        return self._open_mark is not None or bool(state.lost)

    async def open_mark(self) -> RestoreMark | None:
        """Return the restore open mark; None in the usual case. Raises the store's errors."""
        await self.state()
        return self._open_mark

    @property
    def last_open_mark(self) -> RestoreMark | None:
        """The open mark when the store was last read."""
        return self._open_mark

    def is_checked(self, client: str, reference: str) -> bool:
        """Return whether this process has asked Pay.gov about the obligation since the restore."""
        return partition_key(client, reference) in self._checked

    def remember_checked(self, client: str, reference: str) -> None:
        """Remember that Pay.gov has no lost attempt of the obligation, and can have none any more."""
        if len(self._checked) >= CHECKED_MAX:
            self._checked.clear()
        self._checked.add(partition_key(client, reference))
