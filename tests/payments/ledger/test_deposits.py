"""Deposits in the ledger: one for each paid attempt, the same report twice is one, and the attempt does not change."""

import asyncio
from dataclasses import replace

import pytest

from bursar.payments import Ledger, NoSuchEdge
from bursar.payments.deposits import DepositReport
from bursar.payments.errors import DepositDiffers
from tests.support.payments.stage import Start, Wall, pending, settled

REPORT = DepositReport("000123", "2026-11-24", "operator", "Ada")


async def test_a_deposit_is_recorded_and_the_attempt_stays_as_it_is(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await settled(ledger, start)
    assert await ledger.deposits.of(attempt) is None
    wall.pass_s(60)
    deposit = await ledger.deposits.record(attempt, REPORT)
    assert (deposit.amount, deposit.at, deposit.ticket) == (attempt.amount, wall.now, "000123")
    assert await ledger.deposits.of(attempt) == deposit
    assert await ledger.reread(attempt) == attempt


async def test_the_same_deposit_twice_is_one_and_another_ticket_is_refused(ledger: Ledger, start: Start) -> None:
    attempt = await settled(ledger, start)
    first = await ledger.deposits.record(attempt, REPORT)
    assert await ledger.deposits.record(attempt, replace(REPORT, by="Grace", source="activity_file")) == first
    for other in (replace(REPORT, ticket="000124"), replace(REPORT, deposited_on="2026-11-25")):
        with pytest.raises(DepositDiffers, match="recorded as ticket 000123 of 2026-11-24"):
            await ledger.deposits.record(attempt, other)


async def test_of_two_reports_at_once_one_is_recorded(ledger: Ledger, start: Start) -> None:
    attempt = await settled(ledger, start)
    other = replace(REPORT, ticket="000124")
    found = await asyncio.gather(
        *(ledger.deposits.record(attempt, report) for report in (REPORT, other)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in found) == ["Deposit", "DepositDiffers"]


async def test_a_deposit_is_never_before_its_collection(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await settled(ledger, start)
    wall.pass_s(-3600)  # another machine's clock is behind the one that recorded the collection
    assert (await ledger.deposits.record(attempt, REPORT)).at == attempt.updated_at


async def test_only_a_processed_attempt_has_a_deposit(ledger: Ledger, start: Start) -> None:
    with pytest.raises(NoSuchEdge, match="must be of a processed attempt"):
        await ledger.deposits.record(await pending(ledger, start), REPORT)
