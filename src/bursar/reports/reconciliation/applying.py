"""Record what the files prove (``--apply``): money that went back, and charges of attempts whose outcome is unknown.

| class of the line | what is recorded |
|---|---|
| reversal_not_recorded, returned or charged back | the reversal, with the source ``activity_file`` |
| reversal_not_recorded, refunded | a request for the refund; another person approves it with ``bursar refunds`` |
| status_differs, charged there and unknown here | the attempt is resolved as processed, with the line as its reason |
| matched, with a deposit ticket | the deposit of the payment under that ticket |
| charged_twice, or charged there and failed here | a contradiction, for a person: a final attempt never changes |

Each step is safe to repeat: applying a file again records no reversal, request, deposit or contradiction twice. Nothing
else changes, and nothing is sent to Pay.gov.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from bursar.payments.catalogue.clients import Clients
from bursar.payments.deposits import DepositReport
from bursar.payments.errors import (
    AttemptMoved,
    DepositDiffers,
    IdentifierTaken,
    LedgerBusy,
    ReversalDiffers,
    ReversalTooLarge,
)
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Attempt, Outcome
from bursar.payments.reversals import REFUNDED, ReversalKind, ReversalReport
from bursar.payments.status import FAILED, INITIATED, PENDING, PROCESSED, PROCESSING, RECEIVED, NoSuchEdge
from bursar.reports.reconciliation.classes import CHARGED_TWICE, MATCHED, REVERSAL_NOT_RECORDED, STATUS_DIFFERS
from bursar.reports.reconciliation.run import Reconciliation
from bursar.reports.reconciliation.scratch import Difference

SOURCE: Final = "activity_file"
APPLIED: Final = (REVERSAL_NOT_RECORDED.name, STATUS_DIFFERS.name, CHARGED_TWICE.name)
FOUND_IN_FILE: Final = "Pay.gov's activity file has a collection of it: the store went back, or the complete was lost"


@dataclass(slots=True)
class Applied:
    """The number of records by name, and a line for a person for each line of a file that could not be recorded."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)


async def apply(result: Reconciliation, ledger: Ledger, clients: Clients, *, by: str) -> Applied:
    """Record what the lines of ``result`` prove, in the name of ``by``. Raises the store's errors."""
    applied = Applied()
    marked = (await ledger.restores.read()).open_mark is not None
    for found in _stored(result):
        assert found.agency_id is not None, "a line of a known attempt has its id"
        attempt = await ledger.attempt_by_agency_id(found.agency_id)
        if attempt is None:
            continue
        reason = _place(result, found)
        try:
            if found.line_class == REVERSAL_NOT_RECORDED.name:
                done = await _reverse(ledger, clients, attempt, found, by, reason)
            else:
                done = await _settle(ledger, attempt, found, by, reason, restored=marked)
        except (
            AttemptMoved, IdentifierTaken, LedgerBusy, NoSuchEdge, ReversalDiffers, ReversalTooLarge
        ) as refused:  # fmt: skip
            applied.refused.append(f"{reason}: {refused}")
            continue
        if done is not None:
            applied.counts[done] += 1
    await _record_deposits(result, ledger, applied, by)
    return applied


async def _record_deposits(result: Reconciliation, ledger: Ledger, applied: Applied, by: str) -> None:
    """Record the deposit of each matched line with a ticket.

    If the line has no date of the deposit, its date is used.
    """
    for found in result.differences((MATCHED.name,)):
        day = found.deposited_on or found.line_day
        if found.deposit_ticket is None or day is None or found.agency_id is None:
            continue
        attempt = await ledger.attempt_by_agency_id(found.agency_id)
        if attempt is None:
            continue
        try:
            is_new = await ledger.deposits.of(attempt) is None
            await ledger.deposits.record(attempt, DepositReport(found.deposit_ticket, day, SOURCE, by))
        except (DepositDiffers, LedgerBusy, NoSuchEdge) as refused:
            applied.refused.append(f"{_place(result, found)}: {refused}")
            continue
        if is_new:
            applied.counts["deposits recorded"] += 1


def _place(result: Reconciliation, found: Difference) -> str:
    return f"{result.files[found.file or 0].name}, line {found.line}"


def _stored(result: Reconciliation) -> Iterator[Difference]:
    """Yield the lines to apply. They are read before anything is written."""
    return iter([found for found in result.differences(APPLIED) if found.client is not None])


async def _reverse(
    ledger: Ledger, clients: Clients, attempt: Attempt, found: Difference, by: str, reason: str
) -> str | None:
    kind = _kind(found)
    report = ReversalReport(
        kind,
        _dollars(abs(found.their_cents or 0)),
        SOURCE,
        by=by,
        reason=reason,
        reason_code=found.reason_code,
        effective_on=found.line_day,
        deposit_ticket=found.deposit_ticket,
        debit_voucher=found.debit_voucher,
    )
    before = attempt.event_seq
    if kind == REFUNDED:
        changed, _ = await ledger.reversals.request_reported_refund(attempt, report)
        return "refunds requested" if changed.event_seq > before else None
    client = clients.by_name(attempt.client)
    reopens = client is not None and client.reopen_after_full_return
    changed, _ = await ledger.reversals.record(attempt, report, actor="operator", reopens=reopens)
    return "reversals recorded" if changed.event_seq > before else None


async def _settle(
    ledger: Ledger, attempt: Attempt, found: Difference, by: str, reason: str, *, restored: bool
) -> str | None:
    """Record a charge that the record lacks. A line without a charge changes nothing."""
    if found.status != PROCESSED:
        return None
    outcome = Outcome(PROCESSED, found.paygov_id, found.their_status, found.method)
    if found.line_class == CHARGED_TWICE.name or attempt.status == FAILED:
        known = await ledger.contradictions.of(attempt.agency_tracking_id)
        await ledger.contradictions.keep(attempt, outcome)
        is_new = len(await ledger.contradictions.of(attempt.agency_tracking_id)) > len(known)
        return "contradictions kept" if is_new else None
    if not _is_sound(attempt, found):
        return None
    if attempt.status in (RECEIVED, INITIATED):
        if not restored:
            return None
        attempt = await ledger.put_in_doubt(attempt, FOUND_IN_FILE, actor="sweeper")
    if attempt.status != PROCESSING or not attempt.outcome_unknown:
        return None
    await ledger.resolve(attempt, settled_as=PROCESSED, by=by, reason=reason, paygov_tracking_id=found.paygov_id)
    return "unknown outcomes resolved"


def _is_sound(attempt: Attempt, found: Difference) -> bool:
    """Return whether the line proves the outcome: it has our id, Pay.gov's id and the attempt's amount."""
    names_both = found.line_agency_id == attempt.agency_tracking_id and found.paygov_id is not None
    return attempt.status != PENDING and names_both and _dollars(found.their_cents or 0) == attempt.amount


def _kind(found: Difference) -> ReversalKind:
    kinds: dict[str, ReversalKind] = {"charged_back": "charged_back", "refunded": "refunded"}
    return kinds.get(found.kind or "", "returned")


def _dollars(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
