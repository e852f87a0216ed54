"""Copying tables between stores: patience with throttling, changed keys by the stream, checksums of partitions."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.dynamo import AsyncEngine, Engine
from bursar.dynamo.clients.store import Store
from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown
from bursar.dynamo.storage.change_streams import RETENTION_S, SHARD_LIFE_S
from bursar.dynamo.tools.moving.changed_keys import ChangedKeys, ChangesLost, Places
from bursar.dynamo.tools.moving.comparison import checksums, differing, item_digest, total
from bursar.dynamo.tools.moving.copying import DONE, StartKeys, TableCopy
from bursar.dynamo.tools.moving.patient_store import TRIES_MAX, PatientStore
from sim.loop import VirtualLoop, run_virtual
from tests.support.dynamo.tables import table

Item = dict[str, Any]


def item(number: int, value: str = "a") -> Item:
    return {"pk": {"S": f"p{number % 7}"}, "sk": {"S": f"{number:04}"}, "v": {"S": value}}


class Weather(Store):
    """A store that throttles, leaves parts of batches over, and loses answers, by a seed."""

    def __init__(self, behind: Store, seed: int) -> None:
        self._behind = behind
        self._random = random.Random(seed)

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        luck = self._random.random()
        if luck < 0.2:
            raise DynamoError("ProvisionedThroughputExceededException", "slow down")
        if luck < 0.3:
            await self._behind.call(operation, request)
            raise StoreOutcomeUnknown("the answer was lost")
        if operation in ("BatchWriteItem", "BatchGetItem") and luck < 0.7:
            return await self._a_part(operation, request)
        return await self._behind.call(operation, request)

    async def _a_part(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        ((name, asked),) = request["RequestItems"].items()
        reads = operation == "BatchGetItem"
        whole = asked["Keys"] if reads else asked
        done, left = whole[: len(whole) // 2], whole[len(whole) // 2 :]
        wrap: Callable[[list[Any]], Any] = (lambda keys: {**asked, "Keys": keys}) if reads else (lambda puts: puts)
        answer = await self._behind.call(operation, {"RequestItems": {name: wrap(done)}}) if done else {"Responses": {}}
        return {**answer, "UnprocessedKeys" if reads else "UnprocessedItems": {name: wrap(left)}}

    async def close(self) -> None:
        """Leave the store behind open."""


async def a_store(loop: VirtualLoop, name: str = "orders") -> AsyncEngine:
    store = AsyncEngine(Engine.open(":memory:", clock=loop.clock, randomness=random.Random(1)))
    await store.call("CreateTable", table(name))
    return store


def test_a_copy_through_throttling_lost_answers_and_partial_batches_is_whole() -> None:
    async def play(loop: VirtualLoop) -> None:
        source, target = await a_store(loop), await a_store(loop)
        for number in range(60):
            await source.call("PutItem", {"TableName": "orders", "Item": item(number)})
        patient = [
            PatientStore(Weather(store, seed), random.Random(seed)) for seed, store in enumerate((source, target))
        ]
        copy = TableCopy(patient[0], patient[1], "orders", ("pk", "sk"))
        await ChangedKeys(patient[0], "orders").enable()
        starts: StartKeys = [None, None, None]
        await copy.copy(starts, _no_progress)
        assert starts == [DONE] * 3
        await source.call("PutItem", {"TableName": "orders", "Item": item(3, "changed")})
        await source.call("DeleteItem", {"TableName": "orders", "Key": {"pk": {"S": "p4"}, "sk": {"S": "0004"}}})
        places: Places = {}
        assert await copy.follow(places, 0.0, _no_progress) == 2
        assert await copy.follow(places, 0.0, _no_progress) == 0
        sums = [await checksums(store, "orders", "pk", segments=2) for store in patient]
        assert differing(*sums) == []
        assert total(sums[0]).items == 59
        assert min(store.retries for store in patient) > 0

    run_virtual(play)


def test_a_store_that_only_throttles_is_given_up_after_its_tries() -> None:
    class Closed(Store):
        async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            if operation == "BatchWriteItem":
                return {"UnprocessedItems": request["RequestItems"]}
            raise DynamoError("ThrottlingException", "slow down")

        async def close(self) -> None:
            """Do nothing: the store has nothing to close."""

    async def play(loop: VirtualLoop) -> None:
        store = PatientStore(Closed(), random.Random(1))
        with pytest.raises(DynamoError, match="slow down"):
            await store.call("Scan", {"TableName": "orders"})
        with pytest.raises(DynamoError, match="made no progress"):
            await store.write("orders", [item(1)])
        assert store.retries >= TRIES_MAX

    run_virtual(play)


def test_changed_keys_are_read_across_shards_and_lost_changes_are_noticed() -> None:
    async def play(loop: VirtualLoop) -> None:
        engine = await a_store(loop)
        changed = ChangedKeys(PatientStore(engine, random.Random(1)), "orders")
        await changed.enable()
        assert await changed.is_enabled()
        places: Places = {}
        read = []
        for number in range(3):  # each in another shard
            await engine.call("PutItem", {"TableName": "orders", "Item": item(number)})
            async for keys in changed.since(places, 0.0):
                read += [key["sk"]["S"] for key in keys]
            await asyncio.sleep(SHARD_LIFE_S + 1)
            engine.engine.run_housekeeping()
        assert read == ["0000", "0001", "0002"]
        assert "end" in places.values()
        late = dict(places)
        await engine.call("PutItem", {"TableName": "orders", "Item": item(9)})
        await asyncio.sleep(RETENTION_S + SHARD_LIFE_S)
        engine.engine.run_housekeeping()
        with pytest.raises(ChangesLost):
            async for _ in changed.since(late, 0.0):
                pass

    run_virtual(play)


async def _no_progress(items: int) -> None:
    """Note nothing."""


NAMES = st.text("abc", min_size=1, max_size=3)
SCALARS = st.one_of(
    st.builds(lambda text: {"S": text}, st.text(max_size=5)),
    st.builds(lambda number: {"N": str(number)}, st.integers(0, 99)),
    st.builds(lambda texts: {"SS": texts}, st.lists(NAMES, min_size=2, max_size=4, unique=True)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda values: {"L": values}, st.lists(inner, max_size=3)),
        st.builds(lambda values: {"M": values}, st.dictionaries(NAMES, inner, max_size=3)),
    ),
    max_leaves=8,
)


def _shuffled(value: Any) -> Any:
    """Return an equal value whose attributes and members of sets are in another order."""
    if isinstance(value, dict):
        if set(value) == {"SS"}:
            return {"SS": value["SS"][::-1]}
        return {name: _shuffled(value[name]) for name in reversed(value)}
    return [_shuffled(each) for each in value] if isinstance(value, list) else value


@settings(max_examples=25)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.data())
def test_equal_items_have_equal_digests_and_a_changed_one_has_another(one: Item, data: st.DataObject) -> None:
    assert item_digest(_shuffled(one)) == item_digest(one)
    name = data.draw(st.sampled_from(sorted(one)))
    assert item_digest({**one, name: {"S": "something else"}}) != item_digest(one)
