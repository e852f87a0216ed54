"""Pay.gov's activity file at the end of a run: the reconciliation finds what the books and the record disagree about.

A faithful file has no differences but those that the run made: another amount charged, or an attempt that a restored
store has lost. Differences that are then planted in the file are all found, and no other is.
"""

import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from bursar.paygov.simulator.activity_file import FORMS, PLANTINGS, ActivityRecord, activity_records, planted
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import Attempt
from bursar.payments.status import FINAL
from bursar.reports.lake.rows import court_day
from bursar.reports.reconciliation.mapping import FileMapping
from bursar.reports.reconciliation.our_payments import PaymentRow, ReversalRow
from bursar.reports.reconciliation.run import FileDays, reconciled
from sim.actors.applications import Bill
from sim.world import World

COMPARED_SHARE: Final = 0.25
"""The share of seeds at whose end an activity file is compared."""
PLANTED: Final = "differences planted in an activity file"
_DAYS: Final = ("2000-01-01", "2099-12-31")

Differences = Mapping[tuple[str, str | None], str]
"""(agency tracking id, Pay.gov tracking id) → class."""


class RecordedPayments:
    """The payments of a run, as its ledger has them."""

    def __init__(self, views: Iterable[ObligationView]) -> None:
        found = list(views)
        self._rows = [_row(attempt) for view in found for attempt in view.attempts]
        self._reversals = [
            ReversalRow(each.agency_tracking_id, each.kind, int(each.amount * 100), each.effective_on)
            for view in found
            for each in view.reversals
        ]

    async def ended_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        yield [row for row in self._rows if row.final_on is not None and first <= row.final_on <= last]

    async def live_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        yield [row for row in self._rows if row.final_on is None and first <= row.created_on <= last]

    async def with_ids(self, agency_ids: Sequence[str], paygov_ids: Sequence[str]) -> Sequence[PaymentRow]:
        return [row for row in self._rows if row.agency_id in agency_ids or row.paygov_id in paygov_ids]

    async def reversals(self, agency_ids: Sequence[str]) -> Sequence[ReversalRow]:
        return [row for row in self._reversals if row.agency_id in agency_ids]


async def judge_activity_file(world: World, made: Iterable[Bill]) -> list[str]:
    """Return a line for each difference that is wrongly found or not found."""
    chance = world.branch("activity file")
    if chance.random() >= COMPARED_SHARE:
        return []
    views = [await world.reader.obligation(bill.client, bill.reference) for bill in made]
    known = [view for view in views if view is not None]
    ours = RecordedPayments(known)
    attempts = {attempt.agency_tracking_id: attempt for view in known for attempt in view.attempts}
    records = activity_records(world.paygov, *_DAYS)
    odd = {name for name, amount in _charged(records) if name not in attempts or attempts[name].amount != amount}
    form = chance.choice(tuple(FORMS))
    found = await _differences(records, form, ours)
    findings = [
        f"activity file: {name} as {paygov_id} is {kind}"
        for (name, paygov_id), kind in found.items()
        if name not in odd
    ]
    findings += [f"activity file: {name} agrees" for name in odd - {name for name, _ in found}]
    clean = [record for record in records if record.agency_tracking_id not in odd]
    paid = sum(record.transaction_status == "Success" for record in clean) - _returned(clean)
    kinds = chance.sample(tuple(PLANTINGS), max(0, min(paid, len(PLANTINGS))))
    lines, places = planted(clean, kinds, chance)
    world.counts[PLANTED] += len(kinds)
    strangers = [record for record in records if record.agency_tracking_id in odd]
    again = await _differences([*lines, *strangers], form, ours)
    return findings + _judge_planted(places, {key: kind for key, kind in again.items() if key[0] not in odd})


def _judge_planted(places: Sequence[tuple[str, ActivityRecord]], found: Differences) -> list[str]:
    findings = []
    left = dict(found)
    for kind, record in places:
        key = next((key for key, named in left.items() if named == kind and _is_of(key[0], kind, record)), None)
        if key is None:
            findings.append(f"activity file: {kind} at {record.agency_tracking_id} is not found")
        else:
            del left[key]
    return findings + [
        f"activity file: {name} is {kind}, and nothing is planted there" for (name, _), kind in left.items()
    ]


def _is_of(name: str, kind: str, record: ActivityRecord) -> bool:
    """Return whether a difference may be the planted one: a stranger has an id that the plant made up."""
    return kind == "missing_here" or name == record.agency_tracking_id


async def _differences(records: Sequence[ActivityRecord], form: str, ours: RecordedPayments) -> Differences:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"activity.{form}"
        path.write_text(FORMS[form][1](records))
        with await reconciled([path], FileMapping(), ours, period=FileDays(*_DAYS)) as result:
            return {(each.agency_id or "", each.paygov_id): each.line_class for each in result.differences()}


def _charged(records: Iterable[ActivityRecord]) -> list[tuple[str, Decimal]]:
    return [(record.agency_tracking_id, Decimal(record.amount)) for record in records]


def _returned(records: Iterable[ActivityRecord]) -> int:
    return sum(record.transaction_status == "Retired" for record in records)


def _row(attempt: Attempt) -> PaymentRow:
    return PaymentRow(
        agency_id=attempt.agency_tracking_id,
        paygov_id=attempt.paygov_tracking_id,
        client=attempt.client,
        reference=attempt.reference,
        cents=int(attempt.amount * 100),
        status=attempt.status,
        unknown=attempt.outcome_unknown,
        created_on=court_day(attempt.created_at).isoformat(),
        final_on=court_day(attempt.updated_at).isoformat() if attempt.status in FINAL else None,
    )
