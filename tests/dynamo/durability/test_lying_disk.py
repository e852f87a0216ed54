"""On a disk that fails writes and syncs, and loses power, no acknowledged write is lost unless the disk lied.

``python -m tests.disk --crashes 10000`` crashes more often, and prints its totals.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.disk.__main__ import ROOT
from tests.disk.journal import Journal, Kind, Record, Truth, acknowledged, after_power_loss, lied

CRASHES = int(os.environ.get("DISK_CRASHES", "100"))
LYING_CRASHES = 15
FIRST_SEED = 1
needs_preload = pytest.mark.skipif(
    sys.platform != "linux" or (shutil.which("gcc") is None and not os.environ.get("CI")),
    reason="the library of the disk needs Linux and gcc (tools/install-spin)",
)


def crashes(*options: str) -> dict[str, Any]:
    command = (sys.executable, "-m", "tests.disk", "--json", "--first", str(FIRST_SEED), *options)
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@needs_preload
def test_no_acknowledged_write_is_lost_on_a_disk_that_fails() -> None:
    found = crashes("--crashes", str(CRASHES), "--lying", "never")
    assert found["examples"] == []
    assert found["lost or damaged without a lie"] == 0
    assert found["acknowledged writes"] > CRASHES
    assert {"sync failed", "write failed", "write shortened"} <= set(found["faults"])
    assert 0 < found["power losses"] < CRASHES


@needs_preload
def test_the_same_judge_finds_losses_on_a_disk_that_lies() -> None:
    found = crashes("--crashes", str(LYING_CRASHES), "--lying", "always")
    assert found["lost or damaged after a lie"] > 0
    assert found["examples"] == []


NAME = Record(Kind.OPENED, Truth.HONEST, 1, 0, b"store.db")


def written(offset: int, data: bytes, truth: Truth = Truth.HONEST) -> Record:
    return Record(Kind.WRITTEN, truth, 1, offset, data)


def synced(truth: Truth = Truth.HONEST) -> Record:
    return Record(Kind.SYNCED, truth, 1, 0, b"")


def ends(journal: Journal) -> set[bytes]:
    """Return every content of the file that a power loss can leave, as far as 50 tries show."""
    return {
        after_power_loss({"store.db": b"old"}, [NAME, *journal], random.Random(seed))["store.db"] for seed in range(50)
    }


def test_a_synced_write_is_certain_and_another_may_be_lost() -> None:
    assert ends([written(0, b"new"), synced()]) == {b"new"}
    assert ends([written(0, b"new")]) == {b"new", b"old"}


def test_a_sync_that_lied_makes_nothing_certain_and_one_that_failed_gives_its_writes_up() -> None:
    assert ends([written(0, b"new"), synced(Truth.LIED)]) == {b"new", b"old"}
    assert ends([written(0, b"new"), synced(Truth.LIED), synced()]) == {b"new"}
    assert ends([written(0, b"new"), synced(Truth.FAILED), synced()]) == {b"new", b"old"}


def test_a_dropped_write_never_arrives() -> None:
    journal = [written(0, b"new", Truth.LIED), synced()]
    assert ends(journal) == {b"old"}
    assert lied(journal)


def test_a_truncated_or_removed_file_is_certain_after_a_sync() -> None:
    assert ends([Record(Kind.TRUNCATED, Truth.HONEST, 1, 1, b""), synced()]) == {b"o"}
    gone = [NAME, Record(Kind.REMOVED, Truth.HONEST, 1, 0, b""), synced()]
    assert after_power_loss({"store.db": b"old"}, gone, random.Random(1)) == {}


def test_the_last_note_of_a_writer_is_what_it_acknowledged() -> None:
    notes = [Record(Kind.NOTED, Truth.HONEST, 2, number, b"") for number in (5, 6)]
    assert acknowledged(notes) == {2: 6}
