"""Draw charts as SVG or PNG with matplotlib, for the command line, the pages and the documents.

    chart = Chart("bars", "Collected by month (USD)", "month", {"COPY_FEE": [("2026-09", 12.0), …], …})
    draw(chart, theme="dark", form="svg")

matplotlib is loaded on first use. An SVG has a title and a description for screen readers, keeps its text as text, and
equal charts are equal bytes.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal
from zlib import crc32

from bursar.reports.errors import BadParameter
from bursar.reports.named_reports import NamedReport
from bursar.reports.output.head import SHARE, USD, heading
from bursar.reports.sql.answer import SqlAnswer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Theme = Literal["light", "dark"]
ChartForm = Literal["svg", "png"]
FORMS: Final[tuple[ChartForm, ...]] = ("svg", "png")
SERIES_MAX: Final = 12
"""The most series of a chart. More would look alike, so the smallest ones are drawn as one."""
POINTS_MAX: Final = 4_000
OTHERS: Final = "others"
_SIZE_INCHES: Final = (10.0, 5.0)
_PNG_DOTS_PER_INCH: Final = 150
_TICKS_MAX: Final = 14
_SMALL_TEXT: Final = 9

# Okabe and Ito's palette, which is suitable for any color vision, and six further colours.
SERIES_COLOURS: Final = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
    *("#F0E442", "#7F7F7F", "#4B5D8F", "#A0522D", "#2F855A", "#9F7AEA"),
)
# No color has to be recognised: stacked bars differ in their hatches too, and lines in their markers.
_HATCHES: Final = ("", "///", "---", "|||", "\\\\\\", "+++", "xxx", "...", "ooo", "/", "-", "|")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
_MARKS_OF_LINE_MAX: Final = 12
_COLOURS: Final[dict[Theme, dict[str, str]]] = {
    "light": {"ground": "#ffffff", "text": "#1b1b1b", "line": "#c9c9c9"},
    "dark": {"ground": "#14181f", "text": "#e8eaed", "line": "#3c4450"},
}

Point = tuple[str, float]


@dataclass(frozen=True, slots=True)
class ChartWords:
    """The words of a chart beside its title and its names, in one language; braces hold the fields of a text."""

    language: str = "en"
    sentence: str = "{title}, by {x_name}, {frame}: {series}."
    frame: str = "{first} to {last}"
    series: str = "{name} from {low} to {high}"
    nothing: str = "nothing to show"


ENGLISH: Final = ChartWords()


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars (stacked) or lines: for each series its points, as (label on the x axis, value).

    ``unit`` is the unit of the values; the unit ``share`` is drawn as percent. ``compared``: the name and the points of
    a dashed line over them. Labels are sorted as they are; ``label_names`` has those that are shown in other words.
    """

    kind: str
    title: str
    x_name: str
    unit: str
    series: Mapping[str, Sequence[Point]]
    compared: tuple[str, Sequence[Point]] | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)
    words: ChartWords = ENGLISH

    @property
    def everything(self) -> Mapping[str, Sequence[Point]]:
        """The series and the dashed line: name → points."""
        return dict(self.series) if self.compared is None else {**self.series, self.compared[0]: self.compared[1]}

    @property
    def labels(self) -> list[str]:
        """The labels of the x axis, sorted."""
        return sorted({label for points in self.everything.values() for label, _ in points})

    @property
    def description(self) -> str:
        """A sentence that describes the chart, for readers who cannot see it."""
        labels, words = [self.shown(label) for label in self.labels], self.words
        if not labels:
            return f"{self.title}: {words.nothing}."
        parts = []
        for name, points in self.everything.items():
            values = [value for _, value in points]
            low, high = _number(min(values), self.unit), _number(max(values), self.unit)
            parts.append(words.series.format(name=name, low=low, high=high))
        frame = labels[0] if len(labels) == 1 else words.frame.format(first=labels[0], last=labels[-1])
        return words.sentence.format(title=self.title, x_name=self.x_name, frame=frame, series="; ".join(parts))

    def shown(self, label: str) -> str:
        """Return a label as people read it."""
        return self.label_names.get(label, label)


def report_chart(report: NamedReport, answer: SqlAnswer) -> Chart:
    """Return the chart of a named report's answer.

    Raise :class:`BadParameter` if the report has no chart, or too many points.
    """
    spec = report.chart
    if spec is None:
        raise BadParameter(f"report {report.name} has no chart")
    columns = {column.name: column for column in report.columns}
    sums: dict[str, dict[str, float]] = {}
    for row in answer.dicts():
        label = label_of(spec.x, row[spec.x])
        for y in spec.ys:
            if row[y] is None:
                continue
            name = str(row[spec.by]) if spec.by is not None else heading(None, y)
            points = sums.setdefault(name, {})
            points[label] = points.get(label, 0.0) + float(row[y])
    if sum(map(len, sums.values())) > POINTS_MAX:
        raise BadParameter(f"the chart: must have at most {POINTS_MAX} points; narrow the time frame")
    unit = columns[spec.ys[0]].unit
    name = spec.ys[0] if len(spec.ys) == 1 else report.name
    by = f" by {spec.by}" if spec.by else ""
    title = f"{name}{by} ({'%' if unit == SHARE else unit})".replace("_", " ")
    series = {name: sorted(points.items()) for name, points in _fewer(sums).items()}
    return Chart(spec.kind, title, spec.x.replace("_", " "), unit, series)


def draw(chart: Chart, *, theme: Theme = "light", form: ChartForm = "svg") -> bytes:
    """Return the chart as an SVG or PNG file."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",  # keeps text as text, which can be searched and read aloud
        "svg.hashsalt": "bursar",
        "font.family": ["sans-serif"],
        "font.size": _SMALL_TEXT + 1,
        "hatch.linewidth": 0.8,
        "text.parse_math": False,  # a dollar sign does not begin a formula
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        _paint(figure, chart, theme)
        out = io.BytesIO()
        figure.savefig(
            out,
            format=form,
            dpi=_PNG_DOTS_PER_INCH,
            facecolor=figure.get_facecolor(),
            metadata={"Date": None} if form == "svg" else {"Title": chart.title, "Software": None},
        )
    return out.getvalue() if form == "png" else _accessible(out.getvalue().decode(), chart).encode()


def _paint(figure: "Figure", chart: Chart, theme: Theme) -> None:
    colours = _COLOURS[theme]
    figure.set_facecolor(colours["ground"])
    axes = figure.add_subplot()
    axes.set_facecolor(colours["ground"])
    places = {label: place for place, label in enumerate(chart.labels)}
    # Stacked bars grow away from 0: upwards, and downwards for reversals.
    above, below = [0.0] * len(places), [0.0] * len(places)
    for number, (name, points) in enumerate(chart.series.items()):
        place_of_style = number % SERIES_MAX
        colour = SERIES_COLOURS[place_of_style]
        at = [places[label] for label, _ in points]
        values = [value for _, value in points]
        if chart.kind == "bars":
            ends = [above if value >= 0 else below for value in values]
            bottoms = [end[place] for end, place in zip(ends, at, strict=True)]
            mark: Any = {"hatch": _HATCHES[place_of_style], "edgecolor": hatch_colour(colour), "linewidth": 0}
            axes.bar(at, values, bottom=bottoms, label=name, color=colour, width=0.8, **mark)
            for end, place, value in zip(ends, at, values, strict=True):
                end[place] += value
        else:
            every = max(1, -(-len(at) // _MARKS_OF_LINE_MAX))
            style: Any = {"marker": _MARKERS[place_of_style], "markevery": every, "markersize": 6}
            axes.plot(at, values, label=name, color=colour, linewidth=1.8, **style)
    if chart.compared is not None:
        name, points = chart.compared
        at, values = [places[label] for label, _ in points], [value for _, value in points]
        dashed: Any = {"color": colours["text"], "linestyle": "--", "marker": "o"}
        axes.plot(at, values, label=name, linewidth=1.6, markersize=3, **dashed)
    _label_axes(axes, chart, colours)


def hatch_colour(colour: str) -> str:
    """Return black or white, the one with more contrast to ``colour``, which is written ``#rrggbb``."""
    return max(("#000000", "#ffffff"), key=lambda each: contrast(each, colour))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors, 1 to 21, as WCAG 2.2 defines it."""
    lower, higher = sorted(map(_luminance, (one, other)))
    return (higher + 0.05) / (lower + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _label_axes(axes: "Axes", chart: Chart, colours: dict[str, str]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    labels = chart.labels
    step = max(1, -(-len(labels) // _TICKS_MAX))
    ticks = range(0, len(labels), step)
    shown = [chart.shown(labels[place]) for place in ticks]
    axes.set_xticks(list(ticks), shown, rotation=0 if len(ticks) <= 6 else 35, ha="center")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, chart.unit)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7))
    if all(value >= 0 for points in chart.series.values() for _, value in points):
        axes.set_ylim(bottom=0)
    axes.set_title(chart.title, color=colours["text"], loc="left", fontsize=_SMALL_TEXT + 4)
    axes.set_xlabel(chart.x_name, color=colours["text"])
    axes.tick_params(colors=colours["text"], labelsize=_SMALL_TEXT)
    axes.grid(axis="y", color=colours["line"], linewidth=0.6)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(colours["line"])
    if len(chart.everything) > 1:
        columns = min(4, len(chart.everything))
        legend = axes.figure.legend(ncols=columns, frameon=False, loc="outside lower center", fontsize=_SMALL_TEXT)
        for text in legend.get_texts():
            text.set_color(colours["text"])
    if not labels:
        axes.text(0.5, 0.5, chart.words.nothing, transform=axes.transAxes, ha="center", color=colours["text"])


def _fewer(sums: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return at most ``SERIES_MAX`` series, the largest ones by name and the sum of the others."""
    if len(sums) <= SERIES_MAX:
        return dict(sorted(sums.items()))
    by_size = sorted(sums, key=lambda name: -sum(sums[name].values()))
    kept = {name: sums[name] for name in sorted(by_size[: SERIES_MAX - 1])}
    others: dict[str, float] = {}
    for name in by_size[SERIES_MAX - 1 :]:
        for label, value in sums[name].items():
            others[label] = others.get(label, 0.0) + value
    return {**kept, OTHERS: others}


def label_of(column: str, value: Any) -> str:
    """Return the label of a value of the column ``column`` on the x axis: a month as ``2026-09``, a day in ISO 8601."""
    if not isinstance(value, date):
        return str(value)
    return f"{value:%Y-%m}" if column.startswith("month") else f"{value:%Y-%m-%d}"


def _number(value: float, unit: str) -> str:
    if unit == SHARE:
        return f"{100 * value:.4g} %"
    exact = Decimal(repr(round(float(value), 2)))
    shown = f"{abs(exact) if unit == USD else exact:,.2f}".removesuffix(".00")
    if unit != USD:
        return shown
    return f"(${shown})" if exact < 0 else f"${shown}"


def _accessible(svg: str, chart: Chart) -> str:
    """Add the title and the description that a screen reader reads, and make the picture fit its frame."""
    name = f"chart-{crc32(chart.description.encode()):08x}"  # a page may have several charts
    named = (
        f'<title id="{name}-title">{escape(chart.title)}</title><desc id="{name}">{escape(chart.description)}</desc>'
    )
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    head = re.search(r"<svg[^>]*>", svg)
    assert head is not None
    opened = head[0][:-1] + f' lang="{chart.words.language}" role="img" aria-labelledby="{name}-title {name}">'
    return svg[: head.start()] + opened + named + svg[head.end() :]
