"""Lay out a chart of stacked bars, which the page draws in its own colors. The table below it shows the numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

WIDTH: Final = 900
HEIGHT: Final = 260
LEFT: Final = 70
RIGHT: Final = 40
BOTTOM: Final = 28
TOP: Final = 10
SERIES_MAX: Final = 8
LABELS_MAX: Final = 9
BAR_SHARE: Final = 0.72
MARKS: Final = (
    "M0 8 8 0",
    "M0 4H8",
    "M4 0V8",
    "M0 0 8 8",
    "M0 4H8M4 0V8",
    "M0 0 8 8M0 8 8 0",
    "M3 4h2",
)
"""The hatch of each series after the first, in a tile of 8 by 8, because colors alone do not distinguish the series."""
_STEPS: Final = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of a bar, in the units of the drawing. ``series`` is its index in the legend."""

    x: float
    y: float
    width: float
    height: float
    series: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the scale and its value, or a label below the bars."""

    at: float
    value: Decimal
    bucket: Any = None


@dataclass(frozen=True, slots=True)
class BarChart:
    """A chart of stacked bars. ``line`` has the corners of a line over them: ``x,y`` pairs with spaces between."""

    bars: Sequence[Bar]
    scale: Sequence[Tick]
    labels: Sequence[Tick]
    series: Sequence[str]
    line: str = ""


def bar_chart(
    values: Mapping[tuple[Any, str], Decimal], buckets: Sequence[Any], line: Sequence[Decimal] = ()
) -> BarChart:
    """Return the chart of ``values``, by bucket (a day, or any other value) and series.

    The largest ``SERIES_MAX`` series are drawn, the largest first. ``line`` has a value for each of the first buckets.
    """
    sizes: dict[str, Decimal] = {}
    for (_, name), value in values.items():
        sizes[name] = sizes.get(name, Decimal(0)) + value
    series = sorted(sizes, key=lambda name: (-sizes[name], name))[:SERIES_MAX]
    tops = [sum((values.get((bucket, name), Decimal(0)) for name in series), Decimal(0)) for bucket in buckets]
    step = _step(max((*tops, *line), default=Decimal(0)))
    top = step * 4
    slot = (WIDTH - LEFT - RIGHT) / max(len(buckets), 1)
    height = HEIGHT - TOP - BOTTOM
    bars = []
    for place, bucket in enumerate(buckets):
        below = Decimal(0)
        for number, name in enumerate(series):
            value = values.get((bucket, name), Decimal(0))
            if value > 0:
                tall = float(value / top) * height
                y = TOP + height - float(below / top) * height - tall
                x = LEFT + slot * (place + (1 - BAR_SHARE) / 2)
                bars.append(Bar(round(x, 1), round(y, 1), round(slot * BAR_SHARE, 1), round(tall, 1), number))
            below += value
    every = max(1, -(-len(buckets) // LABELS_MAX))
    labels = [
        Tick(round(LEFT + slot * (place + 0.5), 1), Decimal(0), bucket)
        for place, bucket in enumerate(buckets)
        if place % every == 0
    ]
    scale = [Tick(round(TOP + height * (1 - number / 4), 1), step * number) for number in range(5)]
    ends = [
        (LEFT + slot * (place + 0.5), TOP + height - float(value / top) * height) for place, value in enumerate(line)
    ]
    if len(ends) == 1:  # a line needs two corners: it is as wide as the bar
        [(x, y)] = ends
        ends = [(x - slot * BAR_SHARE / 2, y), (x + slot * BAR_SHARE / 2, y)]
    return BarChart(bars, scale, labels, series, " ".join(f"{x:.1f},{y:.1f}" for x, y in ends))


def _step(largest: Decimal) -> Decimal:
    """Return a round whole number: a quarter of a scale that holds the largest value."""
    wanted = max(largest, Decimal(4)) / 4
    power = Decimal(10) ** (len(str(int(wanted))) - 1)
    return next(step * power for step in _STEPS if step * power >= wanted and step * power % 1 == 0)
