"""The workers of one server share their clients' buckets, also if a worker is killed."""

import subprocess
import sys

ALL_CLAIM_AT_ONCE = """
import os, random
from bursar.portal.api.rate_limits import ClientLimits, shared_buckets

WORKERS, CLIENTS = 4, 300
names = [f"c{number}" for number in range(CLIENTS)]
with shared_buckets(WORKERS) as shared:
    waits, go = os.pipe()
    for worker in range(WORKERS):
        if not os.fork():
            limits = ClientLimits(lambda: 0.0, burst=1000.0, shared=shared, worker=worker)
            os.close(go)
            os.read(waits, 1)
            random.Random(worker).shuffle(names)
            for name in names:
                limits.enter(name)
            os._exit(0)
    os.close(go)
    for _ in range(WORKERS):
        assert os.wait()[1] == 0
    slots = [shared.slot_of(name) for name in names]
    assert sorted(slots) == list(range(CLIENTS))
    assert [shared.taken[slot] for slot in slots] == [WORKERS] * CLIENTS
    assert [requests[slot] for requests in shared.in_progress for slot in slots] == [1] * WORKERS * CLIENTS
print("one slot each")
"""

ALL_ENTER_AT_ONCE = """
import os
from bursar.portal.api.rate_limits import ClientLimits, shared_buckets
from bursar.portal.contract.errors import TooMany

WORKERS, BURST = 4, 10_000
with shared_buckets(WORKERS) as shared:
    waits, go = os.pipe()
    heard, says = os.pipe()
    for worker in range(WORKERS):
        if not os.fork():
            os.close(go)
            limits = ClientLimits(lambda: 1000.0, rate_per_s=1.0, burst=BURST, shared=shared, worker=worker)
            os.read(waits, 1)
            let_in = 0
            for _ in range(BURST // 2):
                try:
                    limits.enter("a")
                except TooMany:
                    continue
                let_in += 1
                limits.leave("a")
            os.write(says, let_in.to_bytes(4, "big"))
            os._exit(0)
    os.close(go)
    for _ in range(WORKERS):
        assert os.wait()[1] == 0
    counts = [int.from_bytes(os.read(heard, 4), "big") for _ in range(WORKERS)]
    assert sum(counts) == BURST, counts
print("the burst and no more")
"""

KILLED_WITH_THE_LOCK = """
import fcntl, os, signal
from bursar.portal.api.rate_limits import ClientLimits, shared_buckets

with shared_buckets(2) as shared:
    limits = ClientLimits(lambda: 0.0, rate_per_s=1.0, burst=10.0, shared=shared, worker=1)
    limits.enter("a")
    heard, says = os.pipe()
    holder = os.fork()
    if not holder:
        with shared.lock:
            os.write(says, b".")
            signal.pause()
    os.read(heard, 1)
    try:
        fcntl.lockf(shared.lock.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("held")
    os.kill(holder, signal.SIGKILL)
    limits.enter("a")
    os.waitpid(holder, 0)
    assert (shared.taken[0], [requests[0] for requests in shared.in_progress]) == (2.0, [0, 2])
print("released")
"""

KILLED_BETWEEN_CLAIM_AND_COUNT = """
import os, signal
from bursar.portal.api.rate_limits import ClientLimits, shared_buckets

def limits(worker, clock=lambda: 0.0):
    return ClientLimits(clock, at_once_max=1, burst=10.0, shared=shared, worker=worker)

def paused_clock():  # read after the slot has been claimed
    os.write(says, b".")
    signal.pause()

with shared_buckets(2) as shared:
    heard, says = os.pipe()
    holder = os.fork()
    if not holder:
        limits(0, paused_clock).enter("a")
    os.read(heard, 1)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    limits(1).enter("a")
    assert (shared.slot_of("a"), shared.slot_of("b")) == (0, 1)
    assert (shared.taken[0], [requests[0] for requests in shared.in_progress]) == (1.0, [0, 1])
print("took nothing")
"""


def run(program: str) -> tuple[str, str]:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    return ran.stdout, ran.stderr


def test_workers_that_claim_at_the_same_moment_get_one_slot_for_each_client() -> None:
    assert run(ALL_CLAIM_AT_ONCE) == ("one slot each\n", "")


def test_workers_that_race_for_one_bucket_admit_its_burst_and_no_more() -> None:
    assert run(ALL_ENTER_AT_ONCE) == ("the burst and no more\n", "")


def test_a_worker_killed_with_the_lock_blocks_no_other_worker() -> None:
    assert run(KILLED_WITH_THE_LOCK) == ("held\nreleased\n", "")


def test_a_worker_killed_after_it_claimed_a_slot_has_taken_nothing() -> None:
    assert run(KILLED_BETWEEN_CLAIM_AND_COUNT) == ("took nothing\n", "")
