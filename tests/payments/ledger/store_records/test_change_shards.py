"""The shards of the index of changes: where an entry goes, who knows how many there are, and the one order of all."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.clock import iso_ms
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.items.attribute_values import Item
from bursar.payments import Attempt, Ledger
from bursar.payments.audit.chain_audit import audit_chains
from bursar.payments.errors import LedgerBusy
from bursar.payments.ledger.store_records import change_shards
from bursar.payments.ledger.store_records.change_shards import (
    CHANGE_SHARDS,
    CHANGE_SHARDS_MAX,
    bucket_of,
    merged_pages,
    shard_of,
)
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.records import DUE_SHARDS, change_bucket, due_shard, partition_key
from bursar.reports.tail.index_source import IndexSource
from bursar.rules import Delete, RuleRefused, Update
from tests.support.hypothesis_profiles import examples
from tests.support.payments.stage import PAID, STARTED, Listening, Wall, processing
from tests.support.payments.tampering import items_of, put
from tests.support.reports.ledger_history import CALLS, LedgerHistory, Step
from tests.support.write_paths import SWAP, WritePath

Start = Callable[..., Awaitable[Attempt]]
HOUR = "2026-11-22T19"


async def entries(ledger: Ledger, wall: Wall) -> list[Item]:
    """Return the entries of the index, in the order of a reader that never learned the number of shards."""
    return [item async for item in ledger.event_items(STARTED - 3600, wall.now + 3600)]


def buckets(items: list[Item]) -> set[str]:
    return {item["changeBucket"]["S"] for item in items}


@pytest.fixture
def another(write_path: WritePath, store: Listening, wall: Wall) -> Ledger:
    """Return the ledger of another process, which started before the first raise."""
    return write_path.ledger(store, clock=wall, randomness=random.Random(3))


# ---- writers and readers


async def test_a_writer_uses_the_new_shards_from_its_next_start_and_a_reader_reads_them_at_once(
    ledger: Ledger, another: Ledger, start: Start, wall: Wall
) -> None:
    first = await start(reference="first")
    await ledger.change_shards.raise_to(8, by="Ada")
    await start(reference="second")
    assert buckets(await entries(another, wall)) == {HOUR}, "one shard is written as before shards existed"
    await ledger.change_shards.learn()
    wall.pass_s(1)
    await ledger.record_token(first, "u" * 32)
    await processing(ledger, start)
    found = await entries(another, wall)
    assert [item["sk"]["S"] for item in found] == [
        item["sk"]["S"] for item in sorted(found, key=change_shards._changed_at)
    ]
    for item in found[2:]:
        assert item["changeBucket"]["S"] == bucket_of(HOUR, shard_of(item["pk"]["S"], 8))
    assert len(buckets(found)) > 1
    assert (await ledger.obligation("dawson", "first")) == (await another.obligation("dawson", "first"))


async def test_the_number_of_shards_only_grows(ledger: Ledger, another: Ledger, store: Listening, wall: Wall) -> None:
    assert await ledger.change_shards.counts() == (1,)
    for refused in (-1, 0, 1, CHANGE_SHARDS_MAX + 1):
        with pytest.raises(ValueError, match=f"must be from 2 to {CHANGE_SHARDS_MAX}; got {refused}"):
            await ledger.change_shards.raise_to(refused, by="Ada")
    await ledger.change_shards.raise_to(8, by="Ada")
    await another.change_shards.raise_to(CHANGE_SHARDS_MAX, by="Grace")
    assert await ledger.change_shards.counts() == (1, 8, CHANGE_SHARDS_MAX)
    with pytest.raises(ValueError, match="must be from 129"):
        await ledger.change_shards.raise_to(64, by="Ada")
    items = await ledger._ruled.partition({"S": "store"}, CHANGE_SHARDS)
    assert items[0]["raisedBy"] == {"S": "Ada"}
    assert items[0]["raisedAt"] == {"S": iso_ms(wall.now)}
    for write in (Delete(items[1]), Update(items[1], {**items[1], "shards": {"N": "2"}})):
        with pytest.raises(RuleRefused, match="change-shards-append-only"):
            await ledger._ruled.write([write])


async def test_new_attempts_spread_over_as_many_shards_of_due_and_every_sweeper_finds_them(
    ledger: Ledger, another: Ledger, start: Start, wall: Wall
) -> None:
    await ledger.change_shards.raise_to(4, by="Ada")
    first = await start(reference="first")
    for shards in (16, 64):
        await ledger.change_shards.raise_to(shards, by="Ada")
    await ledger.change_shards.learn()
    attempts = [first, *[await start(reference=f"number {number}") for number in range(12)]]
    places = {each.agency_tracking_id: (each.stored_item or {})["dueShard"]["S"] for each in attempts}
    assert places == {name: due_shard(name, 8 if name == first.agency_tracking_id else 64) for name in places}
    beyond = next(each for each in attempts if int(places[each.agency_tracking_id]) >= DUE_SHARDS)

    later = wall.now + 86_400
    assert {each.agency_tracking_id for each in await another.due(later, 100)} == places.keys()
    assert len(await another.due_times(later, 100)) == len(attempts)
    for limit in (1, 5):
        assert [each.due_at for each in await another.due(later, limit)] == sorted(
            each.due_at or 0 for each in attempts
        )[:limit]

    moved = await another.record_token(beyond, "u" * 32)
    assert (moved.stored_item or {})["dueShard"] == {"S": places[moved.agency_tracking_id]}, "it stays in its shard"
    (again,) = [each for each in await another.due(later, 100) if each.agency_tracking_id == moved.agency_tracking_id]
    assert again == moved


async def test_two_people_who_raise_it_to_the_same_number_raise_it_once(
    ledger: Ledger, another: Ledger, store: Listening
) -> None:
    async def raised_meanwhile(operation: str) -> None:
        if operation != "Query":
            store.fault = None
            await another.change_shards.raise_to(8, by="Grace")

    store.fault = raised_meanwhile
    with pytest.raises(LedgerBusy):
        await ledger.change_shards.raise_to(8, by="Ada")
    assert await ledger.change_shards.counts() == (1, 8)


async def test_the_audit_finds_an_event_in_a_shard_that_readers_would_not_read(
    ledger: Ledger, start: Start, store: Listening
) -> None:
    for shards in (8, 64):
        await ledger.change_shards.raise_to(shards, by="Ada")
        await ledger.change_shards.learn()
        await start(reference=f"with {shards}")
    paid = await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal")
    assert (await audit_chains(store, TABLE_NAME)).count == 0
    engine_store = store.behind
    assert isinstance(engine_store, AsyncEngine)
    event = next(item for item in await items_of(engine_store, paid.client, paid.reference) if "changedAt" in item)
    engine_store.engine.put_rules_document(TABLE_NAME, None)
    await put(engine_store, {**event, "changeBucket": {"S": bucket_of(HOUR, 100)}})
    (finding,) = (await audit_chains(store, TABLE_NAME)).findings
    assert (finding.kind, finding.seq) == ("misplaced", 1)
    assert finding.check == f"its content belongs to the changeBucket {HOUR}"


# ---- one order


class Shelf:
    """A store that answers a Query of one bucket, page by page."""

    def __init__(self, items: list[Item], page_items: int) -> None:
        self._items = sorted(items, key=change_shards._changed_at)
        self._page_items = page_items
        self.queries = 0

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.queries += 1
        bucket = request["ExpressionAttributeValues"][":bucket"]
        ours = [item for item in self._items if item["changeBucket"] == bucket]
        begin = request.get("ExclusiveStartKey", 0)
        end = begin + min(self._page_items, request.get("Limit", self._page_items))
        return {"Items": ours[begin:end]} | ({"LastEvaluatedKey": end} if end < len(ours) else {})

    async def close(self) -> None:
        return


@examples(40)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9), st.sampled_from((1, 3, 8))), max_size=60),
    st.integers(1, 7),
)
def test_the_pages_of_all_shards_are_in_the_order_of_one_shard(
    written: list[tuple[int, int, int]], page_items: int
) -> None:
    items: list[Item] = []
    for number, (at, obligation, shards) in enumerate(written):
        partition = partition_key("dawson", str(obligation))
        bucket = bucket_of(HOUR, shard_of(partition, shards))
        items.append(
            {"pk": {"S": partition}, "changeBucket": {"S": bucket}, "changedAt": {"S": f"{HOUR}:{at:02d}#{number:02d}"}}
        )
    request: dict[str, Any] = {"ExpressionAttributeValues": {}}

    async def read() -> list[Item]:
        return [item async for page in merged_pages(Shelf(items, page_items), request, HOUR, 8) for item in page]

    assert asyncio.run(read()) == sorted(items, key=change_shards._changed_at)


async def test_a_merge_holds_a_bounded_number_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_shards, "MERGED_ITEMS_MAX", 40)
    monkeypatch.setattr(change_shards, "SHARD_ITEMS_MIN", 2)
    items: list[Item] = [
        {"changeBucket": {"S": bucket_of(HOUR, number % 4)}, "changedAt": {"S": f"{number:04d}"}}
        for number in range(400)
    ]
    shelf = Shelf(items, 1_000)
    pages = [page async for page in merged_pages(shelf, {"ExpressionAttributeValues": {}}, HOUR, 4)]
    assert [item for page in pages for item in page] == items
    assert max(map(len, pages)) <= 40
    assert shelf.queries == 40
    shelf = Shelf(items, 1_000)
    assert [len(page) async for page in merged_pages(shelf, {"ExpressionAttributeValues": {}}, HOUR, 1)] == [100]


short_histories = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.just(0)),
        st.tuples(st.sampled_from(CALLS), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.sampled_from((0.0, 0.001, 4000.0))),
    ),
    max_size=16,
)


@examples(6)
@given(short_histories, st.lists(st.tuples(st.integers(0, 12), st.sampled_from((2, 8))), min_size=1, max_size=2))
def test_a_history_over_shards_reads_as_over_one_shard(history: list[Step], raises: list[tuple[int, int]]) -> None:
    one, many = asyncio.run(lived(history, [])), asyncio.run(lived(history, raises))
    assert many == one


async def lived(history: list[Step], raises: list[tuple[int, int]]) -> tuple[list[Item], list[Any]]:
    """Live a history; return the changed items and the changes of the tail, all as another process reads them."""
    wall = Wall()
    store = SWAP.open(clock=wall, randomness=random.Random(1))
    await SWAP.create_table(store)
    writer, reader = (SWAP.ledger(store, clock=wall, randomness=random.Random(2)) for _ in range(2))
    source = IndexSource(reader, store, TABLE_NAME, wall)
    began, position = wall.now, await source.position()
    played = LedgerHistory(writer, wall)
    for number, step in enumerate(history):
        for at, shards in raises:
            if at == number and shards > (await writer.change_shards.counts())[-1]:
                await writer.change_shards.raise_to(shards, by="Ada")
                await writer.change_shards.learn()
        await played.take(step)
    changes = [
        (each.schema.name, each.key, each.row, each.order, each.version)
        async for page in source.changes(position)
        for each in page.changes
    ]
    items = [
        {name: value for name, value in item.items() if name != "changeBucket"}
        async for item in reader.changed_items(began, wall.now + 1)
    ]
    await store.close()
    return items, changes


async def test_the_present_number_is_read_before_each_pass_by_one_consistent_query(
    ledger: Ledger, start: Start, store: Listening, wall: Wall, write_path: WritePath
) -> None:
    await start()
    await ledger.change_shards.raise_to(8, by="Ada")
    store.clear()
    assert len([item async for item in ledger.event_items(wall.now, wall.now + 1)]) == 1
    assert store.operations == ["Query"] * (1 + 8)
    known, *reads = (request for _, request in store.requests)
    assert write_path.swaps or known["ConsistentRead"]
    asked = {request["ExpressionAttributeValues"][":bucket"]["S"] for request in reads}
    assert asked == {bucket_of(change_bucket(wall.now), shard) for shard in range(8)}
