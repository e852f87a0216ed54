"""The due times that sweepers learn from the writes are those that the store's index has."""

import asyncio

import pytest

from bursar.clock import from_iso_ms
from sim.actors.applications import Application, bills
from sim.actors.operators import live_attempts
from sim.faults.due_times import DueTimes
from sim.loop import VirtualLoop, run_virtual
from sim.world import TABLE, World

DUE = {"S": "2026-11-18T11:10:41.266Z"}
SOONER = {"S": "2026-11-18T11:09:00.000Z"}


def attempt(key: str, **values: object) -> dict[str, object]:
    return {"pk": {"S": "o"}, "sk": {"S": key}, "kind": {"S": "attempt"}, **values}


def update(key: str, expression: str, **values: object) -> dict[str, object]:
    changed = {"Key": {"pk": {"S": "o"}, "sk": {"S": key}}, "UpdateExpression": expression}
    return {"TransactItems": [{"Update": {**changed, "ExpressionAttributeValues": values}}]}


def earliest_after(*requests: dict[str, object]) -> float | None:
    """Return the earliest due time after an attempt `a` that is due later, and then ``requests``."""

    async def main(loop: VirtualLoop) -> float | None:
        times = DueTimes(loop)
        assert times.earliest is None
        times.note_item(attempt("a", dueAt=DUE))
        for request in requests:
            times.note_transaction(request)
        return times.earliest

    return run_virtual(main)


def put(item: dict[str, object]) -> dict[str, object]:
    return {"TransactItems": [{"Put": {"Item": item}}]}


def test_the_earliest_due_time_follows_puts_and_updates() -> None:
    sooner = update("b", "SET #dueAt = :new_dueAt", **{":new_dueAt": SOONER})
    later = from_iso_ms(DUE["S"])
    assert earliest_after() == later
    assert earliest_after(sooner) == from_iso_ms(SOONER["S"])
    assert earliest_after(sooner, update("b", "SET #version = :new_version")) == from_iso_ms(SOONER["S"])
    assert earliest_after(sooner, update("b", "SET #status = :new_status REMOVE #dueAt, #dueShard")) == later
    assert earliest_after(put(attempt("a"))) is None


def test_an_open_refund_is_due_for_a_person_and_not_for_a_sweeper() -> None:
    assert earliest_after(put({**attempt("refund", dueAt=SOONER), "kind": {"S": "refund"}})) == from_iso_ms(DUE["S"])


def test_a_sweeper_that_waits_is_woken_by_a_sooner_due_time() -> None:
    async def main(loop: VirtualLoop) -> tuple[bool, float]:
        times = DueTimes(loop)
        times.note_item(attempt("a", dueAt=DUE))
        loop.call_later(3, times.note_transaction, update("b", "SET #dueAt = :new_dueAt", **{":new_dueAt": SOONER}))
        return await times.wait(loop.clock), loop.clock()

    waited, at = run_virtual(main)
    assert waited
    assert at == pytest.approx(from_iso_ms(SOONER["S"]), abs=0.001)


def test_they_agree_with_the_index_after_a_storm() -> None:
    async def main(loop: VirtualLoop) -> list[float | None]:
        world = World(loop, 3)
        await world.start()
        work = [loop.create_task(Application(world, bill, str(n)).run(0.0)) for n, bill in enumerate(bills(world, 5))]
        await asyncio.sleep(600)
        live = await live_attempts(world)
        for each in work:
            each.cancel()
        noted = world.due_times.earliest
        await world.due_times.read(world.engine, TABLE)
        return [noted, world.due_times.earliest, live[0].due_at if live else None]

    noted, read, indexed = run_virtual(main)
    assert indexed is not None
    assert noted == read == indexed
