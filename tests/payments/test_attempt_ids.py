"""Agency tracking ids: derived from the obligation and the number of the attempt."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bursar.payments.attempt_ids import ATTEMPTS_MAX, attempt_id, next_attempt_id, possible_attempt_ids

REFERENCE = "0b5c6f6e-0000-4000-8000-000000000001"
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
NUMBERS = st.integers(1, ATTEMPTS_MAX)


def test_an_id_has_21_characters_and_is_not_a_number() -> None:
    made = {attempt_id(f"client {n}", REFERENCE, 1) for n in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(r"b[0-9a-hjkmnp-tv-z]{20}", one) for one in made)


def test_ids_of_stored_attempts_never_change() -> None:
    assert attempt_id("dawson", REFERENCE, 1) == "b8wx5xbrx3ht82wrmfbbp"
    assert attempt_id("dawson", REFERENCE, 32) == "bgx29zc21pe86aa5gmbdt"


@given(NAMES, NAMES, NUMBERS, NAMES, NAMES, NUMBERS)
def test_different_attempts_have_different_ids(c1: str, r1: str, n1: int, c2: str, r2: str, n2: int) -> None:
    assert (attempt_id(c1, r1, n1) == attempt_id(c2, r2, n2)) == ((c1, r1, n1) == (c2, r2, n2))


@given(st.sets(NUMBERS), st.integers(0, ATTEMPTS_MAX))
def test_the_next_id_is_new_and_among_the_possible_ones(recorded: set[int], random_ids: int) -> None:
    taken = [f"random {n}" for n in range(random_ids)] + [attempt_id("c", "r", n) for n in recorded]
    following = next_attempt_id("c", "r", taken)
    possible = possible_attempt_ids("c", "r", taken)
    assert len(possible) == ATTEMPTS_MAX - len(recorded)
    assert not set(possible) & set(taken)
    if following is not None:
        assert following in possible
    if len(taken) >= ATTEMPTS_MAX:
        assert following is None


def test_attempts_are_numbered_without_a_gap() -> None:
    taken: list[str] = []
    while (following := next_attempt_id("c", "r", taken)) is not None:
        taken.append(following)
    assert taken == [attempt_id("c", "r", number) for number in range(1, ATTEMPTS_MAX + 1)]
