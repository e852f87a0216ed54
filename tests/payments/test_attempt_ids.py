"""Agency tracking ids."""

import random
import re

from bursar.payments.attempt_ids import new_agency_tracking_id


def test_an_id_has_21_characters_and_is_not_a_number() -> None:
    made = {new_agency_tracking_id(random.Random(seed)) for seed in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(r"b[0-9a-hjkmnp-tv-z]{20}", one) for one in made)


def test_the_same_seed_gives_the_same_id() -> None:
    assert new_agency_tracking_id(random.Random(7)) == new_agency_tracking_id(random.Random(7))
