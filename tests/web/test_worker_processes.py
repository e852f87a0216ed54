"""Workers that crash before they are ready are replaced, and the parent still reports when all are ready."""

import subprocess
import sys
from pathlib import Path

import pytest

from bursar.web.worker_processes import RESTARTS_MAX

SCRIPT = """
import os, signal, sys
from bursar.web.worker_processes import WorkerProcesses

folder, deaths = sys.argv[1], int(sys.argv[2])

def work(lifeline, ready, share):
    for number in range(deaths):
        try:
            os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        os._exit(3)
    ready()
    os.read(lifeline, 1)

def on_ready():
    print("ready", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

print(WorkerProcesses(3, work).run(on_ready), flush=True)
"""


@pytest.mark.parametrize(
    ("deaths", "output"),
    [
        (0, "ready\nNone\n"),
        (1, "ready\nNone\n"),
        (RESTARTS_MAX, "ready\nNone\n"),
        (RESTARTS_MAX + 1, f"a worker died (exit 3) after {RESTARTS_MAX} restarts\n"),
    ],
)
def test_crashed_workers_are_replaced_until_all_are_ready(tmp_path: Path, deaths: int, output: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(deaths)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == (output, "")
