"""Counts and durations of our own read as prometheus_client's own would."""

import random

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from bursar.portal.counting import Counts, Durations

BOUNDS = (0.001, 0.5, 1.0, 20.0)


def _told(registry: CollectorRegistry) -> list[bytes]:
    """What is scraped, without the times at which prometheus_client's own metrics were made."""
    return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]


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
    assert _told(ours) == _told(theirs)


def test_nothing_counted_is_nothing_but_a_heading() -> None:
    registry = CollectorRegistry()
    registry.register(Counts("a", "How many", ["who"]))
    assert _told(registry) == [b"# HELP a_total How many", b"# TYPE a_total counter"]
