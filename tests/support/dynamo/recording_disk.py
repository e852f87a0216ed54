"""A disk that can be cut off or run full at any moment: a SQLite VFS under the engine.

    write ─ write ─ SYNC ─ ack 1 ─ write ─ write ─ SYNC ─ ack 2 ─ write ┄ cut
    └── certain ──────┘            └── certain ──────┘             └─ each may be there, be missing, or be half there

SQLite's own locking and shared memory go to the real VFS below; only what is written, cut and synced is watched.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

SECTOR_BYTES = 512


@dataclass(frozen=True)
class Written:
    """Bytes put at an offset."""

    file: str
    offset: int
    content: bytes


@dataclass(frozen=True)
class Cut:
    """A file made this long."""

    file: str
    size: int


@dataclass(frozen=True)
class Gone:
    """A file removed."""

    file: str


@dataclass(frozen=True)
class Synced:
    """All that was written to the file before is certain."""

    file: str


@dataclass(frozen=True)
class Noted:
    """The test's own mark, such as an acknowledgement."""

    number: int


Event = Written | Cut | Gone | Synced | Noted
Journal = list[Event]


class RecordingDisk(apsw.VFS):
    """SQLite's default VFS while it is open; ``before_write`` may raise what the disk answers."""

    def __init__(self, name: str, before_write: Callable[[], None] = lambda: None) -> None:
        self.journal: Journal = []
        self.before_write = before_write
        self.below = apsw.vfs_names()[0]
        super().__init__(name, self.below, makedefault=True)

    def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the name is apsw's
        return _File(self, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:  # noqa: N802 - the name is apsw's
        self.journal.append(Gone(Path(name).name))
        super().xDelete(name, sync_folder)

    def note(self, number: int) -> None:
        self.journal.append(Noted(number))


class _File(apsw.VFSFile):
    def __init__(self, disk: RecordingDisk, name: object, flags: list[int]) -> None:
        super().__init__(disk.below, name, flags)
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(str(path)).name

    def xWrite(self, content: bytes, offset: int) -> None:  # noqa: N802 - the name is apsw's
        self._disk.before_write()
        self._disk.journal.append(Written(self._name, offset, bytes(content)))
        super().xWrite(content, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802 - the name is apsw's
        self._disk.journal.append(Cut(self._name, size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802 - the name is apsw's
        self._disk.before_write()
        super().xSync(flags)
        self._disk.journal.append(Synced(self._name))


@contextmanager
def recording(name: str, before_write: Callable[[], None] = lambda: None) -> Iterator[RecordingDisk]:
    """Every SQLite file that is opened inside is on this disk."""
    disk = RecordingDisk(name, before_write)
    try:
        yield disk
    finally:
        disk.unregister()


def after_power_loss(journal: Journal, at: int, luck: random.Random) -> dict[str, bytes]:
    """What the files hold when the power goes after event ``at``: what was synced, and what luck left of the rest."""
    synced = _last_syncs(journal[:at])
    files: dict[str, bytearray] = {}
    for position, event in enumerate(journal[:at]):
        if isinstance(event, Noted | Synced):
            continue
        # A folder is synced with the first sync of a file that is new in it, as SQLite's WAL is.
        certain = max(synced.values()) if isinstance(event, Gone) else synced.get(event.file, -1)
        stays = _stays(position < certain, luck)
        if isinstance(event, Written):
            for start in range(0, len(event.content), SECTOR_BYTES):
                if stays():
                    sector = event.content[start : start + SECTOR_BYTES]
                    _put(files.setdefault(event.file, bytearray()), event.offset + start, sector)
        elif stays():
            if isinstance(event, Cut):
                del files.setdefault(event.file, bytearray())[event.size :]
            else:
                files.pop(event.file, None)
    return {name: bytes(content) for name, content in files.items()}


def _last_syncs(journal: Journal) -> dict[str, int]:
    """Where each file was last synced."""
    return {event.file: position for position, event in enumerate(journal) if isinstance(event, Synced)}


def _stays(certain: bool, luck: random.Random) -> Callable[[], bool]:
    return lambda: certain or luck.random() < 0.5


def _put(file: bytearray, offset: int, content: bytes) -> None:
    if len(file) < offset:
        file.extend(bytes(offset - len(file)))
    file[offset : offset + len(content)] = content
