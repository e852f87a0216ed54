"""Copies of a store's file: consistent, private, sound, and never over or beside another store."""

import os
import threading
from pathlib import Path

import apsw
import pytest

from bursar.dynamo import Engine
from bursar.dynamo.tools import store_copies
from bursar.dynamo.tools.store_copies import (
    CopyRefused,
    copy_file,
    copy_store,
    partial_file,
    put_in_place,
    refuse_existing,
    refuse_unsound,
)
from tests.support.dynamo.tables import table

Steps = list[tuple[int, int]]


def store_with(path: Path, items: int) -> Engine:
    engine = Engine.open(str(path))
    engine.execute("CreateTable", table("bills", ("pk:S",)))
    for number in range(items):
        put(engine, number)
    return engine


def put(engine: Engine, number: int) -> None:
    item = {"pk": {"S": f"{number:06}"}, "filler": {"S": "x" * 1000}}
    engine.execute("PutItem", {"TableName": "bills", "Item": item})


def count(path: Path) -> int:
    engine = Engine.open(str(path))
    try:
        found: int = engine.execute("Scan", {"TableName": "bills", "Select": "COUNT"})["Count"]
        return found
    finally:
        engine.close()


def copied(source: Path, final: Path) -> Steps:
    steps: Steps = []
    with partial_file(final) as partial:
        copy_store(source, partial, lambda done, total: steps.append((done, total)))
        refuse_unsound(partial, "the copy")
        put_in_place(partial, final)
    return steps


def test_a_copy_has_what_was_committed_before_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_copies, "PAGES_PER_STEP", 5)
    engine = store_with(tmp_path / "store.db", 200)
    steps: Steps = []

    def write_meanwhile(done: int, total: int) -> None:
        steps.append((done, total))
        put(engine, 1000 + len(steps))

    with partial_file(tmp_path / "copy.db") as partial:
        copy_store(tmp_path / "store.db", partial, write_meanwhile)
        refuse_unsound(partial, "the copy")
        put_in_place(partial, tmp_path / "copy.db")
    engine.close()
    assert len(steps) > 10
    assert steps[-1][0] == steps[-1][1]
    assert count(tmp_path / "copy.db") == 200
    assert count(tmp_path / "store.db") == 200 + len(steps)


def test_a_copy_is_one_private_file_that_other_processes_do_not_wait_for(tmp_path: Path) -> None:
    engine = store_with(tmp_path / "store.db", 20)
    engine.begin_if_free()  # another writer has the write lock during the whole copy
    thread = threading.Thread(target=copied, args=(tmp_path / "store.db", tmp_path / "copy.db"))
    thread.start()
    thread.join()
    engine.run_group([])
    engine.close()
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "store.db"]


def test_a_failed_copy_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("no database, but a text that is longer than a header " * 50)
    with pytest.raises(CopyRefused, match="cannot be copied"):
        copied(tmp_path / "store.db", tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


def test_what_a_killed_copy_left_is_replaced(tmp_path: Path) -> None:
    store_with(tmp_path / "store.db", 3).close()
    (tmp_path / "copy.db.partial").write_text("half")
    (tmp_path / "copy.db.partial-wal").write_text("half")
    copied(tmp_path / "store.db", tmp_path / "copy.db")
    assert count(tmp_path / "copy.db") == 3


def test_a_damaged_copy_is_refused(tmp_path: Path) -> None:
    store_with(tmp_path / "store.db", 300).close()
    size = (tmp_path / "store.db").stat().st_size
    with (tmp_path / "store.db").open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(8192))
    with pytest.raises(CopyRefused, match=r"the copy( is damaged|: )"):
        refuse_unsound(tmp_path / "store.db", "the copy")


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("CREATE TABLE t (a)")
    other.close()
    with pytest.raises(CopyRefused, match="backup: is not a Bursar store: it is another program's SQLite file"):
        refuse_unsound(tmp_path / "other.db", "backup")


@pytest.mark.parametrize(
    ("left", "remedy"),
    [
        (["store.db"], "exists and is never overwritten"),
        (["store.db", "store.db-wal"], "store.db-wal"),
        (["store.db-wal"], "SQLite would replay it into the new file"),
        (["store.db-shm"], "left beside"),
    ],
)
def test_a_store_and_what_is_left_of_one_are_never_overwritten(tmp_path: Path, left: list[str], remedy: str) -> None:
    for name in left:
        (tmp_path / name).write_text("old")
    with pytest.raises(CopyRefused, match=remedy):
        refuse_existing(tmp_path / "store.db")
    with pytest.raises(CopyRefused), partial_file(tmp_path / "store.db"):
        raise AssertionError("unreachable")
    assert all((tmp_path / name).read_text() == "old" for name in left)


def test_a_file_that_appears_during_the_copy_is_not_overwritten(tmp_path: Path) -> None:
    with partial_file(tmp_path / "store.db") as partial:
        partial.write_text("new")
        (tmp_path / "store.db").write_text("old")
        with pytest.raises(CopyRefused):
            put_in_place(partial, tmp_path / "store.db")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_finished_backup_is_copied_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_copies, "BYTES_PER_STEP", 4096)
    store_with(tmp_path / "backup.db", 50).close()
    steps: Steps = []
    with partial_file(tmp_path / "store.db") as partial:
        copy_file(tmp_path / "backup.db", partial, lambda done, total: steps.append((done, total)))
        put_in_place(partial, tmp_path / "store.db")
    assert (tmp_path / "store.db").read_bytes() == (tmp_path / "backup.db").read_bytes()
    assert len(steps) > 5


def test_a_store_in_use_is_no_finished_backup(tmp_path: Path) -> None:
    engine = store_with(tmp_path / "backup.db", 3)
    (tmp_path / "target.db").touch()
    with pytest.raises(CopyRefused, match=r"must be a finished backup, one file; got backup.db-wal beside it"):
        copy_file(tmp_path / "backup.db", tmp_path / "target.db", lambda done, total: None)
    engine.close()
    with pytest.raises(CopyRefused, match="there is no backup at"):
        copy_file(tmp_path / "nothing.db", tmp_path / "target.db", lambda done, total: None)
