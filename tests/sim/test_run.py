"""Ordinary seeds have no findings, and a seed always gives the same run, in any process and under any hash seed."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from sim.loop import VirtualLoop, run_virtual
from sim.run import simulate
from sim.world import World

SEEDS = range(1, 26)
REPEATED_SEEDS = (3, 10)
SEED_WITH_A_RESTORE = 4
DIGEST = """
import hashlib
from sim.loop import VirtualLoop, run_virtual
from sim.run import simulate
from sim.world import World
for seed in {seeds}:
    print(hashlib.sha256("\\n".join(simulate(seed).timeline).encode()).hexdigest())
"""


def digest(seed: int) -> str:
    return hashlib.sha256("\n".join(simulate(seed).timeline).encode()).hexdigest()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_is_good(seed: int) -> None:
    verdict = simulate(seed)
    assert verdict.findings == []
    assert verdict.payments >= 2


def test_a_crowd_is_judged_as_a_few_are() -> None:
    verdict = simulate(SEED_WITH_A_RESTORE, crowd=30)
    assert verdict.findings == []
    assert verdict.payments == 31  # with the bill that is collected after a backup
    assert verdict.faults["store restored from a backup"] == 1


def test_a_process_of_a_crowd_dies_as_seldom_in_the_weeks_after_settlement_as_one_of_a_few() -> None:
    # The debits of a crowd are asked about in the same passes: a process that died in each would record no return.
    async def main(loop: VirtualLoop) -> float:
        world = World(loop, 1, crowd=40)
        world.go_slow(43_200.0, 0.02)
        return world.new_process(0)._death_probability

    assert run_virtual(main) == 0.002


def test_a_part_of_the_simulation_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a restore broke")

    monkeypatch.setattr("sim.world.restore_backup", broken)
    assert simulate(SEED_WITH_A_RESTORE).findings[0] == (
        "a part of the simulation broke: RuntimeError('a restore broke')"
    )


def test_a_run_without_a_timeline_has_the_same_verdict() -> None:
    without = simulate(3, keeps_timeline=False)
    assert without.timeline == []
    assert without == replace(simulate(3), timeline=[])


def test_a_seed_gives_the_same_timeline_in_other_processes_too() -> None:
    here = [digest(seed) for seed in REPEATED_SEEDS]
    assert [digest(seed) for seed in REPEATED_SEEDS] == here
    for hash_seed in ("1", "2"):
        elsewhere = subprocess.run(
            [sys.executable, "-c", DIGEST.format(seeds=REPEATED_SEEDS)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        )
        assert elsewhere.stdout.split() == here
