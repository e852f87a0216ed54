"""Deliveries: signed, in order per attempt, at least once, retried for three days, then a dead letter."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from bursar.portal.webhooks.dispatcher import CATCH_UP_S, OVERLAP_S, Dispatcher, DispatchReport
from bursar.portal.webhooks.queue import WebhookQueue
from bursar.portal.webhooks.sender import NotDelivered, ReceiverReply
from bursar.portal.webhooks.signing import SIGNATURE_HEADER, verified
from bursar.portal.webhooks.subscriptions import Subscription, Subscriptions
from tests.support.portal.stage import HOUR_S, Stage, on_stage

SECRET = "a secret of more than thirty-two characters"
SUBSCRIPTION = Subscription("status", "dawson", "https://dawson.example/bursar", SECRET)


class Receiver:
    """A subscriber that accepts deliveries, or refuses them while it is down."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.bodies: list[bytes] = []
        self.down = False
        self.slow_s = 0.0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> ReceiverReply:
        await asyncio.sleep(self.slow_s)
        if self.down:
            raise NotDelivered("HTTP 503", ReceiverReply(503))
        assert verified(SECRET, body, headers[SIGNATURE_HEADER], self.stage.loop.clock())
        self.bodies.append(body)
        return ReceiverReply(204)

    def received(self, attempt: str) -> list[str]:
        return [each["type"] for each in map(json.loads, self.bodies) if each["agencyTrackingId"] == attempt]


class Tries:
    """An observer that records each try."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def webhook_tried(self, subscription: str, outcome: str) -> None:
        assert subscription == "status"
        self.outcomes.append(outcome)


async def _dispatcher(stage: Stage, receiver: Receiver, observer: Tries | None = None) -> Dispatcher:
    queue = WebhookQueue(stage.store)
    await queue.create_table()
    made = Dispatcher(
        stage.ledger,
        queue,
        Subscriptions([SUBSCRIPTION]),
        receiver,
        clock=stage.loop.clock,
        randomness=random.Random(5),
        observer=observer,
    )
    await made.run_once()
    return made


@on_stage
async def test_every_event_is_delivered_once_in_order_and_signed(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    token = await stage.paid()
    await stage.process(token)
    assert await dispatcher.run_once() == DispatchReport(queued=4, delivered=4)
    assert await dispatcher.run_once() == DispatchReport()
    attempt = (await stage.attempt(token)).agency_tracking_id
    assert receiver.received(attempt) == [
        "payment.started",
        "payment.token_given",
        "payment.claimed",
        "payment.completed",
    ]
    moves = [(each["fromStatus"], each["toStatus"]) for each in map(json.loads, receiver.bodies)]
    assert moves == [
        (None, "received"),
        ("received", "initiated"),
        ("initiated", "processing"),
        ("processing", "processed"),
    ]
    assert token.encode() not in b"".join(receiver.bodies)
    assert b"123-26" not in b"".join(receiver.bodies)


@on_stage
async def test_a_process_that_reads_delivered_events_again_queues_nothing(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    await stage.process(await stage.paid())
    await dispatcher.run_once()
    delivered = list(receiver.bodies)
    other = await _dispatcher(stage, receiver)
    assert receiver.bodies == delivered
    assert await other.backlog() == {"waiting": 0, "failing": 0, "dead": 0}


@on_stage
async def test_a_delivery_that_was_never_tried_waits_and_does_not_fail(stage: Stage) -> None:
    queue = WebhookQueue(stage.store)
    await queue.create_table()
    now, attempt = stage.loop.clock(), ("status", "dawson", "a reference", "an attempt")
    assert await queue.note_event(*attempt, 1, now)
    assert await queue.backlog(["status"]) == {"waiting": 1, "failing": 0, "dead": 0}
    (queued,) = await queue.due(now, 1)
    await queue.save(replace(queued, delivered=1))
    assert await queue.note_event(*attempt, 2, now)
    assert await queue.backlog(["status"]) == {"waiting": 1, "failing": 0, "dead": 0}


@on_stage
async def test_later_events_of_a_delivered_attempt_follow(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    token = await stage.paid()
    await dispatcher.run_once()
    await stage.process(token)
    await dispatcher.run_once()
    assert len(receiver.received((await stage.attempt(token)).agency_tracking_id)) == 4


@on_stage
async def test_a_receiver_that_is_down_gets_its_events_later_in_order(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    token = await stage.paid()
    receiver.down = True
    assert (await dispatcher.run_once()).postponed == 1
    waiting = (await dispatcher.status()).waiting
    assert [(each.problem, each.tries) for each in waiting] == [("HTTP 503", 1)]
    await stage.process(token)
    receiver.down = False
    for _ in range(5):
        await asyncio.sleep(10)
        await dispatcher.run_once()
    assert receiver.received((await stage.attempt(token)).agency_tracking_id) == [
        "payment.started",
        "payment.token_given",
        "payment.claimed",
        "payment.completed",
    ]
    assert (await dispatcher.status()).waiting == ()


@on_stage
async def test_after_three_days_a_delivery_is_a_dead_letter_and_can_be_retried(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    await stage.init()
    receiver.down = True
    tries = 0
    for _ in range(2 * 3 * 24 + 4):
        report = await dispatcher.run_once()
        tries += report.postponed
        await asyncio.sleep(HOUR_S / 2)
    assert 45 <= tries <= 90, "backoff grows to an hour"
    dead = (await dispatcher.status()).dead
    assert [(letter.seq, letter.problem) for letter in dead] == [(1, "HTTP 503")]
    assert not await dispatcher.retry(dead[0].letter_id)
    receiver.down = False
    assert await dispatcher.retry(dead[0].letter_id)
    assert (await dispatcher.status()).dead == ()
    for nonsense in ("", "status", "status/x/1", "other/x/1", f"{dead[0].letter_id}9"):
        assert not await dispatcher.retry(nonsense)


@on_stage
async def test_many_dispatchers_at_once_keep_the_order_and_send_once(stage: Stage) -> None:
    receiver = Receiver(stage)
    receiver.slow_s = 1.0
    dispatchers = [await _dispatcher(stage, receiver) for _ in range(3)]
    tokens = [await stage.paid() for _ in range(4)]
    for token in tokens:
        await stage.process(token)
    for _ in range(3):
        await asyncio.gather(*(each.run_once() for each in dispatchers))
    assert len(receiver.bodies) == 4 * 4
    for token in tokens:
        received = receiver.received((await stage.attempt(token)).agency_tracking_id)
        assert received == ["payment.started", "payment.token_given", "payment.claimed", "payment.completed"]


@on_stage
async def test_an_event_that_comes_during_a_delivery_is_not_lost(stage: Stage) -> None:
    receiver = Receiver(stage)
    receiver.slow_s = 5.0
    first, second = await _dispatcher(stage, receiver), await _dispatcher(stage, receiver)
    token = await stage.paid()
    telling = asyncio.create_task(first.run_once())
    await asyncio.sleep(1)
    await stage.process(token)
    await second.run_once()
    await telling
    for _ in range(20):
        await asyncio.sleep(10)
        await first.run_once()
    received = receiver.received((await stage.attempt(token)).agency_tracking_id)
    assert received == ["payment.started", "payment.token_given", "payment.claimed", "payment.completed"]


@on_stage
async def test_a_change_that_the_index_shows_a_minute_late_is_delivered(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    token = await stage.init()
    events = stage.ledger.events

    async def behind(*span: float) -> AsyncIterator[object]:
        return
        yield

    stage.ledger.events = behind  # type: ignore[assignment]  # a stand-in
    await asyncio.sleep(5)
    assert await dispatcher.run_once() == DispatchReport()
    stage.ledger.events = events
    await asyncio.sleep(60)
    await dispatcher.run_once()
    attempt = (await stage.attempt(token)).agency_tracking_id
    assert receiver.received(attempt) == ["payment.started", "payment.token_given"]


@on_stage
async def test_a_delivery_whose_sender_died_is_sent_again(stage: Stage) -> None:
    receiver = Receiver(stage)
    receiver.slow_s = 5.0
    dispatcher = await _dispatcher(stage, receiver)
    token = await stage.init()
    dying = asyncio.create_task(dispatcher.run_once())
    await asyncio.sleep(1)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    receiver.slow_s = 0.0
    await asyncio.sleep(60)
    await dispatcher.run_once()
    attempt = (await stage.attempt(token)).agency_tracking_id
    assert receiver.received(attempt) == ["payment.started", "payment.token_given"]


@on_stage
async def test_payments_of_other_clients_are_not_delivered(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    asked = stage.request()
    await stage.ledger.start_attempt(
        "exams", asked.reference, asked.fee, asked.amount, asked.metadata, asked.url_success, asked.url_cancel
    )
    assert await dispatcher.run_once() == DispatchReport()


@on_stage
async def test_what_waits_for_a_removed_subscription_waits_no_longer(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    await stage.init()
    receiver.down = True
    await dispatcher.run_once()
    assert (await dispatcher.backlog())["waiting"] == 1
    await asyncio.sleep(HOUR_S)
    after = Dispatcher(
        stage.ledger,
        WebhookQueue(stage.store),
        Subscriptions([]),
        receiver,
        clock=stage.loop.clock,
        randomness=random.Random(5),
    )
    assert await after.run_once() == DispatchReport()
    assert await after.backlog() == {"waiting": 0, "failing": 0, "dead": 0}


@on_stage
async def test_after_a_long_pause_each_pass_reads_a_bounded_part_of_the_changes(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    spans: list[float] = []
    events = stage.ledger.events

    def noted(since: float, until: float) -> AsyncIterator[object]:
        spans.append(until - since)
        return events(since, until)

    stage.ledger.events = noted  # type: ignore[assignment]  # a stand-in
    tokens = []
    for _ in range(4):
        await asyncio.sleep(CATCH_UP_S)
        tokens.append(await stage.init())
    queued = [(await dispatcher.run_once()).queued for _ in range(6)]
    assert max(spans) <= CATCH_UP_S + OVERLAP_S + 1
    assert sum(queued) == 2 * len(tokens)
    assert max(queued) < 2 * len(tokens)


@on_stage
async def test_each_try_is_reported_and_counted_and_each_failure_logged(stage: Stage) -> None:
    receiver, tries = Receiver(stage), Tries()
    dispatcher = await _dispatcher(stage, receiver, tries)
    lines: list[str] = []
    log = logging.getLogger("bursar.portal.webhooks.dispatcher")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log.addHandler(handler)
    log.setLevel(logging.WARNING)
    try:
        token = await stage.init()
        attempt = (await stage.attempt(token)).agency_tracking_id
        receiver.down = True
        await dispatcher.run_once()
        assert await dispatcher.backlog() == {"waiting": 1, "failing": 1, "dead": 0}
        for _ in range(2 * 3 * 24 + 4):
            await asyncio.sleep(HOUR_S / 2)
            await dispatcher.run_once()
        assert (await dispatcher.backlog())["dead"] == 1
        receiver.down = False
        await asyncio.sleep(HOUR_S)
        await dispatcher.run_once()
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    assert await dispatcher.backlog() == {"waiting": 0, "failing": 0, "dead": 1}
    assert (tries.outcomes[0], tries.outcomes.count("abandoned"), tries.outcomes[-1]) == ("failed", 1, "delivered")
    assert lines[0] == f"webhook status: delivery {attempt}-1 failed: HTTP 503"
    assert len([line for line in lines if "failed: HTTP 503" in line]) == len(tries.outcomes) - 1


@on_stage
async def test_a_test_delivery_is_signed_and_about_no_payment(stage: Stage) -> None:
    receiver = Receiver(stage)
    dispatcher = await _dispatcher(stage, receiver)
    assert await dispatcher.send_test("status") == ReceiverReply(204)
    sent = json.loads(receiver.bodies[0])
    assert (sent["type"], sent["id"][:5], sent["transactionReferenceId"]) == ("webhook.test", "test-", None)
    await stage.init()
    await dispatcher.run_once()
    assert sent.keys() == json.loads(receiver.bodies[1]).keys()
    receiver.down = True
    with pytest.raises(NotDelivered) as failed:
        await dispatcher.send_test("status")
    assert failed.value.reply == ReceiverReply(503)
    with pytest.raises(LookupError, match=r"must be the name of a webhook \(status\); got other"):
        await dispatcher.send_test("other")
    assert (await dispatcher.status()).waiting == ()
