"""Clients' slots are the same for all workers, whoever claims them when, and whoever is killed while at it."""

import subprocess
import sys

from bursar.portal.api.rate_limits_shared import SLOTS_MAX, SharedUse

ALL_CLAIM_AT_ONCE = """
import os, random
from bursar.portal.api.rate_limits_shared import SharedUse

WORKERS, CLIENTS = 4, 300
with SharedUse(WORKERS) as shared:
    waits, go = os.pipe()
    for seat in range(WORKERS):
        if not os.fork():
            os.close(go)
            os.read(waits, 1)
            names = [f"c{number}" for number in range(CLIENTS)]
            random.Random(seat).shuffle(names)
            for name in names:
                shared.of(name, seat, 0.0, 1.0, 1000.0).take()
            os._exit(0)
    os.close(go)
    for _ in range(WORKERS):
        assert os.wait()[1] == 0
    assert [shared.of(f"c{number}", 0, 0.0, 1.0, 1000.0).look(0.0) for number in range(CLIENTS)] == [
        (WORKERS, 1000.0 - WORKERS)
    ] * CLIENTS
    assert shared._counts[0] == CLIENTS
print("one slot each")
"""

KILLED_WITH_THE_LOCK = """
import fcntl, os, signal
from bursar.portal.api.rate_limits_shared import SharedUse

with SharedUse(2) as shared:
    heard, says = os.pipe()
    holder = os.fork()
    if not holder:
        def claims_half(digest, now):
            shared._bytes[8:16] = digest[:8]
            os.write(says, b".")
            signal.pause()
        shared._look_and_claim = claims_half
        shared.of("half", 0, 0.0, 1.0, 10.0)
    os.read(heard, 1)
    try:
        fcntl.lockf(shared._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("held")
    os.kill(holder, signal.SIGKILL)
    shared.of("whole", 1, 0.0, 1.0, 10.0).take()
    os.waitpid(holder, 0)
    assert shared._counts[0] == 1
    assert shared.of("whole", 0, 0.0, 1.0, 10.0).look(0.0) == (1, 9.0)
print("freed")
"""


def run(program: str) -> tuple[str, str]:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return ran.stdout, ran.stderr


def test_workers_that_claim_at_the_same_moment_get_one_slot_for_each_client() -> None:
    assert run(ALL_CLAIM_AT_ONCE) == ("one slot each\n", "")


def test_a_worker_killed_while_it_claims_keeps_nobody_waiting_and_has_claimed_nothing() -> None:
    assert run(KILLED_WITH_THE_LOCK) == ("held\nfreed\n", "")


def test_a_client_has_its_slot_from_whichever_seat_it_is_asked_for() -> None:
    with SharedUse(2) as shared:
        mine, others = (shared.of("a", seat, 100.0, 1.0, 10.0) for seat in range(2))
        assert mine is not None
        assert others is not None
        mine.take()
        assert (mine.here, others.here) == (1, 0)
        assert mine.look(100.0) == others.look(100.0) == (1, 9.0)
        mine.leave()
        assert mine.look(100.0) == others.look(100.0) == (0, 9.0)


def test_there_is_none_once_all_slots_are_other_clients() -> None:
    with SharedUse(1) as shared:
        assert all(shared.of(f"c{number}", 0, 0.0, 1.0, 1.0) for number in range(SLOTS_MAX))
        assert shared.of("late", 0, 0.0, 1.0, 1.0) is None
        assert shared.of(f"c{SLOTS_MAX - 1}", 0, 0.0, 1.0, 1.0) is not None


def test_two_looks_before_either_takes_are_owed_in_full() -> None:
    with SharedUse(2) as shared:
        one, other = (shared.of("a", seat, 0.0, 1.0, 1.0) for seat in range(2))
        assert one is not None
        assert other is not None
        assert one.look(50.0) == other.look(50.0) == (0, 1.0)
        one.take()
        other.take()
        assert one.look(50.0) == other.look(50.0) == (2, -1.0)
        assert one.look(52.0) == other.look(52.0) == (2, 1.0)
