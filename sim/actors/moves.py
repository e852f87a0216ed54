"""A move of the store to another engine in the middle of a run, as `bursar move` makes it."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any, Final

from bursar.bootstrap.move.moving import Move, MovedTable, MoveOptions, MoveReport
from bursar.dynamo import AsyncEngine, Engine
from bursar.dynamo.clients.store import Store
from bursar.dynamo.tools.moving.patient_store import PatientStore
from bursar.payments.audit.chain_audit import audit_chains
from bursar.payments.ledger.store_records.move_state import MOVE_KEY
from bursar.payments.ledger.table import table_definition
from bursar.rules.audit.table_audit import audit_table
from bursar.rules.language.toml import rules_to_toml
from sim.faults.backups import backup_of, restore_into
from sim.world import SETTLING_S, TABLE, World, load_guard_once

REQUEST_S: Final = (0.05, 1.0)
"""How long each request of the move takes: payments go on meanwhile."""
CLOSED_S: Final = 90.0
"""How long the portals go on with the closed store until an operator points them at the new one."""


class SlowStore(Store):
    """A store at the end of a slow network."""

    def __init__(self, behind: Store, chance: random.Random) -> None:
        self._behind = behind
        self._chance = chance

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out the request, after a while."""
        await asyncio.sleep(self._chance.uniform(*REQUEST_S))
        return await self._behind.call(operation, request)

    async def close(self) -> None:
        """Leave the store behind open."""


async def move_store(world: World, after_s: float) -> MoveReport:
    """Move the store of the world after a time, and start its processes on the new one."""
    await asyncio.sleep(after_s)
    world.note("a move of the store begins")
    new = AsyncEngine(
        Engine.open(
            ":memory:", clock=world.loop.clock, randomness=world.branch("new store"), guard_loader=load_guard_once
        )
    )
    report = await _moved(world, new)
    world.note(f"the store is moved: {report.copied} items and {report.followed} changes")
    await asyncio.sleep(CLOSED_S)
    for process in world.processes:
        process.kill()
    world.store.forget()
    world.compare_and_swap.forget()
    await asyncio.sleep(SETTLING_S)  # requests that the old store has begun end in the old store
    new.engine.put_rules_document(TABLE, rules_to_toml(world.reader.rules))
    restore_into(world.engine, backup_of(new))
    await world.due_times.read(world.engine, TABLE)
    await new.close()
    return report


async def _moved(world: World, new: AsyncEngine) -> MoveReport:
    chance = world.branch("move")

    def audit_of(store: Store) -> Any:
        async def audit() -> list[str]:
            rules = await audit_table(store, TABLE, world.reader.rules, randomness=chance)
            chains = await audit_chains(store, TABLE)
            found = [each.message for each in rules.findings if each.key != MOVE_KEY]
            return found + [line for line, _ in chains.lines()]

        return audit

    move = Move(
        PatientStore(SlowStore(world.engine, chance), chance),
        PatientStore(SlowStore(new, chance), chance),
        [MovedTable(TABLE, table_definition(TABLE))],
        source_name="old",
        target_name="new",
        clock=world.loop.clock,
        options=MoveOptions(segments=2),
        audit_source=audit_of(world.engine),
        audit_target=audit_of(new),
        note=world.note,
    )
    return await move.switch(await move.copy_and_follow())
