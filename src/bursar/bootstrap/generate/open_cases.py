"""The open cases of a demo: payments of its last day that wait for a person, recorded by the real ledger.

outcome unknown    the answer was lost, and Pay.gov has the collection with another amount
contradiction      Pay.gov reports a recorded payment as failed
refund             a clerk has requested it, and another person must decide
"""

import random
from decimal import Decimal
from pathlib import Path
from typing import Final

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.generate.calendar import end_of
from bursar.bootstrap.generate.history import HistoryPlan
from bursar.bootstrap.generate.samples import sample_metadata
from bursar.bootstrap.generate.stories import CARD, LEASE_S, StoryClock, new_reference
from bursar.bootstrap.up import BOOKS_FILE
from bursar.paygov.simulator.books import SUCCESS, Books, BooksError, Entry
from bursar.payments.catalogue.clients import EVERY_FEE
from bursar.payments.catalogue.fees import Fee, FeeCatalogue
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Attempt, Outcome
from bursar.payments.status import FAILED, PROCESSED
from bursar.portal.use_cases.completion_outcomes import OUTCOMES
from bursar.settings import Settings
from bursar.startup import CannotStart

HOURS_BEFORE_THE_END: Final = (8, 7, 6)
"""Hours before the end of the last day at which the cases begin, in office hours."""
HOUR_S: Final = 3600.0
_AMOUNT: Final = Decimal("25.00")
_AMOUNT_ELSEWHERE: Final = Decimal("10.00")
"""The dollars by which Pay.gov's collection is smaller than the attempt."""


async def add_open_cases(plan: HistoryPlan, settings: Settings) -> None:
    """Add one case of each kind to the generated store of ``settings``, and its collection to the simulator's books.

    If no client may charge a fee at that time, add none. Raises :class:`CannotStart`, and what the store raises.
    """
    clock = StoryClock(end_of(plan.until))
    clock.set(end_of(plan.until) - HOURS_BEFORE_THE_END[0] * HOUR_S)
    draw = random.Random(plan.seed)
    async with Composition(settings, clock=clock, randomness=draw) as parts:
        offer = _offer(plan, parts.fees, clock())
        if offer is None:
            return
        cases = OpenCases(await parts.ledger(), clock, draw, *offer)
        try:
            books = Books(Path(settings.data) / BOOKS_FILE)
            try:
                await cases.add_unknown(books)
            finally:
                books.close()
        except (OSError, BooksError) as error:
            raise CannotStart(f"the demo cannot be written: {error}") from error
        clock.set(end_of(plan.until) - HOURS_BEFORE_THE_END[1] * HOUR_S)
        await cases.add_contradiction()
        clock.set(end_of(plan.until) - HOURS_BEFORE_THE_END[2] * HOUR_S)
        await cases.add_refund()


class OpenCases:
    """Adds open cases to a ledger, whose clock is ``clock``. The payments are of ``client``, for ``fee``."""

    def __init__(self, ledger: Ledger, clock: StoryClock, randomness: random.Random, client: str, fee: Fee) -> None:
        self._ledger = ledger
        self._clock = clock
        self._draw = randomness
        self._client = client
        self._fee = fee

    async def add_unknown(self, books: Books) -> Attempt:
        """Add an attempt whose answer was lost, and whose collection at Pay.gov has another amount."""
        attempt = await self._sent()
        self._clock.wait(1.0)
        attempt = await self._ledger.record_unknown(attempt, OUTCOMES["lost"].reason)
        assert attempt.token is not None
        assert attempt.token_at is not None
        found = max(attempt.amount - _AMOUNT_ELSEWHERE, Decimal("0.01"))
        entry = Entry(
            token=attempt.token,
            tcs_app_id=attempt.tcs_app_id,
            agency_tracking_id=attempt.agency_tracking_id,
            amount=found,
            url_success=attempt.url_success,
            url_cancel=attempt.url_cancel,
            started_at=attempt.token_at,
        )
        books.start(entry)
        books.pay(entry, CARD, SUCCESS, self._clock())
        books.complete(entry, self._tracking_id(), self._clock())
        self._clock.wait(60.0)
        reason = f"{OUTCOMES['another amount'].reason}: {found} instead of {attempt.amount}"
        return await self._ledger.record_unknown(attempt, reason, actor="sweeper")

    async def add_contradiction(self) -> Attempt:
        """Add a payment that Pay.gov reports as failed after it was recorded."""
        paid = await self._paid()
        self._clock.wait(600.0)
        await self._ledger.contradictions.keep(paid, Outcome(FAILED, paid.paygov_tracking_id, "Failed", CARD))
        return paid

    async def add_refund(self) -> Attempt:
        """Add a payment whose refund a clerk has requested."""
        paid = await self._paid()
        self._clock.wait(600.0)
        refunded, _ = await self._ledger.reversals.request_refund(
            paid, paid.amount, by="clerk.adams", reason="paid twice by mistake (generated)"
        )
        return refunded

    async def _paid(self) -> Attempt:
        sent = await self._sent()
        self._clock.wait(1.0)
        return await self._ledger.record_outcome(
            sent, Outcome(PROCESSED, self._tracking_id(), "Success", CARD), actor="portal"
        )

    async def _sent(self) -> Attempt:
        attempt = await self._ledger.start_attempt(
            self._client,
            new_reference(self._draw),
            self._fee,
            _AMOUNT if self._fee.amount is None else self._fee.amount,
            sample_metadata(self._fee, self._draw),
            f"https://{self._client}.example/paid",
            f"https://{self._client}.example/cancelled",
        )
        attempt = await self._ledger.record_token(attempt, f"{self._draw.getrandbits(128):032x}")
        self._clock.wait(90.0)
        return await self._ledger.take_lease(attempt, f"{self._draw.getrandbits(64):016x}", LEASE_S)

    def _tracking_id(self) -> str:
        return f"P{self._draw.getrandbits(80):020X}"


def _offer(plan: HistoryPlan, fees: FeeCatalogue, at: float) -> tuple[str, Fee] | None:
    """Return a client and a fee that it may charge at ``at``.

    The cheapest fee with an amount is preferred. None without one.
    """
    offered = [fee for key in fees.keys if (fee := fees.fee(key, at)) is not None]
    for fee in sorted(offered, key=lambda each: (each.amount is None, each.amount or 0)):
        for client, allowed in plan.clients:
            if EVERY_FEE in allowed or fee.key in allowed:
                return client, fee
    return None
