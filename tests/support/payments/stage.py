"""What stands around a ledger under test: a clock that is moved by hand, a store that notes what passes it, and how to
bring an attempt to each stage of its life."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bursar.clock import from_iso_ms
from bursar.dynamo.clients.store import Store
from bursar.payments import Attempt, Ledger, Outcome

REFERENCE = "0b5c6f6e-0000-4000-8000-000000000001"
STARTED = from_iso_ms("2026-11-22T19:30:00.125Z")


@dataclass
class Wall:
    """A clock that stands until it is moved."""

    now: float = STARTED

    def __call__(self) -> float:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Listening:
    """A store that notes each request on its way to the one behind it."""

    behind: Store
    requests: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.requests.append((operation, request))
        return await self.behind.call(operation, request)

    async def close(self) -> None:
        await self.behind.close()

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.requests]


Start = Callable[..., Awaitable[Attempt]]

TOKEN = "t" * 32
PAID = Outcome("processed", "3FPAID", "Success", "PLASTIC_CARD")
SETTLING = Outcome("pending", "3FPAID", "Received", "ACH")


async def initiated(ledger: Ledger, start: Start) -> Attempt:
    return await ledger.record_token(await start(), TOKEN)


async def processing(ledger: Ledger, start: Start, lease_s: float = 30) -> Attempt:
    return await ledger.claim(await initiated(ledger, start), "worker-1", lease_s)


async def pending(ledger: Ledger, start: Start) -> Attempt:
    return await ledger.record_outcome(await processing(ledger, start), SETTLING, actor="portal")


async def history(ledger: Ledger, attempt: Attempt) -> list[str]:
    view = await ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    return [event.name for event in view.events if event.agency_tracking_id == attempt.agency_tracking_id]
