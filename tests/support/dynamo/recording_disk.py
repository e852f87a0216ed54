"""A disk that can lose power or be full at any moment: a SQLite VFS under the engine.

    write ─ write ─ SYNC ─ ack 1 ─ write ─ write ─ SYNC ─ ack 2 ─ write ┄ cut
    └── certain ──────┘            └── certain ──────┘             └─ each may be there, be missing, or be half there

SQLite's locking and shared memory use the real VFS below. Only writes, truncations and syncs are recorded.
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
    """Bytes written at an offset."""

    file: str
    offset: int
    content: bytes


@dataclass(frozen=True)
class Cut:
    """A file truncated to this length."""

    file: str
    size: int


@dataclass(frozen=True)
class Gone:
    """A deleted file."""

    file: str


@dataclass(frozen=True)
class Synced:
    """A sync: all earlier writes to the file are certain."""

    file: str


@dataclass(frozen=True)
class Noted:
    """A mark of the test, such as an acknowledgement."""

    number: int


Event = Written | Cut | Gone | Synced | Noted
Journal = list[Event]


class RecordingDisk(apsw.VFS):
    """SQLite's default VFS while it is open; ``before_write`` may raise the disk's error."""

    def __init__(self, name: str, before_write: Callable[[], None] = lambda: None) -> None:
        self.journal: Journal = []
        self.before_write = before_write
        self.below = apsw.vfs_names()[0]
        super().__init__(name, self.below, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the name is apsw's
        return _File(self, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:  # noqa: N802 - the name is apsw's
        self.journal.append(Gone(Path(name).name))
        super().xDelete(name, sync_folder)

    def note(self, number: int) -> None:
        self.journal.append(Noted(number))


class _File(apsw.VFSFile):
    def __init__(self, disk: RecordingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
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
    """Record every SQLite file that is opened inside the context."""
    disk = RecordingDisk(name, before_write)
    try:
        yield disk
    finally:
        disk.unregister()


def after_power_loss(journal: Journal, at: int, randomness: random.Random) -> dict[str, bytes]:
    """Return the files after a power loss at event ``at``: the synced writes, and a random part of the others."""
    synced = _last_syncs(journal[:at])
    files: dict[str, bytearray] = {}
    for position, event in enumerate(journal[:at]):
        if isinstance(event, Noted | Synced):
            continue
        # A folder is synced with the first sync of a new file in it, as SQLite does for its WAL.
        certain = max(synced.values()) if isinstance(event, Gone) else synced.get(event.file, -1)
        stays = _stays(position < certain, randomness)
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
    """Return the position of the last sync of each file."""
    return {event.file: position for position, event in enumerate(journal) if isinstance(event, Synced)}


def _stays(certain: bool, randomness: random.Random) -> Callable[[], bool]:
    return lambda: certain or randomness.random() < 0.5


def _put(file: bytearray, offset: int, content: bytes) -> None:
    if len(file) < offset:
        file.extend(bytes(offset - len(file)))
    file[offset : offset + len(content)] = content
