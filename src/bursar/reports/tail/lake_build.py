"""Build the lake: read every row of the store by a scan. The age of the table does not matter.

    position ──► scan all rows ──► changes since the position, each a suspect ──► built at the end of the changes

The position is taken first, so a row that changes during the scan is read again as a change. A store with few rows is
built in memory and needs no lake. Otherwise rows go to the lake in batches, without a position: a build that died
begins again.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from bursar.reports.tail.sources import ChangeSource
from bursar.reports.tail.tail import Tail

BATCH_ROWS_MAX: Final = 50_000
"""The most rows in memory before they are moved to the lake."""

Relieve = Callable[[Tail], Awaitable[None]]
"""A function that moves the rows of a tail to the lake that is being built."""


class Resolve(Protocol):
    """A function that asks the lake for the suspects of a tail."""

    async def __call__(self, tail: Tail) -> None:
        """Resolve the suspects of ``tail``."""
        ...


async def build(source: ChangeSource, relieve: Relieve, resolve: Resolve) -> Tail:
    """Return a tail whose lake, if any, holds every row that the tail does not.

    Raises the store's errors and those of ``relieve`` and ``resolve``.
    """
    begun = await source.position()
    tail = Tail.at(begun)
    async for page in source.scan():
        tail.put_found(page)
        if tail.final_rows > BATCH_ROWS_MAX:
            await relieve(tail)
    # Until here, a change may be of a row that the scan has read, so it is not known to be new.
    scanned = await source.position()
    tail.positions = dict.fromkeys(tail.positions, scanned)
    async for changes in source.changes(begun):
        tail.apply(changes.changes)
        await resolve(tail)
        tail.position = changes.position
        if tail.final_rows > BATCH_ROWS_MAX:
            await relieve(tail)
    return tail
