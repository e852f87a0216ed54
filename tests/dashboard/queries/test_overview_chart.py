"""The chart's numbers add up: smaller fees are together, and no day of the period before is lost."""

from datetime import date
from decimal import Decimal

from bursar.dashboard.drawing import SERIES_MAX
from bursar.dashboard.queries.overview_chart import OTHERS, ChartChoice, chart_of, read_choice
from bursar.dashboard.queries.transactions import Total
from bursar.reports.sql.answer import SqlAnswer

FEBRUARY = date(2026, 2, 1), date(2026, 2, 28)
JANUARY = date(2026, 1, 1), date(2026, 1, 31)


def answer(*rows: tuple[object, ...]) -> SqlAnswer:
    return SqlAnswer(("",) * len(rows[0]), ("",) * len(rows[0]), list(rows), 0.0)


def test_more_fees_than_colors_keep_their_sum() -> None:
    now = [(date(2026, 2, 1 + n % 2), f"FEE_{n}", 1, Decimal(100 - n)) for n in range(SERIES_MAX + 3)]
    old = [(date(2026, 1, day), 1, Decimal(day)) for day in (1, 29, 31)]
    chart = chart_of(ChartChoice(), *FEBRUARY, JANUARY, [answer(*now), answer(*old)])
    assert len(chart.series) == SERIES_MAX
    assert chart.series[OTHERS] == [f"FEE_{n}" for n in range(SERIES_MAX - 1, SERIES_MAX + 3)]
    assert chart.total() == Total(SERIES_MAX + 3, sum((row[3] for row in now), Decimal(0)))
    assert chart.total(name=OTHERS).count == 4
    assert chart.total(place=0) + chart.total(place=1) == chart.total()
    assert [chart.before_totals[place].amount for place in (0, 28, 30)] == [1, 29, 31]
    assert len(chart.places) == 31
    assert len(chart.buckets) == 28


def test_the_choice_is_read_from_a_url_and_written_back() -> None:
    assert read_choice([]) == ChartChoice()
    assert ChartChoice().query == []
    for choice in (ChartChoice("status"), ChartChoice("status", "number"), ChartChoice(measure="number")):
        assert read_choice(choice.query) == choice
