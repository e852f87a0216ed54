"""Our counts and durations export the same text as the metrics of prometheus_client."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.registry import Collector

from bursar.portal.metrics.counters import Counts, Durations

BOUNDS = (0.001, 0.5, 1.0, 20.0)
EXACT_SECONDS = st.integers(0, 40 * 1024).map(lambda ticks: ticks / 1024)
"""Their sums are the same in any order."""
EVENTS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.sampled_from("xy"), EXACT_SECONDS))
"""The process that counts an event, two label values, and its duration."""


def _exported(collector: Collector) -> list[bytes]:
    """Return the exported text, without the times at which prometheus_client's metrics were created."""
    return [line for line in generate_latest(collector).splitlines() if b"_created" not in line]


def test_they_read_as_prometheus_clients_own() -> None:
    theirs, ours, chance = CollectorRegistry(), CollectorRegistry(), random.Random(5)
    counter = Counter("a_calls", "How many", ["who", "how"], registry=theirs)
    histogram = Histogram("a_seconds", "How long", ["who"], registry=theirs, buckets=BOUNDS)
    counts = Counts("a_calls", "How many", ["who", "how"])
    durations = Durations("a_seconds", "How long", ["who"], BOUNDS)
    ours.register(counts)
    ours.register(durations)
    for _ in range(500):
        who, how = chance.choice("abc"), chance.choice('xy"')
        seconds = chance.choice([0.0, *BOUNDS, chance.random() * 40])
        counter.labels(who, how).inc()
        counts.add(who, how)
        histogram.labels(who).observe(seconds)
        durations.add(seconds, who)
    assert _exported(ours) == _exported(theirs)


def test_a_metric_without_labels_is_exported_from_the_start() -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    counter = Counter("a_calls", "How many", registry=theirs)
    histogram = Histogram("a_seconds", "How long", registry=theirs, buckets=BOUNDS)
    counts, durations = Counts("a_calls", "How many"), Durations("a_seconds", "How long", [], BOUNDS)
    ours.register(counts)
    ours.register(durations)
    assert _exported(ours) == _exported(theirs)
    counter.inc(3)
    counts.add_many(3)
    histogram.observe(0.25)
    durations.add(0.25)
    assert _exported(ours) == _exported(theirs)


@given(EVENTS)
def test_the_sum_over_processes_equals_the_count_of_one_process(
    events: list[tuple[int, str, str, float]],
) -> None:
    counts = Counts("a_calls", "How many", ["who", "how"])
    durations = Durations("a_seconds", "How long", ["who"], BOUNDS)
    parts = [(counts.empty(), durations.empty()) for _ in range(3)]
    for part, who, how, seconds in events:
        for some_counts, some_durations in ((counts, durations), parts[part]):
            some_counts.add(who, how)
            some_durations.add(seconds, who)
    summed_counts, summed_durations = counts.empty(), durations.empty()
    for some_counts, some_durations in parts:
        summed_counts.absorb(json.loads(json.dumps(some_counts.dump())))
        summed_durations.absorb(json.loads(json.dumps(some_durations.dump())))
    assert sorted(_exported(summed_counts)) == sorted(_exported(counts))
    assert sorted(_exported(summed_durations)) == sorted(_exported(durations))


def test_absorbing_copies_the_counts() -> None:
    first, second = (Durations("a_seconds", "How long", ["who"], BOUNDS) for _ in range(2))
    first.add(0.25, "a")
    second.absorb(first.dump())
    before = _exported(first)
    second.add(0.25, "a")
    assert _exported(first) == before
    assert b'a_seconds_count{who="a"} 2.0' in _exported(second)


def test_nothing_counted_is_nothing_but_a_heading() -> None:
    registry = CollectorRegistry()
    registry.register(Counts("a", "How many", ["who"]))
    assert _exported(registry) == [b"# HELP a_total How many", b"# TYPE a_total counter"]
