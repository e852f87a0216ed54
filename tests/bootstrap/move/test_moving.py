"""The move of a store while payments are made: none is lost, none is doubled, and it can die anywhere.

MOVE_KILL_STEP=1 kills the move at every point; ``pytest -s`` prints the counts.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from bursar.bootstrap.move.moving import MoveOptions, MoveRefused
from bursar.bootstrap.move.stores import settle_s_of
from bursar.dynamo.clients.store import Store
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.errors import DynamoError
from bursar.payments.ledger.store_records.move_state import is_being_filled
from bursar.payments.ledger.table import TABLE_NAME
from bursar.portal.contract.errors import portal_error
from bursar.portal.use_cases.health import health
from bursar.portal.use_cases.payment_details import details
from sim.loop import EPOCH_S
from tests.support.bootstrap.moves import Killed, Payers, a_move, findings, items_of, keep_sweeping, run, use_store
from tests.support.portal.stage import DAWSON, Stage, on_stage
from tests.support.write_paths import TRANSACTION

PAYERS = 6
KILL_STEP = int(os.environ.get("MOVE_KILL_STEP", "9"))


class Killer:
    """Dies at point ``at``: points are before and after each request of the move."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.count = 0
        self.dead = False

    def __call__(self, operation: str) -> None:
        self.dead = self.dead or self.count == self.at
        if self.dead:
            raise Killed
        self.count += 1


class IgnoresPolicies(Store):
    """A store that keeps resource policies and does not enforce them."""

    def __init__(self, behind: AsyncEngine) -> None:
        self._behind = behind

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "PutResourcePolicy":
            return {"RevisionId": "1"}
        return await self._behind.call(operation, request)

    async def close(self) -> None:
        """Leave the store behind open."""


class LateToClose(Store):
    """A store that enforces a policy only from ``enforced_at`` on, as Amazon may."""

    def __init__(self, behind: AsyncEngine, enforced_at: float) -> None:
        self._behind = behind
        self._enforced_at = enforced_at

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return await self._behind.call(operation, request)
        except DynamoError as error:
            if (
                error.code == "AccessDeniedException"
                and asyncio.get_running_loop().time() + EPOCH_S < self._enforced_at
            ):
                return {}
            raise

    async def close(self) -> None:
        """Leave the store behind open."""


def new_store(stage: Stage) -> AsyncEngine:
    return stage.write_path.open(clock=stage.loop.clock, randomness=random.Random(11))


async def paid_some(stage: Stage, count: int = 3) -> list[str]:
    tokens = [await stage.paid() for _ in range(count)]
    for token in tokens[1:]:
        await stage.process(token)
    return tokens


@on_stage
async def test_a_move_under_load_loses_no_payment_and_doubles_none(stage: Stage) -> None:
    payers, old, new = Payers(stage), stage.store, new_store(stage)
    # Pay.gov charges at once and answers later: some payers are charged when the store closes.
    stage.misbehave("drip", operations=("complete",), delay_s=0.3)
    tasks = [asyncio.create_task(payers.pay_until_stopped()) for _ in range(PAYERS)]
    tasks.append(asyncio.create_task(keep_sweeping(stage)))
    await asyncio.sleep(2)
    before = payers.paid
    move = asyncio.create_task(run(a_move(old, new, stage.loop.clock)))
    await asyncio.sleep(0.1)  # the index of changes gets shards while the store is copied
    await stage.ledger.change_shards.raise_to(8, by="Ada")
    await stage.ledger.change_shards.learn()
    report = await move
    during = payers.paid - before
    await asyncio.sleep(5)  # portals are still on the old store, which is closed
    assert await items_of(old) == await items_of(new), "nothing is written to the old store any more"
    at_switch = payers.paid
    use_store(stage, new)
    await stage.ledger.change_shards.learn()
    await asyncio.sleep(1)
    payers.stopping = True
    await asyncio.gather(*tasks[:PAYERS])
    tasks[-1].cancel()
    assert min(before, during, payers.paid - at_switch, payers.refused_closed, report.followed) > 0
    charges = Counter(charge.agency_tracking_id for charge in stage.simulator.books.all_charges())
    assert set(charges.values()) == {1}, "no attempt is charged twice"
    attempts = [each for each in (await items_of(new)).values() if each["kind"]["S"] == "attempt"]
    paid = Counter(each["reference"]["S"] for each in attempts if each["status"]["S"] == "processed")
    assert paid == Counter(payers.references), "no payment is lost, and no obligation is paid twice"
    assert len(charges) == sum(paid.values()), "no charge is without its payment"
    left = [key for key, each in (await items_of(old)).items() if each.get("status") == {"S": "processing"}]
    assert left, "some payers were charged before the store closed, and their payments recorded in the new one"
    assert await findings(new, stage.loop.clock) == []
    indexed = [each for each in (await items_of(new)).values() if "changeBucket" in each]
    assert len({each["changeBucket"]["S"] for each in indexed}) > 8 / 2
    read = [item async for item in stage.ledger.event_items(EPOCH_S, stage.loop.clock() + 1)]
    assert len(read) == len(indexed), "readers of the new store find every event"
    print(
        f"{before} payments before the move, {during} during it, {payers.paid - at_switch} after it, "
        f"{len(left)} of them charged before the store closed; "
        f"{payers.refused_closed} requests refused, 0 lost, 0 doubled; closed for {report.closed_s:.2f} s"
    )


@on_stage
async def test_a_move_that_dies_at_any_request_is_finished_by_the_next_run(stage: Stage) -> None:
    await paid_some(stage)
    whole, clock = stage.backup(), stage.loop.clock
    points = Killer(None)
    await run(a_move(stage.store, new_store(stage), clock, before=points))
    assert points.count > 30
    for at in range(0, points.count, KILL_STEP):
        stage.restore(whole)
        target = new_store(stage)
        with pytest.raises((Killed, BaseExceptionGroup)):
            await run(a_move(stage.store, target, clock, before=Killer(at)))
        if not stage.store.engine.denies_writes(TABLE_NAME):
            await stage.ledger.restores.raise_generation()  # a change between the two runs
        move = a_move(stage.store, target, clock)
        if not await move.is_done():
            await run(move)
        assert stage.store.engine.denies_writes(TABLE_NAME)
        assert not await is_being_filled(target, TABLE_NAME)
        assert await items_of(stage.store) == await items_of(target), f"killed at point {at}"
        await target.close()
    print(f"killed at {len(range(0, points.count, KILL_STEP))} of {points.count} points")


@on_stage
async def test_a_closed_store_refuses_every_write_and_answers_no_details(stage: Stage) -> None:
    token, reference = await stage.paid(reference=(one := stage.reference())), one
    before = await items_of(stage.store)
    await run(a_move(stage.store, new_store(stage), stage.loop.clock))
    portal = stage.another_portal()
    portal.is_closed = lambda: stage.store.engine.denies_writes(TABLE_NAME)
    for work in (stage.init(), stage.process(token), details(portal, DAWSON, reference)):
        with pytest.raises(Exception) as refusal:
            await work
        assert portal_error(refusal.value).code.code == "store_closed"
    assert not (await health(portal)).healthy
    assert await items_of(stage.store) == before


@on_stage
async def test_a_difference_keeps_the_new_store_closed_and_the_old_one_can_be_opened_again(stage: Stage) -> None:
    await paid_some(stage)
    target = new_store(stage)
    move = a_move(stage.store, target, stage.loop.clock)
    state = await move.copy_and_follow()
    lost = next(key for key in await items_of(target) if "event#" in key)
    partition, _, sort = lost.partition(" ")
    await target.call("DeleteItem", {"TableName": TABLE_NAME, "Key": {"pk": {"S": partition}, "sk": {"S": sort}}})
    with pytest.raises(MoveRefused, match="FROM and TO differ"):
        await move.switch(state)
    assert await is_being_filled(target, TABLE_NAME)
    with pytest.raises(DynamoError, match="explicit deny"):
        await stage.init()
    await move.reopen()
    assert await stage.init()


@on_stage
async def test_a_broken_rule_in_the_old_store_is_found_before_it_is_closed(stage: Stage) -> None:
    await paid_some(stage)
    sentinel = {"pk": {"S": "unique#token#x"}, "sk": {"S": "unique"}, "kind": {"S": "unique-value"}}
    stage.store.engine.put_rules_document(TABLE_NAME, None)
    await stage.store.call("PutItem", {"TableName": TABLE_NAME, "Item": {**sentinel, "kind": {"S": "stranger"}}})
    with pytest.raises(MoveRefused, match="FROM: 1 findings of the audit"):
        await run(a_move(stage.store, new_store(stage), stage.loop.clock))
    assert not stage.store.engine.denies_writes(TABLE_NAME)


@on_stage
async def test_a_target_in_use_is_refused(stage: Stage) -> None:
    await paid_some(stage)
    target = new_store(stage)
    await stage.write_path.create_table(target)
    other = TRANSACTION.ledger(target, clock=stage.loop.clock, randomness=random.Random(3))
    await other.restores.raise_generation()
    with pytest.raises(MoveRefused, match="TO: bursar-payments must be empty"):
        await run(a_move(stage.store, target, stage.loop.clock))


@on_stage
async def test_a_store_that_ignores_the_policy_needs_stopped_writers(stage: Stage) -> None:
    await paid_some(stage)
    source = IgnoresPolicies(stage.store)
    target = new_store(stage)
    with pytest.raises(MoveRefused, match="Stop every writer, then give --writers-stopped"):
        await run(a_move(source, target, stage.loop.clock))
    report = await run(a_move(source, target, stage.loop.clock, options=MoveOptions(segments=2, writers_stopped=True)))
    assert report.sums[TABLE_NAME].items == len(await items_of(target))


@on_stage
async def test_amazon_must_refuse_every_probe_for_five_minutes(stage: Stage) -> None:
    await paid_some(stage)
    source = LateToClose(stage.store, stage.loop.clock() + 120)
    settle_s = settle_s_of("dynamodb:?region=us-east-1")
    began = stage.loop.clock()
    await run(a_move(source, new_store(stage), stage.loop.clock, options=MoveOptions(2, settle_s)))
    assert stage.loop.clock() - began >= 120 + settle_s
