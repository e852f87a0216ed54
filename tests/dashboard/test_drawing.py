"""A chart of stacked bars: heights in proportion, and a round scale."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dashboard.drawing import BOTTOM, HEIGHT, TOP, WIDTH, bar_chart
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
