"""Counts and durations in plain dicts, told to prometheus_client when it asks: counting is cheap, asking may cost.

prometheus_client's own counters take a lock and look a child up for each event, and every payment causes dozens. These
are for one thread, the event loop's, which is where everything here happens.

What one process has counted is dumped as plain JSON values and absorbed, that is added, by another that tells or
carries on for it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Self, TypeAlias

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CountRows: TypeAlias = Iterable[tuple[Sequence[str], int]]
"""Labels and how often."""
DurationRows: TypeAlias = Iterable[tuple[Sequence[str], tuple[Sequence[int], Sequence[float]]]]
"""Labels, how many in each bucket (the last has no upper end), and the seconds of all of them in a list of one."""


class Counts(Collector):
    """How often, by labels: ``counts["initPayment", "POST", "200"] += 1``, with as many texts as there are labels.

    Every combination is kept for ever: labels must be few. What has no labels is told from the start, as 0.
    """

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        self._described = (name, meaning, labels)
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        if not labels:
            self._counts[()] = 0

    def add(self, *labels: str) -> None:
        """Counts one."""
        self._counts[labels] += 1

    def add_many(self, count: int, *labels: str) -> None:
        """Counts ``count`` at once."""
        self._counts[labels] += count

    def empty(self) -> Self:
        """The same, with nothing counted."""
        return type(self)(*self._described)

    def dump(self) -> CountRows:
        """What was counted, for :meth:`absorb`."""
        return list(self._counts.items())

    def absorb(self, rows: CountRows) -> None:
        """Adds what another has counted."""
        for labels, count in rows:
            self._counts[tuple(labels)] += count

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        name, meaning, labels_told = self._described
        family = CounterMetricFamily(name, meaning, labels=labels_told)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        return [family]


class Durations(Collector):
    """How long, by labels, in buckets: ``bounds`` are their upper ends in seconds, ascending.

    As with :class:`Counts`, labels must be few, and what has none is told from the start.
    """

    def __init__(self, name: str, meaning: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._described = (name, meaning, labels, bounds)
        self._bounds = tuple(bounds)
        self._rows: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        if not labels:
            self._new_row(())

    def add(self, seconds: float, *labels: str) -> None:
        """Counts one that took ``seconds``."""
        row = self._rows.get(labels)
        if row is None:
            row = self._new_row(labels)
        row[0][bisect_left(self._bounds, seconds)] += 1
        row[1][0] += seconds

    def empty(self) -> Self:
        """The same, with nothing counted."""
        return type(self)(*self._described)

    def dump(self) -> DurationRows:
        """What was counted, for :meth:`absorb`. It is the rows themselves: write them down before anything is added."""
        return list(self._rows.items())

    def absorb(self, rows: DurationRows) -> None:
        """Adds what another with the same bounds has counted."""
        for labels, (counts, total) in rows:
            row = self._rows.get(tuple(labels)) or self._new_row(tuple(labels))
            row[0][:] = [ours + theirs for ours, theirs in zip(row[0], counts, strict=True)]
            row[1][0] += total[0]

    def _new_row(self, labels: tuple[str, ...]) -> tuple[list[int], list[float]]:
        row = self._rows[labels] = ([0] * (len(self._bounds) + 1), [0.0])
        return row

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        name, meaning, labels_told, _ = self._described
        family = HistogramMetricFamily(name, meaning, labels=labels_told)
        names = [*map(str, self._bounds), "+Inf"]
        for labels, (counts, total) in self._rows.items():
            family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), total[0])
        return [family]
