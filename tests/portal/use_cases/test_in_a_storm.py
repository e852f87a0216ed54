"""Payments while DynamoDB is stormy: throttling, conflicts, errors after writes and stale indexes.

All tests of the use cases can run in a storm: see tests/support/storms.py.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from bursar.payments.errors import LedgerBusy
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.rules import payment_rules
from bursar.portal.contract.errors import Conflict, PortalError
from bursar.portal.upkeep.restored import clear
from bursar.portal.upkeep.sweep import sweep
from bursar.rules.audit.table_audit import audit_table
from tests.support.portal.stage import Stage, on_stage
from tests.support.write_paths import STORM_PATH, WritePath

T = TypeVar("T")
PAYMENTS = 12
TRIES_MAX = 50
DAY_S = 24 * 3600.0

pytestmark = [
    pytest.mark.only_write_path("transaction", reason="swaps of whole items have no weather"),
    pytest.mark.parametrize("seed", [1, 2]),
]


def in_a_storm(scene: Callable[[Stage], Awaitable[None]]) -> Callable[[WritePath, int], None]:
    """Make ``async def test(stage)`` a test that runs in several storms."""
    play = on_stage(scene)

    def test(write_path: WritePath, seed: int) -> None:
        play(replace(STORM_PATH, storm=seed))

    test.__doc__ = scene.__doc__
    return test


async def until_done(call: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Repeat a call as an application does that gets a 503 or a 504."""
    for _ in range(TRIES_MAX):
        try:
            return await call(*arguments)
        except (PortalError, LedgerBusy):
            await asyncio.sleep(5.0)
    raise AssertionError("every try was refused")


@in_a_storm
async def test_each_payer_is_charged_once(stage: Stage) -> None:
    tokens = []
    for number in range(PAYMENTS):
        tokens.append(await until_done(stage.init, stage.reference()))
        stage.simulator.pay(tokens[-1], "ACH" if number % 3 == 0 else "PLASTIC_CARD", "Success")
        await until_done(stage.process, tokens[-1])
        await sweep(stage.portal)
    for _ in range(12):
        await asyncio.sleep(DAY_S)
        await sweep(stage.portal)
    assert [(await stage.attempt(token)).status for token in tokens] == ["processed"] * PAYMENTS
    assert stage.charges() == PAYMENTS
    happened = {kind for _, kind in stage.store.engine.happened()}
    assert happened >= {"throttled", "transaction_conflict", "error_after_write"}
    with stage.store.engine.calm():
        report = await audit_table(stage.store, TABLE_NAME, payment_rules(stage.fees), randomness=stage.seed)
    assert report.findings == []


@in_a_storm
async def test_a_stale_index_does_not_clear_a_restore_mark(stage: Stage) -> None:
    await until_done(stage.init)
    await stage.restore_and_mark(stage.backup())
    with pytest.raises(Conflict, match="neither ended nor in doubt"):
        await clear(stage.portal, by="Ada", reason="compared")
