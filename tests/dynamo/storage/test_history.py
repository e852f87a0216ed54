"""The past of a table: at any instant it equals a model, also if the clock goes back or another process writes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import AsyncEngine, DynamoError
from bursar.dynamo.core.guards import Change, Guard, GuardView, Refusal, TableCheck
from bursar.dynamo.core.housekeeping import RECORDS_PER_RUN_MAX
from bursar.dynamo.storage.history import DAY_S, History, micros
from bursar.dynamo.storage.integrity_check import check_store
from bursar.dynamo.storage.sqlite_file import Storage
from tests.support.dynamo.past import (
    TABLE,
    Held,
    Request,
    held,
    indexed_table,
    requests,
    restored,
    states_at,
    turn_on,
    with_past,
)
from tests.support.dynamo.stream_readers import START, HandClock, opened
from tests.support.dynamo.tables import item, put, refusal
from tests.support.hypothesis_profiles import examples

TURNS = st.lists(
    st.tuples(st.sampled_from((-2.5, 0.0, 0.25, 1.0, 3600.0)), st.lists(requests, min_size=1, max_size=3)), max_size=8
)


@examples(60)
@given(turns=TURNS)
def test_a_restored_table_is_the_model_at_that_instant(turns: list[tuple[float, list[Request]]]) -> None:
    clock = HandClock()
    engine = with_past(clock)
    states: list[tuple[float, Held]] = [(START, {})]
    latest = START
    for step, some in turns:
        clock.now += step  # also backwards: instants do not follow it
        for operation, request in some:
            before = held(engine)
            try:
                engine.execute(operation, request)
            except DynamoError:
                assert held(engine) == before
            if held(engine) != before:
                latest = max(latest, clock.now)
                states.append((latest, held(engine)))
    expected = list(states_at(states))
    clock.now = max(clock.now, START)
    for instant, state in expected:
        assert restored(engine, instant) == state, instant
    assert restored(engine, None) == held(engine)
    engine.close()


def test_two_processes_with_different_clocks_write_one_past(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    early, late = HandClock(), HandClock()
    late.now += 100
    one = with_past(early, path)
    other = opened(late, path)
    put(other, TABLE, item(pk="a", sk="1", n=1))
    put(one, TABLE, item(pk="a", sk="1", n=2))
    put(other, TABLE, item(pk="a", sk="1", n=3))
    one.close()
    assert restored(other, START + 99) == {}
    assert {one["n"]["N"] for one in restored(other, START + 100).values()} == {"3"}
    other.close()
    assert check_store(path) == []


def test_a_transaction_is_never_half_restored() -> None:
    """Check that all changes of one request have one instant, with a clock that moves at each reading."""
    clock = HandClock()
    engine = with_past(clock)
    ticking = [START]

    def tick() -> float:
        ticking[0] += 0.001
        return ticking[0]

    engine._core.instant._clock = tick
    actions = [{"Put": {"TableName": TABLE, "Item": item(pk="a", sk=str(number))}} for number in range(20)]
    engine.execute("TransactWriteItems", {"TransactItems": actions})
    clock.now += 1
    sizes = {len(restored(engine, START + number / 1000)) for number in range(30)}
    assert sizes == {0, 20}
    engine.close()


def test_the_past_is_trimmed_by_the_period_in_bounded_steps(tmp_path: Path) -> None:
    clock = HandClock()
    path = str(tmp_path / "store.db")
    engine = with_past(clock, path)
    turn_on(engine, RecoveryPeriodInDays=2)
    clock.now += 1
    rows = RECORDS_PER_RUN_MAX + 500
    for number in range(rows):
        put(engine, TABLE, item(pk="a", sk="1", n=number))
    clock.now += DAY_S
    put(engine, TABLE, item(pk="a", sk="1", n=-1))
    storage = Storage(path)
    history = History(storage, engine._core.table(TABLE).id)
    assert history.bounds() == (1, rows + 2)
    engine.run_housekeeping()
    assert history.bounds() == (1, rows + 2)
    clock.now += DAY_S + 1
    engine.run_housekeeping()
    assert history.bounds() == (RECORDS_PER_RUN_MAX + 1, rows + 2)
    engine.run_housekeeping()
    assert history.bounds() == (rows + 1, rows + 2)
    # The state at the earliest restorable instant is left, and the last row is the floor of the next instant.
    assert next(iter(restored(engine, clock.now - 2 * DAY_S).values()))["n"] == {"N": str(rows - 1)}
    clock.now += 30 * DAY_S
    engine.run_housekeeping()
    assert history.bounds() == (rows + 1, rows + 2)
    assert not engine._housekeeping.is_due()
    put(engine, TABLE, item(pk="a", sk="1", n=-2))
    assert history.bounds() == (rows + 1, rows + 3)
    storage.close()
    engine.close()
    assert check_store(path) == []


def test_turning_recovery_off_removes_the_past_and_on_begins_another() -> None:
    clock = HandClock()
    engine = with_past(clock)
    put(engine, TABLE, item(pk="a", sk="1", n=1))
    off = {"TableName": TABLE, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}}
    engine.execute("UpdateContinuousBackups", off)
    clock.now += 10
    put(engine, TABLE, item(pk="a", sk="1", n=2))
    request = {"SourceTableName": TABLE, "TargetTableName": "other", "UseLatestRestorableTime": True}
    refusal(engine, "RestoreTableToPointInTime", request, "PointInTimeRecoveryUnavailableException")
    turn_on(engine)
    put(engine, TABLE, item(pk="b", sk="1", n=3))
    asked = {"SourceTableName": TABLE, "TargetTableName": "other", "RestoreDateTime": START + 9}
    refusal(engine, "RestoreTableToPointInTime", asked, "InvalidRestoreTimeException")
    assert set(restored(engine, START + 10)) == {("a", "1"), ("b", "1")}
    engine.close()


def test_a_write_of_a_failed_commit_is_in_no_past() -> None:
    clock = HandClock()
    engine = with_past(clock)
    put(engine, TABLE, item(pk="a", sk="1", n=1))
    storage = engine._storage
    commit = storage.commit

    def failing() -> None:
        raise apsw.FullError("database or disk is full")

    storage.commit = failing
    clock.now += 1
    refusal(engine, "PutItem", {"TableName": TABLE, "Item": item(pk="a", sk="1", n=2)}, "InternalServerError")
    storage.commit = commit
    clock.now += 1
    put(engine, TABLE, item(pk="a", sk="1", n=3))
    assert [restored(engine, START + step)["a", "1"]["n"]["N"] for step in range(3)] == ["1", "1", "3"]
    assert History(storage, engine._core.table(TABLE).id).bounds() == (1, 3)
    engine.close()


def test_a_swap_of_whole_items_is_in_the_past() -> None:
    class Permissive(Guard):
        def judge(self, changes: Sequence[Change]) -> Refusal | TableCheck:
            return lambda view: None

        def adopt(self, view: GuardView, table: str) -> list[str]:
            return []

    clock = HandClock()
    engine = opened(clock, guard_loader=lambda _document: Permissive())
    engine.execute("CreateTable", indexed_table())
    turn_on(engine)
    engine.put_rules_document(TABLE, "rules")
    one, two = item(pk="a", sk="1", n=1), item(pk="a", sk="1", n=2)

    async def swap() -> None:
        swaps = AsyncEngine(engine).compare_and_swap
        for old, new in ((None, one), (one, two), (two, None)):
            await swaps.swap(TABLE, [(old, new)], "rules")
            clock.now += 1

    asyncio.run(swap())
    assert [restored(engine, START + step) for step in range(3)] == [{("a", "1"): one}, {("a", "1"): two}, {}]
    engine.close()


def test_an_expired_item_is_in_the_past() -> None:
    clock = HandClock()
    engine = with_past(clock)
    lives = {"Enabled": True, "AttributeName": "until"}
    engine.execute("UpdateTimeToLive", {"TableName": TABLE, "TimeToLiveSpecification": lives})
    put(engine, TABLE, item(pk="a", sk="1", until=int(START) + 5))
    clock.now += 10
    engine.run_housekeeping()
    assert held(engine) == {}
    assert set(restored(engine, START + 9)) == {("a", "1")}
    assert restored(engine, START + 10) == {}
    engine.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM {} WHERE id = 2", "orders, history: 1 rows between 1 and 3 are missing"),
        ("UPDATE {} SET at = 5 WHERE id = 2", "orders, history row 2: its instant is earlier than the one before it"),
        ("DROP TABLE {}", "history_1 is missing"),
    ],
)
def test_check_finds_a_damaged_past(tmp_path: Path, statement: str, problem: str) -> None:
    path = str(tmp_path / "store.db")
    engine = with_past(HandClock(), path)
    for number in range(3):
        put(engine, TABLE, item(pk="a", sk="1", n=number))
    engine.close()
    storage = Storage(path)
    storage.connection.execute(statement.format("history_1"))
    storage.close()
    assert problem in check_store(path)


def test_microseconds_are_whole() -> None:
    assert micros(1_800_000_000.000_001) == 1_800_000_000_000_001
