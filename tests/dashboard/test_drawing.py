"""A chart of stacked bars: heights in proportion, and a round scale."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dashboard.drawing import BOTTOM, HEIGHT, MARKS, SERIES_MAX, TOP, WIDTH, bar_chart
from bursar.dashboard.queries.periods import buckets_between

FIRST = date(2026, 2, 1)
amounts = st.dictionaries(
    st.tuples(st.integers(0, 40).map(lambda n: FIRST + timedelta(days=n)), st.sampled_from("abc")),
    st.decimals("0.01", 10**9, places=2),
    max_size=30,
)


@given(amounts)
def test_bars_stay_inside_and_are_in_proportion(values: dict[tuple[date, str], Decimal]) -> None:
    chart = bar_chart(values, buckets_between(FIRST, FIRST + timedelta(days=40), "day"))
    tops = [tick.value for tick in chart.scale]
    assert tops == sorted(tops)
    total = float(sum(values.values()))
    drawn = sum(bar.height for bar in chart.bars) / (HEIGHT - TOP - BOTTOM) * float(tops[-1])
    assert drawn == pytest.approx(total, rel=0.02, abs=float(tops[-1]) * 0.0005 * (len(values) + 1))
    assert all(0 <= bar.x <= WIDTH and bar.y >= TOP - 0.1 and bar.y + bar.height <= HEIGHT for bar in chart.bars)


def test_a_line_goes_over_the_bars_and_the_scale_holds_it() -> None:
    chart = bar_chart({(0, "a"): Decimal(10)}, range(3), [Decimal(30), Decimal(0)])
    assert chart.scale[-1].value >= 30
    points = [tuple(map(float, each.split(","))) for each in chart.line.split()]
    [bar] = chart.bars
    assert points[0][0] == pytest.approx(bar.x + bar.width / 2, abs=0.2)
    assert points[0][1] < bar.y
    assert points[1][1] == HEIGHT - BOTTOM
    assert len(points) == 2
    one = bar_chart({(0, "a"): Decimal(10)}, range(1), [Decimal(5)])
    assert len(one.line.split()) == 2  # one corner would show nothing


def test_every_value_of_the_scale_is_whole() -> None:
    assert [tick.value for tick in bar_chart({(0, "a"): Decimal(9)}, range(1)).scale] == [0, 5, 10, 15, 20]


def test_every_series_but_the_first_has_lines_of_its_own() -> None:
    assert len(set(MARKS)) == len(MARKS) == SERIES_MAX - 1
