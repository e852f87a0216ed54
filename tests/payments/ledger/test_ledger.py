"""The ledger's calls up to the lease, one by one: what each writes, what it refuses, and what stays as it is."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bursar.payments import (
    AttemptMoved,
    AttemptsExhausted,
    Fee,
    FeeCatalogue,
    IdentifierTaken,
    LeaseHeld,
    Ledger,
    MetadataDiffers,
    NoSuchEdge,
    ObligationTaken,
    Outcome,
)
from bursar.payments.attempt_ids import ATTEMPTS_MAX, attempt_id
from bursar.payments.due import POLL_INTERVAL_MIN_S, RECEIVED_AGE_MAX_S, RETURN_POLL_FIRST_S, TOKEN_AGE_MAX_S
from bursar.payments.ledger.ledger import LEASE_RAN_OUT
from bursar.payments.status import TOKEN_EXPIRED_CODE
from tests.support.payments.stage import PAID, REFERENCE, TOKEN, Start, Wall, history, initiated, pending, processing


async def test_a_start_writes_obligation_attempt_and_event(ledger: Ledger, start: Start, fee: Fee, wall: Wall) -> None:
    attempt = await start(reference="0B5C6F6E-0000-4000-8000-00000000000A")
    view = await ledger.obligation("dawson", "0b5c6f6e-0000-4000-8000-00000000000a")
    assert view is not None
    assert view.attempts == (attempt,)
    assert (view.obligation.fee, view.obligation.metadata) == (fee.key, {"docketNumber": "123-26"})
    assert view.obligation.reference == attempt.reference == "0b5c6f6e-0000-4000-8000-00000000000a"
    (event,) = view.events
    assert (event.name, event.actor, event.from_status, event.to_status) == ("started", "portal", None, "received")
    assert (attempt.status, attempt.fee_version, attempt.amount) == ("received", "2020-01-01", Decimal("60.00"))
    assert attempt.due_at == wall.now + RECEIVED_AGE_MAX_S + TOKEN_AGE_MAX_S


async def test_a_card_payment_from_start_to_end(ledger: Ledger, start: Start) -> None:
    paid = await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal")
    assert paid == await ledger.attempt_by_token(TOKEN)
    assert (paid.status, paid.paygov_tracking_id, paid.payment_method) == ("processed", "3FPAID", "PLASTIC_CARD")
    assert (paid.lease_owner, paid.lease_until, paid.due_at) == (None, None, None)
    assert await history(ledger, paid) == ["started", "token_given", "claimed", "completed"]


async def test_an_ach_payment_settles(ledger: Ledger, start: Start, wall: Wall) -> None:
    waiting = await pending(ledger, start)
    assert waiting.due_at == wall.now + POLL_INTERVAL_MIN_S
    wall.pass_s(100_000)
    settled = await ledger.record_outcome(waiting, replace(PAID, payment_method="ACH"), actor="sweeper")
    assert (settled.status, settled.settled_at, settled.updated_at) == ("processed", wall.now, wall.now)
    assert settled.due_at == wall.now + RETURN_POLL_FIRST_S
    assert await history(ledger, settled) == ["started", "token_given", "claimed", "accepted", "settled"]


async def test_an_ach_payment_bounces(ledger: Ledger, start: Start) -> None:
    bounced = await ledger.record_outcome(
        await pending(ledger, start), Outcome("failed", "3FPAID", "Failed", "ACH", None, "R01"), actor="sweeper"
    )
    assert (bounced.status, bounced.transaction_status, bounced.return_detail) == ("failed", "Failed", "R01")
    assert (await history(ledger, bounced))[-1] == "bounced"


async def test_the_life_of_a_token_begins_when_it_is_given(ledger: Ledger, start: Start, wall: Wall) -> None:
    received = await start()
    wall.pass_s(7)
    given = await ledger.record_token(received, TOKEN)
    assert given.token_at == wall.now
    assert ledger.due_policy.token_expires_at(given) == wall.now + TOKEN_AGE_MAX_S


# ---- starting


async def test_a_live_attempt_keeps_others_away_and_is_carried(ledger: Ledger, start: Start) -> None:
    live = await initiated(ledger, start)
    with pytest.raises(ObligationTaken) as caught:
        await start()
    assert caught.value.attempt == live


@pytest.mark.parametrize("stage", [processing, pending])
async def test_an_attempt_keeps_others_away_until_it_failed(ledger: Ledger, start: Start, stage: Any) -> None:
    there = await stage(ledger, start)
    with pytest.raises(ObligationTaken) as caught:
        await start()
    assert caught.value.attempt == there


async def test_a_paid_obligation_takes_no_other_attempt(ledger: Ledger, start: Start) -> None:
    paid = await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal")
    with pytest.raises(ObligationTaken) as caught:
        await start()
    assert caught.value.attempt == paid


async def test_a_failed_attempt_is_followed_by_another_in_order(ledger: Ledger, start: Start) -> None:
    made = []
    for _ in range(3):
        attempt = await start()
        made.append(
            await ledger.fail(attempt, event="start_failed", actor="portal", return_code="4019", return_detail="no")
        )
    last = await start()
    view = await ledger.obligation(last.client, last.reference)
    assert view is not None
    assert view.attempts == (*made, last)
    assert not any(attempt.holds_obligation for attempt in view.attempts)
    assert {attempt.first_attempt for attempt in view.attempts} == {view.obligation.first_attempt}
    assert view.blocking == last
    assert [event.seq for event in view.events] == [1, 2, 1, 2, 1, 2, 1]


@pytest.mark.parametrize(
    ("change", "named"),
    [({"metadata": {"docketNumber": "9"}}, ("metadata",)), ({"metadata": {}}, ("metadata",))],
)
async def test_metadata_stay_those_of_the_first_attempt(
    ledger: Ledger, start: Start, change: dict[str, Any], named: tuple[str, ...]
) -> None:
    await start()
    with pytest.raises(MetadataDiffers) as caught:
        await start(**change)
    assert caught.value.attributes == named
    assert "docketNumber" not in str(caught.value)


async def test_the_fee_stays_that_of_the_first_attempt(start: Start, wall: Wall) -> None:
    await start()
    copy = FeeCatalogue.default().fee("COPY_FEE", wall.now)
    with pytest.raises(MetadataDiffers) as caught:
        await start(fee=copy, amount="5.00")
    assert caught.value.attributes == ("fee",)


@pytest.mark.parametrize("amount", ["60.01", "0", "60.001"])
async def test_a_wrong_amount_is_the_callers_mistake(start: Start, amount: str) -> None:
    with pytest.raises(ValueError, match=r"amount: must be|an amount"):
        await start(amount=amount)


async def test_two_clients_may_use_one_reference(ledger: Ledger, start: Start) -> None:
    one, other = await start(client="one"), await start(client="other")
    view = await ledger.obligation("one", one.reference)
    assert view is not None
    assert view.attempts == (one,)
    assert other.agency_tracking_id != one.agency_tracking_id


async def test_attempts_have_the_ids_of_their_numbers(ledger: Ledger, start: Start) -> None:
    for number in range(1, 4):
        attempt = await start(reference=REFERENCE.upper())
        assert attempt.agency_tracking_id == attempt_id("dawson", REFERENCE, number)
        await ledger.fail(attempt, event="start_failed", actor="portal", return_code=None, return_detail=None)


async def test_an_obligation_has_a_bounded_number_of_attempts(ledger: Ledger, start: Start, wall: Wall) -> None:
    for _ in range(ATTEMPTS_MAX):
        wall.pass_s(1)
        attempt = await start()
        await ledger.fail(attempt, event="start_failed", actor="portal", return_code=None, return_detail=None)
    with pytest.raises(AttemptsExhausted, match=r"must have at most 32 attempts"):
        await start()
    with pytest.raises(MetadataDiffers):
        await start(metadata={})


# ---- tokens


async def test_a_token_is_given_once(ledger: Ledger, start: Start, wall: Wall) -> None:
    received = await start()
    given = await ledger.record_token(received, TOKEN)
    assert (given.status, given.token, given.token_at) == ("initiated", TOKEN, wall.now)
    assert given.due_at == received.due_at
    with pytest.raises(AttemptMoved) as caught:
        await ledger.record_token(received, "u" * 32)
    assert caught.value.attempt == given


async def test_a_token_belongs_to_one_attempt(ledger: Ledger, start: Start) -> None:
    await initiated(ledger, start)
    with pytest.raises(IdentifierTaken) as caught:
        await ledger.record_token(await start(client="other"), TOKEN)
    assert caught.value.attribute == "token"


async def test_a_tracking_id_belongs_to_one_attempt(ledger: Ledger, start: Start) -> None:
    await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal")
    second = await ledger.record_token(await start(client="other"), "u" * 32)
    second = await ledger.take_lease(second, "worker-2", 30)
    with pytest.raises(IdentifierTaken) as caught:
        await ledger.record_outcome(second, PAID, actor="portal")
    assert caught.value.attribute == "payGovTrackingId"
    assert await ledger.reread(second) == second


# ---- failing


async def test_an_expired_token_fails_its_attempt(ledger: Ledger, start: Start, wall: Wall) -> None:
    there = await initiated(ledger, start)
    wall.pass_s(TOKEN_AGE_MAX_S)
    failed = await ledger.fail(
        there, event="expired", actor="portal", return_code=TOKEN_EXPIRED_CODE, return_detail="existing token expired"
    )
    assert (failed.status, failed.return_code, failed.due_at) == ("failed", "5009", None)
    assert await history(ledger, failed) == ["started", "token_given", "expired"]


async def test_failing_twice_writes_one_event(ledger: Ledger, start: Start) -> None:
    there = await initiated(ledger, start)
    expiry: dict[str, Any] = {"event": "expired", "actor": "sweeper", "return_code": "5009", "return_detail": None}
    once = await ledger.fail(there, **expiry)
    assert await ledger.fail(there, **expiry) == once
    assert await ledger.fail(once, **expiry) == once
    assert await history(ledger, once) == ["started", "token_given", "expired"]


async def test_a_failed_attempt_does_not_fail_again_with_another_code(ledger: Ledger, start: Start) -> None:
    failed = await ledger.fail(
        await start(), event="start_failed", actor="portal", return_code="4019", return_detail="no such application"
    )
    with pytest.raises(NoSuchEdge):
        await ledger.fail(failed, event="expired", actor="sweeper", return_code="5009", return_detail=None)
    assert await ledger.reread(failed) == failed


async def test_an_event_that_cannot_end_the_attempt_is_refused(ledger: Ledger, start: Start) -> None:
    held = await processing(ledger, start)
    events: list[Any] = ["expired", "start_failed", "claimed", "nonsense"]
    for event in events:
        with pytest.raises(NoSuchEdge):
            await ledger.fail(held, event=event, actor="portal", return_code=None, return_detail=None)
    with pytest.raises(NoSuchEdge, match="must be recorded by operator; got portal"):
        await ledger.fail(held, event="resolved_failed", actor="portal", return_code=None, return_detail=None)
    assert await ledger.reread(held) == held


async def test_an_attempt_that_may_have_been_sent_is_not_expired_unsent(ledger: Ledger, start: Start) -> None:
    held = await processing(ledger, start)
    unknown = await ledger.record_unknown(held, "reply lost")
    for maybe_sent in (held, unknown):
        with pytest.raises(NoSuchEdge, match="must be for an attempt that was never sent"):
            await ledger.fail(
                maybe_sent, event="expired_unsent", actor="sweeper", return_code="5009", return_detail=None
            )


async def test_a_lease_taken_over_is_not_released_as_unsent(ledger: Ledger, start: Start, wall: Wall) -> None:
    held = await processing(ledger, start, lease_s=30)
    wall.pass_s(30)
    taken = await ledger.take_over_lease(held, "sweeper-1", 60)
    with pytest.raises(AttemptMoved):
        await ledger.release_lease(taken, "sweeper-1", "connection refused", actor="sweeper")


async def test_a_definite_no_ends_the_lease(ledger: Ledger, start: Start) -> None:
    held = await processing(ledger, start)
    failed = await ledger.fail(held, event="refused", actor="portal", return_code="4117", return_detail="no")
    assert (failed.status, failed.lease_owner, failed.lease_until, failed.due_at) == ("failed", None, None, None)


async def test_an_attempt_released_unsent_may_expire(ledger: Ledger, start: Start) -> None:
    released = await ledger.release_lease(await processing(ledger, start), "worker-1", "connection refused")
    failed = await ledger.fail(
        released, event="expired_unsent", actor="sweeper", return_code="5009", return_detail=None
    )
    assert failed.status == "failed"


# ---- leases


async def test_take_lease_leases_the_attempt_to_its_owner(ledger: Ledger, start: Start, wall: Wall) -> None:
    held = await processing(ledger, start, lease_s=30)
    assert (held.lease_owner, held.lease_until, held.due_at) == ("worker-1", wall.now + 30, wall.now + 30)
    assert held.leased(wall.now + 29.999)
    assert not held.leased(wall.now + 30)


async def test_a_held_lease_is_neither_taken_nor_taken_over(ledger: Ledger, start: Start) -> None:
    before = await initiated(ledger, start)
    held = await ledger.take_lease(before, "worker-1", 30)
    for attempt in (before, held):
        with pytest.raises(LeaseHeld) as caught:
            await ledger.take_lease(attempt, "worker-2", 30)
        assert caught.value.attempt == held
    with pytest.raises(LeaseHeld):
        await ledger.take_over_lease(held, "sweeper-1", 30)


async def test_a_lease_that_ran_out_can_only_be_taken_over_with_an_unknown_outcome(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    held = await processing(ledger, start, lease_s=30)
    wall.pass_s(30)
    with pytest.raises(AttemptMoved):
        await ledger.take_lease(held, "worker-2", 30)
    taken = await ledger.take_over_lease(held, "sweeper-1", 60)
    assert (taken.lease_owner, taken.lease_until) == ("sweeper-1", wall.now + 60)
    assert (taken.status, taken.outcome_unknown, taken.unknown_reason) == ("processing", True, LEASE_RAN_OUT)
    assert (await history(ledger, taken))[-1] == "lease_taken_over"
    with pytest.raises(LeaseHeld):
        await ledger.take_over_lease(held, "sweeper-2", 60)


async def test_only_a_processing_attempt_has_a_lease_to_steal(ledger: Ledger, start: Start) -> None:
    with pytest.raises(AttemptMoved):
        await ledger.take_over_lease(await initiated(ledger, start), "sweeper-1", 60)


async def test_a_lease_released_unsent_may_be_taken_again(ledger: Ledger, start: Start, wall: Wall) -> None:
    held = await processing(ledger, start)
    released = await ledger.release_lease(held, "worker-1", "connection refused")
    assert (released.lease_owner, released.outcome_unknown) == (None, False)
    assert released.due_at == wall.now + RECEIVED_AGE_MAX_S + TOKEN_AGE_MAX_S
    again = await ledger.take_lease(released, "worker-2", 30)
    assert again.lease_owner == "worker-2"
    assert (await history(ledger, again))[-2:] == ["released", "reclaimed"]


async def test_only_the_owner_releases_a_lease(ledger: Ledger, start: Start) -> None:
    held = await processing(ledger, start)
    with pytest.raises(AttemptMoved, match="cannot be released unsent by worker-2"):
        await ledger.release_lease(held, "worker-2", "connection refused")
    unknown = await ledger.record_unknown(held, "reply lost")
    with pytest.raises(AttemptMoved):
        await ledger.release_lease(held, "worker-1", "connection refused")
    with pytest.raises(AttemptMoved):
        await ledger.release_lease(unknown, "worker-1", "connection refused")
