"""Random histories through the real ledger, and what each attempt was after each of its events."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from bursar.payments import Attempt, FeeCatalogue, Ledger, LedgerError, NoSuchEdge, Outcome
from bursar.payments.deposits import DepositReport
from bursar.payments.records import ZERO
from bursar.payments.reversals import ReversalReport
from bursar.reports.lake.rows import TableRow, attempt_row, micros
from tests.support.payments.stage import Wall

CALLS = (
    *("token", "token", "lease", "lease", "release", "take_over", "unknown", "refused_unknown"),
    *("paid", "settling", "noted", "refused", "expired", "resolved", "unresolved", "reversed", "deposited"),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.just(0)),
        st.tuples(st.sampled_from(CALLS), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.sampled_from((0.001, 1.0, 40.0, 4000.0, 90_000.0))),
        st.tuples(st.just("step"), st.sampled_from((-3600.0, -1.0, 3600.0))),
    ),
    min_size=6,
    max_size=40,
)
Step = tuple[str, Any]


@dataclass
class LedgerHistory:
    """A ledger, its attempts, and for each attempt its rows with the time of the event that made each."""

    ledger: Ledger
    wall: Wall
    attempts: list[Attempt] = field(default_factory=list)
    rows: dict[str, list[tuple[float, TableRow]]] = field(default_factory=dict)
    reversals: list[tuple[float, str, Decimal]] = field(default_factory=list)
    deposits: list[tuple[float, str]] = field(default_factory=list)

    async def take(self, step: Step) -> None:
        """Take one step; a call that the ledger refuses changes nothing."""
        name, value = step
        if name in ("wait", "step"):
            self.wall.now += value
        elif name == "start":
            self._note(await self._start())
        elif self.attempts:
            try:
                await self._call(name, self.attempts[value % len(self.attempts)])
            except (LedgerError, NoSuchEdge):
                return

    async def _start(self) -> Attempt:
        fee = FeeCatalogue.default().fee("PETITION_FILING_FEE", self.wall())
        assert fee is not None
        reference = str(UUID(int=len(self.attempts) + 1, version=4))
        urls = ("https://client.example/ok", "https://client.example/no")
        metadata = {"docketNumber": "1-26"}
        attempt = await self.ledger.start_attempt("dawson", reference, fee, Decimal("60.00"), metadata, *urls)
        self.attempts.append(attempt)
        return attempt

    async def _call(self, name: str, attempt: Attempt) -> None:
        if name == "reversed":
            report = ReversalReport("charged_back", Decimal("10.00"), "operator", reason_code=str(self.wall.now))
            attempt, reversal = await self.ledger.reversals.record(attempt, report, actor="operator")
            self.reversals.append((reversal.at, attempt.agency_tracking_id, reversal.amount))
            self._replace(attempt)
        elif name == "deposited":
            known = await self.ledger.deposits.of(attempt)
            deposit = await self.ledger.deposits.record(attempt, DepositReport("T1", "2026-11-29", "operator", "Ada"))
            if known is None:
                self.deposits.append((deposit.at, attempt.agency_tracking_id))
        else:
            self._note(await self._calls(attempt)[name]())

    def _calls(self, attempt: Attempt) -> dict[str, Callable[[], Awaitable[Attempt]]]:
        ledger, number = self.ledger, attempt.agency_tracking_id
        refusal: dict[str, Any] = {"return_code": "4019", "return_detail": "declined"}

        def outcome(status: Any, word: str, **more: Any) -> Callable[[], Awaitable[Attempt]]:
            said = {"paygov_tracking_id": f"P{number}", "payment_method": "ACH", **more}
            return lambda: ledger.record_outcome(
                attempt, Outcome(status, transaction_status=word, **said), actor="portal"
            )

        return {
            "token": lambda: ledger.record_token(attempt, f"{number:t<32}"[:32]),
            "lease": lambda: ledger.take_lease(attempt, "worker", 30.0),
            "release": lambda: ledger.release_lease(attempt, "worker", "not sent"),
            "take_over": lambda: ledger.take_over_lease(attempt, "sweeper", 30.0),
            "unknown": lambda: ledger.record_unknown(attempt, f"lost at {self.wall.now}"),
            "refused_unknown": lambda: ledger.record_unknown(attempt, "4117", **refusal),
            "paid": outcome("processed", "Success"),
            "settling": outcome("pending", "Received", return_code="1", return_detail="accepted"),
            "noted": outcome("pending", f"Waiting {self.wall.now}"),
            "refused": outcome("failed", "Failed", paygov_tracking_id=None, **refusal),
            "expired": lambda: ledger.fail(attempt, event="expired", actor="sweeper", **refusal),
            "resolved": lambda: ledger.resolve(attempt, settled_as="processed", by="Ada", reason="it is there"),
            "unresolved": lambda: ledger.resolve(attempt, settled_as="failed", by="Ada", reason="it is not there"),
        }

    def _note(self, attempt: Attempt) -> None:
        self._replace(attempt)
        self.rows.setdefault(attempt.agency_tracking_id, []).append((attempt.updated_at, attempt_row(attempt)))

    def _replace(self, attempt: Attempt) -> None:
        place = next(n for n, each in enumerate(self.attempts) if each.agency_tracking_id == attempt.agency_tracking_id)
        self.attempts[place] = attempt

    def instants(self, draw: random.Random, count: int) -> list[float]:
        """Return instants of the past: at an event, and just before one."""
        times = sorted({at for rows in self.rows.values() for at, _ in rows} | {at for at, *_ in self.reversals})
        found = [at + shift for at in draw.sample(times, min(count, len(times))) for shift in (-0.001, 0.0)]
        return [at for at in found if at <= self.wall.now]

    def payments(self, instant: float) -> list[TableRow]:
        """Return the rows of ``payments`` at ``instant``, with their derived columns, by id."""
        found = []
        for key, rows in sorted(self.rows.items()):
            known = [row for at, row in rows if at <= instant]
            if known:
                found.append((*known[-1], *self._derived(key, known[-1], instant)))
        return found

    def _derived(self, key: str, row: TableRow, instant: float) -> tuple[Any, ...]:
        back = sum((amount for at, of, amount in self.reversals if of == key and at <= instant), ZERO)
        paid = "processed" in row
        updated = max(at for at, known in self.rows[key] if at <= instant)
        return micros(updated) if paid else None, back, (Decimal("60.00") if paid else ZERO) - back
