"""``bursar simulator`` as a process: it prints its address, keeps its books, and ends cleanly or with one line."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bursar.cli import bursar
from bursar.paygov.commands import simulator
from bursar.paygov.protocol import ONLINE_PATH, PAY_PATH
from bursar.paygov.simulator import Books, server
from bursar.paygov.simulator.server import listen


@contextlib.contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command on a free port. Yield the process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from bursar.cli import main; main()", "simulator", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert "Pay.gov's simulator is at http://127.0.0.1:" in first
        for _ in range(3):
            process.stdout.readline()
        yield process, first.split(" at ")[1].split(" ")[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_command_serves_and_stops_at_ctrl_c(tmp_path: Path) -> None:
    with running("--data", str(tmp_path), "--misbehave", "drop operations=complete probability=0.5") as (process, at):
        with urllib.request.urlopen(f"{at}/health") as reply:
            assert json.load(reply) == {"status": "ok", "misbehaviours": 1}
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    Books(tmp_path / "paygov-books.jsonl").close()


class InterruptedServer:
    """A server that ends as uvicorn's does at Ctrl-C: it closes its sockets and raises the signal again."""

    async def serve(self, sockets: list[socket.socket]) -> None:
        for each in sockets:
            each.close()
        raise KeyboardInterrupt


def test_ctrl_c_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "simulator_server", lambda *_: InterruptedServer())
    stopped = CliRunner().invoke(simulator, ["--port", "0"])
    assert (stopped.exit_code, stopped.output.splitlines()[-1]) == (0, "Stopped.")


@pytest.mark.parametrize(("offered", "found"), [("none", False), ("details", True)])
def test_the_offered_lookups_are_an_option(offered: str, found: bool) -> None:
    with running("--lookups", offered) as (_, at):
        usual = {"BURSAR_PAYGOV_URL": f"{at}{ONLINE_PATH}", "BURSAR_PAYMENT_URL": f"{at}{PAY_PATH}"}
        probed = CliRunner().invoke(bursar, ["paygov", "probe", "--format", "json"], env=usual)
    verdicts = {row["name"]: row["verdict"] for row in json.loads(probed.stdout)}
    assert (verdicts["details-none"], verdicts["query-none"]) == ("holds" if found else "does not hold", "not tried")


def refusal(*options: str) -> str:
    """Return what a command prints that cannot start. Its exit code must be 2."""
    result = CliRunner().invoke(simulator, ["--port", "0", *options])
    assert result.exit_code == 2
    return result.output.splitlines()[-1]


def test_a_busy_port_is_one_line() -> None:
    with listen() as taken:
        port = str(taken.getsockname()[1])
        assert refusal("--port", port) == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_books_that_cannot_be_opened_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal("--data", str(tmp_path / "file" / "deeper"))
    (tmp_path / "paygov-books.jsonl").write_text('{"format":9}\n')
    assert "has format 9; this Bursar reads up to 1" in refusal("--data", str(tmp_path))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--misbehave", "explode"], "--misbehave"),
        (["--misbehave", "drop probability=7"], "probability"),
        (["--ach-settle-s", "-1"], "--ach-settle-s"),
        (["--lookups", "guess"], "details and query"),
        (["--lookup-delay-s", "-1"], "--lookup-delay-s"),
        (["--port", "70000"], "--port"),
    ],
)
def test_bad_options_are_named(options: list[str], named: str) -> None:
    assert named in refusal(*options)
