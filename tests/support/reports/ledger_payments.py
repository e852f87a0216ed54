"""Payments in chosen states of a real ledger, for tests of reconciliations."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Attempt, Outcome
from bursar.reports.reconciliation.commands import ReconciliationParts
from tests.support.payments.stage import Wall
from tests.support.write_paths import shipped_fees

NOON = 1_795_798_800.0  # 2026-11-27 12:00 in New York


@dataclass
class Payments:
    """A ledger with its reports, and payments in chosen states. Each call passes a second."""

    parts: ReconciliationParts
    wall: Wall
    number: int = 0

    @property
    def ledger(self) -> Ledger:
        return self.parts.ledger

    async def started(self, client: str = "dawson", reference: int | None = None) -> Attempt:
        self.number += 1
        self.wall.pass_s(1)
        fee = shipped_fees().fee("PETITION_FILING_FEE", self.wall())
        assert fee is not None
        urls = ("https://client.example/ok", "https://client.example/no")
        name = str(UUID(int=reference or self.number, version=4))
        return await self.ledger.start_attempt(client, name, fee, Decimal("60.00"), {"docketNumber": "1-26"}, *urls)

    async def initiated(self, client: str = "dawson", reference: int | None = None) -> Attempt:
        attempt = await self.started(client, reference)
        return await self.ledger.record_token(attempt, f"{self.number:032d}")

    async def leased(self, client: str = "dawson") -> Attempt:
        return await self.ledger.take_lease(await self.initiated(client), "worker", 30.0)

    async def unknown(self) -> Attempt:
        return await self.ledger.record_unknown(await self.leased(), "the answer was lost")

    async def paid(self, method: str = "PLASTIC_CARD", client: str = "dawson") -> Attempt:
        attempt = await self.leased(client)
        outcome = Outcome("processed", f"P{self.number}", "Success", method)
        return await self.ledger.record_outcome(attempt, outcome, actor="portal")

    async def failed(self) -> Attempt:
        outcome = Outcome("failed", None, "Failed", "PLASTIC_CARD", "2000", "declined")
        return await self.ledger.record_outcome(await self.leased(), outcome, actor="portal")

    async def now(self, attempt: Attempt) -> Attempt:
        return await self.ledger.reread(attempt)
