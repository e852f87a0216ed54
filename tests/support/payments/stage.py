"""Support for tests of a ledger: a clock moved by hand, a store that notes its requests, attempts in each status."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from bursar.clock import from_iso_ms
from bursar.payments import Attempt, Ledger, Outcome
from tests.support.write_paths import EmbeddedStore, Wrapped

T = TypeVar("T")

REFERENCE = "0b5c6f6e-0000-4000-8000-000000000001"
STARTED = from_iso_ms("2026-11-22T19:30:00.125Z")


@dataclass
class Wall:
    """A clock that tests move by hand."""

    now: float = STARTED

    def __call__(self) -> float:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += seconds


class Listening(Wrapped):
    """A store that notes each request to the store behind it, and each answer.

    ``fault``, while it is set, is awaited with the operation's name before the request is sent. An error that it raises
    is the answer.
    """

    def __init__(self, behind: EmbeddedStore) -> None:
        super().__init__(behind)
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self.answers: list[Any] = []
        self.fault: Callable[[str], Awaitable[None]] | None = None

    async def passing(self, operation: str, request: Mapping[str, Any], go_on: Callable[[], Awaitable[T]]) -> T:
        self.requests.append((operation, request))
        if self.fault is not None:
            await self.fault(operation)
        answer = await go_on()
        self.answers.append(answer)
        return answer

    def clear(self) -> None:
        """Forget the noted requests and answers."""
        self.requests.clear()
        self.answers.clear()

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.requests]


Start = Callable[..., Awaitable[Attempt]]

TOKEN = "t" * 32
PAID = Outcome("processed", "3FPAID", "Success", "PLASTIC_CARD")
SETTLING = Outcome("pending", "3FPAID", "Received", "ACH")
SETTLED = Outcome("processed", "3FPAID", "Success", "ACH")


async def initiated(ledger: Ledger, start: Start) -> Attempt:
    return await ledger.record_token(await start(), TOKEN)


async def processing(ledger: Ledger, start: Start, lease_s: float = 30) -> Attempt:
    return await ledger.take_lease(await initiated(ledger, start), "worker-1", lease_s)


async def pending(ledger: Ledger, start: Start) -> Attempt:
    return await ledger.record_outcome(await processing(ledger, start), SETTLING, actor="portal")


async def history(ledger: Ledger, attempt: Attempt) -> list[str]:
    view = await ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    return [event.name for event in view.events if event.agency_tracking_id == attempt.agency_tracking_id]


async def settled(ledger: Ledger, start: Start) -> Attempt:
    """Return an ACH debit that has settled."""
    return await ledger.record_outcome(await pending(ledger, start), SETTLED, actor="sweeper")
