"""Branches and snapshots of a store's file: independent copies, instant where the file system shares blocks.

    portal.db ──branch──► b.db                               any file
    portal.db ──snapshot──► portal.db.snapshots/NAME.db ──rollback──► portal.db

A branch is made under SQLite's write lock, so that the file and its WAL together are one committed state: a clone of
both (FICLONE on Linux: btrfs, xfs, bcachefs) takes no time, and SQLite merges the clone's WAL into it. Elsewhere the
file is copied. A rollback writes the snapshot's pages into the open store in one transaction. Servers continue, and
read the definitions again.
"""

import errno
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw

from bursar.dynamo.storage.sqlite_file import SQLITE_FILES, Storage, StoreFormatError, wait_while_busy
from bursar.dynamo.tools.store_copies import (
    CopyProgress,
    CopyRefused,
    copy_store,
    partial_file,
    put_in_place,
)

FICLONE: Final = 0x40049409
"""Linux's request to share a file's blocks with another file (linux/fs.h)."""
SNAPSHOTS: Final = ".snapshots"
PAGES_PER_STEP: Final = 10_000
VERSIONS_AHEAD: Final = 1_000
"""A rollback adds this to the catalogue's version.

It is more than the changes that other processes can make meanwhile.
"""
NOT_SHARED: Final = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS})

Clone = Callable[[Path, Path], bool]
"""A function that clones a file into an existing empty one, or returns False if the file system cannot."""


def clone_file(source: Path, target: Path) -> bool:
    """Share the blocks of ``source`` with ``target``; return False if the file system cannot. Raises ``OSError``."""
    if sys.platform != "linux":
        return False
    import fcntl

    with source.open("rb") as read, target.open("r+b") as written:
        try:
            fcntl.ioctl(written.fileno(), FICLONE, read.fileno())
        except OSError as error:
            if error.errno in NOT_SHARED:
                return False
            raise
    return True


def branch(source: Path, target: Path, progress: CopyProgress, *, clone: Clone = clone_file) -> bool:
    """Make ``target`` an independent copy of the committed state of ``source``; return whether it was cloned.

    Other processes may use the store; they cannot write while it is cloned. Raises :class:`CopyRefused`.
    """
    with partial_file(target) as partial:
        cloned = _cloned(source, partial, clone)
        if not cloned:
            copy_store(source, partial, progress)
        put_in_place(partial, target)
    return cloned


def _cloned(source: Path, partial: Path, clone: Clone) -> bool:
    try:
        with closing(apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READWRITE)) as lock:
            lock.set_busy_handler(wait_while_busy)  # SQLite's own waits of 100 ms miss a busy writer's pauses
            lock.execute("BEGIN IMMEDIATE")
            if not clone(source, partial):
                return False
            wal, copied_wal = Path(f"{source}-wal"), Path(f"{partial}-wal")
            if wal.exists() and wal.stat().st_size:
                copied_wal.touch(mode=0o600)
                if not clone(wal, copied_wal):
                    copied_wal.unlink()
                    return False
        with closing(apsw.Connection(str(partial), flags=apsw.SQLITE_OPEN_READWRITE)) as copy:
            copy.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except apsw.Error as error:
        raise CopyRefused(f"{source} cannot be cloned to {partial}: {error}") from error
    for ending in SQLITE_FILES[1:]:
        Path(f"{partial}{ending}").unlink(missing_ok=True)
    return True


# Snapshots ----------------------------------------------------------------------------------------------------


def snapshot_path(store: Path, name: str) -> Path:
    """Return the file of a snapshot. Raises :class:`CopyRefused` for a name that cannot be a file name."""
    if not name or name.startswith(".") or Path(name).name != name:
        raise CopyRefused(f"snapshot: must be a plain name; got {name!r}")
    return store.with_name(store.name + SNAPSHOTS) / f"{name}.db"


def snapshot_names(store: Path) -> list[str]:
    """Return the names of a store's snapshots, sorted."""
    return sorted(path.stem for path in store.with_name(store.name + SNAPSHOTS).glob("*.db"))


def take_snapshot(store: Path, name: str, progress: CopyProgress) -> Path:
    """Keep the committed state of a store under a name; return its file. Raises :class:`CopyRefused`."""
    path = snapshot_path(store, name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    branch(store, path, progress)
    return path


def remove_snapshot(store: Path, name: str) -> None:
    """Remove a snapshot. Raises :class:`CopyRefused` if there is none."""
    _existing(store, name).unlink()


def roll_back(store: Path, name: str, progress: CopyProgress) -> None:
    """Restore the state of a snapshot into a store, in one transaction. Raises :class:`CopyRefused`.

    Servers may have the store open: their next request sees the snapshot's tables.
    """
    snapshot = _existing(store, name)
    with partial_file(snapshot.with_suffix(".rollback")) as copy:
        if not clone_file(snapshot, copy):
            copy_store(snapshot, copy, progress)
        try:
            with closing(Storage(str(store))) as target, closing(Storage(str(copy))) as source:
                version = max(target.catalogue_version(), source.catalogue_version()) + VERSIONS_AHEAD
                source.connection.execute("UPDATE catalogue_version SET version = ?", (version,))
                _copy_pages(source.connection, target.connection, progress)
        except (apsw.Error, StoreFormatError) as error:
            raise CopyRefused(f"{store} cannot be rolled back: {error}") from error


def _copy_pages(source: apsw.Connection, target: apsw.Connection, progress: CopyProgress) -> None:
    with target.backup("main", source, "main") as backup:
        while not backup.done:
            backup.step(PAGES_PER_STEP)
            progress(backup.page_count - backup.remaining, backup.page_count)


def _existing(store: Path, name: str) -> Path:
    path = snapshot_path(store, name)
    if not path.is_file():
        known = ", ".join(snapshot_names(store)) or "none"
        raise CopyRefused(f"there is no snapshot {name}; there are: {known}")
    return path
