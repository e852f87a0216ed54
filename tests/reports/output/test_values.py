"""Values as text."""

import pytest

from bursar.reports.output.values import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.25, "0.25 s"),
        (59.9, "59.9 s"),
        (60.0, "1 min 00 s"),
        (125.4, "2 min 05 s"),
        (3600.0, "1 h 00 min"),
        (439_500.0, "122 h 05 min"),
        (3_600_000.0, "1,000 h 00 min"),
    ],
)
def test_a_duration_is_in_hours_and_minutes(seconds: float, text: str) -> None:
    assert duration(seconds) == text
