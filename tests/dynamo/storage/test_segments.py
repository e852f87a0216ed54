"""Segments of a parallel scan: each item in exactly one, also during writes."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import Engine
from tests.support.dynamo.tables import item, put, table

KEYS = 24
Item = dict[str, Any]


def key_of(kind: str, number: int) -> Item:
    """Return a key of one of few partitions; the bytes of some contain the marks of the encoding."""
    partition, sort = number % 7, number // 7
    values = {
        "S": {"S": "p\0" * partition + "x"},
        "N": {"N": str((partition - 3) * 10**partition)},
        "B": {"B": ["AA==", "AAA=", "AP8=", "/wAA", "AAAA", "gA==", "/w=="][partition]},
    }
    return {"pk": values[kind], "sk": {"N": str(sort - 1)}}


@given(
    kind=st.sampled_from("SNB"),
    index=st.booleans(),
    total=st.integers(1, 5),
    limit=st.integers(1, 3),
    before=st.sets(st.integers(0, KEYS - 1), min_size=1),
    writes=st.lists(st.lists(st.integers(0, KEYS - 1), max_size=3), max_size=30),
    turns=st.lists(st.integers(0, 4), max_size=30),
)
def test_segments_read_every_item_once_during_writes(
    kind: str,
    index: bool,
    total: int,
    limit: int,
    before: set[int],
    writes: list[list[int]],
    turns: list[int],
) -> None:
    """Pages of the segments take turns with writes; each write deletes an item, or puts it back."""
    engine = Engine.open(":memory:", clock=lambda: 1.8e9, randomness=random.Random(1))
    engine.execute("CreateTable", table(key=(f"pk:{kind}", "sk:N"), global_indexes={"by-sort": ("sk:N",)}))
    put(engine, "orders", *(key_of(kind, number) for number in before))
    there, always = set(before), set(before)
    waiting: dict[int, dict[str, Any]] = {number: {} for number in range(total)}
    read: list[Item] = []
    schedule = iter(turns)
    steps = iter(writes)
    while waiting:
        number = sorted(waiting)[next(schedule, 0) % len(waiting)]
        request = {"TableName": "orders", "Segment": number, "TotalSegments": total, "Limit": limit}
        page = engine.execute("Scan", {**request, **({"IndexName": "by-sort"} if index else {}), **waiting[number]})
        read += page["Items"]
        del waiting[number]
        if "LastEvaluatedKey" in page:
            waiting[number] = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        for changed in next(steps, ()):
            if changed in there:
                engine.execute("DeleteItem", {"TableName": "orders", "Key": key_of(kind, changed)})
                there.remove(changed)
                always.discard(changed)
            else:
                put(engine, "orders", key_of(kind, changed))
                there.add(changed)
    engine.close()
    assert all(key_of(kind, number) in read for number in always)
    assert all(read.count(one) == 1 for one in read)


def test_segments_are_of_similar_size(engine: Engine) -> None:
    engine.execute("CreateTable", table(key=("pk:S",)))
    put(engine, "orders", *(item(pk=f"item#{n:08}") for n in range(400)))
    request = {"TableName": "orders", "TotalSegments": 4}
    counts = [engine.execute("Scan", {**request, "Segment": number})["Count"] for number in range(4)]
    assert sum(counts) == 400
    assert all(70 <= count <= 130 for count in counts)
