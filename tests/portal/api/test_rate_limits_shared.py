"""The workers of one server share their clients' buckets, also if a worker is killed."""

import subprocess
import sys

from bursar.portal.api.rate_limits_shared import SLOTS_MAX, SharedBuckets

ALL_CLAIM_AT_ONCE = """
import os, random
from bursar.portal.api.rate_limits_shared import SharedBuckets

WORKERS, CLIENTS = 4, 300
with SharedBuckets(WORKERS) as shared:
    waits, go = os.pipe()
    for worker in range(WORKERS):
        if not os.fork():
            os.close(go)
            os.read(waits, 1)
            names = [f"c{number}" for number in range(CLIENTS)]
            random.Random(worker).shuffle(names)
            for name in names:
                bucket = shared.bucket(name, worker, 0.0, 1000.0)
                with bucket.lock:
                    _, left, seen_at = bucket.read()
                    bucket.begin_request(left - 1, seen_at)
            os._exit(0)
    os.close(go)
    for _ in range(WORKERS):
        assert os.wait()[1] == 0
    assert [shared.bucket(f"c{number}", 0, 0.0, 1000.0).read() for number in range(CLIENTS)] == [
        (WORKERS, 1000.0 - WORKERS, 0.0)
    ] * CLIENTS
    assert sum(any(slot[:16]) for slot in shared.slots) == CLIENTS
print("one slot each")
"""

ALL_ENTER_AT_ONCE = """
import os
from bursar.portal.api.rate_limits import ClientLimits
from bursar.portal.api.rate_limits_shared import SharedBuckets
from bursar.portal.contract.errors import TooMany

WORKERS, BURST = 4, 40_000
with SharedBuckets(WORKERS) as shared:
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
from bursar.portal.api.rate_limits import ClientLimits
from bursar.portal.api.rate_limits_shared import SharedBuckets

with SharedBuckets(2) as shared:
    limits = ClientLimits(lambda: 0.0, rate_per_s=1.0, burst=10.0, shared=shared, worker=1)
    limits.enter("a")
    heard, says = os.pipe()
    holder = os.fork()
    if not holder:
        with shared.bucket("a", 0, 0.0, 10.0).lock:
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
    assert shared.bucket("a", 0, 0.0, 10.0).read() == (2, 8.0, 0.0)
print("released")
"""

KILLED_WHILE_CLAIMING = """
import os, signal
from bursar.portal.api.rate_limits_shared import Bucket, SharedBuckets

with SharedBuckets(2) as shared:
    heard, says = os.pipe()
    holder = os.fork()
    if not holder:
        def fill(bucket, left, now):
            os.write(says, b".")
            signal.pause()
        Bucket.fill = fill
        shared.bucket("half", 0, 0.0, 10.0)
    os.read(heard, 1)
    os.kill(holder, signal.SIGKILL)
    assert shared.bucket("whole", 1, 0.0, 10.0).read() == (0, 10.0, 0.0)
    os.waitpid(holder, 0)
    assert sum(any(slot[:16]) for slot in shared.slots) == 1
print("claimed nothing")
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


def test_a_worker_killed_while_it_claims_a_slot_has_claimed_nothing() -> None:
    assert run(KILLED_WHILE_CLAIMING) == ("claimed nothing\n", "")


def test_a_client_has_one_bucket_for_all_workers() -> None:
    with SharedBuckets(2) as shared:
        first, second = (shared.bucket("a", worker, 100.0, 10.0) for worker in range(2))
        assert first is not None
        assert second is not None
        assert first.read() == second.read() == (0, 10.0, 100.0)
        first.begin_request(9.0, 101.0)
        assert (first.in_use, second.in_use) == (True, False)
        assert first.read() == second.read() == (1, 9.0, 101.0)
        first.end_request()
        assert first.read() == second.read() == (0, 9.0, 101.0)


def test_the_successor_of_a_killed_worker_has_no_requests_under_way() -> None:
    with SharedBuckets(2) as shared:
        killed, other = (shared.bucket("a", worker, 100.0, 10.0) for worker in range(2))
        assert killed is not None
        assert other is not None
        killed.begin_request(9.0, 101.0)
        other.begin_request(8.0, 101.0)
        shared.start_worker(0)
        assert other.read() == (1, 8.0, 101.0)


def test_there_is_no_bucket_once_other_clients_have_all_slots() -> None:
    with SharedBuckets(1) as shared:
        assert all(shared.bucket(f"c{number}", 0, 0.0, 1.0) for number in range(SLOTS_MAX))
        assert shared.bucket("late", 0, 0.0, 1.0) is None
        assert shared.bucket(f"c{SLOTS_MAX - 1}", 0, 0.0, 1.0) is not None
