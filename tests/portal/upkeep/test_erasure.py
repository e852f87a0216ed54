"""Erasing the metadata of many obligations: those that are chosen, and no others; a stopped run continues."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from bursar.payments import MetadataErased
from bursar.portal.contract.errors import portal_error
from bursar.portal.upkeep.erasure import DAY_S, ErasureReport, erase_metadata
from tests.support.portal.stage import Stage, on_stage

CLERK: dict[str, Any] = {"by": "A. Clerk", "reason": "retention"}


async def failed(stage: Stage, **changes: Any) -> str:
    """Return the reference of an obligation whose only attempt has failed."""
    reference = stage.reference()
    stage.misbehave("refuse", times=1, operations=("start",))
    with pytest.raises(Exception, match=r"Pay\.gov"):
        await stage.init(reference, **changes)
    return reference


async def with_metadata(stage: Stage) -> list[str]:
    return [reference async for _, reference in stage.ledger.obligations_with_metadata()]


@on_stage
async def test_obligations_that_ended_long_ago_are_erased(stage: Stage) -> None:
    old = [await failed(stage), await failed(stage)]
    token = await stage.paid()
    await stage.process(token)
    await asyncio.sleep(30 * DAY_S)
    recent, live = await failed(stage), stage.reference()
    await stage.init(live)
    report = await erase_metadata(stage.portal, ended_before_days=7, **CLERK)
    assert report == ErasureReport(Counter({"erased": 3, "too recent": 1, "live": 1}), attempts=3)
    assert sorted(await with_metadata(stage)) == sorted([recent, live])
    for reference in old:
        view = await stage.ledger.obligation("dawson", reference)
        assert view is not None
        assert view.events[-1].detail == CLERK
    again = await erase_metadata(stage.portal, ended_before_days=7, **CLERK)
    assert again.obligations == Counter({"too recent": 1, "live": 1})


@on_stage
async def test_a_dry_run_reports_the_same_and_erases_nothing(stage: Stage) -> None:
    await failed(stage)
    await asyncio.sleep(DAY_S)
    report = await erase_metadata(stage.portal, ended_before_days=0, dry_run=True, **CLERK)
    assert report == ErasureReport(Counter({"erased": 1}), attempts=1)
    assert len(await with_metadata(stage)) == 1


@on_stage
async def test_client_and_fee_narrow_the_choice(stage: Stage) -> None:
    one = await failed(stage)
    await asyncio.sleep(DAY_S)
    others: list[dict[str, Any]] = [{"client": "other"}, {"fee": "COPY_FEE"}]
    for narrowed in others:
        report = await erase_metadata(stage.portal, ended_before_days=0, **CLERK, **narrowed)
        assert report == ErasureReport()
    both: dict[str, Any] = {"client": "dawson", "fee": "PETITION_FILING_FEE"}
    assert (await erase_metadata(stage.portal, ended_before_days=0, **CLERK, **both)).attempts == 1
    assert one not in await with_metadata(stage)


@on_stage
async def test_an_init_after_an_erasure_is_answered_with_its_own_code(stage: Stage) -> None:
    reference = await failed(stage)
    await asyncio.sleep(DAY_S)
    await erase_metadata(stage.portal, ended_before_days=0, **CLERK)
    with pytest.raises(MetadataErased) as raised:
        await stage.init(reference)
    known = portal_error(raised.value)
    assert (known.status, known.code.code) == (409, "metadata_erased")


@on_stage
async def test_an_obligation_is_erased_once_the_days_since_its_end_are_over(stage: Stage) -> None:
    await failed(stage)
    for wait_s, result in ((6 * DAY_S, "too recent"), (DAY_S, "too recent"), (0.001, "erased")):
        await asyncio.sleep(wait_s)
        report = await erase_metadata(stage.portal, ended_before_days=7, **CLERK)
        assert report.obligations == Counter({result: 1})
