"""The delivery of a table's stream: order, at least once, partial failures, shards, checkpoints."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import Engine
from bursar.dynamo.tools.delivering.delivery import Delivery, DeliveryPause, Rejected, SendBatch
from bursar.dynamo.tools.delivering.table_stream import Checkpoint, DeliveryPosition, DeliveryRefused, TableStream
from tests.support.dynamo.stream_readers import HandClock, arn_of, opened, records_of, streamed
from tests.support.dynamo.tables import item, put
from tests.support.hypothesis_profiles import examples

HOUR_S = 3600.0


class Crash(Exception):
    """The process of a delivery ends here."""


class Target:
    """A target in memory: it accepts, fails, or accepts the first records of a batch, by a script."""

    def __init__(self, randomness: random.Random | None = None) -> None:
        self.received: list[str] = []
        self.done = False
        self.batches: list[int] = []
        self._randomness = randomness

    async def __call__(self, records: Sequence[dict[str, Any]]) -> None:
        self.batches.append(len(records))
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        outcome = self._randomness.random() if self._randomness else 1.0
        if outcome < 0.2:
            raise Rejected("busy")
        if outcome < 0.4:
            accepted = self._randomness.randrange(len(records)) if self._randomness else 0
            self.received += numbers[:accepted]
            raise Rejected("some failed", accepted)
        self.received += numbers
        if outcome < 0.5:
            raise Crash


async def no_sleep(_: float) -> None:
    pass


def delivered(
    engine: Engine,
    send: SendBatch[dict[str, Any]],
    checkpoint: Path,
    batch: int = 2,
    *,
    once: bool = True,
    sleep: DeliveryPause = no_sleep,
) -> int:
    """Deliver the stream of the table ``orders``; return the number of records."""

    async def call(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return engine.execute(operation, request)

    async def run() -> int:
        source = await TableStream.open(call, "orders", Checkpoint(checkpoint), batch)
        return await Delivery(source, send, sleep=sleep, report=lambda _: None).run(once=once)

    return asyncio.run(run())


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def stocked(clock: HandClock) -> Engine:
    """Return an engine with a stream of five records."""
    engine = opened(clock)
    engine.execute("CreateTable", streamed())
    put(engine, "orders", *(item(pk="a", sk=str(number)) for number in range(5)))
    return engine


def numbers(engine: Engine) -> list[str]:
    return [record["dynamodb"]["SequenceNumber"] for record in records_of(engine, arn_of(engine))]


def test_every_record_is_delivered_in_order_and_the_next_run_goes_on(stocked: Engine, tmp_path: Path) -> None:
    target = Target()
    assert delivered(stocked, target, tmp_path / "c") == 5
    assert (target.received, target.batches) == (numbers(stocked), [2, 2, 1])
    assert delivered(stocked, target, tmp_path / "c") == 0
    put(stocked, "orders", item(pk="late", sk="1"))
    assert delivered(stocked, target, tmp_path / "c") == 1
    assert target.received == numbers(stocked)


@examples(12)
@given(seed=st.integers(0, 10_000), batch=st.integers(1, 6))
def test_no_record_is_passed_over_whatever_fails(
    tmp_path_factory: pytest.TempPathFactory, seed: int, batch: int
) -> None:
    engine = opened(HandClock())
    engine.execute("CreateTable", streamed())
    put(engine, "orders", *(item(pk="a", sk=str(number)) for number in range(7)))
    target = Target(random.Random(seed))
    checkpoint = tmp_path_factory.mktemp("delivery") / "checkpoint"
    while True:
        try:
            delivered(engine, target, checkpoint, batch)
            break
        except Crash:
            continue
    expected = numbers(engine)
    assert sorted(set(target.received), key=expected.index) == expected
    firsts = list(dict.fromkeys(target.received))
    assert firsts == expected
    engine.close()


def test_a_delivery_goes_on_in_the_next_shard(stocked: Engine, clock: HandClock, tmp_path: Path) -> None:
    target = Target()
    delivered(stocked, target, tmp_path / "c")
    clock.now += 5 * HOUR_S
    put(stocked, "orders", item(pk="b", sk="1"), item(pk="c", sk="1"))
    assert delivered(stocked, target, tmp_path / "c") == 2
    assert target.received == numbers(stocked)


def test_lost_records_are_an_error(stocked: Engine, clock: HandClock, tmp_path: Path) -> None:
    delivered(stocked, Target(), tmp_path / "c")
    put(stocked, "orders", item(pk="b", sk="1"))
    clock.now += 60 * HOUR_S
    put(stocked, "orders", item(pk="c", sk="1"))
    with pytest.raises(DeliveryRefused, match="later ones may be lost"):
        delivered(stocked, Target(), tmp_path / "c")


def test_a_delivery_that_runs_goes_on_after_days_without_a_record(
    stocked: Engine, clock: HandClock, tmp_path: Path
) -> None:
    target, start = Target(), clock.now

    async def sleep(_: float) -> None:
        clock.now += HOUR_S / 6
        if clock.now > start + 48 * HOUR_S:
            put(stocked, "orders", item(pk="late", sk="1"))
            target.done = True

    class Done(Exception):
        pass

    async def send(records: Sequence[dict[str, Any]]) -> None:
        await target(records)
        if target.done:
            raise Done

    with pytest.raises(Done):
        delivered(stocked, send, tmp_path / "c", 5, once=False, sleep=sleep)
    assert (len(target.received), target.batches) == (6, [5, 1])


def test_an_iterator_that_expired_is_replaced(stocked: Engine, clock: HandClock, tmp_path: Path) -> None:
    target = Target()

    async def send(records: Sequence[dict[str, Any]]) -> None:
        clock.now += HOUR_S
        await target(records)

    delivered(stocked, send, tmp_path / "c")
    assert target.received == numbers(stocked)


def test_a_checkpoint_of_another_stream_is_refused(stocked: Engine, tmp_path: Path) -> None:
    stream = arn_of(stocked)
    Checkpoint(tmp_path / "c").write(DeliveryPosition(stream + "0", "shardId-0", None))
    with pytest.raises(DeliveryRefused, match="is of another stream"):
        delivered(stocked, Target(), tmp_path / "c")
    (tmp_path / "c").write_text("{}")
    with pytest.raises(DeliveryRefused, match="must be the checkpoint of a delivery"):
        delivered(stocked, Target(), tmp_path / "c")
