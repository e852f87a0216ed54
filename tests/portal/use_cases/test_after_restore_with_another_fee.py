"""After a restore, the caller may name another fee than the lost one: Pay.gov finds a collection by its application."""

import asyncio

import pytest

from bursar.payments import MetadataDiffers
from bursar.portal.contract.errors import Conflict
from bursar.portal.state.portal import RESTORE_GRACE_S
from tests.support.portal.stage import DAWSON, Stage, on_stage


@on_stage
async def test_a_lost_charge_of_another_fee_is_found(stage: Stage) -> None:
    reference = stage.reference()
    backup = stage.backup()
    assert (await stage.process(await stage.paid(reference=reference))).status == "success"
    await stage.restore_and_mark(backup)
    await asyncio.sleep(RESTORE_GRACE_S)
    with pytest.raises(Conflict, match="another fee"):
        await stage.init(reference, **stage.other_fee())
    assert (stage.watcher.alerts, await stage.ledger.obligation(DAWSON.name, reference)) == (["found lost"], None)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)
    with pytest.raises(MetadataDiffers):
        await stage.init(reference, **stage.other_fee())
    assert stage.charges() == 1


@on_stage
async def test_a_lost_attempt_of_another_fee_without_a_charge_blocks_nothing(stage: Stage) -> None:
    reference = stage.reference()
    backup = stage.backup()
    assert (await stage.process(await stage.paid(outcome="Failed", reference=reference))).status == "failed"
    await stage.restore_and_mark(backup)
    await asyncio.sleep(RESTORE_GRACE_S)
    token = await stage.paid(reference=reference, **stage.other_fee())
    assert (await stage.process(token)).status == "success"
    assert stage.charges() == 1
