"""Build the lake: read every row of the store by a scan. The age of the table does not matter.

    position ──► scan all rows ──► changes since the position, each a suspect ──► built at the end of the changes

The position is taken first, so a row that changes during the scan is read again as a change. A store with few rows is
built in memory and needs no lake. Otherwise the final rows go to the lake by month, without a position: a build that
died begins again.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from bursar.reports.lake.rows import plain_rows
from bursar.reports.tail.found_rows import FoundRows
from bursar.reports.tail.scan import found_pages
from bursar.reports.tail.sources import FOUND_ORDER, ChangeSource, RowChange
from bursar.reports.tail.tail import Tail

BATCH_ROWS_MAX: Final = 50_000
"""The most rows in memory before they are moved to the lake."""

Relieve = Callable[[Tail], Awaitable[None]]
"""A function that moves the rows of a tail to the lake that is being built."""
Fill = Callable[[FoundRows], Awaitable[bool]]
"""A function that writes rows to the lake that is being built. It returns False if they must stay in memory."""


class Resolve(Protocol):
    """A function that asks the lake for the suspects of a tail."""

    async def __call__(self, tail: Tail) -> None:
        """Resolve the suspects of ``tail``."""
        ...


async def build(source: ChangeSource, folder: Path | None, fill: Fill, relieve: Relieve, resolve: Resolve) -> Tail:
    """Return a tail whose lake, if any, holds every row that the tail does not.

    ``folder``: where to keep found rows until the scan ends. Raises the store's errors and those of the functions.
    """
    begun = await source.position()
    tail = Tail.at(begun)
    with FoundRows(folder) as found:
        async for page in found_pages(source, begun.order):
            tail.put_found(page.others)
            found.add(page.finals)
        if found.row_count <= BATCH_ROWS_MAX or not await fill(found):
            for schema, rows in found.tables():
                tail.put_found(
                    RowChange(schema, schema.key_of(row), row, FOUND_ORDER) for row in plain_rows(schema, rows)
                )
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
