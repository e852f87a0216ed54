"""Planted faults: each weakens the product in one place, and the judge must catch each within CATCH_SEEDS_MAX seeds.

They prove that the judge can find faults. Known seeds are tried first, so that the test is fast. When the simulation
changes, the search for a canary starts again at seed 1. ``python -m sim --canaries`` writes the table.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final
from unittest.mock import patch

from bursar.paygov.client import PayGov
from bursar.paygov.collection import Collection
from bursar.paygov.config import Lookup, PayGovConfig
from bursar.paygov.errors import Fault, Lost, Nonsense, NotSent, OutcomeUnknown, TimedOut
from bursar.payments import records
from bursar.payments import rules as payment_rules
from bursar.payments.ledger import journal, ledger, starts
from bursar.payments.ledger import reversals as ledger_reversals
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import EVENT, Attempt, Event, Outcome
from bursar.payments.reversals import ReversalReport
from bursar.payments.status import TOKEN_EXPIRED_CODE, Actor
from bursar.portal.contract import answers, validation
from bursar.portal.state.circuit_breaker import Breaker
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep import attention, reversals, sweep
from bursar.portal.use_cases import (
    after_restore,
    completion,
    init_payment,
    payment_details,
    process_payment,
    resolution,
)
from bursar.portal.use_cases import completion_outcomes as outcomes
from bursar.portal.use_cases.completion_outcomes import OUTCOMES, Judgement
from bursar.rules import Put
from bursar.rules import table as ruled_table
from bursar.rules.transactions import compile as compiling
from sim.proof import known_faults
from sim.proof.planting import rewritten
from sim.run import simulate

CATCH_SEEDS_MAX: Final = 200
A_YEAR_S: Final = 365 * 24 * 3600.0


Plant = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Canary:
    """A planted fault; ``seed`` is known to catch it."""

    name: str
    plant: Plant
    seed: int


@dataclass(frozen=True)
class Catch:
    """The seed that caught a canary. ``finding`` is the judge's first line, None if no seed caught it."""

    canary: Canary
    seed: int
    finding: str | None
    seeds_tried: int


def catch(canary: Canary) -> Catch:
    """Run the canary's known seed, then seeds from 1 on, until the judge finds something."""
    with canary.plant():
        for tried, seed in enumerate((canary.seed, *range(1, CATCH_SEEDS_MAX + 1)), start=1):
            findings = simulate(seed).findings
            if findings:
                return Catch(canary, seed, findings[0], tried)
    return Catch(canary, 0, None, CATCH_SEEDS_MAX + 1)


# --- how a completion is judged


def _completion_judged(error: type[Exception], as_judged: Callable[[Attempt], Judgement]) -> Plant:
    honest = completion.judge_completion

    def judge(attempt: Attempt, said: Any, *, first: bool) -> Judgement:
        if isinstance(said, error):
            return as_judged(attempt)
        judgement: Judgement = honest(attempt, said, first=first)
        return judgement

    return lambda: patch.object(completion, "judge_completion", judge)


def _failed(attempt: Attempt) -> Judgement:
    return Judgement(OUTCOMES["fault"], Outcome("failed", return_code="408", return_detail="no answer"))


def _paid(attempt: Attempt) -> Judgement:
    return Judgement(OUTCOMES["paid"], Outcome("processed", paygov_tracking_id=f"P{attempt.agency_tracking_id}"))


def _collection_judged(
    altered: Callable[[Attempt, Collection], Collection] = lambda attempt, collection: collection,
    outcome_altered: Callable[[Outcome], Outcome] = lambda outcome: outcome,
) -> Plant:
    honest = outcomes.judge_collection

    def judge(attempt: Attempt, collection: Collection, *, identified: bool) -> Judgement:
        judgement: Judgement = honest(attempt, altered(attempt, collection), identified=identified)
        return (
            judgement if judgement.outcome is None else replace(judgement, outcome=outcome_altered(judgement.outcome))
        )

    return lambda: patch.object(outcomes, "judge_collection", judge)


def _bounce_ignored(outcome: Outcome) -> Outcome:
    bounced = outcome.status == "failed" and outcome.payment_method == "ACH"
    return replace(outcome, status="pending", transaction_status="Received") if bounced else outcome


def _acceptance_is_payment(outcome: Outcome) -> Outcome:
    return replace(outcome, status="processed") if outcome.status == "pending" else outcome


def _repeated_blindly() -> AbstractContextManager[Any]:
    honest = PayGov.complete

    async def complete(self: PayGov, **asked: Any) -> Collection:
        try:
            return await honest(self, **asked)
        except OutcomeUnknown:
            return await honest(self, **asked)

    return patch.object(PayGov, "complete", complete)


def _second_refusal_is_definite() -> AbstractContextManager[Any]:
    honest = resolution.complete

    async def complete(portal: Portal, attempt: Attempt, owner: str, *, first: bool, actor: Any) -> Attempt:
        found: Attempt = await honest(portal, attempt, owner, first=True, actor=actor)
        return found

    return patch.object(resolution, "complete", complete)


def _unusable_is_definite() -> AbstractContextManager[Any]:
    honest = outcomes.judge_completion

    def judge(attempt: Attempt, said: Any, *, first: bool) -> Judgement:
        judgement: Judgement = honest(attempt, said, first=first)
        if judgement.row.name != "token unusable":
            return judgement
        return Judgement(OUTCOMES["fault"], Outcome("failed", return_code=said.return_code))

    async def unasked(portal: Portal, attempt: Attempt, judgement: Judgement) -> Judgement:
        return judgement

    stack = ExitStack()
    stack.enter_context(patch.object(completion, "judge_completion", judge))
    stack.enter_context(patch.object(completion, "_look_up_before_judging", unasked))
    return stack


def _expires_unasked() -> AbstractContextManager[Any]:
    async def fail(portal: Portal, attempt: Attempt, **how: Any) -> resolution.LookupResult:
        return resolution.LookupResult(await portal.ledger.fail(attempt, **how), answered=True, reached=True)

    stack = ExitStack()
    for module in (init_payment, process_payment, sweep):
        stack.enter_context(patch.object(module, "end_uncompleted", fail))
    # The check after the restore finds these charges first, so it has to miss them.
    honest = after_restore._look_up_all

    async def without_the_live_one(portal: Portal, attempts: Any) -> Any:
        (_, *lost), reached = await honest(portal, attempts)
        return [(), *lost], reached

    stack.enter_context(patch.object(after_restore, "_look_up_all", without_the_live_one))
    return stack


def _restored_unasked() -> AbstractContextManager[Any]:
    async def unchecked(portal: Portal, like: Attempt, **how: Any) -> after_restore.ObligationCheck:
        return after_restore.ObligationCheck(changed=False)

    stack = ExitStack()
    for module in (init_payment, process_payment, payment_details, sweep):
        stack.enter_context(patch.object(module, "check_obligation", unchecked))
    return stack


def _only_the_live_attempt_is_asked_about() -> AbstractContextManager[Any]:
    return patch.object(after_restore, "possible_attempt_ids", lambda client, reference, taken: [])


def _none_is_believed_at_once() -> AbstractContextManager[Any]:
    return patch.object(after_restore, "_believed_at", lambda portal, mark: 0.0)


def _lost_collections_forgotten() -> AbstractContextManager[Any]:
    return patch.object(after_restore, "_listed", lambda state, like: [])


def _refused_lookup_means_none() -> AbstractContextManager[Any]:
    honest = PayGov.find

    async def find(self: PayGov, lookup: Any, **asked: Any) -> Any:
        try:
            return await honest(self, lookup, **asked)
        except (Fault, Nonsense):
            return ()

    return patch.object(PayGov, "find", find)


def _lookups(altered: Callable[[tuple[Lookup, ...]], tuple[Lookup, ...]]) -> Plant:
    honest = PayGovConfig.available_lookups.fget
    assert honest is not None
    return lambda: patch.object(PayGovConfig, "available_lookups", property(lambda config: altered(honest(config))))


def _repeat_forgotten() -> AbstractContextManager[Any]:
    honest = Ledger.record_unknown

    async def record_unknown(self: Ledger, attempt: Attempt, reason: str, **how: Any) -> Attempt:
        return await honest(self, attempt, reason, **how | {"repeat_used": False})

    return patch.object(Ledger, "record_unknown", record_unknown)


def _lease_ignored() -> AbstractContextManager[Any]:
    async def processing(portal: Portal, attempt: Attempt) -> None:
        await completion.complete(portal, attempt, attempt.lease_owner or "", first=True, actor="portal")

    return patch.dict(process_payment.STEPS, processing=processing)


def _planted(fault: known_faults.Fault) -> Plant:
    return lambda: rewritten(*fault)


def _abandoned_with_its_caller() -> AbstractContextManager[Any]:
    async def finish(self: Portal, work: Any) -> Any:
        return await work

    return patch.object(Portal, "finish", finish)


# --- what is kept


def _rule_dropped(name: str) -> Plant:
    honest = payment_rules.payment_rules

    def weakened(fees: Any) -> Any:
        rules = honest(fees)
        return replace(rules, rules=tuple(rule for rule in rules.rules if rule.name != name))

    return lambda: patch.object(payment_rules, "payment_rules", weakened)


def _case_kept() -> AbstractContextManager[Any]:
    stack = ExitStack()
    for module in (records, starts, validation):
        stack.enter_context(patch.object(module, "normal_reference", lambda reference: reference))
    return stack


def _never_recorded() -> AbstractContextManager[Any]:
    async def record_outcome(self: Ledger, attempt: Attempt, outcome: Outcome, **_: Any) -> Attempt:
        return replace(attempt, status=outcome.status, paygov_tracking_id=outcome.paygov_tracking_id)

    return patch.object(Ledger, "record_outcome", record_outcome)


def _event_forgotten() -> AbstractContextManager[Any]:
    honest = ruled_table.RuledTable.write

    async def write(self: Any, writes: Any, token: str | None = None) -> None:
        kept = [each for each in writes if not (isinstance(each, Put) and _is_outcome_unknown(each.item))]
        await honest(self, kept, token)

    return patch.object(ruled_table.RuledTable, "write", write)


def _is_outcome_unknown(item: Mapping[str, Any]) -> bool:
    return (item["kind"], item.get("name")) == ({"S": EVENT}, {"S": "outcome_unknown"})


def _another_step_written() -> AbstractContextManager[Any]:
    honest = journal.latest_event

    def latest_event(attempt: Attempt, source: Any, name: Any, actor: Any, detail: Any = None) -> Event:
        written: Event = honest(attempt, source, "settled" if name == "completed" else name, actor, detail)
        return written

    return patch.object(journal, "latest_event", latest_event)


def _another_actor_written() -> AbstractContextManager[Any]:
    honest = journal.latest_event

    def latest_event(attempt: Attempt, source: Any, name: Any, actor: Any, detail: Any = None) -> Event:
        written: Event = honest(attempt, source, name, "sweeper" if name == "claimed" else actor, detail)
        return written

    return patch.object(journal, "latest_event", latest_event)


def _lease_kept() -> AbstractContextManager[Any]:
    known = {name: value for name, value in ledger._OUTCOME_KNOWN.items() if not name.startswith("lease")}
    return patch.object(ledger, "_OUTCOME_KNOWN", known)


def _writes_compare_nothing() -> AbstractContextManager[Any]:
    return patch.object(compiling, "compared_attributes", lambda plan, change: {plan.kind_attribute})


def _missing_answer_is_written() -> AbstractContextManager[Any]:
    async def done(self: Any, unknown: Exception) -> bool:
        return True

    return patch.object(ruled_table._TransactionSender, "_settle_unknown", done)


# --- sweeping, and what is reported


async def _nothing(portal: Portal, attempt: Attempt) -> str:
    return "not_due"


def _sweeper_ignores(status: str) -> Plant:
    return lambda: patch.dict(sweep.STEPS, {status: _nothing})


def _unknown_expires() -> AbstractContextManager[Any]:
    async def processing(portal: Portal, attempt: Attempt) -> str:
        if portal.ledger.due_policy.token_expired(attempt, portal.clock()):
            await _never_charged(portal, attempt, "sweeper")
        return "expired"

    return patch.dict(sweep.STEPS, processing=processing)


def _unknown_gives_way() -> AbstractContextManager[Any]:
    async def processing(portal: Portal, attempt: Attempt, request: Any) -> bool:
        await _never_charged(portal, attempt, "portal")
        return True

    return patch.dict(init_payment.BLOCKED_BY, processing=processing)


async def _never_charged(portal: Portal, attempt: Attempt, actor: Any) -> None:
    await portal.ledger.fail(
        attempt, event="never_charged", actor=actor, return_code=TOKEN_EXPIRED_CODE, return_detail=None
    )


def _breaker_opens_permanently() -> AbstractContextManager[Any]:
    def report(self: Breaker, answered: bool) -> None:
        if not answered:
            self._open_until = self._clock() + A_YEAR_S

    return patch.object(Breaker, "report", report)


def _pending_is_success() -> AbstractContextManager[Any]:
    honest = answers.payment_status

    def summarise(statuses: Any) -> str:
        status = str(honest(statuses))
        return "success" if status == "pending" else status

    return patch.object(answers, "payment_status", summarise)


def _nothing_is_listed() -> AbstractContextManager[Any]:
    return patch.object(attention, "attention_reason", lambda portal, attempt: None)


def _sweeper_hangs() -> AbstractContextManager[Any]:
    async def never(portal: Portal, attempt: Attempt) -> str:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return patch.dict(sweep.STEPS, processing=never)


def _return_ignored() -> AbstractContextManager[Any]:
    async def ignore(portal: Portal, attempt: Attempt, outcome: Outcome, actor: Actor) -> reversals.WatchResult:
        return reversals.WatchResult(attempt)

    return patch.object(reversals, "_record_return", ignore)


def _reversal_recorded_twice() -> AbstractContextManager[Any]:
    numbers = itertools.count()

    def unlike(attempt: Attempt, report: ReversalReport) -> str:
        return f"{attempt.agency_tracking_id} {next(numbers)}"

    return patch.object(ledger_reversals, "reversal_id", unlike)


# fmt: off
CANARIES: Final[Mapping[str, Canary]] = {canary.name: canary for canary in (
    Canary("a timeout is judged as failed", _completion_judged(TimedOut, _failed), 1),
    Canary("a lost reply is judged as failed", _completion_judged(Lost, _failed), 11),
    Canary("an unsent complete is judged as paid", _completion_judged(NotSent, _paid), 5),
    Canary("complete is repeated blindly", _repeated_blindly, 1),
    Canary("the refusal of a second complete is definite", _second_refusal_is_definite, 1),
    Canary("no refused complete uses up the repeated one", _planted(known_faults.NO_REFUSAL_USES_THE_REPEAT), 63),
    Canary("fault 4117 on the first complete is definite", _unusable_is_definite, 28),
    Canary("a lookup that is refused means \"none\"", _refused_lookup_means_none, 71),
    Canary("the \"none\" of a lookup that is not confirmed is believed",
           _lookups(lambda lookups: tuple(replace(each, confirmed=True) for each in lookups)), 11),
    Canary("only the first lookup is asked", _lookups(lambda lookups: lookups[:1]), 12),
    Canary("the second complete is not remembered", _repeat_forgotten, 1),
    Canary("time fails an attempt that a restored store does not know to be charged", _expires_unasked, 4),
    Canary("a restored store asks nothing", _restored_unasked, 36),
    Canary("a restored store asks about live attempts only", _only_the_live_attempt_is_asked_about, 13),
    Canary("a restored store believes \"none\" at once", _none_is_believed_at_once, 4),
    Canary("what an operator found lost is not remembered", _lost_collections_forgotten, 18),
    Canary("the lease is ignored", _lease_ignored, 1),
    Canary("a completion ends with its caller", _abandoned_with_its_caller, 18),
    Canary("the amount is not checked",
           _collection_judged(lambda attempt, said: replace(said, transaction_amount=attempt.amount)), 45),
    Canary("the agency tracking id is not checked",
           _collection_judged(lambda attempt, said: replace(said, agency_tracking_id=attempt.agency_tracking_id)), 83),
    Canary("Pay.gov's id is kept in lower case",
           _collection_judged(outcome_altered=lambda said: replace(
               said, paygov_tracking_id=said.paygov_tracking_id and said.paygov_tracking_id.lower())), 1),
    Canary("an ACH debit that bounces is ignored", _collection_judged(outcome_altered=_bounce_ignored), 6),
    Canary("an ACH debit is paid once accepted", _collection_judged(outcome_altered=_acceptance_is_payment), 6),
    Canary("the rule of one live attempt is dropped", _rule_dropped("one-live-attempt"), 1),
    Canary("a reference's case makes another obligation", _case_kept, 5),
    Canary("an outcome is answered and not recorded", _never_recorded, 1),
    Canary("an event is not written", _event_forgotten, 3),
    Canary("an event has the name of another step", _another_step_written, 1),
    Canary("an event names another actor", _another_actor_written, 1),
    Canary("a lease never ends", _lease_kept, 1),
    Canary("writes do not compare what was read", _writes_compare_nothing, 61),
    Canary("a missing answer of the store counts as written", _missing_answer_is_written, 19),
    Canary("\"none\" is believed while the token lives",
           lambda: patch.object(resolution, "_token_is_dead", lambda portal, attempt: True), 3),
    Canary("an unknown outcome expires with the token", _unknown_expires, 1),
    Canary("an attempt with an unknown outcome gives way to another", _unknown_gives_way, 1),
    Canary("the sweeper ignores received attempts", _sweeper_ignores("received"), 28),
    Canary("the sweeper ignores initiated attempts", _sweeper_ignores("initiated"), 1),
    Canary("the sweeper ignores pending attempts", _sweeper_ignores("pending"), 3),
    Canary("the sweeper hangs on unknown outcomes", _sweeper_hangs, 1),
    Canary("one unanswered request opens the breaker permanently", _breaker_opens_permanently, 3),
    Canary("a pending payment is reported as success", _pending_is_success, 1),
    Canary("a return after settlement is ignored", _return_ignored, 20),
    Canary("a reversal that two people report is recorded twice", _reversal_recorded_twice, 35),
    Canary("a second refund of the same amount is the first one", _planted(known_faults.EQUAL_REFUNDS_ARE_ONE), 64),
    Canary("an init of a smaller amount gets the token of the larger one",
           _planted(known_faults.LARGER_AMOUNT_IS_THE_SAME), 13),
    Canary("attempts that only a person can settle are not listed", _nothing_is_listed, 1),
    Canary("details refused with 4117 fail a pending payment", _planted(known_faults.REFUSED_DETAILS_MEAN_FAILED), 50),
    Canary("\"none\" is believed the moment the token ends", _planted(known_faults.NO_GRACE), 71),
    Canary("an init ends with its caller", _planted(known_faults.INIT_ENDS_WITH_ITS_CALLER), 1),
    Canary("agency tracking ids are compared without case", _planted(known_faults.AGENCY_IDS_WITHOUT_CASE), 83),
    Canary("a client may charge fees whose keys begin with its fee's",
           _planted(known_faults.FEE_KEYS_BY_THEIR_BEGINNING), 1),
    Canary("events are served without authorisation", _planted(known_faults.EVENTS_WITHOUT_AUTHORISATION), 1),
)}
# fmt: on
