"""The judge: an independent model of what must be true at the end. It trusts Pay.gov's books only.

It does not use rules, graphs or ledgers. Its demands are written here a second time, by hand, so that a mistake in the
product cannot hide itself. Only transition_check.py replays the events through the product's transition table.
docs/simulation.md lists the demands.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from bursar.clock import iso_ms
from bursar.payments.audit.chain_audit import audit_chains
from bursar.payments.ledger.ledger import LEASE_RAN_OUT
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import Attempt, Event
from bursar.payments.rules import payment_rules
from bursar.rules.audit.table_audit import audit_table
from sim.actors.applications import Bill
from sim.proof.resolution_times import resolution
from sim.proof.transition_check import edge_line, steps_outside_the_table
from sim.world import REOPENING_CLIENT, TABLE, World, catalogue

# The allowed moves, written by hand and not derived from payments.status.
MOVES: Final = {
    (None, "received"),
    (None, "processed"),  # imported from another portal, as the next three
    (None, "failed"),
    (None, "pending"),
    (None, "processing"),
    ("received", "initiated"),
    ("received", "failed"),
    ("received", "processing"),  # in a restored store: Pay.gov has a collection of it
    ("initiated", "processing"),
    ("initiated", "failed"),
    ("processing", "processing"),
    ("processing", "processed"),
    ("processing", "pending"),
    ("processing", "failed"),
    ("pending", "pending"),
    ("pending", "processed"),
    ("pending", "failed"),
    ("processed", "processed"),  # a reversal, a refund that is requested or decided, or its metadata are erased
    ("failed", "failed"),  # its metadata are erased
}
WATCH_S: Final = 62 * 24 * 3600.0
"""Longer than a settled debit is watched for a return."""
CHARGED_TWICE: Final = "the payer was charged"
"""The words of a finding that a payer was charged more than once."""
BY_HAND: Final = ("resolved_processed", "resolved_failed")
RULES: Final = payment_rules(catalogue())
"""Made when this module is loaded, so that a canary that weakens the rules of a run does not weaken the audit."""
EVENT_TIME_S: Final = 0.001
"""The precision of an event's time, in seconds: a caller may receive the result within the same millisecond."""


async def judge(world: World, made: Iterable[Bill]) -> list[str]:
    """Return one line for each violated demand; none for a good run."""
    findings = list(world.findings)
    views: list[ObligationView] = []
    kept = {charge.token for charge in world.books.all_charges() if charge.returned_at is None}
    for bill in made:
        findings += bill.findings
        view = await world.reader.obligation(bill.client, bill.reference)
        if view is not None:
            views.append(view)
            if world.keeps_timeline:
                world.timeline += [(event.at, _event_line(event)) for event in view.events]
            findings += _judge_bill(world, bill, view)
        elif bill.tokens and world.restored_at is None:
            findings.append(f"{bill.reference}: acknowledged and not found again")
        findings += _judge_charges(bill, kept)
    lost = (await world.reader.restores.read()).lost
    findings += _judge_books(world, views, set(lost))
    report = await audit_table(world.payments, TABLE, RULES, randomness=world.randomness)
    findings += [f"audit: {finding.kind}: {finding.rule}: {finding.message}" for finding in report.findings]
    chains = await audit_chains(world.payments, TABLE)
    findings += [f"chain: {line}" for line, _ in chains.lines()]
    return findings


def _judge_charges(bill: Bill, kept: set[str]) -> list[str]:
    """Check that the payer was charged at most once for the bill, by every token that any caller ever received.

    ``kept``: the tokens of all charges that were not returned.
    """
    charged = kept & set(bill.tokens)
    return [f"{bill.reference}: {CHARGED_TWICE} {len(charged)} times"] if len(charged) > 1 else []


def _judge_books(world: World, views: list[ObligationView], lost: set[str]) -> list[str]:
    """Check that each charge has one processed attempt with its id and amount, and each such attempt one charge.

    A charge whose attempt a restored store has lost is ``lost``: an operator has recorded it from Pay.gov's books.
    """
    findings = []
    attempts = {attempt.agency_tracking_id: attempt for view in views for attempt in view.attempts}
    by_hand = {event.agency_tracking_id for view in views for event in view.events if event.name in BY_HAND}
    charged = Counter(charge.agency_tracking_id for charge in world.books.all_charges())
    for charge in world.books.all_charges():
        name = charge.agency_tracking_id
        attempt = attempts.get(name)
        if attempt is None and name in lost:
            continue
        if attempt is None:
            findings.append(f"{name} was charged and no attempt has this id")
        elif attempt.status != "processed":
            findings.append(f"{name} was charged and is {attempt.status}")
        elif attempt.paygov_tracking_id != charge.paygov_tracking_id:
            findings.append(f"{name} is recorded under another Pay.gov tracking id than it was charged")
        elif attempt.amount != charge.amount and name not in by_hand:
            findings.append(f"{name} was charged {charge.amount} and processed by itself as {attempt.amount}")
    findings += [
        f"{name} is processed and was charged {charged[name]} times"
        for name, attempt in attempts.items()
        if attempt.status == "processed" and charged[name] != 1
    ]
    return findings


def _judge_money_back(world: World, view: ObligationView) -> list[str]:
    """Check that each return in the books is recorded once, and that net amounts equal the books."""
    findings = []
    for attempt in view.attempts:
        name = attempt.agency_tracking_id
        own = [reversal for reversal in view.reversals if reversal.agency_tracking_id == name]
        charges = world.books.charges(name)
        if attempt.status != "processed" or len(charges) != 1 or charges[0].amount != attempt.amount:
            if own and attempt.status != "processed":
                findings.append(f"{name} is {attempt.status} and has reversals")
            continue
        returned = charges[0].returned_at is not None
        recorded = [reversal for reversal in own if reversal.kind == "returned"]
        if len(recorded) != returned:
            findings.append(f"{name} was returned {int(returned)} times and {len(recorded)} returns are recorded")
        net = charges[0].amount * (not returned) - world.went_back[name]
        if attempt.amount - sum(reversal.amount for reversal in own) != net or attempt.net_amount != net:
            findings.append(f"{name} has the net amount {attempt.net_amount}, and {net} by the books")
        if attempt.reopened != (returned and attempt.client == REOPENING_CLIENT):
            findings.append(f"{name} is {'' if attempt.reopened else 'not '}reopened, returned {int(returned)} times")
        processed_at = [e.at for e in view.events if e.agency_tracking_id == name and e.from_status != e.to_status]
        if attempt.updated_at != processed_at[-1]:
            findings.append(f"{name} says that its status changed at {iso_ms(attempt.updated_at)}")
    return findings


def _may_be_watched(world: World, attempt: Attempt) -> bool:
    """Return whether a debit settled so recently that it can still be returned."""
    may_be_debit = attempt.status == "processed" and attempt.payment_method in ("ACH", None)
    return may_be_debit and world.loop.clock() < attempt.updated_at + WATCH_S


def _judge_bill(world: World, bill: Bill, view: ObligationView) -> list[str]:
    findings = []
    charges = world.books.charges_for(attempt.agency_tracking_id for attempt in view.attempts)
    kept = [charge for charge in charges if charge.returned_at is None]
    if len(kept) > 1:
        findings.append(f"{bill.reference}: {CHARGED_TWICE} {len(kept)} times")
    findings += _judge_answers(world, bill, view)
    findings += _judge_money_back(world, view)
    for attempt in view.attempts:
        findings += _judge_attempt(world, attempt, view.events)
    return findings


def _judge_answers(world: World, bill: Bill, view: ObligationView) -> list[str]:
    """Check that callers received success only after processing, and failure only for payments without a charge."""
    findings = []
    processed_at = min((e.at for e in view.events if e.to_status == "processed"), default=None)
    charged = [attempt for attempt in view.attempts if world.books.charges(attempt.agency_tracking_id)]
    for at, status in bill.received:
        if world.restored_at is not None and at < world.restored_at:
            continue  # the restored store has lost what was acknowledged before
        if status == "success" and (processed_at is None or processed_at > at + EVENT_TIME_S):
            findings.append(f"{bill.reference}: a caller received success at {iso_ms(at)}, before it was processed")
        if status == "failed" and any(attempt.created_at <= at for attempt in charged):
            findings.append(f"{bill.reference}: a caller received failed at {iso_ms(at)} for a charged payment")
    return findings


def _judge_attempt(world: World, attempt: Attempt, events: tuple[Event, ...]) -> list[str]:
    name, findings = attempt.agency_tracking_id, []
    if attempt.status not in ("processed", "failed"):
        findings.append(f"{name} is still {attempt.status} after the operators")
    if attempt.lease_owner is not None or attempt.lease_until is not None:
        findings.append(f"{name} leaks a lease")
    if attempt.due_at is not None and not _may_be_watched(world, attempt):
        findings.append(f"{name} is final and still due")
    history = [event for event in events if event.agency_tracking_id == name]
    resolved = resolution(history)
    if resolved is not None:
        world.resolutions.append(resolved)
        if resolved[0] == "lost":
            world.shown_s += _after_shown_s(world, history, resolved[1])
    if [event.seq for event in history] != list(range(1, len(history) + 1)):
        findings.append(f"{name}: events are missing or doubled: {[event.seq for event in history]}")
    if attempt.event_seq != len(history) or attempt.version < attempt.event_seq:
        findings.append(f"{name}: version {attempt.version}, {attempt.event_seq} events counted, {len(history)} kept")
    no_process_died = world.sky.only_holders_end_leases and not world.counts["deaths"]
    status: str | None = None
    for event in history:
        if event.from_status != status or (status, event.to_status) not in MOVES:
            findings.append(f"{name}: {event.name} moves {event.from_status} to {event.to_status} out of {status}")
        status = event.to_status
        if no_process_died and LEASE_RAN_OUT in str(event.detail.get("reason")):
            findings.append(f"{name}: a lease ran out although no process died and the store had no faults")
    findings += steps_outside_the_table(history)
    world.edges.update(edge_line(event.from_status, event.name, event.to_status, event.actor) for event in history)
    if status != attempt.status:
        findings.append(f"{name} is {attempt.status} and its history ends in {status}")
    return findings


def _after_shown_s(world: World, history: list[Event], seconds: float) -> list[float]:
    """Return how long the resolution took after a lookup could show the charge, in a list; empty without a charge.

    ``seconds``: from the lost reply to the resolution.
    """
    ended_at = next(each.at for each in history if each.from_status == "processing" != each.to_status)
    shown_at = [
        charge.at - world.skew_s + world.sky.lookup_delay_s
        for charge in world.books.charges(history[0].agency_tracking_id)
    ]
    return [ended_at - max(shown, ended_at - seconds) for shown in shown_at[:1] if shown <= ended_at]


def _event_line(event: Event) -> str:
    moved = event.to_status if event.from_status == event.to_status else f"{event.from_status} → {event.to_status}"
    detail = ", ".join(f"{name}: {value}" for name, value in event.detail.items())
    return f"ledger: {event.agency_tracking_id}: {event.name} ({moved}) by the {event.actor}" + (
        detail and f"; {detail}"
    )
