"""Charts: every value is drawn, the picture can be read without seeing it, and equal charts are equal files."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree

import pytest

from bursar.reports.charts import (
    OTHERS,
    SERIES_COLOURS,
    SERIES_MAX,
    Chart,
    ChartWords,
    Theme,
    contrast,
    draw,
    hatch_colour,
    report_chart,
)
from bursar.reports.errors import BadParameter
from bursar.reports.named_reports import named_report, parse_report
from bursar.reports.sql.answer import SqlAnswer

SVG = "{http://www.w3.org/2000/svg}"
CHART = Chart(
    "bars",
    "collected by fee (USD)",
    "month",
    "USD",
    {"COPY_FEE": [("2026-09-01", 12.5), ("2026-10-01", 20.0)], "EXAM <&> FEE": [("2026-10-01", 1250.0)]},
)


def test_an_svg_has_a_title_and_a_description_for_screen_readers() -> None:
    root = ElementTree.fromstring(draw(CHART))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "collected by fee (USD)"
    assert description.text == (
        "collected by fee (USD), by month, 2026-09-01 to 2026-10-01: "
        "COPY_FEE from $12.50 to $20; EXAM <&> FEE from $1,250 to $1,250."
    )


def test_text_stays_text_and_names_every_series_and_label() -> None:
    texts = [found.text for found in ElementTree.fromstring(draw(CHART)).iter(f"{SVG}text")]
    assert {"COPY_FEE", "EXAM <&> FEE", "2026-09-01", "2026-10-01", "month"} <= set(texts)


def test_a_chart_has_the_words_of_its_language() -> None:
    words = ChartWords(
        "es", "{title}, por {x_name}, {frame}: {series}.", "de {first} a {last}", "{name}: {low}-{high}", "-"
    )
    chart = replace(CHART, label_names={"2026-09-01": "sept", "2026-10-01": "oct"}, words=words)
    root = ElementTree.fromstring(draw(chart))
    assert root.get("lang") == "es"
    assert {"sept", "oct"} <= {found.text for found in root.iter(f"{SVG}text")}
    assert chart.description.startswith("collected by fee (USD), por month, de sept a oct: COPY_FEE: $12.50-$20; EXAM")


def test_a_dashed_line_compares_and_is_named() -> None:
    chart = replace(CHART, compared=("before", [("2026-09-01", 2000.0), ("2026-10-01", 5.0), ("2026-10-01 +1", 7.0)]))
    drawn = draw(chart).decode()
    assert "stroke-dasharray" in drawn
    assert "stroke-dasharray" not in draw(CHART).decode()
    texts = {found.text for found in ElementTree.fromstring(drawn).iter(f"{SVG}text")}
    assert {"before", "2026-10-01 +1"} <= texts
    assert chart.description.endswith("; before from $5 to $2,000.")


def test_equal_charts_are_equal_files_and_the_themes_differ() -> None:
    assert draw(CHART) == draw(CHART)
    assert draw(CHART, form="png") == draw(CHART, form="png")
    assert draw(CHART, form="png").startswith(b"\x89PNG")
    assert draw(CHART, theme="dark") != draw(CHART)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_contrasts_with_the_ground_as_wcag_aa_demands(theme: Theme) -> None:
    svg = draw(CHART, theme=theme).decode()
    ground = re.search(r"fill: (#[0-9a-f]{6})", svg)
    texts = set(re.findall(r'<text style="[^"]*fill: (#[0-9a-f]{6})', svg))
    assert ground is not None
    assert texts
    assert all(contrast(ground[1], text) >= 4.5 for text in texts)


def test_a_report_is_drawn_as_its_header_says() -> None:
    columns = ("month", "fee", "client", "payments", "net")
    october, september = date(2026, 10, 1), date(2026, 9, 1)
    rows = [
        (september, "COPY_FEE", "a", 1, Decimal("1.50")),
        (september, "COPY_FEE", "b", 1, Decimal("2.00")),
        (october, "EXAM_FEE", "a", 1, Decimal("250.00")),
    ]
    chart = report_chart(named_report("monthly_finance"), SqlAnswer(columns, ("",) * 5, rows, 0.0))
    assert chart.title == "net by fee (USD)"
    assert chart.series == {"COPY_FEE": [("2026-09", 3.5)], "EXAM_FEE": [("2026-10", 250.0)]}


def test_dollars_below_0_are_in_parentheses() -> None:
    chart = Chart("bars", "net (USD)", "month", "USD", {"A": [("2026-09", 20.0)], "B": [("2026-09", -10.0)]})
    texts = [found.text for found in ElementTree.fromstring(draw(chart)).iter(f"{SVG}text")]
    assert {"($10)", "$0", "$20"} <= set(texts)


def test_a_share_is_drawn_as_percent_and_null_is_no_point() -> None:
    columns = ("day", "failure_rate", "failure_rate_7_days")
    rows = [(date(2026, 10, 1), 0.25, None), (date(2026, 10, 2), None, 0.125)]
    chart = report_chart(named_report("trend"), SqlAnswer(columns, ("",) * 3, rows, 0.0))
    assert chart.series == {"failure_rate": [("2026-10-01", 0.25)], "failure_rate_7_days": [("2026-10-02", 0.125)]}
    assert "from 25 % to 25 %" in chart.description
    assert b"nothing to show" in draw(report_chart(named_report("trend"), SqlAnswer(columns, ("",) * 3, [], 0.0)))


def test_the_smallest_of_many_series_are_drawn_together() -> None:
    report = parse_report("x", "-- So?\n-- n [USD]: money\n-- chart bars: day; n; fee\n\nSELECT 1")
    rows = [("2026", f"FEE_{number:02d}", number) for number in range(20)]
    chart = report_chart(report, SqlAnswer(("day", "fee", "n"), ("",) * 3, rows, 0.0))
    assert len(chart.series) == SERIES_MAX
    assert chart.series[OTHERS] == [("2026", float(sum(range(9))))]


def test_a_report_without_a_chart_is_an_error() -> None:
    with pytest.raises(BadParameter, match="report unresolved has no chart"):
        report_chart(named_report("unresolved"), SqlAnswer((), (), [], 0.0))


def svg_without_colours(chart: Chart) -> list[str]:
    """Return the shapes of the hatches and markers of a drawing, as a person sees them who sees no color."""
    root = ElementTree.fromstring(draw(chart))
    shapes = [path.get("d", "") for path in root.iter(f"{SVG}path")]
    patterns = {path.get("d", "") for pattern in root.iter(f"{SVG}pattern") for path in pattern.iter(f"{SVG}path")}
    marks = {path.get("d", "") for defs in root.iter(f"{SVG}defs") for path in defs.findall(f"{SVG}path")}
    return sorted((patterns | marks) & set(shapes))


@pytest.mark.parametrize("kind", ["bars", "line"])
def test_series_differ_without_color(kind: str) -> None:
    """Compare each series with those before it: it adds a hatch or a marker that they lack."""
    names = [f"series {number}" for number in range(SERIES_MAX)]
    found = [
        len(
            svg_without_colours(
                replace(CHART, kind=kind, series={name: [("a", 1.0), ("b", 2.0)] for name in names[:n]})
            )
        )
        for n in (1, SERIES_MAX)
    ]
    assert found[1] - found[0] == SERIES_MAX - 1


@pytest.mark.parametrize("colour", SERIES_COLOURS)
def test_a_hatch_stands_out_on_its_color(colour: str) -> None:
    """Demand a contrast of 3 to 1, as WCAG 2.2 does in 1.4.11."""
    assert contrast(colour, hatch_colour(colour)) >= 3
