"""The judge catches every planted fault within 200 seeds; without the fault the same seed has no findings."""

import pytest

from sim.proof.canaries import CANARIES, CATCH_SEEDS_MAX, catch
from sim.run import simulate


@pytest.mark.parametrize("name", CANARIES)
def test_the_judge_catches(name: str) -> None:
    caught = catch(CANARIES[name])
    assert caught.finding is not None
    assert caught.seeds_tried <= CATCH_SEEDS_MAX + 1


def test_a_canary_leaves_nothing_behind() -> None:
    seed = next(iter(CANARIES.values())).seed
    assert simulate(seed).findings == []
