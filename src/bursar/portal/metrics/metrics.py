"""Count what Prometheus reads. Nothing is global, so two portals in one process do not mix.

| metric | what it counts |
|---|---|
| bursar_requests_total, bursar_request_seconds | requests by operation, method and status; their durations |
| bursar_paygov_calls_total, bursar_paygov_seconds | calls to Pay.gov by operation and outcome; their durations |
| bursar_completions_total | completions by outcome, a name in OUTCOMES |
| bursar_lease_conflicts_total | callers that found another caller's lease on an attempt |
| bursar_alerts_total | alerts for a person, by name |
| bursar_swept_total, bursar_sweep_seconds | swept attempts by result; durations of passes |
| bursar_store_seconds | durations of requests to the store, by operation and outcome (:class:`ObservedStore`) |
| bursar_webhook_deliveries_total | tries to deliver an event, by webhook and outcome: delivered, failed, abandoned |
| bursar_live_attempts | live attempts by status, at the time of the scrape |
| bursar_unknown_outcomes | attempts whose outcome is unknown |
| bursar_oldest_pending_seconds | age of the oldest payment that is settling |
| bursar_open_contradictions | contradictions between Pay.gov and a record that no person has acknowledged |
| bursar_webhooks_waiting, bursar_webhooks_failing | attempts with undelivered events; those whose last try failed |
| bursar_webhooks_dead | deliveries that were abandoned after three days |
| bursar_lake_watermark_age_seconds | age of the oldest change that the lake does not have |
| bursar_lake_verified_at | when the lake was verified last, Unix seconds |
| bursar_lake_differences | rows that differed then |

A scrape of any worker adds up the counts of all workers of one server
(:mod:`bursar.portal.metrics.worker_snapshots`). The gauges (from bursar_live_attempts on) are read from the store, so
every worker reports the same. They are left out while the store cannot be read: an old figure or a 0 would be read as a
current one. Those of the lake are read from its upkeep, and each is left out before its first figure.
"""

import asyncio
import logging
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from bursar.clock import Clock
from bursar.dynamo.clients.store import Store
from bursar.dynamo.engine.compare_and_swap import CompareAndSwap, Swap, WholeItem
from bursar.dynamo.errors import DynamoError
from bursar.payments.records import Attempt
from bursar.payments.status import LIVE
from bursar.portal.metrics.counters import Counts, Durations
from bursar.portal.metrics.worker_snapshots import Snapshots
from bursar.portal.state.lake_upkeep import LakeUpkeep
from bursar.portal.state.observer import SweepResult
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import FAR_FUTURE_S

_Answer = TypeVar("_Answer")

LIVE_READ_MAX: Final = 5000
GAUGES_AGE_MAX_S: Final = 10.0
"""How long the gauges are reused, however often the metrics are scraped. After a failed read the next scrape reads
again."""
STORE_READ_TIMEOUT_S: Final = 5.0
"""How long a scrape waits for the store. Prometheus gives up after 10 s, and would then lack the counters too."""
PUBLISH_INTERVAL_S: Final = 1.0
"""A killed worker loses at most the counts of this time since its last scrape."""
TEXT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)

_log = logging.getLogger(__name__)


class Metrics:
    """Counts what the portal reports: an :class:`~bursar.portal.state.observer.Observer`, and a request observer.

    snapshots: the counts that the workers of one server share, so that each can export all of them; None for a process
    without others. worker: this worker's number among them. It starts with the counts of its predecessor.
    """

    def __init__(self, snapshots: Snapshots | None = None, worker: int = 0) -> None:
        self._snapshots = snapshots
        self._worker = worker
        self._requests = Counts("bursar_requests", "Requests", ["operation", "method", "status"])
        self._request_s = Durations("bursar_request_seconds", "Seconds to a reply", ["operation"], _SECONDS)
        self._paygov = Counts("bursar_paygov_calls", "Calls to Pay.gov", ["operation", "outcome"])
        self._paygov_s = Durations("bursar_paygov_seconds", "Seconds of a call to Pay.gov", ["operation"], _SECONDS)
        self._completions = Counts("bursar_completions", "Completions by outcome", ["outcome"])
        self._conflicts = Counts("bursar_lease_conflicts", "Callers that found another caller's lease")
        self._alerts = Counts("bursar_alerts", "Alerts for a person", ["alert"])
        self._swept = Counts("bursar_swept", "Swept attempts by result", ["result"])
        self._sweep_s = Durations("bursar_sweep_seconds", "Seconds of a sweep", [], _SECONDS)
        self._store_s = Durations(
            "bursar_store_seconds", "Seconds of a store request", ["operation", "outcome"], _SECONDS
        )
        self._webhooks = Counts("bursar_webhook_deliveries", "Tries to deliver an event", ["webhook", "outcome"])
        self._counters: tuple[Counts | Durations, ...] = (
            self._requests,
            self._request_s,
            self._paygov,
            self._paygov_s,
            self._completions,
            self._conflicts,
            self._alerts,
            self._swept,
            self._sweep_s,
            self._store_s,
            self._webhooks,
        )
        if snapshots is not None:
            _add_snapshot(self._counters, snapshots.latest(worker))
        self._gauges = registry = CollectorRegistry()
        self._live = Gauge("bursar_live_attempts", "Live attempts", ["status"], registry=registry)
        self._unknown = Gauge("bursar_unknown_outcomes", "Outcomes unknown", registry=registry)
        self._oldest_s = Gauge("bursar_oldest_pending_seconds", "Age of the oldest pending", registry=registry)
        self._contradictions = Gauge("bursar_open_contradictions", "Not acknowledged", registry=registry)
        self._read_backlog: Callable[[], Awaitable[Mapping[str, int]]] | None = None
        self._backlog: dict[str, Gauge] = {}
        self._store_read_at: float | None = None
        self._lake: LakeUpkeep | None = None

    def request_answered(self, operation: str, method: str, status: int, seconds: float) -> None:
        """Count a request by operation, method and status."""
        # The caller chooses the method. Only known methods become label values, which stay in memory.
        known = method if method in _METHODS else "other"
        self._requests.add(operation, known, str(status))
        self._request_s.add(seconds, operation)

    def paygov_answered(self, operation: str, outcome: str, seconds: float) -> None:
        """Count a call to Pay.gov."""
        self._paygov.add(operation, outcome)
        self._paygov_s.add(seconds, operation)

    def lease_conflict(self) -> None:
        """Count a caller that found another caller's lease."""
        self._conflicts.add()

    def outcome_known(self, row: str) -> None:
        """Count a completion by its outcome."""
        self._completions.add(row)

    def alerted(self, alert: str) -> None:
        """Count an alert by its name."""
        self._alerts.add(alert)

    def swept(self, results: Mapping[SweepResult, int], seconds: float) -> None:
        """Count a pass of the sweeper and its results."""
        for result, count in results.items():
            self._swept.add_many(count, result)
        self._sweep_s.add(seconds)

    def store_answered(self, operation: str, outcome: str, seconds: float) -> None:
        """Count a request to the store."""
        self._store_s.add(seconds, operation, outcome)

    def webhook_tried(self, subscription: str, outcome: str) -> None:
        """Count a try to deliver an event."""
        self._webhooks.add(subscription, outcome)

    def watch_webhooks(self, backlog: Callable[[], Awaitable[Mapping[str, int]]]) -> None:
        """Export the counts that ``backlog`` returns as gauges ``bursar_webhooks_<name>``."""
        self._read_backlog = backlog

    def watch_lake(self, lake: LakeUpkeep) -> None:
        """Export the figures of the lake's upkeep as gauges."""
        self._lake = lake

    def publish(self) -> None:
        """Write the counts to the memory that the workers share. Do nothing if there are no other workers."""
        if self._snapshots is not None:
            self._snapshots.keep(self._worker, orjson.dumps([counter.dump() for counter in self._counters]))

    async def publish_regularly(self) -> None:
        """Publish the counts regularly until the task is cancelled. Return at once if there are no other workers."""
        while self._snapshots is not None:
            await asyncio.sleep(PUBLISH_INTERVAL_S)
            self.publish()

    async def text(self, portal: Portal) -> bytes:
        """Return the metrics in Prometheus' text format. If the store cannot be read, return the counters alone."""
        seen = await self._refresh_gauges(portal)
        registry = CollectorRegistry()
        for counter in self._counters_of_all_workers():
            registry.register(counter)
        self._add_lake(registry, portal.clock())
        return generate_latest(registry) + (generate_latest(self._gauges) if seen else b"")

    def _add_lake(self, registry: CollectorRegistry, now: float) -> None:
        if self._lake is None:
            return
        upkeep = self._lake.read()
        if upkeep.complete_at is not None:
            age = Gauge("bursar_lake_watermark_age_seconds", "Age of the oldest change not in it", registry=registry)
            age.set(max(0.0, now - upkeep.complete_at))
        if upkeep.verified_at is not None:
            Gauge("bursar_lake_verified_at", "Last verification", registry=registry).set(upkeep.verified_at)
            Gauge("bursar_lake_differences", "Rows that differed then", registry=registry).set(upkeep.differences)

    async def _refresh_gauges(self, portal: Portal) -> bool:
        """Read the gauges from the store if they are too old. Return whether they are fresh."""
        if self._store_read_at is not None and portal.clock() - self._store_read_at < GAUGES_AGE_MAX_S:
            return True
        try:
            async with asyncio.timeout(STORE_READ_TIMEOUT_S):
                await portal.single_flight("gauges of the metrics", lambda: self._read_store(portal))
        except Exception as error:  # the counters can be exported after any error
            _log.warning("the store cannot be read, so its gauges are left out: %r", error)
            return False
        return True

    def _counters_of_all_workers(self) -> Sequence[Counts | Durations]:
        """Return the counts of all workers: of this one up to now, of the others up to their last snapshots.

        This worker publishes first, so that its successor exports no less if it is killed then. Workers are always
        added up in order: the last bit of a sum of seconds depends on the order, and Prometheus reads a smaller value
        as a restart.
        """
        if self._snapshots is None:
            return self._counters
        self.publish()
        whole = [counter.empty() for counter in self._counters]
        for worker in range(self._snapshots.workers):
            _add_snapshot(whole, self._snapshots.latest(worker))
        return whole

    async def _read_store(self, portal: Portal) -> None:
        now = portal.clock()
        live = await portal.ledger.due(now + FAR_FUTURE_S, LIVE_READ_MAX)
        open_contradictions = len(await portal.ledger.contradictions.unacknowledged())
        self._set_gauges(live, open_contradictions, now)
        for name, count in (await self._read_backlog() if self._read_backlog else {}).items():
            if name not in self._backlog:
                self._backlog[name] = Gauge(f"bursar_webhooks_{name}", f"Deliveries: {name}", registry=self._gauges)
            self._backlog[name].set(count)
        self._store_read_at = now

    def _set_gauges(self, live: list[Attempt], open_contradictions: int, now: float) -> None:
        by_status = Tally(attempt.status for attempt in live)
        for status in sorted(LIVE):
            self._live.labels(status).set(by_status[status])
        self._unknown.set(sum(attempt.outcome_unknown for attempt in live))
        pending = [
            now - (attempt.unsettled_since or attempt.updated_at) for attempt in live if attempt.status == "pending"
        ]
        self._oldest_s.set(max(pending, default=0.0))
        self._contradictions.set(open_contradictions)


def _add_snapshot(counters: Sequence[Counts | Durations], snapshot: bytes) -> None:
    if snapshot:
        for counter, rows in zip(counters, orjson.loads(snapshot), strict=True):
            counter.absorb(rows)


class ObservedStore:
    """A store that reports the duration of each request to ``metrics``."""

    def __init__(self, wrapped: Store, metrics: Metrics, clock: Clock) -> None:
        self._wrapped = wrapped
        self._metrics = metrics
        self._clock = clock

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send the request to the wrapped store."""
        return await _observed(self._metrics, self._clock, operation, self._wrapped.call(operation, request))

    async def close(self) -> None:
        """Close the wrapped store."""
        await self._wrapped.close()


class ObservedCompareAndSwap:
    """A compare-and-swap interface that reports the duration of each request to ``metrics``.

    Requests have the names of the operations that other stores get.
    """

    def __init__(self, wrapped: CompareAndSwap, metrics: Metrics, clock: Clock) -> None:
        self._wrapped = wrapped
        self._metrics = metrics
        self._clock = clock

    async def get(self, table: str, key: WholeItem) -> dict[str, Any] | None:
        """Read one item, counted as GetItem."""
        return await _observed(self._metrics, self._clock, "GetItem", self._wrapped.get(table, key))

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[dict[str, Any]]:
        """Read the items of a partition, counted as Query."""
        return await _observed(self._metrics, self._clock, "Query", self._wrapped.partition(table, value, begins))

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """Swap items.

        Only a success is counted, because a refused swap is repeated as a transaction, which is counted.
        """
        began = self._clock()
        await self._wrapped.swap(table, swaps, rules)
        self._metrics.store_answered("TransactWriteItems", "ok", self._clock() - began)


async def _observed(metrics: Metrics, clock: Clock, operation: str, answer: Awaitable[_Answer]) -> _Answer:
    """Return ``answer``. Report its seconds and outcome to ``metrics``, also if it is an error."""
    began = clock()
    outcome = "ok"
    try:
        return await answer
    except DynamoError as error:
        outcome = error.code
        raise
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        metrics.store_answered(operation, outcome, clock() - began)


_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
