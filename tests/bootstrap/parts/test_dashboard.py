"""The dashboard as a process beside a portal, and the portal with and without it."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.bootstrap.whole_system import bursar, clean_environment, running_up

PASSWORD = "correct horse battery"
PAYGOV_NOWHERE = (
    'paygov_url = "http://127.0.0.1:9/"\npayment_url = "http://127.0.0.1:9/pay"\ndevelopment_client = true\n'
)


@contextmanager
def running(*command: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a command and yield it with the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bursar", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=cwd,
        env=clean_environment() | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        yield process, found.group()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(120)
        if process.stdout is not None:
            process.stdout.close()


def status(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_process_serves_the_pages_beside_a_portal_and_asks_for_a_password(tmp_path: Path) -> None:
    with running_up(tmp_path / "data"), running("dashboard", "--port", "0", cwd=tmp_path) as (process, url):
        code, text = status(f"{url}/")
        assert (code, "There is no account yet" in text) == (200, True)
        added = subprocess.run(
            [sys.executable, "-m", "bursar", "user", "add", "ada", "--role", "viewer", "--password-stdin"],
            input=f"{PASSWORD}\n", text=True, cwd=tmp_path, env=clean_environment(), check=False,
        )  # fmt: skip
        assert added.returncode == 0
        assert "There is no account yet" not in status(f"{url}/dashboard/sign-in")[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0


def test_without_a_store_it_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = bursar("dashboard", "--port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("bursar: BURSAR_DATA: ")


def test_the_portal_serves_the_pages_unless_a_setting_turns_them_off(tmp_path: Path) -> None:
    settings = tmp_path / "bursar.toml"
    for extra, expected in (("", 200), ("dashboard = false\n", 404)):
        settings.write_text(PAYGOV_NOWHERE + extra)
        with running("portal", "--port", "0", cwd=tmp_path) as (process, url):
            assert status(f"{url}/dashboard/sign-in")[0] == expected
            assert status(f"{url}/nowhere")[0] == 404
            process.send_signal(signal.SIGINT)
            assert process.wait(120) == 0
