"""The course of one generated payment: each story calls the real ledger, on a clock that the story sets.

A story that reaches the end of the history stops there, so on the last days some payments are settling, have an unknown
outcome, or wait for the payer. The shares are guesses for a court's portal. Return codes from 4901 and all texts are
invented.
"""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from bursar.payments.catalogue.fees import Fee
from bursar.payments.due import ACH, DAY_S, TOKEN_AGE_MAX_S
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Attempt, Outcome, money
from bursar.payments.reversals import CHARGED_BACK, RETURNED, ReversalReport
from bursar.payments.status import FAILED, PENDING, PROCESSED, TOKEN_EXPIRED_CODE, Actor

LEASE_S: Final = 30.0
CARD, PAYPAL = "PLASTIC_CARD", "PAYPAL"
_METHODS: Final = ((CARD, 66), (ACH, 22), (PAYPAL, 12))
_DECLINES: Final = (
    ("4901", "The card was declined (generated)"),
    ("4902", "The card has expired (generated)"),
    ("4903", "The security code does not match (generated)"),
)
_RETURNS: Final = (
    ("R01", "Insufficient funds"),
    ("R02", "Account closed"),
    ("R03", "No account"),
    ("R10", "Not authorized"),
)
_CLERKS: Final = ("clerk.adams", "clerk.baker", "clerk.clark")
_RETRIES_MAX: Final = 2


class HistoryEnds(Exception):
    """The next step of a story is after the end of the history."""


@dataclass(frozen=True, slots=True)
class Payer:
    """The payment that a story is about. ``amount`` is in dollars."""

    client: str
    fee: Fee
    amount: Decimal
    metadata: dict[str, Any]
    reference: str


class StoryClock:
    """The clock of the ledger: the story moves it forward, but not beyond ``end`` (Unix seconds)."""

    def __init__(self, end: float) -> None:
        self.now = 0.0
        self._end = end

    def __call__(self) -> float:
        """Return the present time of the story."""
        return self.now

    def set(self, at: float) -> None:
        """Set the clock to ``at``. Raise :class:`HistoryEnds` if it is after the end."""
        if at > self._end:
            raise HistoryEnds
        self.now = at

    def wait(self, seconds: float) -> None:
        """Move the clock ``seconds`` forward. Raise :class:`HistoryEnds`."""
        self.set(self.now + seconds)


class Stories:
    """Plays the stories of payments through ``ledger``, whose clock is ``clock``."""

    def __init__(self, ledger: Ledger, clock: StoryClock, randomness: random.Random) -> None:
        self._ledger = ledger
        self._clock = clock
        self._draw = randomness

    async def play(self, payer: Payer, at: float) -> None:
        """Play a payment that starts at ``at``, with its further attempts and the events after its settlement."""
        try:
            self._clock.set(at)
            for tries in range(_RETRIES_MAX + 1):
                attempt = await self._attempt(payer)
                if attempt is None or attempt.status == PROCESSED:
                    break
                if tries == _RETRIES_MAX or self._draw.random() > 0.55:
                    return
                self._clock.wait(self._draw.uniform(60.0, 2 * DAY_S))
            if attempt is not None:
                await self._afterwards(attempt)
                await self._watch(await self._ledger.reread(attempt))
        except HistoryEnds:
            return

    async def _attempt(self, payer: Payer) -> Attempt | None:
        """Play one attempt to its end, and return it."""
        draw, ledger, clock = self._draw, self._ledger, self._clock
        attempt = await ledger.start_attempt(
            payer.client,
            payer.reference,
            payer.fee,
            payer.amount,
            payer.metadata,
            f"https://{payer.client}.example/paid",
            f"https://{payer.client}.example/cancelled",
        )
        clock.wait(draw.uniform(0.1, 0.8))
        if draw.random() < 0.004:
            return await ledger.fail(
                attempt, event="start_failed", actor="portal", return_code=None, return_detail="Pay.gov did not answer"
            )
        attempt = await ledger.record_token(attempt, f"{draw.getrandbits(128):032x}")
        if draw.random() < 0.06:  # the payer leaves without paying
            clock.wait(TOKEN_AGE_MAX_S + draw.uniform(1.0, 60.0))
            return await ledger.fail(
                attempt,
                event="expired",
                actor="sweeper",
                return_code=TOKEN_EXPIRED_CODE,
                return_detail="The token expired before the payment was completed",
            )
        clock.wait(min(20.0 + draw.expovariate(1 / 150.0), TOKEN_AGE_MAX_S - 60.0))
        attempt = await ledger.take_lease(attempt, f"{draw.getrandbits(64):016x}", LEASE_S)
        clock.wait(draw.uniform(0.3, 2.5))
        (method,) = draw.choices([name for name, _ in _METHODS], [share for _, share in _METHODS])
        actor: Actor = "portal"
        if draw.random() < 0.006:
            attempt = await ledger.record_unknown(attempt, "Pay.gov did not answer in time")
            clock.wait(min(5.0 + draw.expovariate(1 / 600.0), DAY_S))
            actor = "sweeper"
        if method == ACH:
            return await self._debit(attempt, actor)
        if draw.random() < 0.07:
            code, detail = draw.choice(_DECLINES)
            outcome = Outcome(FAILED, self._tracking_id(), "Failed", method, code, detail)
        else:
            outcome = Outcome(PROCESSED, self._tracking_id(), "Success", method)
        return await ledger.record_outcome(attempt, outcome, actor=actor)

    async def _debit(self, attempt: Attempt, actor: Actor) -> Attempt:
        """Play an ACH debit: it is accepted, and settles or bounces after some banking days."""
        draw, ledger = self._draw, self._ledger
        tracking_id = self._tracking_id()
        attempt = await ledger.record_outcome(attempt, Outcome(PENDING, tracking_id, "Received", ACH), actor=actor)
        self._clock.wait(draw.triangular(1.0, 5.5, 2.0) * DAY_S)
        if draw.random() < 0.025:
            code, detail = draw.choice(_RETURNS)
            outcome = Outcome(FAILED, tracking_id, "Failed", ACH, code, detail)
        else:
            outcome = Outcome(PROCESSED, tracking_id, "Settled", ACH)
        return await ledger.record_outcome(attempt, outcome, actor="sweeper")

    async def _afterwards(self, attempt: Attempt) -> None:
        """Play the events that may follow a settlement: a return, a chargeback or a refund."""
        chance = self._draw.random()
        if attempt.payment_method == ACH and chance < 0.012:
            await self._returned(attempt)
        elif attempt.payment_method == CARD and chance < 0.0015:
            self._clock.wait(self._draw.uniform(15.0, 70.0) * DAY_S)
            report = ReversalReport(CHARGED_BACK, attempt.amount, "operator", by="clerk.adams", reason_code="10.4")
            await self._ledger.reversals.record(attempt, report, actor="operator")
        elif chance > 0.993:
            await self._refund(attempt)

    async def _watch(self, attempt: Attempt) -> None:
        """Ask whether a settled debit was returned, as the sweeper does, until the watch ends."""
        policy = self._ledger.due_policy
        while attempt.due_at is not None:
            self._clock.set(max(attempt.due_at, self._clock.now))
            now = self._clock.now
            due_at = None if now >= policy.return_watch_ends_at(attempt) else policy.next_return_poll_at(attempt, now)
            attempt = await self._ledger.set_due(attempt, due_at, refreshed_at=now)

    async def _returned(self, attempt: Attempt) -> None:
        self._clock.wait(self._draw.uniform(2.0, 30.0) * DAY_S)
        code, reason = self._draw.choice(_RETURNS)
        report = ReversalReport(RETURNED, attempt.amount, "paygov", reason_code=code, reason=reason)
        await self._ledger.reversals.record(attempt, report, actor="sweeper")

    async def _refund(self, attempt: Attempt) -> None:
        draw, reversals = self._draw, self._ledger.reversals
        self._clock.wait(draw.uniform(0.5, 30.0) * DAY_S)
        half = money((attempt.amount / 2).quantize(Decimal("0.01"))) if attempt.amount > 1 else attempt.amount
        asked_by, decided_by = draw.sample(_CLERKS, 2)
        attempt, request = await reversals.request_refund(
            attempt, draw.choice((attempt.amount, half)), by=asked_by, reason="paid twice by mistake (generated)"
        )
        self._clock.wait(draw.uniform(0.1, 5.0) * DAY_S)
        if draw.random() < 0.15:
            await reversals.reject(attempt, request.seq, by=decided_by, reason="the fee was owed (generated)")
        else:
            await reversals.approve(attempt, request.seq, by=decided_by, reason="as requested (generated)")

    def _tracking_id(self) -> str:
        return f"P{self._draw.getrandbits(80):020X}"


def new_reference(randomness: random.Random) -> str:
    """Return a reference, a UUID v4."""
    return str(UUID(int=randomness.getrandbits(128), version=4))
