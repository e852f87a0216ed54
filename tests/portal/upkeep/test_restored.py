"""The operators' part after a restore: marking, comparing, clearing."""

import asyncio

import pytest

from bursar.payments.ledger.store_records.restores import BY_OPERATOR
from bursar.portal.contract.errors import Conflict, InvalidRequest
from bursar.portal.state.portal import RESTORE_GRACE_S
from bursar.portal.state.restore_watch import READ_AGAIN_AFTER_S
from bursar.portal.upkeep.attention import TEXT_CHARS_MAX
from bursar.portal.upkeep.restored import NOTHING_TO_CLEAR, clear, lost_collections, mark_restored
from bursar.portal.upkeep.sweep import sweep
from tests.support.portal.stage import HOUR_S, Stage, on_stage
from tests.support.write_paths import WritePath


@on_stage
async def test_a_store_that_was_restored_by_other_means_is_marked(stage: Stage) -> None:
    token = await stage.init()
    mark = await mark_restored(stage.portal, by=" Ada ", reason="point-in-time recovery")
    assert mark.way == f"{BY_OPERATOR}, Ada: point-in-time recovery"
    attempt = await stage.attempt(token)
    assert attempt.due_at == stage.loop.clock()
    assert await stage.another_portal().restores.open_mark() == mark


@on_stage
async def test_a_portal_notices_that_the_mark_was_cleared(stage: Stage) -> None:
    await stage.restore_and_mark(stage.backup())
    assert await stage.portal.restores.open_mark() is not None
    await clear(stage.portal, by="Ada", reason="compared")
    await asyncio.sleep(READ_AGAIN_AFTER_S)
    assert await stage.portal.restores.open_mark() is None
    with pytest.raises(Conflict, match=NOTHING_TO_CLEAR):
        await clear(stage.portal, by="Ada", reason="again")


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("x", " "), ("x", "x" * (TEXT_CHARS_MAX + 1))])
def test_a_decision_has_a_name_and_a_reason(write_path: WritePath, by: str, reason: str) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        await stage.restore_and_mark(stage.backup())
        with pytest.raises(InvalidRequest):
            await clear(stage.portal, by=by, reason=reason)
        with pytest.raises(InvalidRequest):
            await mark_restored(stage.portal, by=by, reason=reason)
        assert (await stage.ledger.restores.read()).open_mark is not None

    scene(write_path)


@on_stage
async def test_only_collections_without_an_attempt_are_lost(stage: Stage) -> None:
    known = await stage.attempt(await stage.paid())
    charged = [
        (known.agency_tracking_id, "P1"),
        ("b00000000000000000000", "P2"),
        ("another-system", "P3"),
    ]
    assert await lost_collections(stage.portal, charged) == [("b00000000000000000000", "P2")]


@on_stage
async def test_payments_that_began_after_the_restore_do_not_keep_the_mark(stage: Stage) -> None:
    await stage.restore_and_mark(stage.backup())
    await asyncio.sleep(RESTORE_GRACE_S)
    await stage.init()
    claimed = await stage.attempt(await stage.init())
    await stage.ledger.take_lease(claimed, "a process", 90.0)
    [mark] = await clear(stage.portal, by="Ada", reason="compared")
    assert not mark.covers(claimed)


@on_stage
async def test_a_complete_that_may_be_under_way_keeps_the_mark(stage: Stage) -> None:
    claimed = await stage.ledger.take_lease(await stage.attempt(await stage.paid()), "a dead process", HOUR_S)
    await stage.restore_and_mark(stage.backup())
    with pytest.raises(Conflict, match=claimed.agency_tracking_id):
        await clear(stage.portal, by="Ada", reason="compared")
    assert (await stage.ledger.restores.read()).open_mark is not None
    await asyncio.sleep(2 * HOUR_S)
    await sweep(stage.portal)
    assert len(await clear(stage.portal, by="Ada", reason="compared")) == 1
