"""Reads of the ledger: the number of requests of each, and their answers."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from bursar.clock import iso_ms
from bursar.payments import Attempt, Event, Ledger, Outcome
from bursar.payments.due import RECEIVED_AGE_MAX_S, TOKEN_AGE_MAX_S
from bursar.payments.ledger import lookups
from bursar.payments.ledger.lookups import BUCKET_S, CHANGES_SPAN_MAX_S
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.records import attempt_key_of, change_bucket
from tests.support.payments.stage import Listening, Wall
from tests.support.write_paths import WritePath

Start = Callable[..., Awaitable[Attempt]]


def consistent(write_path: WritePath, store: Listening) -> bool:
    """Return whether every read that ``store`` noted was strongly consistent, as all of an embedded store are."""
    return write_path.swaps or all(request["ConsistentRead"] for _, request in store.requests)


async def test_details_are_one_strongly_consistent_query(
    write_path: WritePath, ledger: Ledger, start: Start, store: Listening
) -> None:
    attempt = await start()
    store.clear()
    view = await ledger.obligation(attempt.client, attempt.reference.upper())
    assert view is not None
    assert view.attempts == (attempt,)
    assert store.operations == ["Query"]
    assert consistent(write_path, store)


async def test_a_read_without_events_reads_no_history(
    write_path: WritePath, ledger: Ledger, start: Start, store: Listening, wall: Wall
) -> None:
    first = await start()
    await ledger.fail(first, event="start_failed", actor="portal", return_code=None, return_detail=None)
    wall.pass_s(1)
    second = await ledger.record_token(await start(), "t" * 32)
    whole = await ledger.obligation(first.client, first.reference)
    store.clear()
    view = await ledger.obligation(first.client, first.reference, events=False)
    assert whole is not None
    assert view == replace(whole, events=())
    assert view.attempts[1] == second
    assert store.operations == ["Query"]
    assert consistent(write_path, store)
    (answer,) = store.answers
    read = answer if write_path.swaps else answer["Items"]
    assert {item["kind"]["S"] for item in read} == {"attempt"}
    assert await ledger.obligation(first.client, "nothing", events=False) is None


async def test_a_token_is_found_by_two_strongly_consistent_gets(
    write_path: WritePath, ledger: Ledger, start: Start, store: Listening
) -> None:
    attempt = await ledger.record_token(await start(), "t" * 32)
    store.clear()
    assert await ledger.attempt_by_token("t" * 32) == attempt
    assert store.operations == ["GetItem", "GetItem"]
    assert consistent(write_path, store)


async def test_an_attempt_is_found_by_any_of_its_names(ledger: Ledger, start: Start) -> None:
    attempt = await ledger.record_token(await start(), "t" * 32)
    attempt = await ledger.take_lease(attempt, "worker-1", 30)
    attempt = await ledger.record_outcome(attempt, Outcome("pending", "3FP", "Received", "ACH"), actor="portal")
    assert await ledger.attempt_by_agency_id(attempt.agency_tracking_id) == attempt
    assert await ledger.attempt_by_paygov_id("3FP") == attempt


async def test_attempts_are_read_by_their_keys_without_those_that_are_gone(ledger: Ledger, start: Start) -> None:
    attempt = await start()
    values = attempt.client, attempt.reference.upper(), attempt.created_at
    keys = [attempt_key_of(*values, attempt.agency_tracking_id), attempt_key_of(*values, "nobody")]
    assert await ledger.attempts_at(keys) == [attempt]


async def test_an_absent_obligation_or_attempt_is_none(ledger: Ledger) -> None:
    assert await ledger.obligation("dawson", "nothing") is None
    assert await ledger.attempt_by_token("t" * 32) is None
    assert await ledger.attempt_by_agency_id("b") is None
    assert await ledger.attempt_by_paygov_id("") is None


async def test_an_attempt_that_is_gone_raises(ledger: Ledger, attempt: Attempt) -> None:
    with pytest.raises(LookupError, match=attempt.agency_tracking_id):
        await ledger.reread(attempt)


async def test_events_of_several_attempts_are_in_order(ledger: Ledger, start: Start, wall: Wall) -> None:
    failure: dict[str, Any] = {"event": "start_failed", "actor": "portal", "return_code": None, "return_detail": None}
    first = await start()
    wall.pass_s(1)
    await ledger.fail(first, **failure)
    wall.pass_s(1)
    second = await start()
    view = await ledger.obligation(first.client, first.reference)
    assert view is not None
    assert [(event.agency_tracking_id, event.name) for event in view.events] == [
        (first.agency_tracking_id, "started"),
        (first.agency_tracking_id, "start_failed"),
        (second.agency_tracking_id, "started"),
    ]


@pytest.mark.only_write_path("transaction", reason="the embedded store answers a whole partition at once")
async def test_a_long_history_is_read_page_by_page(ledger: Ledger, start: Start, store: Listening) -> None:
    attempt = await start()
    big = "x" * 38_000
    for number in range(31):
        attempt = await ledger.fail(
            attempt, event="start_failed", actor="portal", return_code=str(number), return_detail=big
        )
        attempt = await start()
    store.clear()
    view = await ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    assert (len(view.attempts), len(view.events)) == (32, 63)
    assert len(store.operations) > 1


# ---- due


async def test_due_attempts_come_longest_overdue_first(ledger: Ledger, start: Start, wall: Wall) -> None:
    made = []
    for number in range(12):
        made.append(await start(reference=f"r{number}"))
        wall.pass_s(1)
    assert await ledger.due(wall.now, 100) == []
    wall.pass_s(RECEIVED_AGE_MAX_S + TOKEN_AGE_MAX_S)
    assert await ledger.due(wall.now, 100) == made
    assert await ledger.due(wall.now, 5) == made[:5]


async def test_a_final_attempt_is_not_due(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await start()
    await ledger.fail(attempt, event="start_failed", actor="portal", return_code=None, return_detail=None)
    wall.pass_s(1e6)
    assert await ledger.due(wall.now, 10) == []


async def test_a_touched_attempt_is_due_later(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await ledger.set_due(await start(), wall.now + 1e6)
    wall.pass_s(1e6 - 1)
    assert await ledger.due(wall.now, 10) == []
    wall.pass_s(1)
    assert await ledger.due(wall.now, 10) == [attempt]


# ---- changes


def named(record: Attempt | Event) -> str:
    return record.status if isinstance(record, Attempt) else record.name


async def test_changes_are_in_order_across_hours_and_each_attempt_comes_before_its_events(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    began = wall.now
    attempt = await start()
    wall.pass_s(BUCKET_S)
    attempt = await ledger.record_token(attempt, "t" * 32)
    wall.pass_s(3 * BUCKET_S)
    attempt = await ledger.take_lease(attempt, "worker-1", 30)
    records = [record async for record in ledger.changes(began, wall.now + 1)]
    assert [named(record) for record in records if isinstance(record, Event)] == ["started", "token_given", "claimed"]
    assert all(record == attempt for record in records if isinstance(record, Attempt))
    assert records[0] == attempt
    assert isinstance(records[-1], Event)


async def test_the_attempts_of_a_page_are_those_of_its_events(
    ledger: Ledger, start: Start, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "OBLIGATIONS_AT_ONCE_MAX", 2)
    first = await start()
    failed = await ledger.fail(first, event="start_failed", actor="portal", return_code=None, return_detail=None)
    wall.pass_s(60)
    began = wall.now
    others = [await start(reference=f"00000000-0000-4000-8000-{number:012d}") for number in range(4)]
    second = await start()
    found = [record async for record in ledger.changes(began, wall.now + 1) if isinstance(record, Attempt)]
    assert sorted(each.agency_tracking_id for each in found) == sorted(
        each.agency_tracking_id for each in (*others, second)
    )
    assert failed.agency_tracking_id not in {each.agency_tracking_id for each in found}


async def test_an_attempt_that_an_earlier_version_wrote_is_read_from_the_index(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    attempt = await start()
    key = {name: attempt.stored_item[name] for name in ("pk", "sk")} if attempt.stored_item else {}
    wall.pass_s(2 * BUCKET_S)
    values = {":bucket": {"S": change_bucket(wall.now)}, ":at": {"S": f"{iso_ms(wall.now)}#x"}}
    await ledger._store.call(
        "UpdateItem",
        {
            "TableName": TABLE_NAME,
            "Key": key,
            "UpdateExpression": "SET changeBucket = :bucket, changedAt = :at",
            "ExpressionAttributeValues": values,
        },
    )
    assert [record async for record in ledger.changes(wall.now, wall.now + 1)] == [attempt]
    read = await ledger.attempt_by_agency_id(attempt.agency_tracking_id)
    assert read is not None
    given = await ledger.record_token(read, "t" * 32)
    records = [record async for record in ledger.changes(wall.now, wall.now + 1)]
    assert records == [given, records[1]]
    assert given.stored_item is not None
    assert "changedAt" not in given.stored_item


async def test_the_end_of_a_span_is_outside_and_its_beginning_inside(ledger: Ledger, start: Start, wall: Wall) -> None:
    await start()
    at = wall.now
    assert [record async for record in ledger.changes(at - 10, at)] == []
    assert len([record async for record in ledger.changes(at, at + 0.001)]) == 2


async def test_bookkeeping_is_no_change(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await start()
    wall.pass_s(10)
    await ledger.set_due(attempt, wall.now + 5)
    assert [record async for record in ledger.changes(wall.now, wall.now + 10)] == []


async def test_changes_of_one_hour_are_in_the_order_of_their_times(ledger: Ledger, start: Start, wall: Wall) -> None:
    began, attempt = wall.now, await start()
    wall.pass_s(1)
    attempt = await ledger.record_token(attempt, "t" * 32)
    wall.pass_s(1)
    await ledger.take_lease(attempt, "one", 30)
    assert [event.seq async for event in ledger.events(began, wall.now + 1)] == [1, 2, 3]


async def test_a_span_is_bounded(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="until - since: must be at most"):
        [record async for record in ledger.changes(0.0, CHANGES_SPAN_MAX_S + 1.0)]
