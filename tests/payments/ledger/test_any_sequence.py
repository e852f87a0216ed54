"""Any sequence of calls, with fresh and stale attempts, against a small model.

The model knows the attempts of one obligation as (status, lease end, unknown) and, for a fresh attempt, which calls
must succeed and which status they lead to. After every call the whole obligation is read. A call that raised must have
changed nothing, a status moves only along the graph, at most one attempt is not failed, and the events match the calls.
"""

import asyncio
import random
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from bursar.payments import Attempt, LedgerError, NoSuchEdge, ObligationView, Outcome
from bursar.payments.audit.chain_check import check_obligation
from bursar.payments.records import partition_key
from bursar.payments.reversals import ReversalReport
from bursar.payments.status import EDGES, moves
from tests.support.hypothesis_profiles import examples
from tests.support.payments.stage import STARTED, Wall
from tests.support.write_paths import WritePath, shipped_fees

LEASE_S = 30.0

# (call, status, leased, unknown) → the status to which the call must move a fresh attempt. Any other call must be
# refused, or change nothing.
MUST: dict[tuple[str, str, bool, bool], str] = {
    ("token", "received", False, False): "initiated",
    ("abandon", "received", False, False): "failed",
    ("expire", "initiated", False, False): "failed",
    ("take_lease", "initiated", False, False): "processing",
    ("take_lease", "processing", False, False): "processing",
    ("release", "processing", True, False): "processing",
    ("take_over", "processing", False, True): "processing",
    ("unknown", "processing", True, False): "processing",
    ("unknown", "processing", True, True): "processing",
    ("unknown", "processing", False, True): "processing",
    **{("paid", "processing", leased, unknown): "processed" for leased in (True, False) for unknown in (True, False)},
    **{("accepted", "processing", leased, unknown): "pending" for leased in (True, False) for unknown in (True, False)},
    **{("bounced", "processing", leased, unknown): "failed" for leased in (True, False) for unknown in (True, False)},
    **{("refuse", "processing", leased, unknown): "failed" for leased in (True, False) for unknown in (True, False)},
    ("resolve", "processing", False, True): "processed",
    ("paid", "pending", False, False): "processed",
    ("bounced", "pending", False, False): "failed",
    ("resolve", "pending", False, False): "processed",
    **{(call, "processed", False, False): "processed" for call in ("charge_back", "ask_refund")},
}
CALLS = sorted({call for call, *_ in MUST} | {"set_due", "return", "refund"})


PART = Decimal("20.00")


async def first(call: Awaitable[tuple[Attempt, Any]]) -> Attempt:
    attempt, _ = await call
    return attempt


class AnySequence(RuleBasedStateMachine):
    """Any sequence of calls on one ledger for one obligation."""

    write_path: ClassVar[WritePath]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.wall = Wall()
        self.held: list[Attempt] = []  # every state of an attempt that any call returned
        self.seen: dict[str, str] = {}  # agency tracking id → its last status

    @initialize(seed=st.integers(0, 2**32))
    def open(self, seed: int) -> None:
        self.randomness = random.Random(seed)
        self.store = self.write_path.open(clock=self.wall, randomness=self.randomness)
        self.ledger = self.write_path.ledger(self.store, clock=self.wall, randomness=self.randomness)
        self.run(self.write_path.create_table(self.store))

    def run(self, call: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await call

        return self.runner.run(awaited())

    @rule(seconds=st.sampled_from([0.0, 1.0, LEASE_S]))
    def time_passes(self, seconds: float) -> None:
        self.wall.pass_s(seconds)

    @rule()
    def start(self) -> None:
        fee = shipped_fees().fee("PETITION_FILING_FEE", STARTED)
        assert fee is not None
        before = self.view()
        taken = before is not None and before.blocking is not None
        made = self.attempted(
            before,
            self.ledger.start_attempt("c", "r", fee, Decimal("60.00"), {"docketNumber": "1"}, "https://a", "https://b"),
        )
        assert (made is None) == taken

    @precondition(lambda self: self.held)
    @rule(call=st.sampled_from(CALLS), pick=st.integers(0, 1000))
    def ask_with_what_may_be_stale(self, call: str, pick: int) -> None:
        self.attempted(self.view(), self.call(call, self.held[pick % len(self.held)]))

    @precondition(lambda self: self.held)
    @rule(call=st.sampled_from(CALLS))
    def ask_anything(self, call: str) -> None:
        self.ask(call)

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 1000))
    def go_on(self, pick: int) -> None:
        """Make a call that must succeed, so that sequences reach every status."""
        before = self.view()
        assert before is not None
        options = [call for call in CALLS if self.expected(call, before.attempts[-1])]
        if options:
            self.ask(options[pick % len(options)])

    def ask(self, call: str) -> None:
        before = self.view()
        assert before is not None
        latest = before.attempts[-1]
        target = self.expected(call, latest)
        after = self.attempted(before, self.call(call, latest))
        if target is not None:
            assert after is not None
            assert after.status == target
        else:
            assert after is None or after.status == latest.status, (call, latest)

    def expected(self, call: str, latest: Attempt) -> str | None:
        """Return the status to which ``call`` must move ``latest``; None if it may change nothing."""
        leased = latest.leased(self.wall.now)
        ran_out = latest.lease_owner is not None and not leased
        # A lease that ran out is still valid for its holder; for every other caller the outcome is unknown.
        as_holder = ran_out and call in ("release", "unknown")
        unknown = latest.outcome_unknown or (ran_out and not as_holder)
        if call in ("charge_back", "ask_refund") and latest.net_amount < PART:
            return None
        return MUST.get((call, latest.status, leased or as_holder, unknown))

    def call(self, call: str, attempt: Attempt) -> Awaitable[Attempt]:
        ledger = self.ledger
        failure: dict[str, Any] = {"actor": "sweeper", "return_code": "5009", "return_detail": None}
        paygov_id = f"3F{attempt.agency_tracking_id}"
        match call:
            case "token":
                return ledger.record_token(attempt, attempt.agency_tracking_id.ljust(32, "t"))
            case "abandon":
                return ledger.fail(attempt, event="start_abandoned", **failure)
            case "expire":
                return ledger.fail(attempt, event="expired", **failure)
            case "refuse":
                return ledger.fail(attempt, event="refused", **failure)
            case "take_lease":
                return ledger.take_lease(attempt, "worker", LEASE_S)
            case "release":
                return ledger.release_lease(
                    attempt, "worker" if attempt.lease_owner == "worker" else "sweeper", "not sent"
                )
            case "take_over":
                return ledger.take_over_lease(attempt, "sweeper", LEASE_S)
            case "unknown":
                return ledger.record_unknown(attempt, "reply lost")
            case "paid":
                return ledger.record_outcome(
                    attempt, Outcome("processed", paygov_id, "Success", "ACH"), actor="sweeper"
                )
            case "accepted":
                return ledger.record_outcome(attempt, Outcome("pending", paygov_id, "Received", "ACH"), actor="portal")
            case "bounced":
                return ledger.record_outcome(attempt, Outcome("failed", paygov_id, "Failed", "ACH"), actor="sweeper")
            case "resolve":
                return ledger.resolve(attempt, settled_as="processed", by="Ada", reason="asked")
            case "return":
                return self.reversal(attempt, ReversalReport("returned", attempt.amount, "paygov"), reopens=True)
            case "charge_back":
                report = ReversalReport("charged_back", PART, "operator", report_id=str(attempt.event_seq))
                return self.reversal(attempt, report)
            case "ask_refund":
                return first(ledger.reversals.request_refund(attempt, PART, by="Ada", reason="paid twice"))
            case "refund":
                return first(ledger.reversals.approve(attempt, 1, by="Bob", reason="checked"))
            case _:
                return ledger.set_due(attempt, self.wall.now + 60)

    def reversal(self, attempt: Attempt, report: ReversalReport, *, reopens: bool = False) -> Awaitable[Attempt]:
        return first(self.ledger.reversals.record(attempt, report, actor="operator", reopens=reopens))

    def view(self) -> ObligationView | None:
        view: ObligationView | None = self.run(self.ledger.obligation("c", "r"))
        return view

    def attempted(self, before: ObligationView | None, call: Awaitable[Attempt]) -> Attempt | None:
        """Make ``call`` and return its result; None if it raised, in which case nothing may have changed."""
        try:
            attempt: Attempt = self.run(call)
        except (LedgerError, NoSuchEdge, LookupError):
            assert self.view() == before
            return None
        after = self.view()
        assert after is not None
        assert attempt in after.attempts
        self.held.append(attempt)
        self.judge(after)
        return attempt

    def judge(self, view: ObligationView) -> None:
        found, _ = check_obligation(self.run(self.ledger._ruled.partition({"S": partition_key("c", "r")})))
        assert found == []
        assert [one.status != "failed" and not one.reopened for one in view.attempts[:-1]].count(True) == 0
        for attempt in view.attempts:
            was, self.seen[attempt.agency_tracking_id] = self.seen.get(attempt.agency_tracking_id), attempt.status
            assert was in (None, attempt.status) or (was, attempt.status) in moves()
            events = [event for event in view.events if event.agency_tracking_id == attempt.agency_tracking_id]
            assert [event.seq for event in events] == list(range(1, attempt.event_seq + 1))
            assert events[-1].to_status == attempt.status
            assert [event.from_status for event in events] == [None, *(event.to_status for event in events[:-1])]
            for event in events:
                taken = (event.from_status, event.to_status, event.name)
                steps = [e for e in EDGES if (e.source, e.target, e.event) == taken]
                assert len(steps) == 1
                assert event.actor in steps[0].actors
            reversals = [each for each in view.reversals if each.agency_tracking_id == attempt.agency_tracking_id]
            assert sum(reversal.amount for reversal in reversals) == (attempt.reversed_amount or 0) <= attempt.amount
            assert [reversal.seq for reversal in reversals] == list(range(1, len(reversals) + 1))
            assert not attempt.reopened or [reversal.kind for reversal in reversals] == ["returned"]
            watched = attempt.payment_method == "ACH" and attempt.net_amount > 0  # every tracking id here is of a debit
            assert (attempt.due_at is None) == (attempt.status in ("processed", "failed") and not watched)
            assert not attempt.outcome_unknown or attempt.status == "processing"
            assert attempt.lease_owner is None or attempt.status == "processing"

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
        self.runner.close()


def test_any_sequence(write_path: WritePath) -> None:
    machine = type(AnySequence.__name__, (AnySequence,), {"write_path": write_path})
    run_state_machine_as_test(machine, settings=examples(30, stateful_step_count=30))
