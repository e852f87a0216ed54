"""A store that is open for reading only: reads as usual, writes refused in clear words, nothing written beside it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bursar.dynamo import Engine, StoreFormatError
from bursar.dynamo.commands import dynamo
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.storage.sqlite_file import FORMAT_VERSION

TABLE = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
ITEM = {"pk": {"S": "a"}, "expires": {"N": "1"}}
GET = {"TableName": "notes", "Key": {"pk": {"S": "a"}}}


@pytest.fixture
def store() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="a?folder-"))  # pytest's own folders are closed to other users
    path = folder / "notes.db"
    engine = Engine.open(str(path))
    engine.execute("CreateTable", TABLE)
    engine.execute("PutItem", {"TableName": "notes", "Item": ITEM})
    enabled = {"AttributeName": "expires", "Enabled": True}
    engine.execute("UpdateTimeToLive", {"TableName": "notes", "TimeToLiveSpecification": enabled})
    engine.close()
    yield path
    shutil.rmtree(folder)


@pytest.fixture
def engine(store: Path) -> Iterator[Engine]:
    opened = Engine.open_for_reading(str(store))
    yield opened
    opened.close()


def test_reads_are_answered_and_writes_refused(engine: Engine) -> None:
    assert engine.execute("GetItem", GET)["Item"] == ITEM
    assert engine.execute("Scan", {"TableName": "notes"})["Count"] == 1
    for operation, request in (
        ("PutItem", {"TableName": "notes", "Item": ITEM}),
        ("DeleteTable", {"TableName": "notes"}),
    ):
        with pytest.raises(DynamoError, match="AccessDeniedException: The store is open for reading only"):
            engine.execute(operation, request)
    assert engine.run_housekeeping() == 0  # the expired item stays
    assert engine.write_error() is None


def test_commits_of_other_processes_are_seen(store: Path, engine: Engine) -> None:
    assert engine.execute("GetItem", GET)["Item"] == ITEM
    writer = Engine.open(str(store))
    writer.execute("PutItem", {"TableName": "notes", "Item": {"pk": {"S": "b"}}})
    assert engine.execute("Scan", {"TableName": "notes"})["Count"] == 2
    writer.close()


READ_AND_COUNT = """
import os, sys
from bursar.dynamo import Engine
if os.geteuid() == 0:
    os.setuid(65534)  # root may write everywhere
engine = Engine.open_for_reading(sys.argv[1])
print(engine.execute("Scan", {"TableName": "notes"})["Count"])
"""


def opened_as_another_user(store: Path) -> subprocess.CompletedProcess[str]:
    """Open the store in a process that may read it and may not write its folder."""
    for path in (store, *store.parents[:3]):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        return subprocess.run(
            [sys.executable, "-c", READ_AND_COUNT, store], capture_output=True, text=True, check=False
        )
    finally:
        for path in store.parents[:3]:
            path.chmod(0o755)


def test_a_folder_that_cannot_be_written(store: Path) -> None:
    before = sorted(store.parent.iterdir())
    ran = opened_as_another_user(store)
    assert (ran.stdout, ran.stderr) == ("1\n", "")
    assert sorted(store.parent.iterdir()) == before


def test_commits_that_are_not_in_the_file_are_not_passed_over(store: Path) -> None:
    writer = Engine.open(str(store))
    writer.execute("PutItem", {"TableName": "notes", "Item": {"pk": {"S": "b"}}})
    wal = Path(f"{store}-wal").read_bytes()
    writer.close()
    Path(f"{store}-wal").write_bytes(wal)
    Path(f"{store}-wal").chmod(0o444)
    ran = opened_as_another_user(store)
    assert "has commits in notes.db-wal: open it once on a disk that can be written" in ran.stderr


def test_an_older_format_is_not_upgraded(store: Path) -> None:
    engine = Engine.open(str(store))
    engine._storage.connection.execute(f"PRAGMA user_version={FORMAT_VERSION - 1}")
    engine.close()
    with pytest.raises(StoreFormatError, match="open it once for writing"):
        Engine.open_for_reading(str(store))


@pytest.mark.parametrize(
    "command", [["ls"], ["describe", "notes"], ["check"], ["dump"], ["shell", "-c", "SELECT * FROM notes"]]
)
def test_commands_read(store: Path, command: list[str]) -> None:
    ran = CliRunner().invoke(dynamo, ["--data", str(store), "--read-only", *command])
    assert (ran.exit_code, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--data", "absent.db"], "there is no store at absent.db"),
        (
            ["--data", "{store}", "--weather", "storm"],
            "--read-only: must be given without --init, --kinesis-endpoint and --weather",
        ),
        (
            ["--data", "{store}", "reset", "--yes"],
            "--read-only: must be given with ls, describe, check, dump, shell, deliver, log, diff; got reset",
        ),
    ],
)
def test_what_cannot_be_done(store: Path, options: list[str], reason: str) -> None:
    filled = [each.replace("{store}", str(store)) for each in options]
    ran = CliRunner().invoke(dynamo, ["--read-only", *filled])
    assert ran.exit_code == 2
    assert reason in ran.stderr
