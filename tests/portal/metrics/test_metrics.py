"""Metrics for Prometheus: counts by bounded labels, and the live attempts at each scrape."""

import asyncio
import logging
import random
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from bursar.dynamo.errors import DynamoError, StoreUnreachable
from bursar.payments import Attempt, Outcome, OutcomeContradicts
from bursar.payments.ledger.table import TABLE_NAME
from bursar.portal.api.authentication import without_signatures
from bursar.portal.doors.asgi import portal_app
from bursar.portal.metrics.metrics import (
    GAUGES_AGE_MAX_S,
    PUBLISH_INTERVAL_S,
    STORE_READ_TIMEOUT_S,
    Metrics,
    ObservedCompareAndSwap,
    ObservedStore,
)
from bursar.portal.metrics.worker_snapshots import Snapshots
from bursar.portal.state.lake_upkeep import LakeUpkeep
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import acknowledge
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.webhooks.queue import WebhookQueue
from bursar.reports.lake.upkeep import UpkeepFile
from tests.support.portal.asgi import ask
from tests.support.portal.stage import DAWSON, Stage, on_stage
from tests.support.write_paths import WritePath

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def _observed_portal(stage: Stage, metrics: Metrics) -> Portal:
    return Portal(
        stage.ledger,
        stage.portal.paygov,
        stage.fees,
        stage.clients,
        clock=stage.loop.clock,
        randomness=random.Random(9),
        observer=metrics,
    )


@on_stage
async def test_a_payments_way_is_counted(stage: Stage) -> None:
    metrics = Metrics()
    stage.portal = portal = _observed_portal(stage, metrics)
    app = portal_app(portal, without_signatures(DAWSON, listens_on=["127.0.0.1"]), metrics=metrics)
    lost = await stage.paid()
    stage.misbehave("drop", operations=("complete",), times=1)
    with stage.collections_unseen():
        await ask(app, "POST", "/process", {"token": lost})
    settling = await stage.paid("ACH")
    await ask(app, "POST", "/process", {"token": settling})
    await ask(app, "BREW", "/nowhere")
    await asyncio.sleep(7)
    text = (await ask(app, "GET", "/metrics")).body.decode()
    for line in (
        'bursar_requests_total{method="POST",operation="processPayment",status="504"} 1.0',
        'bursar_requests_total{method="POST",operation="processPayment",status="200"} 1.0',
        'bursar_requests_total{method="other",operation="none",status="404"} 1.0',
        'bursar_paygov_calls_total{operation="complete",outcome="TimedOut"} 1.0',
        'bursar_completions_total{outcome="settling"} 1.0',
        'bursar_live_attempts{status="pending"} 1.0',
        "bursar_unknown_outcomes 1.0",
        "bursar_oldest_pending_seconds 7.0",
    ):
        assert line in text
    assert lost not in text


@on_stage
async def test_the_age_of_a_pending_payment_does_not_restart_with_another_word(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    pending = await stage.attempt(token)
    await asyncio.sleep(100)
    submitted = Outcome("pending", pending.paygov_tracking_id, "Submitted")
    await stage.ledger.record_outcome(pending, submitted, actor="sweeper")
    found = re.search(rb"^bursar_oldest_pending_seconds (\S+)$", await Metrics().text(stage.portal), re.MULTILINE)
    assert found is not None
    assert float(found[1]) == pytest.approx(stage.loop.clock() - pending.updated_at)
    assert float(found[1]) >= 100


@on_stage
async def test_a_sweep_is_counted(stage: Stage) -> None:
    metrics = Metrics()
    stage.portal = _observed_portal(stage, metrics)
    await stage.process(await stage.paid("ACH"))
    await asyncio.sleep(20)
    await sweep(stage.portal)
    assert b'bursar_swept_total{result="settled"} 1.0' in await metrics.text(stage.portal)


@on_stage
async def test_the_stores_latency_is_seen_by_operation_and_outcome(stage: Stage) -> None:
    metrics = Metrics()
    store = ObservedStore(stage.store, metrics, stage.loop.clock)
    await store.call("DescribeTable", {"TableName": "bursar-payments"})
    with pytest.raises(DynamoError):
        await store.call("DescribeTable", {"TableName": "nothing"})
    text = (await metrics.text(stage.portal)).decode()
    assert 'bursar_store_seconds_count{operation="DescribeTable",outcome="ok"} 1.0' in text
    assert 'outcome="ResourceNotFoundException"' in text


class FailingStore:
    """A store whose calls end with ``error``, which DynamoDB did not answer."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        raise self._error

    async def close(self) -> None:
        pass


@on_stage
async def test_a_call_of_the_store_without_an_answer_is_seen_by_the_name_of_its_error(stage: Stage) -> None:
    metrics = Metrics()
    for error in (StoreUnreachable("no connection"), TimeoutError(), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await ObservedStore(FailingStore(error), metrics, stage.loop.clock).call("GetItem", {})
    text = (await metrics.text(stage.portal)).decode()
    counted = re.findall(r'^bursar_store_seconds_count{operation="GetItem",outcome="(\w+)"} 1.0$', text, re.MULTILINE)
    assert sorted(counted) == ["CancelledError", "StoreUnreachable", "TimeoutError"]


class _Observed(ObservedStore):
    """Observes both interfaces of a stage's store, as the composition root does."""

    def __init__(self, stage: Stage, metrics: Metrics) -> None:
        super().__init__(stage.store, metrics, stage.loop.clock)
        self.compare_and_swap = ObservedCompareAndSwap(stage.store.compare_and_swap, metrics, stage.loop.clock)


@on_stage
async def test_a_ledgers_requests_are_counted_by_operation_and_outcome(stage: Stage) -> None:
    metrics = Metrics()
    observed = _Observed(stage, metrics)
    attempt = await stage.attempt(await stage.init())
    ledger = stage.write_path.ledger(observed, clock=stage.loop.clock, randomness=random.Random(9))
    attempt = await ledger.take_lease(await ledger.reread(attempt), "worker", 30)
    assert await ledger.obligation(attempt.client, attempt.reference) is not None
    await stage.store.call("DeleteTable", {"TableName": TABLE_NAME})
    for failing in (ledger.reread(attempt), ledger.obligation(attempt.client, attempt.reference)):
        with pytest.raises(DynamoError):
            await failing
    text = (await metrics.text(stage.portal)).decode()
    counted = re.findall(r'^bursar_store_seconds_count{operation="(\w+)",outcome="(\w+)"} (\S+)$', text, re.MULTILINE)
    assert sorted(counted) == [
        ("GetItem", "ResourceNotFoundException", "1.0"),
        ("GetItem", "ok", "1.0"),
        ("Query", "ResourceNotFoundException", "1.0"),
        ("Query", "ok", "1.0"),
        ("TransactWriteItems", "ok", "1.0"),
    ]


@on_stage
async def test_contradictions_are_counted_until_they_are_acknowledged(stage: Stage) -> None:
    metrics = Metrics()
    token = await stage.paid()
    await stage.process(token)
    paid = await stage.attempt(token)
    assert b"bursar_open_contradictions 0.0" in await metrics.text(stage.portal)
    for said in ("3FOTHER", "3FANOTHER"):
        with pytest.raises(OutcomeContradicts):
            await stage.ledger.record_outcome(paid, Outcome("processed", said, "Success"), actor="sweeper")
    await asyncio.sleep(GAUGES_AGE_MAX_S)
    assert b"bursar_open_contradictions 2.0" in await metrics.text(stage.portal)
    await acknowledge(stage.portal, paid.agency_tracking_id, by="Ada", reason="refunded")
    await asyncio.sleep(GAUGES_AGE_MAX_S)
    assert b"bursar_open_contradictions 0.0" in await metrics.text(stage.portal)


class UnreliableStore:
    """Replaces the store's answers, which fail while ``fails`` is true. Counts the calls."""

    def __init__(self, stage: Stage) -> None:
        self.fails: Exception | None = None
        self.asked = 0
        self._due = stage.ledger.due
        stage.ledger.due = self.due  # type: ignore[assignment]  # a stand-in

    async def due(self, until: float, limit: int) -> list[Attempt]:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return await self._due(until, limit)


GAUGES = ("bursar_live_attempts", "bursar_unknown_outcomes", "bursar_oldest_pending", "bursar_open_contradictions")


def test_a_store_that_is_away_takes_the_gauges_away_and_not_the_counters(
    write_path: WritePath, caplog: pytest.LogCaptureFixture
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        logging.getLogger("bursar").setLevel(logging.WARNING)  # the stage restores the level
        metrics, away = Metrics(), UnreliableStore(stage)
        metrics.lease_conflict()
        app = portal_app(stage.portal, without_signatures(DAWSON, listens_on=["127.0.0.1"]), metrics=metrics)
        caplog.clear()
        for fails in (DynamoError("InternalServerError", "a noise"), None, StoreUnreachable("nobody there")):
            away.fails = fails
            scraped = await ask(app, "GET", "/metrics")
            assert scraped.status == 200
            assert b"bursar_lease_conflicts_total 1.0" in scraped.body
            assert [name.encode() in scraped.body for name in GAUGES] == [fails is None] * 4
            await asyncio.sleep(GAUGES_AGE_MAX_S)
        said = [record.getMessage() for record in caplog.records if record.name == "bursar.portal.metrics.metrics"]
        assert ["a noise" in said[0], "nobody there" in said[1], len(said)] == [True, True, 2]

    scene(write_path)


@on_stage
async def test_a_look_that_succeeds_is_good_for_a_while_and_one_that_fails_is_not(stage: Stage) -> None:
    metrics, away = Metrics(), UnreliableStore(stage)
    away.fails = StoreUnreachable("nobody there")
    await metrics.text(stage.portal)
    await metrics.text(stage.portal)
    assert away.asked == 2
    away.fails = None
    for _ in range(3):
        assert b"bursar_unknown_outcomes 0.0" in await metrics.text(stage.portal)
    assert away.asked == 3


@on_stage
async def test_scrapes_at_once_share_one_read_of_the_store(stage: Stage) -> None:
    metrics, away = Metrics(), UnreliableStore(stage)
    await stage.init()
    told = await asyncio.gather(*(metrics.text(stage.portal) for _ in range(3)))
    assert away.asked == 1
    assert all(b'bursar_live_attempts{status="initiated"} 1.0' in text for text in told)


@on_stage
async def test_a_store_that_does_not_answer_does_not_keep_a_scrape_waiting(stage: Stage) -> None:
    metrics = Metrics()
    metrics.lease_conflict()

    async def never(until: float, limit: int) -> list[Attempt]:
        await asyncio.sleep(60)
        return []

    stage.ledger.due = never  # type: ignore[assignment]  # a stand-in
    began = stage.loop.clock()
    text = await metrics.text(stage.portal)
    assert stage.loop.clock() - began == pytest.approx(STORE_READ_TIMEOUT_S)
    assert b"bursar_lease_conflicts_total 1.0" in text
    assert b"bursar_unknown_outcomes" not in text


async def _counted(metrics: Metrics, stage: Stage) -> list[str]:
    """Return the lines of counters and histograms, sorted."""
    text = (await metrics.text(stage.portal)).decode()
    return sorted(re.findall(r"^bursar_\w+_(?:total|bucket|count|sum)\b.*$", text, re.MULTILINE))


def _count_everything(metrics: Metrics, seconds: float) -> None:
    metrics.request_answered("initPayment", "POST", 200, seconds)
    metrics.paygov_answered("start", "answered", seconds)
    metrics.lease_conflict()
    metrics.outcome_known("paid")
    metrics.alerted("contradiction")
    metrics.swept({"settled": 2, "failed": 1}, seconds)
    metrics.store_answered("GetItem", "ok", seconds)


@on_stage
async def test_any_worker_exports_the_counts_of_all(stage: Stage) -> None:
    alone, snapshots = Metrics(), Snapshots(3)
    workers = [Metrics(snapshots, worker) for worker in range(3)]
    for worker in (workers[0], workers[2], workers[2]):
        _count_everything(worker, 0.25)
        _count_everything(alone, 0.25)
    for worker in workers:
        await _counted(worker, stage)
    told = [await _counted(worker, stage) for worker in workers]
    assert told == [await _counted(alone, stage)] * 3


@on_stage
async def test_workers_tell_the_same_seconds_to_the_last_bit(stage: Stage) -> None:
    snapshots = Snapshots(3)
    workers = [Metrics(snapshots, worker) for worker in range(3)]
    for worker, seconds in zip(workers, (0.3, 0.2, 0.1), strict=True):
        worker.request_answered("initPayment", "POST", 200, seconds)
        worker.publish()
    told = [await _counted(worker, stage) for worker in workers]
    assert told == told[:1] * 3


@on_stage
async def test_a_worker_publishes_regularly(stage: Stage) -> None:
    snapshots = Snapshots(2)
    asked, other = Metrics(snapshots, 0), Metrics(snapshots, 1)
    keeping = asyncio.create_task(other.publish_regularly())
    for count in (1, 2, 3):
        other.lease_conflict()
        await asyncio.sleep(PUBLISH_INTERVAL_S + 0.1)
        assert f"bursar_lease_conflicts_total {count}.0" in await _counted(asked, stage)
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_a_worker_that_is_alone_has_nothing_to_keep() -> None:
    metrics = Metrics()
    metrics.publish()
    await metrics.publish_regularly()


@on_stage
async def test_the_successor_of_a_killed_worker_continues_from_its_last_snapshot(stage: Stage) -> None:
    snapshots = Snapshots(2)
    stays, killed = Metrics(snapshots, 0), Metrics(snapshots, 1)
    _count_everything(stays, 0.5)
    _count_everything(killed, 0.25)
    told = await _counted(killed, stage)
    killed.lease_conflict()  # after the scrape and before the kill: this count is in no scrape
    told_without_it = await _counted(stays, stage)
    successor = Metrics(snapshots, 1)
    assert "bursar_lease_conflicts_total 1.0" in told  # only its count: the other worker had published nothing yet
    assert await _counted(successor, stage) == told_without_it
    successor.lease_conflict()
    assert "bursar_lease_conflicts_total 3.0" in await _counted(successor, stage)
    assert "bursar_lease_conflicts_total 3.0" in await _counted(stays, stage)


@on_stage
async def test_every_metric_is_documented_for_operators(stage: Stage) -> None:
    metrics, queue = Metrics(), WebhookQueue(stage.store)
    await queue.create_table()
    metrics.watch_webhooks(lambda: queue.backlog([]))
    with TemporaryDirectory() as folder:
        upkeep = UpkeepFile(Path(folder) / "upkeep.json")
        upkeep.note_complete(0.0)
        upkeep.note_verified(0.0, 0)
        metrics.watch_lake(LakeUpkeep(upkeep, stage.loop.clock, 60.0))
        text = (await metrics.text(stage.portal)).decode()
    names = re.findall(r"^# TYPE (\w+) \w+$", text, re.MULTILINE)
    told = re.findall(r"^\| `(bursar_\w+)`", OPERATIONS.read_text(), re.MULTILINE)
    assert {name for name in names if not name.endswith("_created")} == set(told)


@on_stage
async def test_webhooks_are_counted_and_their_backlog_is_a_gauge(stage: Stage) -> None:
    metrics = Metrics()
    assert b"bursar_webhooks_" not in await metrics.text(stage.portal), "there are no webhooks"
    backlog = {"waiting": 3, "failing": 2, "dead": 1}

    async def read() -> dict[str, int]:
        return backlog

    metrics.watch_webhooks(read)
    for outcome in ("delivered", "failed", "failed", "abandoned"):
        metrics.webhook_tried("status", outcome)
    await asyncio.sleep(GAUGES_AGE_MAX_S)
    text = await metrics.text(stage.portal)
    for line in (
        b'bursar_webhook_deliveries_total{outcome="delivered",webhook="status"} 1.0',
        b'bursar_webhook_deliveries_total{outcome="failed",webhook="status"} 2.0',
        b"bursar_webhooks_waiting 3.0",
        b"bursar_webhooks_failing 2.0",
        b"bursar_webhooks_dead 1.0",
    ):
        assert line in text
    backlog["waiting"] = 0
    await asyncio.sleep(GAUGES_AGE_MAX_S)
    assert b"bursar_webhooks_waiting 0.0" in await metrics.text(stage.portal)


@on_stage
async def test_the_upkeep_of_the_lake_is_exported_once_it_is_known(stage: Stage) -> None:
    with TemporaryDirectory() as folder:
        upkeep, metrics = UpkeepFile(Path(folder) / "upkeep.json"), Metrics()
        metrics.watch_lake(LakeUpkeep(upkeep, stage.loop.clock, 60.0))
        assert b"bursar_lake" not in await metrics.text(stage.portal)
        now = stage.loop.clock()
        upkeep.note_complete(now - 90.0)
        upkeep.note_verified(now, 2)
        text = (await metrics.text(stage.portal)).decode()
    assert "bursar_lake_watermark_age_seconds 90.0" in text
    assert "bursar_lake_differences 2.0" in text
    assert re.search(r"^bursar_lake_verified_at (\S+)$", text, re.MULTILINE)
