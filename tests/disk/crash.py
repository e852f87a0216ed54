"""One crash of the real engine on the lying disk: a process writes until it dies, then its store is read again.

    fork ─► AsyncEngine on a file, writers ─► SIGKILL at a planned operation ─► killed: the files as they are
                                                                             └► power loss: what the log leaves
                                                  ─► check_store, then every acknowledged write

The process must run with the library of lying_disk.c preloaded.
"""

import asyncio
import contextlib
import ctypes
import os
import random
import shutil
import signal
import sys
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bursar.dynamo import AsyncEngine, DynamoError, Engine
from bursar.dynamo.storage.integrity_check import check_store
from tests.disk.journal import Journal, acknowledged, after_power_loss, injected, lied, read_journal
from tests.support.dynamo.stamps import stamped, table_of_all

STORE: Final = "store.db"
TABLE: Final = "orders"
WRITERS: Final = 4
TRANSACTION_ITEMS: Final = 3
CHECKPOINT_PAGES: Final = 30
"""Few, so that checkpoints are frequent."""
OPERATIONS: Final = (60, 600, 3000)
"""The process dies at one of its first operations on the disk, drawn up to one of these. A commit has about 40."""
WRITES_MAX: Final = 400
"""Writes of one writer, after which it stops although the process has not died."""
BODY_BYTES: Final = (60, 3000)
LYING_SHARE: Final = 0.2
"""The share of the crashes on a disk that lies."""
POWER_LOSS_SHARE: Final = 0.7
_CHANCE: Final = 65536


class Chances(ctypes.Structure):
    """The chances of one operation to fail, in 1/65536, as lying_disk.c has them."""

    _fields_ = (
        ("sync_fails", ctypes.c_uint32),
        ("sync_lies", ctypes.c_uint32),
        ("write_fails", ctypes.c_uint32),
        ("write_is_short", ctypes.c_uint32),
        ("write_is_dropped", ctypes.c_uint32),
    )


@dataclass
class Fate:
    """The result of one crash. ``problems`` is empty if the store has every acknowledged write and is whole."""

    power_loss: bool
    disk_lied: bool
    problems: list[str]
    acknowledged_writes: int
    faults: Counter[str] = field(default_factory=Counter)
    engine_failures: list[str] = field(default_factory=list)


def chances(luck: random.Random, *, lying: bool) -> Chances:
    """Return drawn chances: half of the disks fail sometimes, and a lying disk also lies."""
    failing = luck.random() < 0.5
    rate = int(luck.choice((0.002, 0.01, 0.05)) * _CHANCE)
    return Chances(
        sync_fails=rate if failing else 0,
        sync_lies=int(luck.choice((0.05, 0.5, 1.0)) * _CHANCE) if lying else 0,
        write_fails=rate if failing else 0,
        write_is_short=rate if failing else 0,
        write_is_dropped=int(luck.choice((0.0, 0.01)) * _CHANCE) if lying else 0,
    )


def new_store(folder: Path) -> None:
    """Create the store with its table in ``folder``."""
    folder.mkdir()
    engine = Engine.open(str(folder / STORE))
    engine.execute("CreateTable", table_of_all())
    engine.close()


def crash(folder: Path, work: Path, seed: int, stamp: int, *, lying: bool | None = None) -> Fate:
    """Crash a process on the store in ``folder``, whose next stamp is ``stamp``, and leave there what the crash leaves.

    ``work`` is a folder for the log and for copies. ``lying``: whether the disk lies; drawn if None.
    """
    luck = random.Random(f"crash {seed}")
    is_lying = luck.random() < LYING_SHARE if lying is None else lying
    power_loss, drawn = luck.random() < POWER_LOSS_SHARE, chances(luck, lying=is_lying)
    before = _files(folder)
    log = work / "disk.log"
    failures = _run_until_death(folder, log, seed, luck.randint(1, luck.choice(OPERATIONS)), drawn, stamp)
    journal = read_journal(log)
    if power_loss:
        _replace(folder, after_power_loss(before, journal, luck))
    return Fate(
        power_loss,
        lied(journal),
        _problems(folder, work / "judged", journal),
        sum(1 + number - stamp for number in acknowledged(journal).values()),
        injected(journal),
        failures,
    )


def _run_until_death(folder: Path, log: Path, seed: int, dies_at: int, drawn: Chances, stamp: int) -> list[str]:
    """Fork the process that writes, wait for its death, and return what it reported if an error ended it."""
    report = log.with_suffix(".error")
    report.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            library = ctypes.CDLL(None)
            library.lying_disk_arm(
                os.fsencode(folder),
                os.fsencode(log),
                ctypes.c_uint64(seed),
                ctypes.c_uint64(dies_at),
                ctypes.byref(drawn),
            )
            asyncio.run(_write(folder, library, seed, stamp))
        except BaseException:
            report.write_text(traceback.format_exc(), encoding="utf-8")
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return [report.read_text(encoding="utf-8")] if report.exists() else []


async def _write(folder: Path, library: Any, seed: int, stamp: int) -> None:
    try:
        engine = Engine.open(str(folder / STORE))
        engine._storage.connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    except (DynamoError, OSError):
        return  # the disk failed while the store was opened
    store = AsyncEngine(engine)

    async def writer(number: int) -> None:
        luck = random.Random(f"writer {seed} {number}")
        for each in range(stamp, stamp + WRITES_MAX):
            items = [
                stamped((f"w{number}-{place}", "one"), each, luck.randint(*BODY_BYTES))
                for place in range(TRANSACTION_ITEMS)
            ]
            actions = [{"Put": {"TableName": TABLE, "Item": item}} for item in items]
            with contextlib.suppress(DynamoError):  # the disk failed: nothing is acknowledged
                await store.call("TransactWriteItems", {"TransactItems": actions})
                library.lying_disk_note(number, ctypes.c_uint64(each))

    await asyncio.gather(*(writer(number) for number in range(WRITERS)))


def _problems(folder: Path, judged: Path, journal: Journal) -> list[str]:
    """Return the problems of a copy of the store: damage, lost writes, torn writes."""
    shutil.rmtree(judged, ignore_errors=True)
    shutil.copytree(folder, judged)
    path = str(judged / STORE)
    try:
        damage = check_store(path)
        return damage or _lost_or_torn(path, journal)
    except Exception as error:  # a store that cannot be opened is damaged
        return [f"{type(error).__name__}: {error}"]


def _lost_or_torn(path: str, journal: Journal) -> list[str]:
    engine = Engine.open(path)
    try:
        items: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        while not items or "LastEvaluatedKey" in page:
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if page else {}
            page = engine.execute("Scan", {"TableName": TABLE, **start})
            items += page["Items"]
            if not page["Items"]:
                break
    finally:
        engine.close()
    problems = []
    stamps: dict[str, list[int]] = {}
    for item in items:
        key, number = item["pk"]["S"], int(item["stamp"]["N"])
        stamps.setdefault(key.partition("-")[0], []).append(number)
        if item != stamped((key, "one"), number, len(item["body"]["S"])):
            problems.append(f"{key} is torn")
    for writer, found in stamps.items():
        if len(found) != TRANSACTION_ITEMS or len(set(found)) > 1:
            problems.append(f"{writer}: a transaction is torn: {found}")
    for number, last in acknowledged(journal).items():
        if max(stamps.get(f"w{number}", [-1])) < last:
            problems.append(f"w{number}: {last} was acknowledged, {stamps.get(f'w{number}')} is there")
    return problems


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def is_preloaded() -> bool:
    """Return whether the library of lying_disk.c is preloaded in this process."""
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "lying_disk_arm")
