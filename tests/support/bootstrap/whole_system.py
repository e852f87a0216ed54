"""Start `bursar up` as a user would, in a separate process on free ports, and end it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 120


@dataclass
class Up:
    """A running `bursar up`: its addresses and its process."""

    process: subprocess.Popen[str]
    portal_url: str
    simulator_url: str
    data: Path

    def stop(self) -> int:
        """Send Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """Kill the process, as a power cut would."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)


def bursar(*arguments: str, cwd: Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command of bursar to its end, without settings from the environment."""
    return subprocess.run(
        [sys.executable, "-m", "bursar", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=clean_environment(),
        timeout=timeout_s,
    )


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}


@contextlib.contextmanager
def running_up(data: Path, *flags: str) -> Iterator[Up]:
    """Start `bursar up` with its data in ``data`` and wait until it answers. Kill it at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bursar", "up", "--port", "0", "--simulator-port", "0", "--data", str(data), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=data.parent,
        env=clean_environment() | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        if first.startswith("Making "):  # --demo fills the store first
            first = process.stdout.readline()
        lines = [first, *(process.stdout.readline() for _ in range(2))]
        portal_url, simulator_url = (_url_in(line) for line in lines[:2])
        yield Up(process, portal_url, simulator_url, data)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(STOP_TIMEOUT_S)
        if process.stdout is not None:
            process.stdout.close()


def _url_in(line: str) -> str:
    found = re.search(r"http://\S+", line)
    assert found, f"bursar up said {line!r} instead of where it is"
    return found.group()
