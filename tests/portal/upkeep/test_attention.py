"""Attempts that only a person can settle are listed, and settled by an event with a name and a reason."""

import asyncio
from typing import Any
from unittest.mock import patch

import pytest

from bursar.payments import Attempt, LedgerBusy, Outcome, OutcomeContradicts
from bursar.payments.due import RECEIVED_AGE_MAX_S
from bursar.payments.ledger.contradictions import PARTITION
from bursar.payments.ledger.table import TABLE_NAME
from bursar.portal.contract.errors import Conflict, GatewayTimeout, InvalidRequest, NotFound
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import (
    ASKED_AGAIN,
    FAR_FUTURE_S,
    NO_LOOKUP,
    NOT_SWEPT,
    REPEAT_USED,
    AttentionItem,
    acknowledge,
    latest_starts,
    resolve,
)
from bursar.portal.upkeep.attention import attention as every_attention
from bursar.portal.use_cases.completion_outcomes import OUTCOMES
from tests.support.portal.stage import HOUR_S, Stage, on_stage


async def attention(portal: Portal, limit: int = 1000) -> list[AttentionItem]:
    """Return what needs a person, which the attempts that started late enough to go on by themselves do not change."""
    found = await every_attention(portal, limit)
    live = await portal.ledger.due(portal.clock() + FAR_FUTURE_S, limit)
    known = [each for each in live if each.created_at <= latest_starts(portal)[each.status]]
    assert await every_attention(portal, live=known) == found
    return found


async def _unknown(stage: Stage) -> Attempt:
    token = await stage.paid()
    await stage.lose_reply(token)
    return await stage.attempt(token)


@on_stage
async def test_an_outcome_unknown_for_too_long_is_listed(stage: Stage) -> None:
    attempt = await _unknown(stage)
    assert await attention(stage.portal) == []
    await asyncio.sleep(HOUR_S + 1)
    [wanted] = await attention(stage.portal)
    assert (wanted.attempt.agency_tracking_id, wanted.since) == (attempt.agency_tracking_id, attempt.updated_at)
    assert wanted.reason == f"{OUTCOMES['timed out'].reason}; {ASKED_AGAIN}"


@on_stage
async def test_a_payment_that_does_not_settle_is_listed(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    await asyncio.sleep(10 * 24 * HOUR_S)
    await stage.init()
    assert await attention(stage.portal) == []
    await asyncio.sleep(1)
    [wanted] = await attention(stage.portal)
    assert (wanted.attempt.token, wanted.reason) == (token, "Pay.gov has not settled it: Received")


@on_stage
async def test_a_lease_that_ran_out_and_that_no_sweeper_could_note_is_listed(stage: Stage) -> None:
    token = await stage.paid()
    await stage.ledger.take_lease(await stage.attempt(token), "a process that died", 90.0)
    await asyncio.sleep(HOUR_S)
    assert await attention(stage.portal) == []
    await asyncio.sleep(1)
    [wanted] = await attention(stage.portal)
    assert "lease ran out" in wanted.reason


@on_stage
async def test_an_attempt_that_no_sweeper_ended_is_listed(stage: Stage) -> None:
    token = await stage.init()
    await asyncio.sleep(4 * HOUR_S + RECEIVED_AGE_MAX_S)
    assert await attention(stage.portal) == []
    await asyncio.sleep(1)
    assert [(each.attempt.token, each.reason) for each in await attention(stage.portal)] == [(token, NOT_SWEPT)]


@on_stage
async def test_an_incomplete_list_is_logged(stage: Stage) -> None:
    await stage.init()
    with patch("bursar.portal.upkeep.attention._log") as log:
        await attention(stage.portal, limit=2)
        assert not log.warning.called
        await attention(stage.portal, limit=1)
        assert log.warning.called


@on_stage
async def test_an_operators_word_is_kept_as_an_event(stage: Stage) -> None:
    attempt = await _unknown(stage)
    settled = await resolve(
        stage.portal,
        attempt.agency_tracking_id,
        settled_as="processed",
        by="Ada Lovelace",
        reason="found in Pay.gov's report",
        paygov_tracking_id="3FOR8CGH",
    )
    assert (settled.status, settled.paygov_tracking_id) == ("processed", "3FOR8CGH")
    view = await stage.ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    last = view.events[-1]
    assert (last.name, last.actor, last.detail["by"]) == ("resolved_processed", "operator", "Ada Lovelace")


@on_stage
async def test_resolve_refuses_other_attempts_and_bad_reasons(stage: Stage) -> None:
    token = await stage.init()
    initiated = (await stage.attempt(token)).agency_tracking_id

    async def say(attempt: str, **changes: str) -> None:
        said = {"by": "Ada", "reason": "because", **changes}
        await resolve(stage.portal, attempt, settled_as="failed", **said)

    with pytest.raises(NotFound):
        await say("nobody")
    with pytest.raises(Conflict, match="initiated"):
        await say(initiated)
    for changes in ({"by": " "}, {"reason": ""}, {"reason": "x" * 501}):
        with pytest.raises(InvalidRequest):
            await say(initiated, **changes)
    await stage.ledger.take_lease(await stage.attempt(token), "somebody", 90.0)
    with pytest.raises(Conflict, match="leased"):
        await say(initiated)


@on_stage
async def test_a_tracking_id_that_cannot_be_this_attempts_is_a_conflict(stage: Stage) -> None:
    paid = await stage.paid()
    await stage.process(paid)
    taken = (await stage.attempt(paid)).paygov_tracking_id
    unknown = await _unknown(stage)
    settling = await stage.paid("ACH")
    await stage.process(settling)
    for attempt, said in ((unknown, taken), (await stage.attempt(settling), "ANOTHER")):
        with pytest.raises(Conflict, match=f"{attempt.agency_tracking_id}|another"):
            await resolve(
                stage.portal,
                attempt.agency_tracking_id,
                settled_as="processed",
                by="Ada",
                reason="found it",
                paygov_tracking_id=said,
            )
        assert await stage.ledger.reread(attempt) == attempt


@on_stage
async def test_a_tracking_id_is_taken_without_spaces_around_it_and_only_in_pay_govs_form(stage: Stage) -> None:
    attempt = await _unknown(stage)
    words: dict[str, Any] = {"settled_as": "processed", "by": "Ada", "reason": "found it"}
    for wrong in ("a\tb", "é", "x" * 256):
        with pytest.raises(InvalidRequest, match="tracking id"):
            await resolve(stage.portal, attempt.agency_tracking_id, **words, paygov_tracking_id=wrong)
    settled = await resolve(stage.portal, attempt.agency_tracking_id, **words, paygov_tracking_id=" 3FOR 8CGH\n")
    assert settled.paygov_tracking_id == "3FOR 8CGH"


@on_stage
async def test_a_contradiction_is_listed_until_it_is_acknowledged(stage: Stage) -> None:
    failed = await resolve(
        stage.portal, (await _unknown(stage)).agency_tracking_id, settled_as="failed", by="Ada", reason="no charge"
    )
    name = failed.agency_tracking_id
    with pytest.raises(Conflict, match="no contradiction"):
        await acknowledge(stage.portal, name, by="Ada", reason="refunded")
    await asyncio.sleep(HOUR_S)
    with pytest.raises(OutcomeContradicts):
        await stage.ledger.record_outcome(failed, Outcome("processed", "3FLATE", "Success"), actor="sweeper")
    [wanted] = await attention(stage.portal)
    assert (wanted.attempt, wanted.contradicted, wanted.since) == (failed, True, stage.portal.clock())
    assert wanted.reason == "Pay.gov says processed as 3FLATE, recorded is failed"
    with pytest.raises(InvalidRequest):
        await acknowledge(stage.portal, name, by="Ada", reason=" ")
    with pytest.raises(NotFound):
        await acknowledge(stage.portal, "nobody", by="Ada", reason="refunded")
    assert await acknowledge(stage.portal, name, by="Ada", reason="refunded") == 1
    assert await attention(stage.portal) == []
    assert await stage.ledger.reread(failed) == failed


@on_stage
async def test_of_two_acknowledgements_at_once_one_is_refused(stage: Stage) -> None:
    attempt = await _unknown(stage)

    async def busy(*given: object, **named: object) -> object:
        raise LedgerBusy("moved")

    stage.ledger.contradictions.acknowledge = busy  # type: ignore[assignment]  # a stand-in
    with pytest.raises(Conflict, match="moved"):
        await acknowledge(stage.portal, attempt.agency_tracking_id, by="Ada", reason="refunded")


@on_stage(query=False)
async def test_an_attempt_whose_second_complete_is_used_is_listed_at_once(stage: Stage) -> None:
    attempt = await _unknown(stage)
    assert attempt.token is not None
    with pytest.raises(GatewayTimeout):
        await stage.process(attempt.token)
    [wanted] = await attention(stage.portal)
    assert wanted.attempt.repeat_used
    assert wanted.reason.startswith(f"{REPEAT_USED}, and {NO_LOOKUP}: ")


@on_stage
async def test_an_acknowledgement_holds_the_operators_name_and_reason(stage: Stage) -> None:
    unknown = (await _unknown(stage)).agency_tracking_id
    failed = await resolve(stage.portal, unknown, settled_as="failed", by="Ada", reason="no charge")
    with pytest.raises(OutcomeContradicts):
        await stage.ledger.record_outcome(failed, Outcome("processed", "3FLATE", "Success"), actor="sweeper")
    await acknowledge(stage.portal, unknown, by=" Ada ", reason="refunded\n")
    items = (await stage.store.call("Scan", {"TableName": TABLE_NAME}))["Items"]
    [kept] = [item for item in items if item["pk"] == {"S": PARTITION}]
    assert (kept["acknowledgedBy"], kept["acknowledgedReason"]) == ({"S": "Ada"}, {"S": "refunded"})


@on_stage
async def test_the_attempt_that_waits_longest_is_listed_first(stage: Stage) -> None:
    waiting = []
    for _ in range(3):
        waiting.append((await _unknown(stage)).agency_tracking_id)
        await asyncio.sleep(60)
    await asyncio.sleep(HOUR_S)
    assert [each.attempt.agency_tracking_id for each in await attention(stage.portal)] == waiting


def test_what_an_operator_reads_says_what_happened() -> None:
    """Operators settle payments by these texts, so a changed one is changed here too."""
    assert (NOT_SWEPT, REPEAT_USED, NO_LOOKUP, ASKED_AGAIN) == (
        "overdue: no sweeper runs, or none can end it",
        "the second complete has been used",
        "no lookup can say that Pay.gov has no collection of it",
        "no lookup has decided it yet, and Pay.gov is asked again",
    )
