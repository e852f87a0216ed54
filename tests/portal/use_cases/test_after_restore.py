"""A store that was restored from a backup, and marked: it charges no payer twice, and it says so until it is sure."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bursar.payments import Attempt
from bursar.payments.attempt_ids import attempt_id
from bursar.payments.ledger.store_records.restores import BY_COMMAND
from bursar.portal.contract.errors import Conflict, GatewayTimeout, Gone, InDoubt, NotFound
from bursar.portal.state.portal import RESTORE_GRACE_S
from bursar.portal.upkeep.attention import attention, resolve
from bursar.portal.upkeep.restored import clear
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.use_cases.after_restore import SUPERSEDED
from bursar.portal.use_cases.payment_details import details
from bursar.portal.use_cases.resolution import RESTORED_IN_DOUBT
from tests.support.portal.stage import DAWSON, HOUR_S, Stage, on_stage
from tests.support.write_paths import WritePath

Begin = Callable[[Stage, str], Awaitable[None]]


async def payment_status(stage: Stage, reference: str) -> str:
    return (await details(stage.portal, DAWSON, reference)).status


async def attempts_at(stage: Stage, reference: str) -> tuple[Attempt, ...]:
    view = await stage.ledger.obligation(DAWSON.name, reference)
    return () if view is None else view.attempts


async def fail_attempt(stage: Stage, reference: str) -> None:
    """Start an attempt that the payer cannot pay, and process it: the payment fails."""
    token = await stage.paid(outcome="Failed", reference=reference)
    assert (await stage.process(token)).status == "failed"


async def never_started(stage: Stage, reference: str) -> None:
    """Leave the obligation out of the backup."""


async def pay_another(stage: Stage, reference: str) -> str:
    """Pay the obligation by another attempt, and return its token."""
    token = await stage.paid(reference=reference)
    assert (await stage.process(token)).status == "success"
    return token


# --- with a lookup


@on_stage
async def test_the_same_token_is_processed_again_after_a_restore(stage: Stage) -> None:
    token = await stage.init()
    backup = stage.backup()
    stage.simulator.pay(token, "PLASTIC_CARD", "Success")
    assert (await stage.process(token)).status == "success"
    await stage.restore_and_mark(backup)
    assert (await stage.process(token)).status == "success"
    attempt = await stage.attempt(token)
    assert (attempt.status, stage.charges()) == ("processed", 1)
    assert await payment_status(stage, attempt.reference) == "success"
    assert stage.watcher.alerts == ["found uncompleted"]


@pytest.mark.parametrize("begin", [never_started, fail_attempt])
def test_init_finds_an_attempt_that_the_store_has_lost(write_path: WritePath, begin: Begin) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        await begin(stage, reference)
        before = await attempts_at(stage, reference)
        backup = stage.backup()
        await stage.paid(reference=reference)  # never processed, so its token ends
        await asyncio.sleep(4 * HOUR_S)
        await sweep(stage.portal)
        lost = await stage.attempt(await pay_another(stage, reference))
        await stage.restore_and_mark(backup)
        with pytest.raises(Conflict, match="already been paid"):
            await stage.init(reference.upper())
        *earlier, found = await attempts_at(stage, reference)
        assert tuple(earlier) == before
        assert (found.agency_tracking_id, found.paygov_tracking_id) == (
            lost.agency_tracking_id,
            lost.paygov_tracking_id,
        )
        assert await stage.events_of(found) == ["started", "outcome_unknown", "completed"]
        assert "found lost" in stage.watcher.alerts

    scene(write_path)


@pytest.mark.parametrize("begin", [never_started, fail_attempt])
def test_none_is_believed_when_nothing_can_be_on_its_way_any_more(write_path: WritePath, begin: Begin) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        await begin(stage, reference)
        await stage.restore_and_mark(stage.backup())
        with pytest.raises(InDoubt, match=r"restored from a backup.*may still arrive"):
            await stage.init(reference)
        await asyncio.sleep(RESTORE_GRACE_S)
        token = await stage.init(reference)
        asked = len(stage.watcher.calls)
        assert await stage.init(reference) == token
        assert len(stage.watcher.calls) == asked
        stage.simulator.pay(token, "PLASTIC_CARD", "Success")
        assert (await stage.process(token)).status == "success"

    scene(write_path)


@pytest.mark.parametrize("kind", ["drop", "refuse", "fault"])
def test_no_token_while_paygov_cannot_be_asked(write_path: WritePath, kind: str) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        await stage.restore_and_mark(stage.backup())
        await asyncio.sleep(RESTORE_GRACE_S)
        stage.misbehave(kind, operations=("query",), probability=0.2)
        with pytest.raises(InDoubt, match="could not be asked"):
            await stage.init()
        assert "start" not in [operation for operation, _ in stage.watcher.calls]

    scene(write_path)


@on_stage
async def test_what_was_asked_after_one_restore_is_asked_again_after_the_next(stage: Stage) -> None:
    reference = stage.reference()
    backup = stage.backup()
    await stage.restore_and_mark(backup)
    await asyncio.sleep(RESTORE_GRACE_S)
    await pay_another(stage, reference)  # after the check: Pay.gov had no collection of this obligation
    stage.restore(backup)
    await stage.ledger.mark_restored(BY_COMMAND)
    await asyncio.sleep(RESTORE_GRACE_S)  # the same process goes on, as it may with a table of Amazon's
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)
    assert (await payment_status(stage, reference), stage.charges()) == ("success", 1)


@on_stage
async def test_every_possible_id_of_the_obligation_is_asked_for(stage: Stage) -> None:
    reference = stage.reference()
    asked = stage.request(reference)
    draft = stage.ledger.draft(
        DAWSON.name, reference, asked.fee, asked.amount, asked.metadata, "https://a", "https://b"
    )
    await stage.restore_and_mark(stage.backup())
    token = await stage.portal.paygov.start(
        tcs_app_id=draft.tcs_app_id,
        agency_tracking_id=attempt_id(DAWSON.name, reference, 32),
        amount=draft.amount,
        url_success="https://a.example",
        url_cancel="https://b.example",
    )
    stage.simulator.pay(token, "PLASTIC_CARD", "Success")
    await stage.portal.paygov.complete(tcs_app_id=draft.tcs_app_id, token=token)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)
    assert stage.charges() == 1


@on_stage
async def test_a_live_attempt_gives_way_to_a_later_one_that_was_lost(stage: Stage) -> None:
    reference = stage.reference()
    first = await stage.init(reference)
    backup = stage.backup()
    await asyncio.sleep(4 * HOUR_S)
    await sweep(stage.portal)
    await pay_another(stage, reference)
    await stage.restore_and_mark(backup)
    await sweep(stage.portal)
    superseded, paid = await attempts_at(stage, reference)
    assert (superseded.token, superseded.status, superseded.return_detail) == (first, "failed", SUPERSEDED)
    assert (paid.status, stage.charges()) == ("processed", 1)
    with pytest.raises(Gone):
        await stage.process(first)


@on_stage
async def test_a_live_attempt_goes_on_after_paygov_was_asked(stage: Stage) -> None:
    token = await stage.paid()
    await stage.restore_and_mark(stage.backup())
    with pytest.raises(InDoubt):
        await stage.process(token)
    await asyncio.sleep(RESTORE_GRACE_S)
    assert (await stage.process(token)).status == "success"
    assert stage.charges() == 1


@on_stage
async def test_the_first_sweep_asks_about_every_live_attempt(stage: Stage) -> None:
    tokens = [await stage.paid() for _ in range(3)]
    untouched = await stage.init()
    backup = stage.backup()
    for token in tokens:
        await stage.process(token)
    await stage.restore_and_mark(backup)
    assert (await sweep(stage.portal)).results == {"settled": 3, "postponed": 1}
    assert [(await stage.attempt(token)).status for token in (*tokens, untouched)] == ["processed"] * 3 + ["initiated"]
    assert (await sweep(stage.portal)).swept == 0
    await asyncio.sleep(RESTORE_GRACE_S)
    assert (await sweep(stage.portal)).results == {"not_due": 1}
    assert (await sweep(stage.portal)).swept == 0


@on_stage
async def test_a_sweep_waits_while_paygov_cannot_be_asked(stage: Stage) -> None:
    token = await stage.paid()
    backup = stage.backup()
    await stage.process(token)
    await stage.restore_and_mark(backup)
    stage.misbehave("refuse", operations=("query",))
    assert (await sweep(stage.portal)).results == {"unanswered": 1}
    stage.plan.clear()
    await asyncio.sleep(HOUR_S)
    assert (await sweep(stage.portal)).results == {"settled": 1}


@on_stage
async def test_details_of_a_failed_payment_find_the_later_charge(stage: Stage) -> None:
    reference = stage.reference()
    await fail_attempt(stage, reference)
    backup = stage.backup()
    await pay_another(stage, reference)
    await stage.restore_and_mark(backup)
    assert await payment_status(stage, reference) == "success"


@on_stage
async def test_details_of_a_failed_payment_wait_until_it_is_sure(stage: Stage) -> None:
    reference = stage.reference()
    await fail_attempt(stage, reference)
    await stage.restore_and_mark(stage.backup())
    with pytest.raises(InDoubt):
        await payment_status(stage, reference)
    await asyncio.sleep(RESTORE_GRACE_S)
    assert await payment_status(stage, reference) == "failed"


@on_stage
async def test_an_unknown_token_of_a_restored_store_says_what_to_do(stage: Stage) -> None:
    backup = stage.backup()
    token = await stage.paid()
    await stage.process(token)
    await stage.restore_and_mark(backup)
    with pytest.raises(NotFound, match="call init with the same reference"):
        await stage.process(token)


@on_stage
async def test_a_lost_charge_of_another_amount_blocks_for_a_person(stage: Stage) -> None:
    backup = stage.backup()
    reference = stage.reference()
    await pay_another(stage, reference)
    await stage.restore_and_mark(backup)
    stage.misbehave("wrong_amount", operations=("query",))
    with pytest.raises(Conflict, match="already being processed"):
        await stage.init(reference)
    (found,) = await attempts_at(stage, reference)
    assert (found.status, found.outcome_unknown) == ("processing", True)
    assert stage.watcher.alerts == ["found lost", "another amount"]


@on_stage
async def test_two_lost_charges_of_one_obligation_are_both_known(stage: Stage) -> None:
    reference = stage.reference()
    backup = stage.backup()
    paid = await stage.attempt(await pay_another(stage, reference))
    second = await stage.portal.paygov.start(
        tcs_app_id=paid.tcs_app_id,
        agency_tracking_id=attempt_id(DAWSON.name, reference, 2),
        amount=paid.amount,
        url_success=paid.url_success,
        url_cancel=paid.url_cancel,
    )
    stage.simulator.pay(second, "PLASTIC_CARD", "Success")
    await stage.portal.paygov.complete(tcs_app_id=paid.tcs_app_id, token=second)
    await stage.restore_and_mark(backup)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)
    assert "charged twice" in stage.watcher.alerts
    assert [item.contradicted for item in await attention(stage.portal)] == [True]


@on_stage
async def test_many_inits_at_once_find_one_lost_attempt(stage: Stage) -> None:
    reference = stage.reference()
    backup = stage.backup()
    await pay_another(stage, reference)
    await stage.restore_and_mark(backup)
    portals = [stage.another_portal() for _ in range(4)]

    async def init(number: int) -> str:
        stage.portal = portals[number]
        return await stage.init(reference)

    answers = await asyncio.gather(*(init(number) for number in range(4)), return_exceptions=True)
    assert all(isinstance(answer, Conflict | InDoubt) or "has changed" in str(answer) for answer in answers), answers
    (found,) = await attempts_at(stage, reference)
    assert (found.status, stage.charges()) == ("processed", 1)


# --- without a lookup


@on_stage(query=False)
async def test_without_a_lookup_no_token_is_given_until_an_operator_clears_the_mark(stage: Stage) -> None:
    reference = stage.reference()
    backup = stage.backup()
    lost = await stage.attempt(await pay_another(stage, reference))
    await stage.restore_and_mark(backup)
    await asyncio.sleep(24 * HOUR_S)
    for each in (reference, stage.reference()):
        with pytest.raises(InDoubt, match="an operator must compare"):
            await stage.init(each)
    assert lost.paygov_tracking_id is not None
    charged = [(lost.agency_tracking_id, lost.paygov_tracking_id)]
    await clear(stage.portal, by="Ada", reason="compared", lost=charged)
    await asyncio.sleep(60)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)
    (found,) = await attempts_at(stage, reference)
    assert (found.paygov_tracking_id, stage.charges()) == (lost.paygov_tracking_id, 1)
    assert await stage.events_of(found) == ["started", "outcome_unknown", "resolved_processed"]
    assert await stage.init()


@pytest.mark.parametrize("status", ["received", "initiated", "released", "unknown"])
def test_without_a_lookup_a_live_attempt_stays_in_doubt(write_path: WritePath, status: str) -> None:
    @on_stage(query=False)
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        attempt = await _live(stage, reference, status)
        await stage.restore_and_mark(stage.backup())
        for _ in range(3):
            await sweep(stage.portal)
            await asyncio.sleep(2 * HOUR_S)
        attempt = await stage.ledger.reread(attempt)
        assert (attempt.status, attempt.outcome_unknown) == ("processing", True)
        assert [item.reason for item in await attention(stage.portal)] == [RESTORED_IN_DOUBT]
        with pytest.raises(Conflict, match="already being processed"):
            await stage.init(reference)
        assert "complete" not in [operation for operation, _ in stage.watcher.calls]
        await resolve(stage.portal, attempt.agency_tracking_id, settled_as="failed", by="Ada", reason="not charged")
        await clear(stage.portal, by="Ada", reason="compared")
        await asyncio.sleep(60)
        assert await stage.init(reference)

    scene(write_path)


async def _live(stage: Stage, reference: str, status: str) -> Attempt:
    """Return an attempt in ``status``, and forget the calls that made it."""
    asked = stage.request(reference)
    attempt = await stage.ledger.start_attempt(
        DAWSON.name, reference, asked.fee, asked.amount, asked.metadata, asked.url_success, asked.url_cancel
    )
    if status != "received":
        attempt = await stage.ledger.record_token(attempt, "t" * 32)
    if status in ("released", "unknown"):
        attempt = await stage.ledger.take_lease(attempt, "owner", 30)
    if status == "released":
        attempt = await stage.ledger.release_lease(attempt, "owner", "not sent")
    if status == "unknown":
        attempt = await stage.ledger.record_unknown(attempt, "lost")
    return attempt


@on_stage(query=False)
async def test_without_a_lookup_process_puts_the_attempt_in_doubt(stage: Stage) -> None:
    token = await stage.paid()
    await stage.restore_and_mark(stage.backup())
    with pytest.raises(GatewayTimeout, match="ask details"):
        await stage.process(token)
    assert (await stage.attempt(token)).unknown_reason == RESTORED_IN_DOUBT
    assert stage.charges() == 0


@on_stage(query=False)
async def test_an_operator_cannot_clear_the_mark_before_the_sweeper_was_there(stage: Stage) -> None:
    await stage.init()
    await stage.restore_and_mark(stage.backup())
    with pytest.raises(Conflict, match="neither ended nor in doubt"):
        await clear(stage.portal, by="Ada", reason="compared")
    await sweep(stage.portal)
    assert len(await clear(stage.portal, by="Ada", reason="compared")) == 1


@on_stage(lookups=("details",), confirmed=())
async def test_a_failed_collection_does_not_decide_for_a_lookup_that_cannot_say_none(stage: Stage) -> None:
    reference = stage.reference()
    token = await stage.paid(outcome="Failed", reference=reference)
    backup = stage.backup()
    assert (await stage.process(token)).status == "failed"
    await stage.restore_and_mark(backup)
    await asyncio.sleep(RESTORE_GRACE_S)
    for _ in range(2):
        with pytest.raises(InDoubt, match="an operator must compare"):
            await stage.init(reference)
        [attempt] = await attempts_at(stage, reference)
        assert (attempt.status, attempt.transaction_status) == ("failed", "Failed")


@on_stage(query=False)
async def test_a_lost_charge_supersedes_an_attempt_in_doubt(stage: Stage) -> None:
    reference = stage.reference()
    first = await stage.init(reference)
    backup = stage.backup()
    await asyncio.sleep(4 * HOUR_S)
    await sweep(stage.portal)
    lost = await stage.attempt(await pay_another(stage, reference))
    await stage.restore_and_mark(backup)
    await sweep(stage.portal)
    assert lost.paygov_tracking_id is not None
    await clear(stage.portal, by="Ada", reason="compared", lost=[(lost.agency_tracking_id, lost.paygov_tracking_id)])
    await asyncio.sleep(60)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)
    assert [attempt.status for attempt in await attempts_at(stage, reference)] == ["failed", "processed"]
    assert ((await attempts_at(stage, reference))[0].token, stage.charges()) == (first, 1)


# --- a process that dies in the middle


@on_stage(query=False)
async def test_a_listed_charge_is_recorded_after_a_death_in_the_middle(stage: Stage) -> None:
    reference = stage.reference()
    backup = stage.backup()
    lost = await stage.attempt(await pay_another(stage, reference))
    await stage.restore_and_mark(backup)
    assert lost.paygov_tracking_id is not None
    await clear(stage.portal, by="Ada", reason="compared", lost=[(lost.agency_tracking_id, lost.paygov_tracking_id)])
    stage.portal = stage.another_portal(stage.watcher)
    again = stage.ledger.lost_attempt(lost, lost.agency_tracking_id)
    await stage.ledger.start_lost_attempt(again, stage.loop.clock() - HOUR_S)
    await sweep(stage.portal)
    assert [attempt.status for attempt in await attempts_at(stage, reference)] == ["processed"]


@on_stage(query=False)
async def test_a_listed_charge_keeps_the_words_of_the_operator_who_found_it(stage: Stage) -> None:
    reference = stage.reference()
    backup = stage.backup()
    lost = await stage.attempt(await pay_another(stage, reference))
    await stage.restore_and_mark(backup)
    assert lost.paygov_tracking_id is not None
    await clear(stage.portal, by="Ada", reason="compared", lost=[(lost.agency_tracking_id, lost.paygov_tracking_id)])
    stage.portal = stage.another_portal(stage.watcher)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)
    view = await stage.ledger.obligation(DAWSON.name, reference)
    assert view is not None
    assert [(event.name, event.actor) for event in view.events] == [
        ("started", "portal"),
        ("outcome_unknown", "portal"),
        ("resolved_processed", "operator"),
    ]
    assert view.events[-1].detail == {"by": "Ada", "reason": "compared", "paygov_tracking_id": lost.paygov_tracking_id}
    [attempt] = view.attempts
    assert (attempt.status, attempt.agency_tracking_id) == ("processed", lost.agency_tracking_id)
    assert (attempt.paygov_tracking_id, attempt.return_detail) == (lost.paygov_tracking_id, "compared")


@on_stage
async def test_a_lost_attempt_is_found_after_a_death_in_the_middle(stage: Stage) -> None:
    reference = stage.reference()
    await fail_attempt(stage, reference)
    backup = stage.backup()
    await fail_attempt(stage, reference)
    lost = await stage.attempt(await pay_another(stage, reference))
    await stage.restore_and_mark(backup)
    mark = await stage.portal.restores.open_mark()
    assert mark is not None
    second = stage.ledger.lost_attempt(lost, attempt_id(DAWSON.name, reference, 2))
    started = await stage.ledger.start_lost_attempt(second, mark.restored_at)
    await stage.ledger.fail(started, event="start_abandoned", actor="portal", return_code=None, return_detail=None)
    await asyncio.sleep(RESTORE_GRACE_S)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)
    assert stage.charges() == 1


# --- in normal life


@on_stage
async def test_in_normal_life_the_store_is_asked_once(stage: Stage) -> None:
    first = await stage.portal.restores.state()
    await pay_another(stage, stage.reference())
    await asyncio.sleep(HOUR_S)
    assert await stage.portal.restores.state() is first
    assert not await stage.portal.restores.needs_care()
