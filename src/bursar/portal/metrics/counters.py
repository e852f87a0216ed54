"""Count events and durations in plain dicts, and convert them for prometheus_client when they are read.

The counters of prometheus_client take a lock and find a child for each event, and a payment causes dozens of events.
These counters belong to one thread, the event loop's.

The counts of one process are dumped as plain JSON values. Another process adds them to its counts with ``absorb``.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Self, TypeAlias

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CountRows: TypeAlias = Iterable[tuple[Sequence[str], int]]
"""Labels, and the number of events."""
DurationRows: TypeAlias = Iterable[tuple[Sequence[str], tuple[Sequence[int], Sequence[float]]]]
"""Labels, the events of each bucket (the last bucket has no upper bound), and a list with their total seconds."""


class Counts(Collector):
    """The number of events by label values, such as ``("initPayment", "POST", "200")``.

    Every combination stays in memory, so labels must have few values. A metric without labels is exported as 0 before
    its first event.
    """

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        self._described = (name, meaning, labels)
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        if not labels:
            self._counts[()] = 0

    def add(self, *labels: str) -> None:
        """Count one event."""
        self._counts[labels] += 1

    def add_many(self, count: int, *labels: str) -> None:
        """Count ``count`` events."""
        self._counts[labels] += count

    def empty(self) -> Self:
        """Return the same metric without events."""
        return type(self)(*self._described)

    def dump(self) -> CountRows:
        """Return the counts, for :meth:`absorb`."""
        return list(self._counts.items())

    def absorb(self, rows: CountRows) -> None:
        """Add the counts of another process."""
        for labels, count in rows:
            self._counts[tuple(labels)] += count

    def collect(self) -> Iterable[Metric]:
        """Return the metric for the registry."""
        name, meaning, labels_told = self._described
        family = CounterMetricFamily(name, meaning, labels=labels_told)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        return [family]


class Durations(Collector):
    """The durations of events by label values, in buckets. ``bounds``: their upper bounds in seconds, ascending.

    As with :class:`Counts`, labels must have few values, and a metric without labels is exported from the start.
    """

    def __init__(self, name: str, meaning: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._described = (name, meaning, labels, bounds)
        self._bounds = tuple(bounds)
        self._rows: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        if not labels:
            self._new_row(())

    def add(self, seconds: float, *labels: str) -> None:
        """Count one event that took ``seconds``."""
        row = self._rows.get(labels)
        if row is None:
            row = self._new_row(labels)
        row[0][bisect_left(self._bounds, seconds)] += 1
        row[1][0] += seconds

    def empty(self) -> Self:
        """Return the same metric without events."""
        return type(self)(*self._described)

    def dump(self) -> DurationRows:
        """Return the rows themselves, for :meth:`absorb`: serialise them before the next event."""
        return list(self._rows.items())

    def absorb(self, rows: DurationRows) -> None:
        """Add the durations of another process with the same bounds."""
        for labels, (counts, total) in rows:
            row = self._rows.get(tuple(labels)) or self._new_row(tuple(labels))
            row[0][:] = [ours + theirs for ours, theirs in zip(row[0], counts, strict=True)]
            row[1][0] += total[0]

    def _new_row(self, labels: tuple[str, ...]) -> tuple[list[int], list[float]]:
        row = self._rows[labels] = ([0] * (len(self._bounds) + 1), [0.0])
        return row

    def collect(self) -> Iterable[Metric]:
        """Return the metric for the registry."""
        name, meaning, labels_told, _ = self._described
        family = HistogramMetricFamily(name, meaning, labels=labels_told)
        names = [*map(str, self._bounds), "+Inf"]
        for labels, (counts, total) in self._rows.items():
            family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), total[0])
        return [family]
