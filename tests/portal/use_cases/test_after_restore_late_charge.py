"""After a restore, a complete that was sent before may arrive late, and lookups may show its charge later still."""

import asyncio

import pytest

from bursar.paygov.simulator import SimulatorSettings
from bursar.portal.contract.errors import Conflict, InDoubt
from bursar.portal.state.portal import RESTORE_GRACE_S, TOKEN_GRACE_S
from tests.support.portal.stage import Stage, on_stage

INSTANT_S = 1.0


@on_stage(settings=SimulatorSettings(lookup_delay_s=TOKEN_GRACE_S - INSTANT_S))
async def test_a_lost_charge_that_arrives_and_is_shown_as_late_as_possible_is_found(stage: Stage) -> None:
    reference = stage.reference()
    backup = stage.backup()
    token = await stage.paid(reference=reference)
    lost = await stage.attempt(token)
    await stage.restore_and_mark(backup)
    await asyncio.sleep(TOKEN_GRACE_S - INSTANT_S)
    stage.simulator.complete(lost.tcs_app_id, token)
    for wait_s in (2 * INSTANT_S, TOKEN_GRACE_S - 2 * INSTANT_S):
        await asyncio.sleep(wait_s)
        with pytest.raises((InDoubt, Conflict)):
            await stage.init(reference)
    await asyncio.sleep(RESTORE_GRACE_S)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)
    assert stage.charges() == 1
