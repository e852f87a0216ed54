"""The check accepts a sound store, and reports each way in which a store can be unsound."""

from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner

from bursar.dynamo import Engine
from bursar.dynamo.commands import dynamo
from bursar.dynamo.storage.integrity_check import check_store
from bursar.dynamo.storage.sqlite_file import APPLICATION_ID, NEWEST_FORMAT_VERSION, StoreFormatError
from tests.support.dynamo.tables import item, put, table


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return a store of 30 items and two indexes; two thirds are in the first index and expire."""
    path = str(tmp_path / "store.db")
    engine = Engine.open(path)
    request = table(global_indexes={"by-state": ("state:S", "at:N")}, local_indexes={"by-size": ("pk:S", "size:N")})
    request["GlobalSecondaryIndexes"][0]["Projection"] = {"ProjectionType": "KEYS_ONLY"}
    request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    engine.execute("CreateTable", request)
    lives = {"TableName": "orders", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "until"}}
    engine.execute("UpdateTimeToLive", lives)
    for number in range(30):
        attributes = (
            {"state": "new", "at": number, "until": 2_000_000_000 + number} if number % 3 else {"note": "x" * number}
        )
        put(engine, "orders", item(pk=f"p{number % 4}", sk=f"{number:03}", **attributes))
    engine.execute(
        "UpdateItem", {"TableName": "orders", "Key": item(pk="p1", sk="001"), "UpdateExpression": "SET a=pk"}
    )
    engine.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="p2", sk="002")})
    engine.close()
    return path


def spoilt(path: str, statement: str) -> list[str]:
    connection = apsw.Connection(path)
    connection.execute(statement)
    assert connection.total_changes() >= 1 or "TABLE" in statement
    connection.close()
    return check_store(path)


def test_a_sound_store_has_no_faults(path: str) -> None:
    assert check_store(path) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM index_1_2 WHERE id = 5", "orders, index by-state: 1 of 19 items have no entry"),
        ("UPDATE index_1_2 SET id = 1 WHERE id = 5", "does not fit its item"),
        ("UPDATE index_1_2 SET id = 99 WHERE id = 5", "has no item"),
        ("INSERT INTO index_1_2 VALUES (x'00', 4)", "orders, index by-state: entry 00 does not fit its item"),
        ("UPDATE items_1 SET size = 1 WHERE id = 4", "its size is"),
        ("UPDATE items_1 SET key = x'01' WHERE id = 4", "orders, key 01: stored under another item's key"),
        ("UPDATE items_1 SET item = ' ' || item WHERE id = 4", "not in canonical form"),
        ("UPDATE items_1 SET item = substr(item, 1, 9) WHERE id = 4", "not an item"),
        ("UPDATE items_1 SET item = '[]' WHERE id = 4", "not an item"),
        ("UPDATE items_1 SET item = x'ff' WHERE id = 5", "orders, index by-state: entry 6e657700"),
        ("UPDATE items_1 SET item = '{\"pk\":1}' WHERE id = 5", "not an item"),
        ("UPDATE items_1 SET item = CAST(x'ff' AS TEXT) WHERE id = 5", "not an item: JSONDecodeError"),
        ("UPDATE items_1 SET item = CAST(item AS TEXT) WHERE id = 5", ": kept as text, not as bytes"),
        ("UPDATE items_1 SET key = CAST(x'ff' AS TEXT) WHERE id = 5", "key ff: stored under another item's key"),
        ("UPDATE items_1 SET size = CAST(x'ff' AS TEXT) WHERE id = 5", "its size is"),
        ("UPDATE index_1_2 SET entry = CAST(x'ff' AS TEXT) WHERE id = 5", "by-state: entry ff does not fit its item"),
        ("UPDATE index_1_2 SET entry = CAST(entry AS TEXT) WHERE id = 5", "is kept as text, not as bytes"),
        ("UPDATE index_1_2 SET entry = 7 WHERE id = 5", "by-state: entry 37 does not fit its item"),
        ("UPDATE expiry_1 SET entry = CAST(x'ff' AS TEXT) WHERE id = 5", "by until: entry ff does not fit its item"),
        ("UPDATE tables SET document = x'ff'", "orders: not a definition"),
        ("UPDATE tables SET name = CAST(x'ff' AS TEXT)", "SQLite: 'utf-8' codec can't decode"),
        ("UPDATE stream_1 SET keys = CAST(x'ff' AS TEXT) WHERE sequence = 31", "record 31: its keys are no item's"),
        ("UPDATE stream_1 SET old = CAST(x'ff' AS TEXT) WHERE sequence = 31", "record 31: its old image is not the"),
        ("UPDATE stream_1 SET event = CAST(x'ff' AS TEXT) WHERE sequence = 31", "SQLite: 'utf-8' codec can't decode"),
        ("UPDATE counters SET items = 7 WHERE index_number = 0", "orders: counted (items, bytes) (7, "),
        ("UPDATE counters SET bytes = 7 WHERE index_number = 2", "orders, index by-state: counted"),
        ("DELETE FROM counters WHERE index_number = 2", "counters of (1, 2) are missing"),
        ("INSERT INTO counters VALUES (9, 0, 0, 0)", "counters of (9, 0) belong to no table"),
        ("CREATE TABLE items_9 (id)", "items_9 belongs to no table"),
        ("DROP TABLE index_1_1", "index_1_1 is missing"),
        ("DELETE FROM expiry_1 WHERE id = 5", "orders, expiry by until: 1 of 19 items have no entry"),
        ("UPDATE expiry_1 SET id = 1 WHERE id = 5", "orders, expiry by until: entry"),
        ("UPDATE expiry_1 SET id = 99 WHERE id = 5", "has no item"),
        ("UPDATE expiry_1 SET entry = x'00' WHERE id = 5", "orders, expiry by until: entry 00 does not fit its item"),
        ("DROP TABLE expiry_1", "expiry_1 is missing"),
        ("CREATE TABLE expiry_9 (id)", "expiry_9 belongs to no table"),
        ("CREATE TABLE stream_9 (id)", "stream_9 belongs to no table"),
        ("DELETE FROM stream_1 WHERE sequence = 7", "1 records between 1 and 32 are missing"),
        ("UPDATE stream_1 SET event = 'INSERT' WHERE sequence = 31", "record 31: INSERT after INSERT of the same item"),
        ("UPDATE stream_1 SET old = '{}' WHERE sequence = 31", "its old image is not the new image before it"),
        ("UPDATE stream_1 SET new = '{}' WHERE sequence = 31", "record 31: its new image is not the item"),
        ("UPDATE stream_1 SET event = 'REMOVE' WHERE sequence = 30", "record 30: REMOVE, but the item is there"),
        ("UPDATE stream_1 SET event = 'MODIFY' WHERE sequence = 32", "record 32: MODIFY, but the item is gone"),
    ],
)
def test_a_fault_is_named(path: str, statement: str, told: str) -> None:
    assert told in "\n".join(spoilt(path, statement))


def test_a_damaged_page_is_named(path: str) -> None:
    file = Path(path)
    pages = bytearray(file.read_bytes())
    pages[-4096:] = b"\x05" * 4096
    file.write_bytes(pages)
    assert any(fault.startswith("SQLite: ") for fault in check_store(path))


def test_a_newer_format_is_refused_and_left_alone(path: str) -> None:
    connection = apsw.Connection(path)
    connection.execute(f"PRAGMA user_version={NEWEST_FORMAT_VERSION + 1}")
    connection.close()
    before = Path(path).read_bytes()
    for attempt in (check_store, Engine.open):
        with pytest.raises(StoreFormatError, match=f"has store format {NEWEST_FORMAT_VERSION + 1}; .* use a newer one"):
            attempt(path)
    assert Path(path).read_bytes() == before
    refused = CliRunner().invoke(dynamo, ["--data", path, "check"])
    assert (refused.exit_code, f"format {NEWEST_FORMAT_VERSION + 1}" in refused.output) == (2, True)


def test_another_programs_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = apsw.Connection(str(path))
    connection.execute(f"CREATE TABLE mine (x); PRAGMA application_id={APPLICATION_ID - 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreFormatError, match="another program's SQLite file"):
        Engine.open(str(path))
    assert path.read_bytes() == before


def test_the_command_prints_sound_or_lists_the_problems(path: str) -> None:
    sound = CliRunner().invoke(dynamo, ["check", "--data", path])
    assert (sound.exit_code, sound.output) == (0, "sound\n")
    spoilt(path, "DELETE FROM index_1_2 WHERE id = 5")
    faulty = CliRunner().invoke(dynamo, ["check", "--data", path])
    assert faulty.exit_code == 1
    assert "1 of 19 items have no entry" in faulty.output
    missing = CliRunner().invoke(dynamo, ["check", "--data", path + "x"])
    assert missing.exit_code == 2
