"""Counts and durations in plain dicts, told to prometheus_client when it asks: counting is cheap, asking may cost.

prometheus_client's own counters take a lock and look a child up for each event, and every payment causes dozens. These
are for one thread, the event loop's, which is where everything here happens.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Counts(Collector):
    """How often, by labels: ``counts["initPayment", "POST", "200"] += 1``, with as many texts as there are labels.

    Every combination is kept for ever: labels must be few.
    """

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        self._described = (name, meaning, None, labels)
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)

    def add(self, *labels: str) -> None:
        """Counts one."""
        self._counts[labels] += 1

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        family = CounterMetricFamily(*self._described)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        return [family]


class Durations(Collector):
    """How long, by labels, in buckets: ``bounds`` are their upper ends in seconds, ascending."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._described = (name, meaning, None, None, labels)
        self._bounds = tuple(bounds)
        self._rows: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def add(self, seconds: float, *labels: str) -> None:
        """Counts one that took ``seconds``."""
        row = self._rows.get(labels)
        if row is None:
            row = self._rows[labels] = ([0] * (len(self._bounds) + 1), [0.0])
        row[0][bisect_left(self._bounds, seconds)] += 1
        row[1][0] += seconds

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        family = HistogramMetricFamily(*self._described)
        names = [*map(str, self._bounds), "+Inf"]
        for labels, (counts, total) in self._rows.items():
            family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), total[0])
        return [family]
