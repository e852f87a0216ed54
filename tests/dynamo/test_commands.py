"""Tests of `bursar dynamo` on a file: ls, describe, dump and load, and the one line of each error."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from bursar.dynamo import Engine
from bursar.dynamo.command_inputs import GUARD_LOADER
from bursar.dynamo.commands import dynamo
from bursar.dynamo.core.guards import Guard, TableCheck
from tests.support.dynamo.served import Served

TABLES: list[dict[str, Any]] = [
    {
        "TableName": "notes",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
            {"AttributeName": "day", "AttributeType": "S"},
        ],
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["text"]},
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2},
            }
        ],
    },
    {
        "TableName": "plain",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    },
]
VOLATILE = ("TableId", "CreationDateTime", "TableStatus", "LastUpdateToPayPerRequestDateTime")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    engine = Engine.open(str(path))
    for table in TABLES:
        engine.execute("CreateTable", table)
    for number in range(60):
        item = {"pk": {"S": "a"}, "at": {"N": str(number)}, "day": {"S": f"d{number % 3}"}, "raw": {"B": "AP8="}}
        engine.execute("PutItem", {"TableName": "notes", "Item": item})
    engine.execute("PutItem", {"TableName": "plain", "Item": {"pk": {"S": "ü"}, "text": {"S": "x" * 300_000}}})
    engine.close()
    return path


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(dynamo, [str(each) for each in arguments], input=stdin)


def contents(path: Path) -> Iterator[Any]:
    engine = Engine.open(str(path))
    for table in ("notes", "plain"):
        described = engine.execute("DescribeTable", {"TableName": table})["Table"]
        yield json.loads(json.dumps(described), object_hook=_stable)
        yield engine.execute("Scan", {"TableName": table})["Items"]
        if "GlobalSecondaryIndexes" in described:
            yield engine.execute("Scan", {"TableName": table, "IndexName": "by-day"})["Items"]
    engine.close()


def _stable(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in VOLATILE}


def test_ls_lists_tables(store: Path) -> None:
    listed = run("--data", store, "ls")
    assert listed.exit_code == 0
    rows = [line for line in listed.output.splitlines() if "notes" in line or "plain" in line]
    assert ["60" in rows[0], "by-day" in rows[0], "pk, at" in rows[0]] == [True, True, True]
    assert run("ls", "--data", store).output == listed.output


def test_describe_prints_the_description(store: Path) -> None:
    described = run("--data", store, "describe", "notes")
    assert json.loads(described.output)["TableName"] == "notes"


def test_a_dump_loads_into_the_same(store: Path, tmp_path: Path) -> None:
    dumped, copy = tmp_path / "all.jsonl", tmp_path / "copy.db"
    assert run("--data", store, "dump", "--to", dumped).exit_code == 0
    loaded = run("load", "--data", copy, dumped)
    assert loaded.exit_code == 0, loaded.output
    assert "notes: 60 items" in loaded.output
    assert list(contents(copy)) == list(contents(store))


def test_a_dump_goes_through_a_pipe_too(store: Path, tmp_path: Path) -> None:
    dumped = run("--data", store, "dump", "plain")
    assert dumped.stdout_bytes.count(b"\n") == 2
    assert run("--data", tmp_path / "copy.db", "load", stdin=dumped.stdout_bytes).exit_code == 0


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/absent/all.gz", "--to /absent/all.gz: No such file or directory; the dump is not complete"),
        ("/dev/full", "--to /dev/full: No space left on device; the dump is not complete"),
    ],
)
def test_a_dump_that_cannot_be_written_is_reported(store: Path, target: str, line: str) -> None:
    if target == "/dev/full" and not Path(target).exists():
        pytest.skip("only Linux has /dev/full")
    refused = run("--data", store, "dump", "plain", "--to", target)
    assert (refused.exit_code, refused.stderr) == (2, f"bursar dynamo: {line}\n")


def test_commands_that_write_are_refused_with_read_only(store: Path) -> None:
    before = store.read_bytes()
    for command in ("load", "reset --yes", "rollback one --yes", "snapshot one", "branch a.db b.db"):
        refused = run("--data", store, "--read-only", *command.split())
        reading = "ls, describe, check, dump, shell, deliver, log, diff"
        line = f"bursar dynamo: --read-only: must be given with {reading}; got {command.split()[0]}\n"
        assert (refused.exit_code, refused.stderr) == (2, line)
    assert store.read_bytes() == before
    assert not store.with_name(f"{store.name}.snapshots").exists()


def test_load_adds_to_an_existing_table_only_with_the_option(store: Path, tmp_path: Path) -> None:
    dumped = tmp_path / "plain.jsonl"
    run("--data", store, "dump", "plain", "--to", dumped)
    refused = run("--data", store, "load", dumped)
    assert refused.exit_code == 2
    assert "line 1: table plain exists already; --add puts items into it" in refused.output
    assert run("--data", store, "load", "--add", dumped).exit_code == 0


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (b"hello\n", "line 1: must be JSON"),
        (b"[]\n", "line 1: must be a JSON object; got list"),
        (b'{"Item":{}}\n', "line 1: must be a CreateTable, or an Item after one; got Item"),
        (b'{"CreateTable":{}}\n', "line 1: CreateTable must have a TableName"),
        (b'{"CreateTable":{"TableName":"ttt"}}\n', "ValidationException"),
        (
            b'{"Item":"' + b"x" * (5 * 1024 * 1024) + b'"}\n',
            "line 1: must have at most 4194304 bytes; got",
        ),
    ],
)
def test_a_file_that_is_not_a_dump_is_refused_in_one_line(tmp_path: Path, lines: bytes, text: str) -> None:
    refused = run("--data", tmp_path / "copy.db", "load", stdin=lines)
    assert refused.exit_code == 2
    assert text in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["ls"], ["describe", "notes"], ["dump"]])
def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "absent.db"
    refused = run("--data", path, *command)
    assert (refused.exit_code, refused.stderr) == (2, f"bursar dynamo: there is no store at {path}\n")
    assert not path.exists()


def test_a_missing_table_is_reported(store: Path) -> None:
    refused = run("--data", store, "describe", "absent")
    assert refused.exit_code == 2
    assert "ResourceNotFoundException" in refused.stderr


def test_a_command_needs_a_store() -> None:
    assert run("ls").exit_code == 2


def test_serving_beyond_loopback_without_keys_is_refused(tmp_path: Path) -> None:
    refused = run("--data", tmp_path / "store.db", "--host", "0.0.0.0", "--port", "0")
    assert refused.exit_code == 2
    assert refused.stderr.startswith(
        "bursar dynamo: --host: must be a loopback address without access keys; got 0.0.0.0"
    )


def test_unusable_credentials_are_reported(tmp_path: Path) -> None:
    refused = run("--credentials", tmp_path / "absent.toml")
    assert refused.exit_code == 2
    assert "cannot read" in refused.stderr


def test_the_rooms_above_hand_in_the_loader_of_rules(store: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    class Guarding(Guard):
        def adopt(self, view: object, table: str) -> list[str]:
            return []

        def judge(self, changes: object) -> TableCheck:
            return lambda view: None

    def loader(document: str) -> Any:
        asked.append(document)
        return Guarding()

    @click.group()
    @click.pass_context
    def whole(context: click.Context) -> None:
        context.meta[GUARD_LOADER] = loader

    whole.add_command(dynamo)
    engine = Engine.open(str(store), guard_loader=loader)
    engine.put_rules_document("plain", "the rules")
    engine.close()
    dumped = CliRunner().invoke(whole, ["dynamo", "--data", str(store), "dump", "plain"])
    assert json.loads(dumped.stdout.splitlines()[0])["Rules"] == "the rules"
    copy = tmp_path / "copy.db"
    asked.clear()
    loaded = CliRunner().invoke(whole, ["dynamo", "--data", str(copy), "load"], input=dumped.stdout_bytes)
    assert loaded.exit_code == 0, loaded.output
    assert "the rules" in asked
    # Without a guard loader the rules cannot be enforced, so loading them is refused.
    refused = run("--data", tmp_path / "other.db", "load", stdin=dumped.stdout_bytes)
    assert refused.exit_code == 2


def test_a_dump_may_be_compressed(store: Path, tmp_path: Path) -> None:
    packed, copy = tmp_path / "tables.jsonl.gz", tmp_path / "copy.db"
    assert run("--data", store, "dump", "--to", packed).exit_code == 0
    assert packed.read_bytes()[:2] == b"\x1f\x8b"
    assert run("--data", copy, "load", packed).exit_code == 0
    assert run("--data", copy, "dump").stdout == run("--data", store, "dump").stdout
    damaged = tmp_path / "damaged.jsonl.gz"
    damaged.write_bytes(packed.read_bytes()[:-9])
    refused = run("--data", tmp_path / "other.db", "load", damaged)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "the archive is damaged" in refused.stderr


def test_loading_into_memory_tries_a_dump(store: Path, tmp_path: Path) -> None:
    dumped = run("--data", store, "dump").stdout_bytes
    tried = run("--data", ":memory:", "load", stdin=dumped)
    assert (tried.exit_code, tried.stderr) == (0, "notes: 60 items\nplain: 1 items\n")
    assert run("--data", ":memory:", "load", stdin=dumped + b"{}").exit_code == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_makes_the_tables_of_its_files_once(store: Path, tmp_path: Path, workers: int) -> None:
    tables, served = tmp_path / "tables.jsonl", tmp_path / "served.db"
    run("--data", store, "dump", "--to", tables)
    for _ in range(2):
        server = Served(str(served), workers=workers, options=(f"--init={tables}",))
        try:
            dumped = run("dump", "--endpoint", server.url)
            assert dumped.stdout == tables.read_text()
        finally:
            server.stop()


def test_a_bad_file_of_tables_ends_the_start(tmp_path: Path) -> None:
    tables = tmp_path / "tables.json"
    tables.write_text("{}")
    refused = run("--data", tmp_path / "store.db", "--port", "0", "--init", tables)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith(f'bursar dynamo: --init {tables}: must have "Resources"')


def test_an_endpoint_that_does_not_answer_is_reported() -> None:
    refused = run("dump", "--endpoint", "http://127.0.0.1:9")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)


def test_every_option_and_command_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "dynamo.md").read_text()
    options = [option.opts[0] for option in dynamo.params if isinstance(option, click.Option)]
    assert [option for option in options if f"`{option}" not in page] == []
    assert [command for command in dynamo.commands if f" {command} " not in page and f" {command}\n" not in page] == []


def test_the_help_has_the_exit_codes_of_the_page() -> None:
    shown = CliRunner().invoke(dynamo, ["--help"]).output
    page = (Path(__file__).parents[2] / "docs" / "dynamo.md").read_text(encoding="utf-8")
    codes = [line.split("|")[1].strip() for line in page.partition("### Exit codes")[2].splitlines()[4:7]]
    assert codes == ["0", "1", "2"]
    assert [code for code in codes if f"\n    {code}  " not in shown and f"\n  {code}  " not in shown] == []


def test_the_console_needs_one_worker_and_a_free_port(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    result = run("--data", store, "--port", "0", "--workers", "2", "--console")
    assert (result.exit_code, result.stderr) == (2, "bursar dynamo: --workers: must be 1 with --console; got 2\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("--data", store, "--port", "0", "--console", "--console-port", port)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"bursar dynamo: cannot listen on 127.0.0.1:{port}: ")


def test_without_keys_the_console_is_on_loopback_alone(tmp_path: Path) -> None:
    options = ("--console", "--console-port=0", "--host=0.0.0.0", "--open-to-anyone")
    server = Served(str(tmp_path / "store.db"), options=options)
    try:
        assert server.process.stdout is not None
        console = server.process.stdout.readline().removeprefix("Console at ").strip()
        assert console.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(console) as answer:
            assert b"There are no tables" in answer.read()
    finally:
        assert server.stop() == 0
