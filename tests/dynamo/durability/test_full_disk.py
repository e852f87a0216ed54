"""A full or read-only disk: writes fail with an error that reports it, reads succeed, and the file stays whole."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.engine.engine import LOG_WRITE_ERROR_EVERY_S, operation_named
from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.recording_disk import recording
from tests.support.dynamo.served import Connection, served
from tests.support.dynamo.stamps import stamped, table_of_all
from tests.support.dynamo.tables import item, refused, table

FILE_BLOCKS_MAX = 1024
"""Of 512 or of 1024 bytes, depending on the shell: half a megabyte or one."""
FAULTS: dict[str, Callable[[], Exception]] = {
    "full": lambda: apsw.FullError("no space left"),
    "broken": lambda: apsw.IOError("it makes a noise"),
}


class Spoiler:
    """Lets so many writes to the disk pass, then fails each (or, ``once``, a single one)."""

    def __init__(self, error: Callable[[], Exception], *, once: bool) -> None:
        self.left: int | None = None
        self.spoilt = 0
        self._error = error
        self._once = once

    def __call__(self) -> None:
        if self.left is None:
            return
        if self.left > 0:
            self.left -= 1
            return
        if self._once and self.spoilt:
            return
        self.spoilt += 1
        raise self._error()


def transaction(stamp: int) -> dict[str, Any]:
    items = [stamped((f"p{place}", "one"), stamp, 3_000) for place in range(3)]
    return {"TransactItems": [{"Put": {"TableName": "orders", "Item": item}} for item in items]}


def error_of(call: Callable[[], object]) -> tuple[str, int] | None:
    """Return (code, HTTP status) of the error that a call raises."""
    try:
        call()
    except DynamoError as error:
        return error.code, error.http_status
    return None


def stamps(engine: Engine) -> set[str]:
    return {item["stamp"]["N"] for item in engine.execute("Scan", {"TableName": "orders"})["Items"]}


@pytest.mark.parametrize("once", [False, True], ids=["for a while", "once"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_write_that_the_disk_refuses_at_any_point_leaves_no_trace(tmp_path: Path, fault: str, once: bool) -> None:
    """Fail the transaction's first write to the disk, then its second, … until all of them pass."""
    path = str(tmp_path / "store.db")
    spoiler = Spoiler(FAULTS[fault], once=once)
    with recording(f"{fault}-{once}", spoiler):
        engine = Engine.open(path)
        engine.execute("CreateTable", table_of_all())
        engine._storage.connection.execute("PRAGMA wal_autocheckpoint=20")
        engine.execute("TransactWriteItems", transaction(0))
        stamp, passing = 0, 0
        while True:
            spoiler.left, spoiler.spoilt = passing, 0
            refusal = error_of(partial(engine.execute, "TransactWriteItems", transaction(stamp + 1)))
            stamp += refusal is None
            assert refusal in (None, ("InternalServerError", 500))
            hurt, spoiler.left = spoiler.spoilt, None
            assert stamps(engine) == {str(stamp)}
            if not hurt:
                break
            passing += 1
        engine.execute("TransactWriteItems", transaction(stamp + 1))
        engine.close()
    assert passing > 10
    assert check_store(path) == []
    again = Engine.open(path)
    assert stamps(again) == {str(stamp + 1)}
    again.close()


def test_a_store_that_may_not_grow_reports_it_and_serves_reads(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    engine = Engine.open(path)
    # Without a stream: with one, a removal writes too.
    engine.execute("CreateTable", {**table_of_all(), "StreamSpecification": {"StreamEnabled": False}})
    pages = engine._storage.connection.execute("PRAGMA page_count").get
    engine._storage.connection.execute(f"PRAGMA max_page_count={pages + 20}")
    items = [stamped(("p", f"{number}"), number, 3_000) for number in range(100)]
    puts = [{"TableName": "orders", "Item": one} for one in items]
    refusals = [error_of(partial(engine.execute, "PutItem", put)) for put in puts]
    assert set(refusals) == {None, ("InternalServerError", 500)}
    assert "full" in refused(lambda: engine.execute("PutItem", puts[-1]), "InternalServerError").message
    written = [one for one, refusal in zip(items, refusals, strict=True) if refusal is None]
    last = {"TableName": "orders", "Key": {name: written[-1][name] for name in ("pk", "sk")}}
    assert engine.execute("GetItem", last)["Item"] == written[-1]
    engine.execute("DeleteItem", last)
    engine.execute("PutItem", {"TableName": "orders", "Item": written[-1]})
    assert engine.execute("Scan", {"TableName": "orders", "Select": "COUNT"})["Count"] == len(written)
    engine.close()
    assert check_store(path) == []


def test_a_store_that_cannot_write_reports_why_until_it_can(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = [1_000_000.0]
    engine = Engine.open(str(tmp_path / "store.db"), clock=lambda: now[0])
    engine.execute("CreateTable", table())
    assert engine.write_error() is None
    execute = engine._storage.connection.execute
    execute(f"PRAGMA max_page_count={execute('PRAGMA page_count').get}")
    put = operation_named("PutItem")
    group = [(put, {"TableName": "orders", "Item": stamped(("secret", str(n)), n, 3_000)}) for n in range(30)]
    for _ in range(3):
        assert any(isinstance(outcome, DynamoError) for outcome in engine.run_group(group))
    engine.run_group(group[-1:])
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert lines == ["the store cannot be written: FullError: database or disk is full"]
    now[0] += LOG_WRITE_ERROR_EVERY_S
    engine.run_group(group[-1:])
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2
    assert "secret" not in caplog.text
    execute("PRAGMA query_only=1")
    assert engine.write_error() == "ReadOnlyError"
    execute("PRAGMA query_only=0")
    execute("PRAGMA max_page_count=1000000")
    assert isinstance(engine.run_group(group[-1:])[0], bytes)
    assert engine._write_error is None
    engine.close()


def test_a_store_finds_out_by_itself_that_there_is_room_again(tmp_path: Path) -> None:
    engine = Engine.open(path := str(tmp_path / "store.db"))
    engine.execute("CreateTable", table())
    execute = engine._storage.connection.execute
    execute("PRAGMA query_only=1")
    put = {"TableName": "orders", "Item": item(pk="a", sk="1")}
    refused(lambda: engine.execute("PutItem", put), "InternalServerError")
    assert engine.write_error() == engine.write_error() == "ReadOnlyError"
    execute("PRAGMA query_only=0")
    writing = apsw.Connection(path)
    writing.execute("BEGIN IMMEDIATE")
    assert engine.write_error() == "ReadOnlyError"  # not known; the call does not wait for the lock
    writing.execute("ROLLBACK")
    writing.close()
    assert engine.write_error() is None
    assert engine.execute("Scan", {"TableName": "orders"})["Count"] == 0
    assert execute("SELECT count(*) FROM request_tokens").get == 0
    engine.execute("PutItem", put)
    engine.close()
    assert check_store(path) == []


def test_a_store_that_was_opened_on_a_full_disk_reports_it_before_any_write(tmp_path: Path) -> None:
    engine = Engine.open(path := str(tmp_path / "store.db"))
    engine.execute("CreateTable", table())
    engine.close()
    engine = Engine.open(path)
    execute = engine._storage.connection.execute
    execute(f"PRAGMA max_page_count={execute('PRAGMA page_count').get}")
    assert engine.write_error() == "FullError"
    execute("PRAGMA max_page_count=1000000")
    assert engine.write_error() is None
    changes = engine._storage.connection.total_changes()
    assert engine.write_error() is None
    assert engine._storage.connection.total_changes() == changes  # one probe is enough
    engine.close()
    assert check_store(path) == []


def test_room_for_a_page_is_not_room_for_a_payment(tmp_path: Path) -> None:
    engine = Engine.open(path := str(tmp_path / "store.db"))
    engine.execute("CreateTable", table())
    execute = engine._storage.connection.execute
    execute(f"PRAGMA max_page_count={execute('PRAGMA page_count').get + 2}")
    large = {"TableName": "orders", "Item": stamped(("b", "1"), 1, 30_000)}
    refused(lambda: engine.execute("PutItem", large), "InternalServerError")
    assert engine.write_error() == "FullError"
    execute("PRAGMA max_page_count=1000000")
    assert engine.write_error() is None
    engine.close()
    assert check_store(path) == []


def test_refusals_prove_nothing_of_the_disk(tmp_path: Path) -> None:
    engine = Engine.open(str(tmp_path / "store.db"))
    engine.execute("CreateTable", table())
    engine.execute("PutItem", {"TableName": "orders", "Item": item(pk="a", sk="1")})
    execute = engine._storage.connection.execute
    execute(f"PRAGMA max_page_count={execute('PRAGMA page_count').get}")
    large = {"TableName": "orders", "Item": stamped(("b", "1"), 1, 30_000)}
    refused(lambda: engine.execute("PutItem", large), "InternalServerError")
    only_new = {"TableName": "orders", "Item": item(pk="a", sk="1"), "ConditionExpression": "attribute_not_exists(pk)"}
    refused(lambda: engine.execute("PutItem", only_new), "ConditionalCheckFailedException")
    errors = [engine._write_error]
    engine.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="a", sk="1")})
    assert [*errors, engine._write_error] == ["FullError", None]
    engine.close()


def test_one_request_too_large_for_the_disk_does_not_take_its_group_with_it(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    engine = Engine.open(path)
    engine.execute("CreateTable", table())
    pages = engine._storage.connection.execute("PRAGMA page_count").get
    engine._storage.connection.execute(f"PRAGMA max_page_count={pages + 20}")
    sizes = (100, 300_000, 200)
    put = operation_named("PutItem")
    group = [(put, {"TableName": "orders", "Item": stamped(("p", str(size)), 1, size)}) for size in sizes]
    outcomes = engine.run_group(group)
    assert [isinstance(outcome, bytes) for outcome in outcomes] == [True, False, True]
    engine.close()
    assert check_store(path) == []


def test_a_server_at_its_limit_answers_500_and_recovers_with_room(tmp_path: Path) -> None:
    """Use a limit of the operating system (RLIMIT_FSIZE) in place of a full disk."""
    path = str(tmp_path / "store.db")
    limited = ("sh", "-c", f'ulimit -f {FILE_BLOCKS_MAX}; exec "$@"', "limited")
    with served(path, command=limited) as server:
        acknowledged = asyncio.run(_fill(server.port))
    assert acknowledged
    assert check_store(path) == []
    with served(path) as server:
        asyncio.run(_expect(server.port, acknowledged))
        assert server.stop() == 0
    assert check_store(path) == []


async def _fill(port: int) -> list[dict[str, Any]]:
    connection = Connection(port)
    assert (await connection.call("CreateTable", table_of_all()))[0] == 200
    acknowledged: list[dict[str, Any]] = []
    for number in range(1_000):
        one = stamped(("p", str(number)), number, 3_000)
        status, answer = await connection.call("PutItem", {"TableName": "orders", "Item": one})
        if status != 200:
            assert (status, answer["__type"].partition("#")[2]) == (500, "InternalServerError")
            break
        acknowledged.append(one)
    else:
        pytest.fail("the limit was never reached")
    status, answer = await connection.call("GetItem", {"TableName": "orders", "Key": item(pk="p", sk="0")})
    assert answer["Item"] == acknowledged[0]
    connection.close()
    return acknowledged


async def _expect(port: int, items: list[dict[str, Any]]) -> None:
    connection = Connection(port)
    for one in items:
        key = {"pk": one["pk"], "sk": one["sk"]}
        assert (await connection.call("GetItem", {"TableName": "orders", "Key": key}))[1] == {"Item": one}
    more = {"TableName": "orders", "Item": stamped(("p", "more"), 1, 3_000)}
    assert (await connection.call("PutItem", more))[0] == 200
    connection.close()


def test_a_file_that_may_not_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    engine = Engine.open(str(path))
    engine.execute("CreateTable", table())
    engine.close()
    before = path.read_bytes()
    # Root may write to any file, so the file system must refuse: an immutable URI has the same effect.
    opened = subprocess.run(
        [sys.executable, "-m", "bursar", "dynamo", "--port=0", f"--data=file:{path}?immutable=1"],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert opened.returncode == 2
    assert opened.stderr.count("\n") == 1
    assert path.read_bytes() == before


def test_a_file_that_becomes_unwritable_refuses_writes_and_serves_reads(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    engine = Engine.open(path)
    engine.execute("CreateTable", table())
    engine.execute("PutItem", {"TableName": "orders", "Item": item(pk="a", sk="1")})
    engine._storage.connection.execute("PRAGMA query_only=1")
    put = {"TableName": "orders", "Item": item(pk="b", sk="1")}
    assert "readonly" in refused(lambda: engine.execute("PutItem", put), "InternalServerError").message
    key = {"TableName": "orders", "Key": item(pk="a", sk="1")}
    assert engine.execute("GetItem", key) == {"Item": item(pk="a", sk="1")}
    engine._storage.connection.execute("PRAGMA query_only=0")
    engine.execute("PutItem", put)
    engine.close()
    assert check_store(path) == []
