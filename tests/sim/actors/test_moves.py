"""A store that moves in the middle of a simulated day: the judge finds nothing, and finds a move without a fence."""

import pytest

from bursar.bootstrap.move.moving import Move
from sim.faults.fault_switch import FaultPlan
from sim.run import Verdict, simulate

WITHOUT_RESTORES = FaultPlan(off=frozenset({"store restored from a backup"}))
SEEDS = range(1, 6)
UNFENCED_SEEDS = range(1, 9)


def moved(seed: int) -> Verdict:
    verdict = simulate(seed, WITHOUT_RESTORES, moved_after_s=60.0 + seed * 37)
    assert any("the store is moved" in line for line in verdict.timeline)
    return verdict


def test_a_move_in_the_middle_of_a_day_loses_and_doubles_nothing() -> None:
    verdicts = [moved(seed) for seed in SEEDS]
    assert [verdict.findings for verdict in verdicts] == [[]] * len(verdicts)
    assert sum(verdict.charges for verdict in verdicts) > 0


def test_the_judge_finds_a_move_that_does_not_close_the_old_store(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leaves_it_open(self: Move) -> None:
        """Close nothing."""

    monkeypatch.setattr(Move, "_close", leaves_it_open)
    assert any(_findings(seed) for seed in UNFENCED_SEEDS)


def _findings(seed: int) -> list[str]:
    return simulate(seed, WITHOUT_RESTORES, moved_after_s=60.0 + seed * 37).findings
