"""The chart of the overview as a drawing with its table, and as files: SVG, PNG, and its numbers as CSV."""

import csv
import io
from dataclasses import dataclass, replace

from bursar.dashboard.drawing import BarChart, bar_chart
from bursar.dashboard.formatting import month_text, short_day_text
from bursar.dashboard.pages.reports.report_chart import chart_words
from bursar.dashboard.queries.as_of import AsOf
from bursar.dashboard.queries.overview import Figure, Overview
from bursar.dashboard.queries.overview_chart import OTHERS
from bursar.dashboard.queries.periods import Days
from bursar.dashboard.queries.transactions import Total
from bursar.dashboard.visit import Visit
from bursar.web.pages.harmless_text import cell_text


@dataclass(frozen=True, slots=True)
class ChartOnPage:
    """The chart, its texts in the person's language, and the link of each of its numbers."""

    visit: Visit
    shown: Overview
    as_of: AsOf

    @property
    def drawn(self) -> BarChart:
        """The bars, and the line of the period before."""
        chart = self.shown.chart
        line = [chart.choice.value(total) for total in chart.before_totals]
        return bar_chart(chart.values, chart.places, line)

    @property
    def title(self) -> str:
        """The title of the chart, with the unit of its numbers."""
        choice = self.shown.chart.choice
        return self.visit.text(f"overview.chart_titles.{choice.by}_{choice.measure}")

    @property
    def before_name(self) -> str:
        """The name of the line."""
        first, last = (short_day_text(self.visit.text, day) for day in self.shown.before)
        return self.visit.text("overview.before", first=first, last=last)

    def series_name(self, name: str) -> str:
        """Return the name of a series: a fee's, a status's, or that of the others."""
        if name == OTHERS:
            return self.visit.text("overview.others")
        if self.shown.chart.choice.by == "fee":
            return self.visit.parts.fees.name(name)
        return self.visit.text.label("status", name)

    def label(self, place: int) -> str:
        """Return the label of a place: its day, the first day of its week, or its month."""
        buckets = self.shown.chart.buckets
        return self.label_of(buckets[place]) if place < len(buckets) else self.visit.text("overview.only_before")

    def label_of(self, days: Days) -> str:
        """Return the name of a bucket."""
        text = self.visit.text
        return month_text(text, days[0]) if self.shown.chart.step == "month" else short_day_text(text, days[0])

    def number(self, place: int | None, name: str | None = None) -> Figure:
        """Return one number of the table; ``place`` None: for the whole period."""
        chart = self.shown.chart
        days = (self.shown.first, self.shown.last) if place is None else chart.buckets[place]
        total = chart.total(place=place, name=name)
        return self._figure(total, days, () if name is None else tuple(chart.series[name]))

    def number_before(self, place: int | None) -> Figure:
        """Return one number of the period before; ``place`` None: for the whole period."""
        chart = self.shown.chart
        if place is None:
            return self._figure(sum(chart.before_totals, Total()), self.shown.before)
        return self._figure(chart.before_totals[place], chart.before[place])

    def _figure(self, total: Total, days: Days, names: tuple[str, ...] = ()) -> Figure:
        return Figure("", total, replace(self.shown.chart.choice.filter(days, names), as_of=self.as_of))

    def csv(self) -> bytes:
        """Return the numbers as CSV: each series of this period, then the totals of the period before."""
        chart = self.shown.chart
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(["period", "first_day", "last_day", chart.choice.by, "attempts", "amount"])
        for (place, name), total in chart.totals.items():
            series = cell_text(name or "others")
            writer.writerow(["shown", *map(str, chart.buckets[place]), series, total.count, total.amount])
        for days, total in zip(chart.before, chart.before_totals, strict=True):
            writer.writerow(["before", *map(str, days), "", total.count, total.amount])
        return text.getvalue().encode()

    def picture(self, form: str) -> bytes:
        """Return the chart as SVG or PNG. It takes long: call it in a thread."""
        from bursar.reports.charts import Chart, Theme, draw

        chart = self.shown.chart
        series: dict[str, list[tuple[str, float]]] = {self.series_name(name): [] for name in chart.series}
        for (place, name), value in chart.values.items():
            series[self.series_name(name)].append((self._file_label(place), float(value)))
        line = [
            (self._file_label(place), float(chart.choice.value(total)))
            for place, total in enumerate(chart.before_totals)
        ]
        theme: Theme = "dark" if self.visit.theme == "dark" else "light"
        axis = self.visit.text(f"overview.steps.{chart.step}")
        unit = "USD" if chart.choice.measure == "amount" else "attempts"
        words = chart_words(self.visit.text)
        names = {self._file_label(place): self._shown_label(place) for place in chart.places}
        compared = self.before_name, line
        drawn = Chart("bars", self.title, axis, unit, series, compared=compared, label_names=names, words=words)
        return draw(drawn, theme=theme, form="png" if form == "png" else "svg")

    def _shown_label(self, place: int) -> str:
        buckets = self.shown.chart.buckets
        return self.label(place) if place < len(buckets) else f"+{place - len(buckets) + 1}"

    def _file_label(self, place: int) -> str:
        buckets = self.shown.chart.buckets
        if place < len(buckets):
            return buckets[place][0].isoformat()
        return f"{buckets[-1][0].isoformat()} +{place - len(buckets) + 1}"
