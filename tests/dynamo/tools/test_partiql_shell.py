"""`bursar dynamo shell`: statements over a file or an endpoint, tables drawn, one line for each error."""

import asyncio
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from bursar.dynamo import AsyncEngine, DynamoError, Engine
from bursar.dynamo.commands import dynamo
from bursar.dynamo.errors import StoreUnreachable
from bursar.dynamo.items.attribute_values import AttributeValue
from bursar.dynamo.tools.partiql_shell import CELL_LONGEST, ROWS_PER_PAGE, Shell, history_path, literal
from tests.support.dynamo.server_clients import serving
from tests.support.dynamo.tables import item, put, table


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    engine = Engine.open(str(path))
    engine.execute("CreateTable", table(key=("pk:S", "sk:N"), global_indexes={"by-d": ("d:S", "sk:N")}))
    put(engine, "orders", item(pk="a", sk=1, d="one"), item(pk="a", sk=2, m={"M": {"x": {"NS": ["1"]}}}))
    engine.close()
    return path


def run(store: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(dynamo, ["--data", str(store), "shell", *arguments], input=stdin)


def drawn(output: str) -> list[list[str]]:
    """Return the rows of the drawn table, without its lines."""
    rows = [line.replace("┃", "│").split("│")[1:-1] for line in output.splitlines() if line[:1] in ("┃", "│")]
    return [[cell.strip() for cell in row] for row in rows]


def test_a_select_is_drawn_as_a_table(store: Path) -> None:
    result = run(store, "-c", "SELECT * FROM orders WHERE pk = 'a'")
    assert result.exit_code == 0, result.output
    assert drawn(result.stdout) == [
        ["pk", "sk", "d", "m"],
        ["a", "1", "one", ""],
        ["a", "2", "", "{'x': <<1>>}"],
    ]
    assert result.stdout.endswith("2 items\n")


def test_json_is_one_item_a_line_and_nothing_else(store: Path) -> None:
    result = run(store, "--format", "json", "-c", "SELECT sk FROM orders WHERE pk = 'a' ORDER BY sk DESC")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [{"sk": {"N": "2"}}, {"sk": {"N": "1"}}]


def test_several_statements_run_one_after_another_and_an_error_is_one_line(store: Path) -> None:
    result = run(store, "-c", "INSERT INTO orders VALUE {'pk': 'b', 'sk': 1}", "-c", "SELECT", "-c", "DELETE FROM nope")
    assert result.exit_code == 1
    assert result.stdout == "done\n"
    assert result.stderr.splitlines() == [
        "ValidationException: Statement wasn't well formed, can't be processed: Unexpected term",
        "ResourceNotFoundException: Requested resource not found",
    ]


def test_lines_are_read_until_the_end_or_exit(store: Path) -> None:
    lines = "SELECT sk FROM orders \\\nWHERE d = 'one'\n\n.tables\n.exit\nDELETE FROM nope\n"
    result = run(store, "--format", "json", stdin=lines)
    assert result.exit_code == 0
    assert result.stdout == '{"sk":{"N":"1"}}\norders\n'


def test_a_failed_line_does_not_end_the_others(store: Path) -> None:
    result = run(store, stdin="SELECTT\n.tables\n")
    assert (result.exit_code, result.stdout) == (1, "orders\n")


def test_describe_shows_keys_and_indexes(store: Path) -> None:
    assert drawn(run(store, "-c", ".describe orders").stdout) == [
        ["", "key", "projection"],
        ["orders", "pk S, sk N", ""],
        ['"orders"."by-d"', "d S, sk N", "ALL"],
    ]


def test_an_unknown_command_shows_the_help(store: Path) -> None:
    assert ".describe TABLE" in run(store, "-c", ".what").stdout


def test_a_store_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path / "none.db", "-c", "SELECT * FROM t")
    assert (result.exit_code, result.stderr) == (2, f"bursar dynamo: there is no store at {tmp_path / 'none.db'}\n")


def test_an_endpoint_that_names_none_is_one_line() -> None:
    result = CliRunner().invoke(dynamo, ["shell", "--endpoint", "ftp://x", "-c", "SELECT * FROM t"])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


async def test_an_endpoint_is_asked_as_a_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    shared = AsyncEngine(Engine.open(":memory:"))
    await shared.call("CreateTable", table("plain", ("pk:S",)))
    async with serving(shared) as server:
        statements = ["-c", "INSERT INTO plain VALUE {'pk': 'a'}", "-c", "SELECT * FROM plain", "-c", "SELECT"]
        arguments = ["shell", "--endpoint", server.url, "--format", "json", *statements]
        result = await asyncio.to_thread(CliRunner().invoke, dynamo, arguments)
    await shared.close()
    assert (result.exit_code, result.stdout) == (1, '{"pk":{"S":"a"}}\n')
    assert result.stderr.splitlines()[-1].startswith("ValidationException: Statement wasn't well formed")


class Scripted:
    """A store with scripted answers, which records its requests."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.requests.append((operation, request))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def shell_of(*answers: dict[str, Any] | Exception) -> tuple[Shell, Scripted, io.StringIO, io.StringIO]:
    output, errors, store = io.StringIO(), io.StringIO(), Scripted(*answers)
    return Shell(store, Console(file=output, width=200), Console(file=errors, width=200)), store, output, errors


def test_more_pages_are_had_by_next() -> None:
    page = {"Items": [item(pk="a")]}
    shell, store, output, _ = shell_of({**page, "NextToken": "t"}, page)
    for line in ("SELECT * FROM t", ".next", ".next"):
        assert shell.run(line)
    statement = {"Statement": "SELECT * FROM t", "Limit": ROWS_PER_PAGE}
    assert [request for _, request in store.requests] == [statement, {**statement, "NextToken": "t"}]
    assert "more items may follow: .next" in output.getvalue()
    assert output.getvalue().endswith("no more items\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StoreUnreachable("connection\nrefused"), "StoreUnreachable: connection refused\n"),
        (DynamoError("ThrottlingException", "slow [red]down"), "ThrottlingException: slow [red]down\n"),
    ],
)
def test_an_error_of_the_store_is_one_line(error: Exception, line: str) -> None:
    shell, _, _, errors = shell_of(error)
    assert not shell.run("SELECT * FROM t")
    assert errors.getvalue() == line


def test_items_are_text_and_not_markup_or_control_codes() -> None:
    shell, _, output, _ = shell_of({"Items": [item(pk="[bold]x", t="\x1b[2J\n", long="y" * 99)]})
    shell.run("SELECT * FROM t")
    assert drawn(output.getvalue())[1] == ["[bold]x", "·[2J·", "y" * (CELL_LONGEST - 1) + "…"]


def test_values_are_written_as_statements_write_them() -> None:
    value: AttributeValue = {
        "M": {
            "s": {"S": "it's"},
            "l": {"L": [{"N": "1.5"}, {"BOOL": True}, {"NULL": True}, {"B": "AA=="}]},
            "ss": {"SS": ["a"]},
            "ns": {"NS": ["1", "2"]},
        }
    }
    assert literal(value) == "{'s': 'it''s', 'l': [1.5, true, null, b64'AA=='], 'ss': <<'a'>>, 'ns': <<1, 2>>}"


def test_the_history_is_among_the_users_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_path() == tmp_path / "bursar" / "shell-history"
