"""Detect at start that the store went back in time because it was replaced by a copy.

    bursar.db              has a number, the generation, that only grows
    bursar.db.generation   has the generation that the store had when this file was written

The store's number is raised first and then noted in the file. So the file's number is higher only if the store is older
than the file: it was restored by hand. A process that dies between the two leaves a lower number in the file, which is
harmless. The number is raised at each start and stop, after each backup, and once a minute while the process writes to
the store.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from bursar.payments.ledger.ledger import Ledger
from bursar.payments.ledger.store_records.restores import FOUND_AT_START, RestoreMark
from bursar.private_files import create_private

ENDING: Final = ".generation"
RAISE_INTERVAL_S: Final = 60.0

_log = logging.getLogger(__name__)


class Generations:
    """The generation of the embedded store at ``store_path``, inside and outside of it."""

    def __init__(self, ledger: Ledger, store_path: str) -> None:
        self._ledger = ledger
        self._store_path = store_path

    async def mark_if_behind(self) -> RestoreMark | None:
        """Mark the store as restored if its number is below the one in the file; return the new mark or None.

        Raises ``LedgerBusy`` and the store's errors.
        """
        outside = outside_of(self._store_path)
        if (await self._ledger.restores.read()).generation >= outside:
            return None
        return await self._ledger.mark_restored(FOUND_AT_START, outside=outside, only_if_behind=True)

    async def raise_and_note(self) -> None:
        """Raise the store's number, then write it to the file. Raises the store's errors; logs errors of the file."""
        number = await self._ledger.restores.raise_generation()
        if number is not None and number > outside_of(self._store_path):
            note_outside(self._store_path, number)

    async def raise_if_possible(self) -> None:
        """Call :meth:`raise_and_note`, and log a failure of the store: the next minute or start tries again."""
        try:
            await self.raise_and_note()
        except Exception as error:  # a failure of the disk must not stop the process or its orderly end
            _log.warning("the generation of the store could not be raised: %r", error)

    async def keep_raising(self, rows_changed: Callable[[], int]) -> None:
        """Raise the number every ``RAISE_INTERVAL_S`` until cancelled, if ``rows_changed`` has grown since.

        ``rows_changed`` returns the number of rows that this process has changed in the store.
        """
        noted = rows_changed()
        while True:
            await asyncio.sleep(RAISE_INTERVAL_S)
            if rows_changed() == noted:
                continue
            await self.raise_if_possible()
            noted = rows_changed()


def outside_of(store_path: str) -> int:
    """Return the number in the file beside the store; 0 if there is none.

    An unreadable file is reported and counts as 0.
    """
    path = Path(store_path + ENDING)
    try:
        return int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read, so a store that was restored by hand is not noticed: %s", path, error)
        return 0


def note_outside(store_path: str, number: int) -> None:
    """Write the number of the store to the file beside it: either completely or not at all, also if the machine stops.

    An error is only logged, because nothing else depends on the file.
    """
    path = Path(store_path + ENDING)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        partial.unlink(missing_ok=True)
        create_private(partial)
        with partial.open("w", encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        _log.warning("%s cannot be written, so a store that is restored by hand is not noticed: %s", path, error)
        with suppress(OSError):
            partial.unlink(missing_ok=True)
