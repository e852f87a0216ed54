"""The instant of the past that a URL names."""

from datetime import date

import pytest

from bursar.clock import from_iso_ms
from bursar.dashboard.queries.as_of import PRESENT, AsOf, as_of_text, read_as_of
from bursar.reports.errors import BadParameter

NOW = from_iso_ms("2026-11-22T19:30:00.000Z")
TODAY = date(2026, 11, 22)


@pytest.mark.parametrize("text", ["", "2026-11-22"])
def test_nothing_and_today_are_the_present(text: str) -> None:
    assert read_as_of(text, TODAY, NOW) == PRESENT


def test_a_day_means_its_end_in_new_york() -> None:
    found = read_as_of("2026-10-31", TODAY, NOW)
    assert found == AsOf("2026-10-31", from_iso_ms("2026-11-01T03:59:59.999Z"))
    assert (found.day, found.query) == ("2026-10-31", [("as_of", "2026-10-31")])


def test_the_text_of_an_instant_names_it() -> None:
    found = read_as_of(as_of_text(NOW - 1.5), TODAY, NOW)
    assert (found.instant, found.day) == (NOW - 1.5, "")


@pytest.mark.parametrize("text", ["2026-11-23", "yesterday", "2026-11-22T19:30:00", "2026-11-22T19:30:00.001Z"])
def test_other_texts_and_the_future_are_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="as of"):
        read_as_of(text, TODAY, NOW)
