"""Make the new store of a generated history under a temporary name, and move it to its place when it is complete."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import apsw

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.generate.calendar import HistoryDay
from bursar.bootstrap.generate.history import Generated, HistoryPlan, write_history
from bursar.bootstrap.up import BOOKS_FILE
from bursar.dynamo.clients.store import file_of
from bursar.dynamo.storage.sqlite_file import MEMORY
from bursar.paygov.simulator import Books, BooksError
from bursar.private_files import make_private_folder
from bursar.settings import Settings
from bursar.startup import CannotStart

FILLING: Final = "generating"
"""The folder beside the store's place in which the new store is filled."""


def generate_store(
    plan: HistoryPlan,
    settings: Settings,
    on_day: Callable[[HistoryDay], None],
    *,
    processes: int | None = None,
) -> Generated:
    """Make the store of ``settings`` with the history, and the matching books of the simulator.

    Raise :class:`CannotStart`.

    The store, its lake and the books must not exist: a made-up history is never mixed with other payments.
    """
    store = file_of(settings.store_url)
    if store is None or store == MEMORY:
        raise CannotStart(f"{settings.store_setting}: must be a file for a generated history; got {settings.store_url}")
    final, books = Path(store), Path(settings.data) / BOOKS_FILE
    lake = file_of(settings.lake_url)
    for path in (final, books, *([] if lake is None else [Path(lake)])):
        if path.exists():
            raise CannotStart(f"{path} exists: a made-up history needs a new folder (--data)")
    filling = final.parent / FILLING
    try:
        make_private_folder(final.parent)
        make_private_folder(books.parent)
        shutil.rmtree(filling, ignore_errors=True)  # left by an interrupted run
        make_private_folder(filling)
        return _filled(plan, settings, filling / final.name, final, books, on_day, processes)
    except (OSError, apsw.Error, BooksError) as error:
        raise CannotStart(f"the history cannot be written: {error}") from error
    finally:
        shutil.rmtree(filling, ignore_errors=True)


def _filled(
    plan: HistoryPlan,
    settings: Settings,
    part: Path,
    final: Path,
    books_path: Path,
    on_day: Callable[[HistoryDay], None],
    processes: int | None,
) -> Generated:
    partial = replace(settings, store=f"file:{part}", development_client=True)
    asyncio.run(_make_table(partial))
    part_of_books = part.parent / BOOKS_FILE
    books = Books(part_of_books)
    try:
        made = write_history(plan, part, settings.table, books, on_day, processes=processes)
    finally:
        books.close()
    asyncio.run(_make_table(partial))  # opening restores WAL mode, and checks the store
    part_of_books.rename(books_path)
    part.rename(final)
    return made


async def _make_table(settings: Settings) -> None:
    """Make the table and its rules, or open the table that exists."""
    async with Composition(settings) as parts:
        await parts.ledger()
