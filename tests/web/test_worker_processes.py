"""Workers that crash are replaced, before and after they are ready; a server that cannot start gives up."""

import subprocess
import sys
from pathlib import Path

import pytest

from bursar.web.restart_policy import FAILED_STARTS_MAX

WORKERS = 3
SCRIPT = """
import os, signal, sys
from bursar.web.worker_processes import WorkerProcesses

folder, deaths, kills = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def work(lifeline, ready, share):
    for number in range(deaths):
        try:
            os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        os._exit(3)
    ready()
    # Each of the first `kills` workers that are ready kills itself; the next one stops the server.
    for number in range(kills + 1):
        try:
            os.close(os.open(f"{folder}/ready-{number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        if number < kills:
            os.kill(os.getpid(), signal.SIGKILL)
        if kills:
            os.kill(os.getppid(), signal.SIGTERM)
        break
    os.read(lifeline, 1)

def on_ready():
    print("ready", flush=True)
    if not kills:
        os.kill(os.getpid(), signal.SIGTERM)

print(WorkerProcesses(3, work).run(on_ready), flush=True)
"""


def run(folder: Path, *, deaths: int = 0, kills: int = 0) -> tuple[list[str], list[str]]:
    """Run three workers; return the lines of output and the lines of the log."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(deaths), str(kills)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return ran.stdout.splitlines(), ran.stderr.splitlines()


@pytest.mark.parametrize("deaths", [0, 1, FAILED_STARTS_MAX - 1])
def test_workers_that_die_before_they_are_ready_are_replaced(tmp_path: Path, deaths: int) -> None:
    output, log = run(tmp_path, deaths=deaths)
    assert output == ["ready", "None"]
    assert len(log) == deaths
    assert all("died (exit 3) and is started again in " in line for line in log)


def test_a_server_whose_workers_all_die_at_their_start_gives_up(tmp_path: Path) -> None:
    output, _ = run(tmp_path, deaths=1000)
    assert output == [f"a worker died (exit 3), and no worker became ready in {FAILED_STARTS_MAX} starts in a row"]


def test_more_workers_than_five_may_crash_in_the_life_of_a_server(tmp_path: Path) -> None:
    output, log = run(tmp_path, kills=8)
    assert output[-1] == "None"
    assert (tmp_path / "ready-8").exists()
    assert 5 < len(log) <= 8  # the last deaths may come together with the stop
    assert all("died (exit -9) and is started again in " in line for line in log)
