"""Any worker reads whole snapshots of the others, also of a worker that was killed."""

import subprocess
import sys

import pytest

from bursar.portal.metrics.worker_snapshots import SNAPSHOT_BYTES_MAX, Snapshots, _header

KILLED_WHILE_IT_WRITES = """
import itertools, os, signal
from bursar.portal.metrics.worker_snapshots import Snapshots

snapshots = Snapshots(2)
for _ in range(20):
    heard, says = os.pipe()
    child = os.fork()
    if not child:
        for number in itertools.count():
            snapshots.keep(1, b"%d" % (number % 10) * 500_000)
            os.write(says, b".") if number == 3 else None
    os.read(heard, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(heard)
    os.close(says)
    latest = snapshots.latest(1)
    assert len(latest) == 500_000 and latest == latest[:1] * 500_000
print("whole")
"""


def test_each_worker_has_its_last_one() -> None:
    snapshots = Snapshots(2)
    assert [snapshots.latest(worker) for worker in range(2)] == [b"", b""]
    for text in (b"first, and longer", b"second", b"third"):
        snapshots.keep(0, text)
        assert [snapshots.latest(worker) for worker in range(2)] == [text, b""]
    snapshots.keep(1, b"another's")
    assert [snapshots.latest(worker) for worker in range(2)] == [b"third", b"another's"]


def test_a_worker_killed_while_it_writes_leaves_its_last_whole_snapshot() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_IT_WRITES], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.stdout, ran.stderr) == ("whole\n", "")


@pytest.mark.parametrize("damaged", [b"\xff\xff\xff\xff", b"\x03\x00\x00\x00", b"\x00\x00\x00\x00"])
def test_a_damaged_one_is_logged_and_left_out_until_the_next(damaged: bytes, caplog: pytest.LogCaptureFixture) -> None:
    snapshots = Snapshots(2)
    snapshots.keep(1, b"whole")
    begin = _header(1, snapshots._memory[_header(1, 0) - 1])
    snapshots._memory[begin : begin + len(damaged)] = damaged
    assert snapshots.latest(1) == b""
    assert caplog.messages == ["snapshot of the metrics of worker 1 left out: it is damaged"]
    snapshots.keep(1, b"whole again")
    assert snapshots.latest(1) == b"whole again"


def test_one_that_is_too_large_is_logged_and_the_last_one_stays(caplog: pytest.LogCaptureFixture) -> None:
    snapshots = Snapshots(1)
    snapshots.keep(0, bytes(SNAPSHOT_BYTES_MAX))
    snapshots.keep(0, bytes(SNAPSHOT_BYTES_MAX + 1))
    assert snapshots.latest(0) == bytes(SNAPSHOT_BYTES_MAX)
    assert caplog.messages == ["snapshot of the metrics dropped: must have at most 1048576 bytes; got 1048577"]
