"""The file: its format, the writes that survive, the files that are refused."""

import os
from pathlib import Path
from typing import Any

import apsw
import pytest

from bursar.dynamo import Engine, StoreFormatError
from bursar.dynamo.storage.rows import ItemRows, Span
from bursar.dynamo.storage.sqlite_file import APPLICATION_ID, FORMAT_VERSION, MEMORY, NEWEST_FORMAT_VERSION, Storage
from tests.support.dynamo.tables import item, put, refusal, table


def test_written_items_exist_after_reopening(tmp_path: Path) -> None:
    path = str(tmp_path / "portal.db")
    engine = Engine.open(path)
    engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S",)}))
    put(engine, "orders", item(pk="a", sk="1", state="new"))
    engine.close()

    again = Engine.open(path)
    key = {"TableName": "orders", "Key": item(pk="a", sk="1")}
    assert again.execute("GetItem", key)["Item"] == item(pk="a", sk="1", state="new")
    again.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277], ids=oct)
def test_a_store_and_its_wal_are_created_for_their_owner_alone(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "portal.db"
    before = os.umask(umask)
    try:
        storage = Storage(str(path))
        modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
        storage.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("portal.db", "portal.db-wal", "portal.db-shm"), 0o600)


def test_a_store_that_a_team_shares_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "portal.db"
    Storage(str(path)).close()
    path.chmod(0o664)
    storage = Storage(str(path))
    assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o664}
    storage.close()


def test_a_file_that_cannot_be_created_privately_is_not_created_by_sqlite_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_path: str) -> bool:
        raise OSError("too many open files")

    monkeypatch.setattr("bursar.dynamo.storage.sqlite_file.create_private", refused)
    with pytest.raises(apsw.CantOpenError):
        Storage(str(tmp_path / "portal.db"))
    assert not list(tmp_path.iterdir())


def test_the_file_has_its_application_id_and_format(tmp_path: Path) -> None:
    path = str(tmp_path / "portal.db")
    Storage(path).close()
    connection = apsw.Connection(path)
    assert connection.execute("PRAGMA application_id").get == APPLICATION_ID
    assert connection.execute("PRAGMA user_version").get == FORMAT_VERSION
    assert connection.execute("PRAGMA journal_mode").get == "wal"
    connection.close()


def test_every_commit_is_synced(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "portal.db"))
    full = 2
    assert storage.connection.execute("PRAGMA synchronous").get == full
    storage.close()


def test_a_range_is_planned_once_however_often_it_is_read() -> None:
    storage = Storage(MEMORY)
    rows = ItemRows(storage, storage.add_table("orders", b"{}"))
    rows.insert(b"a", 1, b"{}")
    planned: list[str | None] = []

    def note(*asked: Any) -> int:  # SQLite calls the authorizer each time that it compiles a statement
        planned.append(asked[1])
        return int(apsw.SQLITE_OK)

    storage.connection.authorizer = note
    span = Span(b"", True, b"b")
    assert list(rows.span(span, forward=True, limit=1)) == [(1, b"{}")]
    assert planned
    planned.clear()
    for limit in (1, 2, 3):
        assert list(rows.span(span, forward=True, limit=limit)) == [(1, b"{}")]
    assert planned == []
    storage.close()


def test_an_older_format_is_brought_up(tmp_path: Path) -> None:
    path = str(tmp_path / "portal.db")
    storage = Storage(path)
    storage.connection.execute("DROP TABLE backups; DROP TABLE transfers; PRAGMA user_version=2")
    storage.close()
    storage = Storage(path)
    assert storage.connection.execute("PRAGMA user_version").get == FORMAT_VERSION
    assert storage.connection.execute("SELECT count(*) FROM backups").get == 0
    storage.close()


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "portal.db"
    Storage(str(path)).close()
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA user_version={NEWEST_FORMAT_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreFormatError, match="use a newer one"):
        Storage(str(path))
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "other.db")
    connection = apsw.Connection(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreFormatError, match="another program"):
        Storage(path)


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at as one. " * 20)
    with pytest.raises(StoreFormatError, match="not a SQLite file"):
        Storage(str(path))


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(apsw.CantOpenError):
        Storage(str(tmp_path / "missing" / "portal.db"))


def test_a_full_disk_is_answered_with_an_error_and_the_file_stays_whole(tmp_path: Path) -> None:
    engine = Engine.open(str(tmp_path / "portal.db"))
    engine.execute("CreateTable", table())
    put(engine, "orders", item(pk="a", sk="1"))
    connection = engine._core.storage.connection
    pages = connection.execute("PRAGMA page_count").get
    connection.execute(f"PRAGMA max_page_count={pages}")

    large = {"TableName": "orders", "Item": item(pk="a", sk="2", payload="x" * 100_000)}
    assert "could not be written" in refusal(engine, "PutItem", large, "InternalServerError")

    connection.execute("PRAGMA max_page_count=1000000")
    put(engine, "orders", item(pk="a", sk="3"))
    assert engine.execute("Scan", {"TableName": "orders", "Select": "COUNT"})["Count"] == 2
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    engine.close()


def test_a_read_leaves_no_statement_open() -> None:
    storage = Storage(MEMORY)
    storage.begin()
    table_id = storage.add_table("t", b"{}")
    storage.commit()
    storage.counts(table_id, 0)
    storage.token("none", 0.0)
    storage.begin()
    storage.remove_table(table_id, [])
    storage.commit()
    storage.close()


def test_two_processes_see_each_others_tables(tmp_path: Path) -> None:
    path = str(tmp_path / "portal.db")
    one, other = Engine.open(path), Engine.open(path)
    one.execute("CreateTable", table())
    put(other, "orders", item(pk="a", sk="1"))
    one.execute("DeleteTable", {"TableName": "orders"})
    missing = {"TableName": "orders", "Key": item(pk="a", sk="1")}
    refusal(other, "GetItem", missing, "ResourceNotFoundException")
    one.execute("CreateTable", table(global_indexes={"by-state": ("state:S",)}))
    put(other, "orders", item(pk="b", sk="1", state="new"))
    by_state = {
        "TableName": "orders",
        "IndexName": "by-state",
        "KeyConditionExpression": "#s = :s",
        "ExpressionAttributeNames": {"#s": "state"},
        "ExpressionAttributeValues": item(**{":s": "new"}),
    }
    assert one.execute("Query", by_state)["Count"] == 1
    one.close()
    other.close()
