"""``bursar backup`` and ``bursar restore``, run as a user runs them."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.parts.generations import outside_of
from bursar.bootstrap.store_commands import backup, restore
from bursar.cli import Factories
from bursar.dashboard.upkeep_notes import UpkeepNotes
from bursar.dynamo import Engine
from bursar.payments import FeeCatalogue
from bursar.payments.ledger.store_records.restores import BY_COMMAND, FOUND_AT_START, RESTORE_MARK, Restores
from bursar.payments.rules import payment_rules
from bursar.rules.language.toml import rules_to_toml
from bursar.rules.native import load_guard
from bursar.settings import Settings

REFERENCE = "0b5c6f6e-0000-4000-8000-000000000001"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder without settings from the environment; the data folder is ``data``."""
    for name in [name for name in os.environ if name.startswith("BURSAR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, *arguments: str) -> Result:
    return CliRunner().invoke({"backup": backup, "restore": restore}[command], arguments, obj=Factories())


async def start_portal(settings: Settings | None = None) -> Restores:
    """Start and stop a portal, and return what the store records of restores after its start."""
    chosen = settings or Settings(paygov_url="http://paygov.invalid/", payment_url="http://paygov.invalid/")
    async with Composition(chosen) as parts:
        portal = await parts.portal()
        return await portal.ledger.restores.read()


def read_restores(path: str = "data/bursar.db") -> Restores:
    async def read() -> Restores:
        async with Composition(Settings(store=f"file:{path}"), creates_store=False) as parts:
            return await (await parts.ledger()).restores.read()

    return asyncio.run(read())


@pytest.fixture
def store(folder: Path) -> Path:
    asyncio.run(start_portal())
    return folder / "data" / "bursar.db"


def test_a_backup_is_older_than_the_store_outside(store: Path, folder: Path) -> None:
    made = run("backup", "backup.db")
    assert (made.exit_code, made.stdout) == (0, "backup.db is a sound backup of data/bursar.db.\n"), made.stderr
    assert read_restores("backup.db").generation < outside_of(str(store))
    kept = UpkeepNotes(store.parent).read("backup")
    assert kept is not None
    assert kept.facts == {"target": "backup.db"}


def test_a_restore_marks_the_copy_and_leaves_one_file(store: Path, folder: Path) -> None:
    run("backup", "backup.db")
    outside = outside_of(str(store))
    store.unlink()
    done = run("restore", "backup.db")
    assert (done.exit_code, "bursar restored --clear" in done.stdout) == (0, True), done.stderr
    names = sorted(path.name for path in store.parent.iterdir())
    assert names == ["bursar.db", "bursar.db.generation", "last_backup.json"]
    found = read_restores()
    assert found.open_mark is not None
    assert (found.open_mark.way, found.open_mark.backup_at is not None) == (BY_COMMAND, True)
    assert found.generation == outside_of(str(store)) > outside


async def test_a_restored_store_is_not_marked_again_at_its_start(folder: Path) -> None:
    await start_portal()
    await asyncio.to_thread(run, "backup", "backup.db")
    (folder / "data" / "bursar.db").unlink()
    await asyncio.to_thread(run, "restore", "backup.db")
    assert len((await start_portal()).marks) == 1


def test_a_backup_put_in_place_by_hand_is_found_at_the_start(store: Path, folder: Path) -> None:
    run("backup", "backup.db")
    store.unlink()
    (folder / "backup.db").rename(store)
    found = asyncio.run(start_portal())
    assert found.open_mark is not None
    assert found.open_mark.way == FOUND_AT_START
    assert len(asyncio.run(start_portal()).marks) == 1


def test_a_backup_with_older_rules_gets_the_present_ones(store: Path) -> None:
    rules = payment_rules(FeeCatalogue.default())
    older = tuple(kind for kind in rules.kinds if kind.name != RESTORE_MARK)
    kept = tuple(rule for rule in rules.rules if rule.kind != RESTORE_MARK)
    engine = Engine.open(str(store), guard_loader=load_guard)
    engine.amend_rules_document(Settings().table, rules_to_toml(replace(rules, kinds=older, rules=kept)))
    engine.close()
    run("backup", "backup.db")
    store.unlink()
    done = run("restore", "backup.db")
    assert done.exit_code == 0, done.stderr
    assert read_restores().open_mark is not None


@pytest.mark.parametrize(
    ("left", "why"),
    [("bursar.db", "exists and is never overwritten"), ("bursar.db-wal", "SQLite would replay it into the new file")],
)
def test_a_restore_overwrites_nothing(store: Path, folder: Path, left: str, why: str) -> None:
    run("backup", "backup.db")
    store.unlink()
    (store.parent / left).write_bytes(b"old")
    refused = run("restore", "backup.db")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith("bursar: ")
    assert why in refused.stderr
    assert (store.parent / left).read_bytes() == b"old"


def test_a_damaged_backup_is_not_restored(store: Path, folder: Path) -> None:
    run("backup", "backup.db")
    store.unlink()
    with (folder / "backup.db").open("r+b") as file:
        file.seek(16384)
        file.write(bytes(8192))
    refused = run("restore", "backup.db")
    assert (refused.exit_code, store.exists()) == (2, False)
    assert "backup.db" in refused.stderr


def test_a_backup_overwrites_nothing(store: Path, folder: Path) -> None:
    (folder / "backup.db").write_bytes(b"old")
    refused = run("backup", "backup.db")
    assert (refused.exit_code, "never overwritten" in refused.stderr) == (2, True)
    assert (folder / "backup.db").read_bytes() == b"old"


def test_a_backup_needs_a_store(folder: Path) -> None:
    refused = run("backup", "backup.db")
    assert (refused.exit_code, "there is no store" in refused.stderr) == (2, True)
    assert list(folder.iterdir()) == []


def test_a_restore_needs_a_backup(folder: Path) -> None:
    refused = run("restore", "backup.db")
    assert (refused.exit_code, "there is no backup at backup.db" in refused.stderr) == (2, True)
    assert not (folder / "data" / "bursar.db").exists()


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_store_that_is_no_file_has_other_backups(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURSAR_STORE", "dynamodb:?region=us-east-1")
    refused = run(command, "backup.db")
    assert refused.exit_code == 2
    assert "BURSAR_STORE: must be file:PATH for this command" in refused.stderr
    assert "bursar restored --mark" in refused.stderr


# --- S3


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve S3 on loopback with an empty bucket, and return its name."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("s3")
    client.create_bucket(Bucket="backups")
    client.close()
    yield "backups"
    server.stop()


def test_a_backup_in_s3_is_restored(store: Path, bucket: str) -> None:
    url = f"s3://{bucket}/2026/backup.db"
    made = run("backup", url)
    assert made.exit_code == 0, made.stderr
    again = run("backup", url)
    assert (again.exit_code, "exists and is never overwritten" in again.stderr) == (2, True)
    store.unlink()
    done = run("restore", url)
    assert done.exit_code == 0, done.stderr
    assert read_restores().open_mark is not None


def test_a_missing_object_or_a_bad_url_is_one_line(store: Path, bucket: str) -> None:
    store.unlink()
    for url in (f"s3://{bucket}/nothing", "s3://no-such-bucket/x", "s3://bucket"):
        refused = run("restore", url)
        assert (refused.exit_code, refused.stderr.rstrip().count("\n")) == (2, 0), refused.stderr
    assert not store.exists()
