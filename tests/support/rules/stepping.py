"""Every interleaving of several writers' store requests, one by one.

Each writer is a coroutine that stops before each of its requests. A *schedule* names the writer that continues at each
stop. A run follows a schedule to its end, then always continues the first writer that can, and records the other
choices. The next schedules follow from these choices, until none is left. A store request happens at one instant, so
these are all possible orders. A store may also fail once per run: it loses an answer (before or after the request took
place), or rejects a transaction with a conflict.
"""

from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown
from tests.support.rules.worlds import PlainStore

Writer = Coroutine[Any, Any, Any]

RUNS_MAX = 50_000
REQUESTS_MAX = 200
"""Requests of one run: more means that the writers keep each other from ending."""

CONFLICT = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]


class _Stop:
    """The awaitable before each request; it hands control to the scheduler."""

    def __await__(self) -> Generator[str, str, str]:
        return (yield "request")


class SteppedStore:
    """A store whose every request waits for the scheduler, which also decides whether the answer is lost."""

    def __init__(self, inner: PlainStore) -> None:
        self.inner = inner

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        fate = await _Stop()
        if operation != "TransactWriteItems" or fate == "answered":
            return await self.inner.call(operation, request)
        if fate == "conflict":
            raise DynamoError(
                "TransactionCanceledException", "busy", cancellation_reasons=CONFLICT * len(request["TransactItems"])
            )
        if fate == "lost after":
            # If the answer is lost, a refusal is as unknown to the writer as a success.
            try:
                await self.inner.call(operation, request)
            except DynamoError as refused:
                raise StoreOutcomeUnknown(f"lost: {fate}") from refused
        raise StoreOutcomeUnknown(f"lost: {fate}")

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Run:
    """One finished interleaving: each writer's result or exception, the schedule, and the choices."""

    outcomes: list[Any]
    schedule: list[tuple[int, str]]
    choices: list[list[tuple[int, str]]] = field(repr=False)


def interleavings(
    start: Callable[[], tuple[Any, Sequence[Writer]]], fates: Sequence[str] = ("answered",)
) -> Iterator[tuple[Any, Run]]:
    """Yield every run of the writers that ``start`` creates, each with the world that ``start`` returned with them."""
    pending: list[list[tuple[int, str]]] = [[]]
    runs = 0
    while pending:
        prefix = pending.pop()
        world, writers = start()
        run = _run(writers, prefix, fates)
        runs += 1
        assert runs <= RUNS_MAX, "more interleavings than a test should step through"
        yield world, run
        for place in range(len(prefix), len(run.schedule)):
            others = [other for other in run.choices[place] if other != run.schedule[place]]
            pending.extend([*run.schedule[:place], other] for other in others)


def _run(writers: Sequence[Writer], prefix: list[tuple[int, str]], fates: Sequence[str]) -> Run:
    outcomes: list[Any] = [None] * len(writers)
    waiting = {number for number, writer in enumerate(writers) if not _advance(writer, None, outcomes, number)}
    schedule: list[tuple[int, str]] = []
    choices: list[list[tuple[int, str]]] = []
    lost = False
    while waiting:
        assert len(schedule) < REQUESTS_MAX, f"no end: {schedule}"
        options = [(number, fate) for number in sorted(waiting) for fate in (fates[:1] if lost else fates)]
        turn = prefix[len(schedule)] if len(schedule) < len(prefix) else options[0]
        choices.append(options)
        schedule.append(turn)
        lost = lost or turn[1] != fates[0]
        number, fate = turn
        if _advance(writers[number], fate, outcomes, number):
            waiting.discard(number)
    return Run(outcomes, schedule, choices)


def _advance(writer: Writer, fate: str | None, outcomes: list[Any], number: int) -> bool:
    """Let a writer continue to its next request; return True when it has ended."""
    try:
        writer.send(fate)
    except StopIteration as stop:
        outcomes[number] = stop.value
        return True
    except Exception as error:
        outcomes[number] = error
        return True
    return False
