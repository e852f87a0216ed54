"""The judge: an independent model of what must be true at rest. It trusts Pay.gov's books only.

It knows nothing of rules, graphs or ledgers: what it demands is written down here once more, by hand, so that a mistake
in those cannot hide itself.
"""

from collections import Counter
from collections.abc import Iterable

from bursar.payments.records import Attempt, Event, ObligationView
from bursar.rules.audit import audit
from sim.actors import Bill
from sim.world import TABLE, World

# What may follow what, by hand: not derived from payments.status.
MOVES = {
    (None, "received"),
    ("received", "initiated"),
    ("received", "failed"),
    ("initiated", "processing"),
    ("initiated", "failed"),
    ("processing", "processing"),
    ("processing", "processed"),
    ("processing", "pending"),
    ("processing", "failed"),
    ("pending", "pending"),
    ("pending", "processed"),
    ("pending", "failed"),
}


async def judge(world: World, made: Iterable[Bill]) -> list[str]:
    """Everything that is not as it must be, one line each; none when the run was good."""
    findings: list[str] = []
    views: list[ObligationView] = []
    ledger = world.ledger(world.engine)
    for bill in made:
        findings += bill.findings
        view = await ledger.obligation(bill.client, bill.reference)
        if view is not None:
            views.append(view)
            findings += _judge_bill(world, bill, view)
        elif bill.tokens:
            findings.append(f"{bill.reference}: acknowledged and then forgotten")
    findings += _judge_books(world, views)
    report = await audit(world.engine, TABLE, ledger.rules, randomness=world.randomness)
    findings += [f"audit: {fault.sort}: {fault.rule}: {fault.message}" for fault in report.faults]
    return findings


def _judge_books(world: World, views: list[ObligationView]) -> list[str]:
    """Each charge has exactly one processed attempt, with its id and amount; each processed attempt one charge."""
    findings = []
    attempts = {attempt.agency_tracking_id: attempt for view in views for attempt in view.attempts}
    charged = Counter(charge.agency_tracking_id for charge in world.books.all_charges())
    for charge in world.books.all_charges():
        attempt = attempts.get(charge.agency_tracking_id)
        if attempt is None:
            findings.append(f"a charge of {charge.agency_tracking_id} that no attempt knows")
        elif attempt.status != "processed" and not _given_up(world, attempt):
            findings.append(f"{attempt.agency_tracking_id} was charged and is {attempt.status}")
        elif attempt.status == "processed" and (
            attempt.paygov_tracking_id != charge.paygov_tracking_id or attempt.amount != charge.amount
        ):
            findings.append(f"{attempt.agency_tracking_id} is recorded otherwise than it was charged")
    findings += [
        f"{name} is processed and was charged {charged[name]} times"
        for name, attempt in attempts.items()
        if attempt.status == "processed" and charged[name] != 1
    ]
    return findings


def _judge_bill(world: World, bill: Bill, view: ObligationView) -> list[str]:
    ids = [attempt.agency_tracking_id for attempt in view.attempts]
    findings = []
    charges = len(world.books.charges_for(ids))
    if charges > 1:
        findings.append(f"{bill.reference}: the payer was charged {charges} times")
    processed = sum(attempt.status == "processed" for attempt in view.attempts)
    if "success" in bill.heard and processed != 1:
        findings.append(f"{bill.reference}: a caller heard success, and {processed} attempts are processed")
    for attempt in view.attempts:
        findings += _judge_attempt(world, attempt, view.events)
    return findings


def _judge_attempt(world: World, attempt: Attempt, events: tuple[Event, ...]) -> list[str]:
    name, findings = attempt.agency_tracking_id, []
    if attempt.status not in ("processed", "failed") and not _given_up(world, attempt):
        findings.append(f"{name} is still {attempt.status} after the quiet period")
    if attempt.lease_owner is not None or attempt.lease_until is not None:
        findings.append(f"{name} leaks a lease")
    history = [event for event in events if event.agency_tracking_id == name]
    if [event.seq for event in history] != list(range(1, len(history) + 1)):
        findings.append(f"{name}: events are missing or doubled: {[event.seq for event in history]}")
    status: str | None = None
    for event in history:
        if event.from_status != status or (status, event.to_status) not in MOVES:
            findings.append(f"{name}: {event.name} moves {event.from_status} to {event.to_status} out of {status}")
        status = event.to_status
    if status != attempt.status:
        findings.append(f"{name} is {attempt.status} and its history ends in {status}")
    return findings


def _given_up(world: World, attempt: Attempt) -> bool:
    """Whether only a person can settle it: allowed without a query service, if it is unknown and says why."""
    allowed = not world.weather.query_available
    return allowed and attempt.status == "processing" and attempt.outcome_unknown and bool(attempt.unknown_reason)
