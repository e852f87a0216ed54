"""The log of the lying disk, and the files that a power loss leaves.

    write ─ write ─ SYNC ─ ack 1 ─ write ─ write ─ SYNC ─ ack 2 ─ write ┄ power loss
    └── certain ──────┘            └── certain ──────┘             └─ each sector may be there or be missing

A write is certain once its file was truly synced after it. A sync that lied makes nothing certain. After a sync that
failed, the writes before it stay uncertain, also after later syncs, as on Linux. A dropped write never arrives.
"""

import random
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

SECTOR_BYTES: Final = 512
SURVIVES: Final = 0.5
"""The probability with which a sector that is not certain survives."""
_RECORD: Final = struct.Struct("<BBHIQ")


class Kind(IntEnum):
    """The kind of a record, as lying_disk.c numbers it."""

    OPENED = 1
    WRITTEN = 2
    TRUNCATED = 3
    REMOVED = 4
    SYNCED = 5
    NOTED = 6
    WRITE_FAILED = 7
    WRITE_SHORTENED = 8


class Truth(IntEnum):
    """The fate of a write or a sync."""

    HONEST = 0
    LIED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class Record:
    """One operation. ``file`` is its number, or of a note its writer. ``offset`` is also a size or a note's number."""

    kind: Kind
    truth: Truth
    file: int
    offset: int
    data: bytes


Journal = list[Record]


def read_journal(log: Path) -> Journal:
    """Return the records in ``log``; the last one may be cut off by the death of its process."""
    content, at, found = log.read_bytes(), 0, []
    while at + _RECORD.size <= len(content):
        kind, truth, file, length, offset = _RECORD.unpack_from(content, at)
        at += _RECORD.size
        has_data = kind in (Kind.OPENED, Kind.WRITTEN)
        data = content[at : at + length] if has_data else b""
        at += len(data)
        found.append(Record(Kind(kind), Truth(truth), file, offset, data))
    return found


def acknowledged(journal: Journal) -> dict[int, int]:
    """Return the last number that each writer noted."""
    return {record.file: record.offset for record in journal if record.kind is Kind.NOTED}


def injected(journal: Journal) -> Counter[str]:
    """Return the number of faults of each kind."""
    faults: Counter[str] = Counter()
    for record in journal:
        match record.kind, record.truth:
            case Kind.SYNCED, Truth.LIED:
                faults["sync lied"] += 1
            case Kind.SYNCED, Truth.FAILED:
                faults["sync failed"] += 1
            case Kind.WRITTEN, Truth.LIED:
                faults["write dropped"] += 1
            case Kind.WRITE_FAILED, _:
                faults["write failed"] += 1
            case Kind.WRITE_SHORTENED, _:
                faults["write shortened"] += 1
    return faults


def lied(journal: Journal) -> bool:
    """Return whether the disk reported something as done that it had not done."""
    return any(record.truth is Truth.LIED for record in journal)


def after_power_loss(before: Mapping[str, bytes], journal: Journal, luck: random.Random) -> dict[str, bytes]:
    """Return the files that are left: ``before``, the certain writes, and a random part of the others."""
    files = {name: bytearray(content) for name, content in before.items()}
    names = {record.file: record.data.decode() for record in journal if record.kind is Kind.OPENED}
    certain = _certain(journal)
    for position, record in enumerate(journal):
        if record.kind not in (Kind.WRITTEN, Kind.TRUNCATED, Kind.REMOVED) or record.truth is Truth.LIED:
            continue
        name = names[record.file]
        if record.kind is Kind.WRITTEN:
            for start in range(0, len(record.data), SECTOR_BYTES):
                if position in certain or luck.random() < SURVIVES:
                    sector = record.data[start : start + SECTOR_BYTES]
                    _put(files.setdefault(name, bytearray()), record.offset + start, sector)
        elif position in certain or luck.random() < SURVIVES:
            if record.kind is Kind.TRUNCATED:
                _truncate(files.setdefault(name, bytearray()), record.offset)
            else:
                files.pop(name, None)
    return {name: bytes(content) for name, content in files.items()}


def _certain(journal: Journal) -> set[int]:
    """Return the positions of the operations that are surely on the disk."""
    certain: set[int] = set()
    waiting: dict[int, list[int]] = {}
    removed: list[int] = []
    for position, record in enumerate(journal):
        if record.kind in (Kind.WRITTEN, Kind.TRUNCATED):
            waiting.setdefault(record.file, []).append(position)
        elif record.kind is Kind.REMOVED:
            removed.append(position)
        elif record.kind is Kind.SYNCED and record.truth is not Truth.LIED:
            reached = waiting.pop(record.file, [])
            if record.truth is Truth.HONEST:
                certain.update(reached, removed)  # a removal is certain with the next sync, as SQLite syncs the folder
                removed.clear()
    return certain


def _put(file: bytearray, offset: int, content: bytes) -> None:
    if len(file) < offset:
        file.extend(bytes(offset - len(file)))
    file[offset : offset + len(content)] = content


def _truncate(file: bytearray, size: int) -> None:
    del file[size:]
    file.extend(bytes(size - len(file)))
