"""The due times that sweepers learn from the writes are those that the store's index has."""

import asyncio

from sim.actors.applications import Application, bills
from sim.actors.operators import live_attempts
from sim.faults.due_times import DueTimes
from sim.loop import EPOCH_S, VirtualLoop, run_virtual
from sim.world import World

DUE = {"S": "2026-11-18T11:10:41.266Z"}
SOONER = {"S": "2026-11-18T11:09:00.000Z"}


def attempt(key: str, **values: object) -> dict[str, object]:
    return {"pk": {"S": "o"}, "sk": {"S": key}, "kind": {"S": "attempt"}, **values}


def update(key: str, expression: str, **values: object) -> dict[str, object]:
    changed = {"Key": {"pk": {"S": "o"}, "sk": {"S": key}}, "UpdateExpression": expression}
    return {"TransactItems": [{"Update": {**changed, "ExpressionAttributeValues": values}}]}


def test_the_earliest_due_time_follows_puts_and_updates() -> None:
    async def main(loop: VirtualLoop) -> None:
        times = DueTimes(loop)
        assert times.earliest is None
        times.note_transaction({"TransactItems": [{"Put": {"Item": attempt("a", dueAt=DUE)}}]})
        later, woken = times.earliest, times.sooner
        assert later is not None
        times.note_transaction(update("b", "SET #dueAt = :new_dueAt", **{":new_dueAt": SOONER}))
        assert times.earliest is not None
        assert times.earliest < later
        assert woken.done()
        times.note_transaction(update("b", "SET #version = :new_version"))
        assert times.earliest < later, "an update of other attributes changes nothing"
        times.note_transaction(update("b", "SET #status = :new_status REMOVE #dueAt, #dueShard"))
        assert times.earliest == later
        times.note_item({**attempt("refund", dueAt=SOONER), "kind": {"S": "refund"}})
        assert times.earliest == later, "an open refund is due for a person"
        times.note_item(attempt("a"))
        assert times.earliest is None
        times.reload([attempt("c", dueAt=DUE), attempt("d")])
        assert times.earliest == later

    run_virtual(main)


def test_they_agree_with_the_index_after_a_storm() -> None:
    async def main(loop: VirtualLoop) -> tuple[float | None, float | None]:
        world = World(loop, 3)
        await world.start()
        work = [loop.create_task(Application(world, bill, str(n)).run(0.0)) for n, bill in enumerate(bills(world, 5))]
        await asyncio.sleep(600)
        live = await live_attempts(world)
        for each in work:
            each.cancel()
        return world.due_times.earliest, live[0].due_at if live else None

    noted, indexed = run_virtual(main)
    assert indexed is not None
    assert noted == indexed > EPOCH_S
