"""Deposits in the ledger: one item for each attempt whose deposit ticket is known. The attempt does not change."""

from typing import Final

from bursar.clock import Clock
from bursar.payments.deposits import (
    Deposit,
    DepositReport,
    deposit_from_item,
    deposit_key,
    deposit_to_item,
)
from bursar.payments.errors import DepositDiffers, LedgerBusy
from bursar.payments.records import Attempt, whole_ms
from bursar.payments.status import PROCESSED, NoSuchEdge
from bursar.rules import Contention, Put, RuledTable, RuleRefused

_SAME: Final = ("ticket", "deposited_on")


class Deposits:
    """The deposits of one payments table. Many processes may use one table at once."""

    def __init__(self, ruled: RuledTable, *, clock: Clock) -> None:
        self._ruled = ruled
        self._clock = clock

    async def of(self, attempt: Attempt) -> Deposit | None:
        """Return the deposit of ``attempt``, by a strongly consistent read; None if none is recorded."""
        item = await self._ruled.get(deposit_key(attempt))
        return None if item is None else deposit_from_item(item)

    async def record(self, attempt: Attempt, report: DepositReport) -> Deposit:
        """Record the deposit of a processed attempt's whole amount; return it, also if it was recorded before.

        Raises ``DepositDiffers`` if another ticket or day is recorded, ``NoSuchEdge`` for an attempt that is not
        processed, and ``LedgerBusy``.
        """
        if attempt.status != PROCESSED:
            raise NoSuchEdge(f"a deposit: must be of a processed attempt; {attempt.agency_tracking_id} is not")
        deposit = Deposit(
            client=attempt.client,
            reference=attempt.reference,
            agency_tracking_id=attempt.agency_tracking_id,
            attempt_created_at=attempt.created_at,
            ticket=report.ticket,
            deposited_on=report.deposited_on,
            amount=attempt.amount,
            # The money was deposited after it was collected, also if another machine's clock is ahead of this one.
            at=max(whole_ms(self._clock()), attempt.updated_at),
            source=report.source,
            by=report.by,
        )
        known = await self.of(attempt)
        if known is None:
            try:
                await self._ruled.write([Put(deposit_to_item(deposit))])
                return deposit
            except (Contention, RuleRefused) as refusal:
                known = await self.of(attempt)
                if known is None:
                    if isinstance(refusal, RuleRefused):
                        raise
                    raise LedgerBusy(str(refusal)) from refusal
        if any(getattr(known, name) != getattr(report, name) for name in _SAME):
            raise DepositDiffers(known)
        return known
