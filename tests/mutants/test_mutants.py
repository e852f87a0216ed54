"""Every mutant can be planted in the program as it is, and names the tests that must catch it."""

from collections.abc import Callable
from pathlib import Path

import pytest

import tests.mutants.__main__  # noqa: F401 - it has every mutant
from sim.proof.planting import function_at, rewritten, rewritten_code
from tests.mutants.mutants import MUTANTS, Mutant, rewritten_source, weaken

TESTS = Path(__file__).parents[1]
WITH_TEXT = {name: each for name, each in MUTANTS.items() if each.text is not None}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_its_tests_exist(mutant: Mutant) -> None:
    assert mutant.tests
    assert [each for each in mutant.tests if not (TESTS / each).exists()] == []


@pytest.mark.parametrize("mutant", WITH_TEXT.values(), ids=WITH_TEXT)
def test_its_text_is_in_its_place(mutant: Mutant) -> None:
    assert mutant.text is not None
    if ":" in mutant.text[0]:
        assert rewritten_code(*mutant.text) != function_at(mutant.text[0]).__code__
    else:
        compile(rewritten_source(*mutant.text), mutant.text[0], "exec", dont_inherit=True)


def test_two_mutants_have_two_names() -> None:
    with pytest.raises(ValueError, match="must be the name of one mutant"):
        weaken(next(iter(WITH_TEXT)), "", "", "", "", "rules")


class Door:
    """A place to plant a fault in."""

    def opens(self, key: int) -> bool:
        return key >= 3

    @property
    def locked(self) -> bool:
        return True


def opens(key: int) -> bool:
    return key >= 3


HERE = f"{__name__}:"
HELD: Callable[[int], bool] = opens


def test_a_rewritten_function_is_rewritten_wherever_it_is_held_and_only_for_a_while() -> None:
    with rewritten(f"{HERE}opens", ">=", ">"), rewritten(f"{HERE}Door.opens", ">=", ">"):
        with rewritten(f"{HERE}Door.locked", "True", "False"):
            assert (HELD(3), opens(3), Door().opens(3), Door().locked) == (False, False, False, False)
        assert Door().locked
    assert (HELD(3), opens(3), Door().opens(3)) == (True, True, True)


@pytest.mark.parametrize(
    ("place", "old", "problem"),
    [
        (f"{HERE}opens", "<=", "must have this text once; got it 0 times: <="),
        (f"{HERE}opens", "e", "must have this text once; got it"),
        (f"{HERE}shuts", ">=", "must be a function; shuts is not there"),
        (f"{HERE}HERE", ">=", "must be a function; got"),
    ],
)
def test_a_fault_that_has_no_place_any_more_is_an_error(place: str, old: str, problem: str) -> None:
    with pytest.raises(LookupError, match=problem), rewritten(place, old, ">"):
        pass
