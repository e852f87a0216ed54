"""The records of restores in the payments table, and the attempts that are started again after one."""

import asyncio
from dataclasses import replace

import pytest

from bursar.payments import Attempt, Ledger, MetadataDiffers, ObligationTaken
from bursar.payments.attempt_ids import attempt_id
from bursar.payments.ledger.store_records.restores import BY_COMMAND, WRITES_AT_ONCE_MAX, LostCollection, RestoreMark
from tests.support.payments.stage import PAID, REFERENCE, Listening, Start, Wall, initiated, processing


async def fail(ledger: Ledger, attempt: Attempt) -> Attempt:
    return await ledger.fail(attempt, event="start_failed", actor="portal", return_code=None, return_detail=None)


async def test_a_store_that_was_never_restored_has_no_mark(ledger: Ledger, store: Listening) -> None:
    store.clear()
    found = await ledger.restores.read()
    assert (found.open_mark, found.marks, found.lost, found.generation) == (None, (), {}, 0)
    assert store.operations == ["Query"]


async def test_a_mark_stands_until_it_is_cleared(ledger: Ledger, wall: Wall) -> None:
    await ledger.restores.raise_generation()
    raised_at = wall.now
    wall.pass_s(100)
    mark = await ledger.restores.mark(BY_COMMAND, outside=7)
    assert mark == RestoreMark(wall.now, BY_COMMAND, backup_at=raised_at)
    found = await ledger.restores.read()
    assert (found.open_mark, found.generation) == (mark, 8)
    wall.pass_s(100)
    (cleared,) = await ledger.restores.clear(by="Ada", reason="compared")
    assert (cleared.cleared_by, cleared.cleared_reason, cleared.cleared_at) == ("Ada", "compared", wall.now)
    found = await ledger.restores.read()
    assert (found.open_mark, found.marks) == (None, (cleared,))
    assert await ledger.restores.clear(by="Bob", reason="again") == []


async def test_the_latest_of_several_marks_stands_and_all_are_cleared(ledger: Ledger, wall: Wall) -> None:
    first = await ledger.restores.mark(BY_COMMAND)
    wall.pass_s(1)
    second = await ledger.restores.mark(BY_COMMAND)
    found = await ledger.restores.read()
    assert (found.marks, found.open_mark) == ((first, second), second)
    assert len(await ledger.restores.clear(by="Ada", reason="compared")) == 2


async def test_a_store_is_marked_once_for_one_step_back(ledger: Ledger, wall: Wall) -> None:
    marked = await asyncio.gather(*(ledger.restores.mark("found", outside=5, only_if_behind=True) for _ in range(3)))
    assert sum(mark is not None for mark in marked) == 1
    wall.pass_s(1)
    assert await ledger.restores.mark("found", outside=5, only_if_behind=True) is None
    found = await ledger.restores.read()
    assert (len(found.marks), found.generation) == (1, 6)


async def test_the_generation_only_grows(ledger: Ledger) -> None:
    raised = [await ledger.restores.raise_generation() for _ in range(3)]
    assert raised == [1, 2, 3]
    together = await asyncio.gather(*(ledger.restores.raise_generation() for _ in range(3)))
    numbers = [number for number in together if number is not None]
    assert numbers
    assert len(set(numbers)) == len(numbers)
    assert (await ledger.restores.read()).generation == max(numbers)


async def test_lost_collections_are_recorded_once(ledger: Ledger, wall: Wall) -> None:
    await ledger.restores.mark(BY_COMMAND)
    lost = [(f"b{number:020}", f"P{number}") for number in range(2 * WRITES_AT_ONCE_MAX + 1)]
    await ledger.restores.clear(by="Ada", reason="compared", lost=lost)
    first = (await ledger.restores.read()).lost
    assert list(first) == [agency_id for agency_id, _ in lost]
    assert first[lost[3][0]] == LostCollection(*lost[3], "Ada", "compared", wall.now)
    wall.pass_s(1)
    await ledger.restores.clear(by="Bob", reason="again", lost=[*lost, ("b", "Pnew")])
    assert len((await ledger.restores.read()).lost) == len(lost) + 1


async def test_a_restore_makes_every_live_attempt_due(ledger: Ledger, start: Start, wall: Wall) -> None:
    waiting = await initiated(ledger, start)
    paid = await ledger.record_outcome(
        await ledger.take_lease(await ledger.record_token(await start(client="other"), "u" * 32), "owner", 30),
        PAID,
        actor="portal",
    )
    assert await ledger.due(wall.now, 10) == []
    mark = await ledger.mark_restored(BY_COMMAND)
    assert mark is not None
    (due,) = await ledger.due(wall.now, 10)
    assert (due.agency_tracking_id, due.event_seq) == (waiting.agency_tracking_id, waiting.event_seq)
    assert await ledger.reread(paid) == paid


async def test_a_lost_attempt_is_started_under_its_id(ledger: Ledger, start: Start, wall: Wall) -> None:
    first = await fail(ledger, await start())
    wall.pass_s(1000)
    lost = ledger.lost_attempt(first, attempt_id("dawson", REFERENCE, 3))
    started = await ledger.start_lost_attempt(lost, wall.now - 100)
    assert (started.agency_tracking_id, started.status) == (attempt_id("dawson", REFERENCE, 3), "received")
    assert (started.created_at, started.updated_at) == (wall.now - 100, wall.now)
    assert (started.amount, started.metadata, started.token) == (first.amount, first.metadata, None)
    assert await ledger.start_lost_attempt(lost, wall.now) == started
    await fail(ledger, started)
    assert (await start()).agency_tracking_id == attempt_id("dawson", REFERENCE, 4)


async def test_a_lost_attempt_begins_after_those_before_it(ledger: Ledger, start: Start, wall: Wall) -> None:
    first = await fail(ledger, await start())
    lost = ledger.lost_attempt(first, attempt_id("dawson", REFERENCE, 2))
    started = await ledger.start_lost_attempt(lost, wall.now - 100)
    assert started.created_at > first.created_at
    view = await ledger.obligation("dawson", REFERENCE)
    assert view is not None
    assert view.attempts == (first, started)


async def test_a_lost_attempt_of_a_lost_obligation_starts_it_again(ledger: Ledger, start: Start, wall: Wall) -> None:
    like = await start(client="other")
    lost = ledger.lost_attempt(like, attempt_id("other", like.reference, 1))
    assert await ledger.start_lost_attempt(lost, wall.now) == like


async def test_a_lost_attempt_obeys_the_rules_of_its_obligation(ledger: Ledger, start: Start, wall: Wall) -> None:
    live = await processing(ledger, start)
    lost = ledger.lost_attempt(live, attempt_id("dawson", REFERENCE, 2))
    with pytest.raises(ObligationTaken):
        await ledger.start_lost_attempt(lost, wall.now)
    with pytest.raises(MetadataDiffers):
        await ledger.start_lost_attempt(replace(lost, metadata={"docketNumber": "another"}), wall.now)
