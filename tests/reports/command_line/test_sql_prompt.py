"""The prompt of ``bursar sql``."""

import asyncio
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from bursar.reports.command_line.sql_prompt import completions, history_path, is_complete, run_prompt
from bursar.reports.errors import BadSql


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeInput]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
        yield typed


async def test_statements_of_several_lines_are_answered_until_the_end(
    typed: PipeInput, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    async def ask(text: str) -> str:
        asked.append(text)
        return "an answer\n"

    typed.send_text("SELECT 1;\rSELECT\r2;\rSELECT 3\r\r;\r.schema\r.help\r.exit\r")
    await run_prompt(ask)
    assert asked == ["SELECT 1;", "SELECT\n2;", "SELECT 3"]
    output = capsys.readouterr().out
    assert output.count("an answer") == 3
    assert "payment_events: one row per event" in output
    assert "Ctrl-C stops a statement" in output


async def test_an_error_is_one_line_and_the_prompt_goes_on(
    typed: PipeInput, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ask(text: str) -> str:
        if "nothing" in text:
            raise BadSql("no column nothing")
        return "fine\n"

    typed.send_text("SELECT nothing;\rSELECT 1;\r\x04")
    await run_prompt(ask)
    output = capsys.readouterr()
    assert "Error: no column nothing" in output.err
    assert output.out.endswith("fine\n")


async def test_ctrl_c_stops_the_statement_and_not_the_prompt(
    typed: PipeInput, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ask(text: str) -> str:
        if "slow" in text:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
        return "fine\n"

    typed.send_text("SELECT slow;\rSELECT 1;\r\x04")
    await run_prompt(ask)
    output = capsys.readouterr()
    assert "stopped" in output.err
    assert output.out.endswith("fine\n")


async def test_the_history_is_kept_in_a_private_file(typed: PipeInput) -> None:
    async def ask(text: str) -> str:
        return ""

    typed.send_text("SELECT 'secret';\r\x04")
    await run_prompt(ask)
    assert "SELECT 'secret';" in history_path().read_text()
    assert stat.S_IMODE(history_path().stat().st_mode) == 0o600
    typed.send_text("\x1b[A\r\x04")  # the arrow up repeats the last statement
    asked: list[str] = []

    async def keep(text: str) -> str:
        asked.append(text)
        return ""

    await run_prompt(keep)
    assert asked == ["SELECT 'secret';"]


def test_tables_columns_and_keywords_are_completed() -> None:
    assert [word for word, _ in completions("SELECT * FROM payment_d")] == ["payment_days"]
    found = dict(completions("SELECT amo"))
    assert found == {"amount": "DECIMAL(18,2)  US dollars"}
    assert ("SELECT", "") in completions("sel")
    assert [word for word, _ in completions(".s")] == [".schema"]
    assert list(completions("SELECT ")) == []


@pytest.mark.parametrize(
    ("text", "complete"),
    [("", True), ("SELECT 1", False), ("SELECT 1;", True), ("SELECT 1; ", True), ("SELECT 1\n", True), (".help", True)],
)
def test_a_statement_ends_with_a_semicolon_or_an_empty_line(text: str, complete: bool) -> None:
    assert is_complete(text) is complete
