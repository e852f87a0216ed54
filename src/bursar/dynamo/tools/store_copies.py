"""Copies of a store's file: consistent while other processes write, verified, and renamed when they are complete.

    store ──► copy under a temporary name ──► fsync, check ──► rename to the final name

The temporary file is in the folder of the final one, has mode 600, and is removed when a step fails.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from bursar.dynamo.storage.integrity_check import check_store
from bursar.dynamo.storage.sqlite_file import SQLITE_FILES, StoreFormatError, check_sqlite_version, wait_while_busy
from bursar.private_files import create_private

PAGES_PER_STEP: Final = 1_000
BYTES_PER_STEP: Final = 4 * 1024 * 1024
PROBLEMS_SHOWN_MAX: Final = 5
PARTIAL_ENDING: Final = ".partial"

CopyProgress = Callable[[int, int], None]
"""A callback with the number of copied bytes or pages, and their total."""


class CopyRefused(Exception):
    """A copy cannot be made or used. The text is one line: the file, the reason and the remedy."""


@contextmanager
def partial_file(final: Path) -> Iterator[Path]:
    """Yield the name of a new file of mode 600 beside ``final``, and remove what is left of it at the end.

    Raises :class:`CopyRefused` if ``final`` exists.
    """
    refuse_existing(final)
    partial = final.with_name(final.name + PARTIAL_ENDING)
    _remove(partial)  # left by a copy that was killed
    try:
        create_private(partial)
        yield partial
    except OSError as error:
        raise CopyRefused(f"{error.filename or partial}: {error.strerror}") from error
    finally:
        _remove(partial)


def copy_store(source: Path, target: Path, progress: CopyProgress) -> None:
    """Copy the committed state of the store at ``source`` into the empty file ``target``, by SQLite's backup API.

    Other processes may read and write the store meanwhile: a read transaction keeps the state that is copied.
    Raises :class:`CopyRefused`.
    """
    check_sqlite_version()
    flags = apsw.SQLITE_OPEN_READWRITE
    try:
        with (
            closing(apsw.Connection(str(source), flags=flags)) as read,
            closing(apsw.Connection(str(target), flags=flags)) as written,
        ):
            read.set_busy_handler(wait_while_busy)
            read.execute("BEGIN")
            read.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            with written.backup("main", read, "main") as backup:
                while not backup.done:
                    backup.step(PAGES_PER_STEP)
                    progress(backup.page_count - backup.remaining, backup.page_count)
            read.execute("ROLLBACK")
    except apsw.Error as error:
        raise CopyRefused(f"{source} cannot be copied to {target}: {error}") from error


def copy_file(source: Path, target: Path, progress: CopyProgress) -> None:
    """Copy a finished backup, which is one file, into the empty file ``target``. Raises :class:`CopyRefused`."""
    if not source.is_file():
        raise CopyRefused(f"there is no backup at {source}")
    for ending in SQLITE_FILES[1:]:
        beside = Path(f"{source}{ending}")
        if beside.exists() and beside.stat().st_size:
            raise CopyRefused(
                f"{source}: must be a finished backup, one file; got {beside.name} beside it, as of a store in use. "
                f"Make a backup of it with: BURSAR_STORE=file:{source} bursar backup FILE"
            )
    total, copied = source.stat().st_size, 0
    with source.open("rb") as read, target.open("r+b") as written:
        while piece := read.read(BYTES_PER_STEP):
            written.write(piece)
            copied += len(piece)
            progress(copied, total)


def refuse_unsound(path: Path, name: str) -> None:
    """Raise :class:`CopyRefused` unless the store at ``path`` is consistent; the message calls it ``name``."""
    try:
        problems = check_store(str(path))
    except (StoreFormatError, apsw.Error) as error:
        raise CopyRefused(f"{name}: {str(error).removeprefix(f'{path} ')}") from error
    if problems:
        shown = "; ".join(problems[:PROBLEMS_SHOWN_MAX])
        raise CopyRefused(f"{name} is damaged, {len(problems)} problems: {shown}")


def refuse_existing(final: Path) -> None:
    """Raise :class:`CopyRefused` if there is a file at ``final``, or a WAL or shm file of one."""
    found = [path for ending in SQLITE_FILES if (path := Path(f"{final}{ending}")).exists()]
    if not found:
        return
    names = " ".join(str(path) for path in found)
    if found[0] == final:
        raise CopyRefused(f"{final} exists and is never overwritten. Stop what uses it and move it away: {names}")
    raise CopyRefused(
        f"{names}: left beside {final}, which does not exist. SQLite would replay it into the new file and undo it. "
        "Move it away with the store that it belongs to"
    )


def put_in_place(partial: Path, final: Path) -> None:
    """Make the whole file durable, then give it its name. Raises :class:`CopyRefused`, ``OSError``."""
    _sync(partial)
    refuse_existing(final)
    partial.rename(final)
    _sync(final.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(partial: Path) -> None:
    for ending in SQLITE_FILES:
        with suppress(FileNotFoundError):
            Path(f"{partial}{ending}").unlink()
