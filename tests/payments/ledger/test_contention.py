"""Many concurrent callers at one obligation: exactly one succeeds, and the others receive the current attempt."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bursar.payments import Attempt, AttemptMoved, Ledger, ObligationTaken, Outcome
from tests.support.payments.stage import Listening, Wall
from tests.support.write_paths import WritePath

Start = Callable[..., Awaitable[Attempt]]
CALLERS = 12


async def all_at_once(calls: Sequence[Awaitable[Attempt]]) -> tuple[list[Attempt], list[BaseException]]:
    """Return the results and the errors of ``calls``; every call begins before any ends."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, Attempt)]
    return won, [answer for answer in answers if isinstance(answer, BaseException)]


async def statuses(ledger: Ledger, attempt: Attempt) -> list[str]:
    view = await ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    return [one.status for one in view.attempts]


async def test_of_many_starters_one_wins(ledger: Ledger, start: Start) -> None:
    won, lost = await all_at_once([start() for _ in range(CALLERS)])
    assert len(won) == 1
    assert [type(error) for error in lost] == [ObligationTaken] * (CALLERS - 1)
    blocking = [error.attempt for error in lost if isinstance(error, ObligationTaken)]
    assert blocking == won * (CALLERS - 1)
    assert await statuses(ledger, won[0]) == ["received"]


async def test_of_many_first_starters_at_different_times_one_wins(ledger: Ledger, start: Start, wall: Wall) -> None:
    async def a_moment_later() -> Attempt:
        wall.pass_s(0.001)
        return await start()

    won, lost = await all_at_once([a_moment_later() for _ in range(CALLERS)])
    assert len(won) == 1
    assert [type(error) for error in lost] == [ObligationTaken] * (CALLERS - 1)


async def test_of_many_starters_after_a_failure_one_wins(ledger: Ledger, start: Start) -> None:
    first = await start()
    await ledger.fail(first, event="start_failed", actor="portal", return_code=None, return_detail=None)
    won, lost = await all_at_once([start() for _ in range(CALLERS)])
    assert (len(won), len(lost)) == (1, CALLERS - 1)
    assert await statuses(ledger, first) == ["failed", "received"]


async def test_of_many_callers_one_takes_the_lease(ledger: Ledger, start: Start) -> None:
    there = await ledger.record_token(await start(), "t" * 32)
    won, lost = await all_at_once([ledger.take_lease(there, f"worker-{n}", 30) for n in range(CALLERS)])
    (winner,) = won
    assert len(lost) == CALLERS - 1
    assert all(isinstance(error, AttemptMoved) and error.attempt == winner for error in lost)


async def test_of_many_thieves_one_wins(ledger: Ledger, start: Start, wall: Wall) -> None:
    held = await ledger.take_lease(await ledger.record_token(await start(), "t" * 32), "worker", 30)
    wall.pass_s(31)
    won, lost = await all_at_once([ledger.take_over_lease(held, f"sweeper-{n}", 30) for n in range(CALLERS)])
    assert (len(won), len(lost)) == (1, CALLERS - 1)


async def test_many_resolvers_with_one_answer_write_one_event(ledger: Ledger, start: Start) -> None:
    held = await ledger.take_lease(await ledger.record_token(await start(), "t" * 32), "worker", 30)
    paid = Outcome("processed", "3FP", "Success", "PLASTIC_CARD")
    won, lost = await all_at_once([ledger.record_outcome(held, paid, actor="portal") for _ in range(CALLERS)])
    assert lost == []
    assert len({(one.status, one.version) for one in won}) == 1
    view = await ledger.obligation(held.client, held.reference)
    assert view is not None
    assert [event.name for event in view.events].count("completed") == 1


@pytest.mark.parametrize("first", ["lease", "expire"])
async def test_lease_and_expiry_exclude_each_other(ledger: Ledger, start: Start, first: str) -> None:
    there = await ledger.record_token(await start(), "t" * 32)
    calls = [
        ledger.take_lease(there, "worker", 30),
        ledger.fail(there, event="expired", actor="sweeper", return_code="5009", return_detail=None),
    ]
    won, lost = await all_at_once(calls if first == "lease" else calls[::-1])
    assert (len(won), len(lost)) == (1, 1)
    assert isinstance(lost[0], AttemptMoved)
    assert lost[0].attempt == won[0]


async def test_two_ledgers_on_one_store_are_one_ledger(
    write_path: WritePath, store: Listening, ledger: Ledger, start: Start, wall: Wall
) -> None:
    other = write_path.ledger(store, clock=wall, randomness=random.Random(99))
    there = await ledger.record_token(await start(), "t" * 32)
    won, lost = await all_at_once([ledger.take_lease(there, "a", 30), other.take_lease(there, "b", 30)])
    assert (len(won), len(lost)) == (1, 1)
