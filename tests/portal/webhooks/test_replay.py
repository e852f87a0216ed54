"""A replay queues the events of a range again, in order per attempt, and takes their dead letters back."""

import asyncio
import contextlib
import json
import random
from collections.abc import Mapping

import pytest

from bursar.portal.contract.errors import Gone
from bursar.portal.use_cases.payment_details import details
from bursar.portal.webhooks.dispatcher import Dispatcher
from bursar.portal.webhooks.queue import WebhookQueue
from bursar.portal.webhooks.replay import REPLAY_SPAN_MAX_S, ReplayReport
from bursar.portal.webhooks.sender import NotDelivered, ReceiverReply
from bursar.portal.webhooks.subscriptions import Subscription, Subscriptions
from tests.support.portal.stage import DAWSON, EXAMS, HOUR_S, Stage, on_stage

SECRET = "a secret of more than thirty-two characters"


class Receiver:
    """A receiver that remembers the ids that it got."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.down = False

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> ReceiverReply:
        if self.down:
            raise NotDelivered("HTTP 503", ReceiverReply(503))
        self.ids.append(json.loads(body)["id"])
        return ReceiverReply(204)


async def _dispatcher(stage: Stage, receiver: Receiver, *clients: str) -> Dispatcher:
    queue = WebhookQueue(stage.store)
    await queue.create_table()
    subscriptions = [Subscription(client, client, f"https://{client}.example/", SECRET) for client in clients]
    made = Dispatcher(
        stage.ledger,
        queue,
        Subscriptions(subscriptions),
        receiver,
        clock=stage.loop.clock,
        randomness=random.Random(5),
    )
    await made.run_once()
    return made


async def _paid(stage: Stage) -> list[str]:
    """Pay and process, and return the ids of the attempt's four events."""
    token = await stage.paid()
    await stage.process(token)
    attempt = (await stage.attempt(token)).agency_tracking_id
    return [f"{attempt}-{seq}" for seq in (1, 2, 3, 4)]


@on_stage
async def test_the_events_of_a_range_are_delivered_again_in_order_and_no_others(stage: Stage) -> None:
    receiver = Receiver()
    dispatcher = await _dispatcher(stage, receiver, "dawson")
    before = await _paid(stage)
    await asyncio.sleep(HOUR_S)
    begin = stage.loop.clock()
    lost = [*await _paid(stage), *await _paid(stage)]
    await asyncio.sleep(9 * HOUR_S)
    end = stage.loop.clock()
    after = await _paid(stage)
    await dispatcher.run_once()
    await dispatcher.run_once()
    assert sorted(receiver.ids) == sorted([*before, *lost, *after])
    receiver.ids.clear()
    assert await dispatcher.replay(begin, end) == ReplayReport(events=8, items=2)
    await dispatcher.run_once()
    assert sorted(receiver.ids) == sorted(lost)
    for attempt in (lost[:4], lost[4:]):
        assert [each for each in receiver.ids if each in attempt] == attempt
    receiver.ids.clear()
    await dispatcher.run_once()
    assert receiver.ids == [], "once for each replay"


@on_stage
async def test_later_events_of_the_same_attempt_follow_in_order(stage: Stage) -> None:
    receiver = Receiver()
    dispatcher = await _dispatcher(stage, receiver, "dawson")
    token = await stage.paid("ACH")
    await stage.process(token)
    attempt = await stage.attempt(token)
    await asyncio.sleep(60)
    accepted_until = stage.loop.clock()
    assert (await details(stage.portal, DAWSON, attempt.reference)).status == "success"
    await dispatcher.run_once()
    delivered, receiver.ids = receiver.ids, []
    assert delivered[-1] == f"{attempt.agency_tracking_id}-5"
    assert await dispatcher.replay(attempt.created_at, accepted_until) == ReplayReport(events=4, items=1)
    await dispatcher.run_once()
    assert receiver.ids == delivered


@on_stage
async def test_a_webhook_that_subscribed_later_gets_the_range_alone(stage: Stage) -> None:
    token = await stage.paid("ACH")
    attempt = (await stage.attempt(token)).agency_tracking_id
    await asyncio.sleep(60)
    begin = stage.loop.clock()
    await stage.process(token)
    await asyncio.sleep(HOUR_S)
    receiver = Receiver()
    dispatcher = await _dispatcher(stage, receiver, "dawson")
    await dispatcher.replay(begin, stage.loop.clock())
    await dispatcher.run_once()
    assert receiver.ids == [f"{attempt}-3", f"{attempt}-4"]


@on_stage
async def test_a_replay_of_one_client_leaves_the_others(stage: Stage) -> None:
    receiver = Receiver()
    begin = stage.loop.clock()
    ids = await _paid(stage)
    asked = stage.request()
    await stage.ledger.start_attempt(
        EXAMS.name, asked.reference, asked.fee, asked.amount, asked.metadata, asked.url_success, asked.url_cancel
    )
    await asyncio.sleep(HOUR_S)
    dispatcher = await _dispatcher(stage, receiver, "dawson", "exams")
    assert await dispatcher.replay(begin, stage.loop.clock(), "dawson") == ReplayReport(events=4, items=1)
    await dispatcher.run_once()
    assert receiver.ids == ids
    assert await dispatcher.replay(begin, stage.loop.clock(), "no-client") == ReplayReport(events=0, items=0)


@on_stage
async def test_dead_letters_of_the_range_are_delivered_and_no_longer_listed(stage: Stage) -> None:
    receiver = Receiver()
    dispatcher = await _dispatcher(stage, receiver, "dawson")
    begin = stage.loop.clock()
    token = await stage.init()
    attempt = (await stage.attempt(token)).agency_tracking_id
    receiver.down = True
    for _ in range(2 * 3 * 24 + 4):
        await dispatcher.run_once()
        await asyncio.sleep(HOUR_S / 2)
    assert len((await dispatcher.status()).dead) == 1
    receiver.down = False
    await dispatcher.replay(begin, begin + HOUR_S)
    await dispatcher.run_once()
    assert receiver.ids == [f"{attempt}-1", f"{attempt}-2"]
    assert (await dispatcher.status()).dead == ()


@on_stage
async def test_a_replay_during_a_delivery_loses_nothing(stage: Stage) -> None:
    receiver = Receiver()
    dispatcher = await _dispatcher(stage, receiver, "dawson")
    begin = stage.loop.clock()
    ids = await _paid(stage)
    await asyncio.sleep(1)
    await asyncio.gather(dispatcher.run_once(), dispatcher.replay(begin, stage.loop.clock()))
    for _ in range(10):
        await asyncio.sleep(60)
        await dispatcher.run_once()
    assert set(receiver.ids) == set(ids)
    assert receiver.ids[-1] == ids[-1]


@on_stage
async def test_an_impossible_range_is_refused(stage: Stage) -> None:
    dispatcher = await _dispatcher(stage, Receiver(), "dawson")
    for since, until in ((10.0, 10.0), (10.0, 9.0), (0.0, REPLAY_SPAN_MAX_S + 1)):
        with pytest.raises(ValueError, match="must be a range of at most 366 days"):
            await dispatcher.replay(since, until)


@on_stage
async def test_a_replay_of_later_events_skips_no_earlier_one_that_waits(stage: Stage) -> None:
    receiver = Receiver()
    dispatcher = await _dispatcher(stage, receiver, "dawson")
    receiver.down = True
    token = await stage.paid()
    await dispatcher.run_once()
    await asyncio.sleep(HOUR_S)
    begin = stage.loop.clock()
    await stage.process(token)
    await asyncio.sleep(1)
    receiver.down = False
    await dispatcher.replay(begin, stage.loop.clock())
    await asyncio.sleep(HOUR_S)
    await dispatcher.run_once()
    attempt = (await stage.attempt(token)).agency_tracking_id
    assert receiver.ids == [f"{attempt}-{seq}" for seq in (1, 2, 3, 4)]


@on_stage
async def test_a_replay_gives_a_failing_delivery_three_more_days(stage: Stage) -> None:
    receiver = Receiver()
    dispatcher = await _dispatcher(stage, receiver, "dawson")
    begin = stage.loop.clock()
    token = await stage.init()
    receiver.down = True
    await dispatcher.run_once()
    await asyncio.sleep(4 * 24 * HOUR_S)  # no dispatcher ran meanwhile
    await dispatcher.replay(begin, begin + HOUR_S)
    await dispatcher.run_once()
    assert (await dispatcher.status()).dead == ()
    receiver.down = False
    await asyncio.sleep(HOUR_S)
    await dispatcher.run_once()
    assert receiver.ids[0] == f"{(await stage.attempt(token)).agency_tracking_id}-1"


@on_stage
async def test_dead_letters_before_the_range_stay(stage: Stage) -> None:
    receiver = Receiver()
    dispatcher = await _dispatcher(stage, receiver, "dawson")
    token = await stage.paid()
    receiver.down = True
    for _ in range(2 * 3 * 24 + 4):
        await dispatcher.run_once()
        await asyncio.sleep(HOUR_S / 2)
    (letter,) = (await dispatcher.status()).dead
    receiver.down = False
    begin = stage.loop.clock()
    with contextlib.suppress(Gone):  # the token has expired: another event
        await stage.process(token)
    await asyncio.sleep(1)
    await dispatcher.replay(begin, stage.loop.clock())
    await dispatcher.run_once()
    assert (await dispatcher.status()).dead == (letter,)
