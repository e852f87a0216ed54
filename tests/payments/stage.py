"""What stands around a ledger under test: a clock that is moved by hand, and a store that notes what passes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bursar.clock import from_iso_ms
from bursar.dynamo.store import Store

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
