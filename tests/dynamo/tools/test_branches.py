"""Branches, snapshots and rollbacks: complete and independent, also beside a server that writes."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.storage.integrity_check import check_store
from bursar.dynamo.tools import branches
from bursar.dynamo.tools.branches import (
    branch,
    clone_file,
    remove_snapshot,
    roll_back,
    snapshot_names,
    take_snapshot,
)
from bursar.dynamo.tools.store_copies import CopyRefused
from tests.support.dynamo.past import TABLE, held, indexed_table
from tests.support.dynamo.tables import item, put


def no_progress(_done: int, _total: int) -> None:
    """Show nothing."""


def copying_clone(source: Path, target: Path) -> bool:
    """Copy as a file system that shares blocks would clone."""
    shutil.copyfile(source, target)
    return True


def only_the_file(source: Path, target: Path) -> bool:
    return not source.name.endswith("-wal") and copying_clone(source, target)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def stocked(path: Path) -> Engine:
    """Return an open engine: its last writes are in the WAL."""
    engine = Engine.open(str(path))
    engine.execute("CreateTable", indexed_table())
    put(engine, TABLE, *(item(pk="a", sk=str(number), n=number, state="x") for number in range(50)))
    return engine


def items_in(path: Path, table: str = TABLE) -> dict[tuple[str, str], Any]:
    engine = Engine.open(str(path))
    found = held(engine, table)
    engine.close()
    return found


@pytest.mark.parametrize(
    ("clone", "cloned"), [(clone_file, None), (copying_clone, True), (only_the_file, False), (lambda *_: False, False)]
)
def test_a_branch_is_complete_and_independent(
    stocked: Engine, path: Path, tmp_path: Path, clone: branches.Clone, cloned: bool | None
) -> None:
    target = tmp_path / "b.db"
    before = held(stocked)
    made = branch(path, target, no_progress, clone=clone)
    assert cloned in (None, made)
    put(stocked, TABLE, item(pk="later", sk="1"))
    assert items_in(target) == before
    assert check_store(str(target)) == []
    branched = Engine.open(str(target))
    put(branched, TABLE, item(pk="other", sk="1"))
    assert ("other", "1") not in held(stocked)
    assert target.stat().st_mode & 0o777 == 0o600
    assert {one.name for one in tmp_path.iterdir()} <= {
        f"{name}{ending}" for name in ("store.db", "b.db") for ending in ("", "-wal", "-shm")
    }
    branched.close()


@pytest.mark.parametrize("clone", [copying_clone, clone_file])
def test_a_branch_beside_a_writer_is_one_committed_state(
    stocked: Engine, path: Path, tmp_path: Path, clone: branches.Clone
) -> None:
    """Transactions write two items that must agree in each branch."""
    stop = threading.Event()

    def write() -> None:
        engine = Engine.open(str(path))
        number = 0
        while not stop.is_set():
            number += 1
            actions = [
                {"Put": {"TableName": TABLE, "Item": item(pk=pk, sk="pair", n=number, body="x" * 20_000)}}
                for pk in ("l", "r")
            ]
            engine.execute("TransactWriteItems", {"TransactItems": actions})
        engine.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(10):
            time.sleep(0.02)
            target = tmp_path / f"b{number}.db"
            branch(path, target, no_progress, clone=clone)
            found = items_in(target)
            pair = [found.get((pk, "pair"), {}).get("n") for pk in ("l", "r")]
            assert pair[0] == pair[1]
            assert check_store(str(target)) == []
    finally:
        stop.set()
        writer.join()


def test_an_existing_file_is_not_overwritten(stocked: Engine, path: Path, tmp_path: Path) -> None:
    (tmp_path / "b.db").write_bytes(b"mine")
    with pytest.raises(CopyRefused, match="is never overwritten"):
        branch(path, tmp_path / "b.db", no_progress)
    assert (tmp_path / "b.db").read_bytes() == b"mine"
    stocked.close()


def test_a_rollback_brings_a_snapshot_back_beside_an_open_engine(stocked: Engine, path: Path) -> None:
    before = held(stocked)
    take_snapshot(path, "seeded", no_progress)
    put(stocked, TABLE, item(pk="later", sk="1"))
    stocked.execute("CreateTable", indexed_table("later"))
    stocked.execute(
        "UpdateTable",
        {"TableName": TABLE, "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}},
    )
    roll_back(path, "seeded", no_progress)
    assert stocked.execute("ListTables", {})["TableNames"] == [TABLE]
    assert held(stocked) == before
    assert "StreamSpecification" not in stocked.execute("DescribeTable", {"TableName": TABLE})["Table"]
    put(stocked, TABLE, item(pk="after", sk="1"))
    roll_back(path, "seeded", no_progress)
    assert held(stocked) == before
    stocked.close()
    assert check_store(str(path)) == []


def test_snapshots_are_listed_and_removed(stocked: Engine, path: Path) -> None:
    assert snapshot_names(path) == []
    for name in ("two", "one"):
        take_snapshot(path, name, no_progress)
    assert snapshot_names(path) == ["one", "two"]
    with pytest.raises(CopyRefused, match="is never overwritten"):
        take_snapshot(path, "one", no_progress)
    remove_snapshot(path, "one")
    assert snapshot_names(path) == ["two"]
    with pytest.raises(CopyRefused, match="there is no snapshot one; there are: two"):
        roll_back(path, "one", no_progress)
    stocked.close()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", ".hidden"])
def test_a_snapshot_has_a_plain_name(path: Path, name: str) -> None:
    with pytest.raises(CopyRefused, match="must be a plain name"):
        take_snapshot(path, name, no_progress)
