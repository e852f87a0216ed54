"""Reversals and refunds in the ledger: each is one transaction of the attempt, its event and the reversal's record.

    record            a return or a chargeback that has happened: the reversal, and the event of its kind
    request_refund    one person asks for a refund: the open request
    approve           another person approves it: the request is decided, and the reversal is recorded
    reject            any person rejects it, also the one who asked

A reversal is a fact, so it is recorded no matter which other event of the attempt is written at the same time.
Recording the same report again changes nothing (:func:`bursar.payments.reversals.reversal_id`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from bursar.payments import rules
from bursar.payments.errors import (
    AttemptMoved,
    RefundDecided,
    RefundNeedsSecondPerson,
    ReversalDiffers,
    ReversalTooLarge,
)
from bursar.payments.history_bounds import REVERSAL_EVENTS_MAX, taken_too_often
from bursar.payments.ledger.journal import CHANGE_TRIES_MAX, Journal
from bursar.payments.records import ZERO, Attempt, Item, money, partition_key
from bursar.payments.reversals import (
    APPROVED,
    CHARGED_BACK,
    OPEN,
    REFUNDED,
    REJECTED,
    RETURNED,
    RefundRequest,
    Reversal,
    ReversalKind,
    ReversalReport,
    refund_from_item,
    refund_key,
    refund_to_item,
    refunds_begin,
    reversal_from_item,
    reversal_id,
    reversal_to_item,
    reversals_begin,
)
from bursar.payments.status import Actor, EventName, NoSuchEdge
from bursar.rules import Put, RuledTable, RuleRefused, Update
from bursar.rules.language.writes import LogicalWrite

_DUE_KEYS: Final = ("dueShard", "dueAt")
_REPORTED: Final = ("source", "reason_code", "effective_on")
"""The facts that are equal if two reports are about the same refund."""
_EVENTS: Final[Mapping[ReversalKind, EventName]] = {RETURNED: "returned", CHARGED_BACK: "charged_back"}
"""Kind of reversal → its event. A refund is not among them: it needs a decision, so it has other events."""


class Reversals:
    """The reversals and refunds of one payments table. Many processes may use one table at once."""

    def __init__(self, ruled: RuledTable, journal: Journal, reread: Callable[[Attempt], Awaitable[Attempt]]) -> None:
        self._ruled = ruled
        self._journal = journal
        self._reread = reread

    async def of(self, attempt: Attempt) -> list[Reversal]:
        """Return the reversals of ``attempt``, oldest first, by a strongly consistent read."""
        items = await self._ruled.partition({"S": _partition(attempt)}, reversals_begin(attempt))
        return [reversal_from_item(item) for item in items]

    async def record(
        self, attempt: Attempt, report: ReversalReport, *, actor: Actor, reopens: bool = False
    ) -> tuple[Attempt, Reversal]:
        """Record a return or a chargeback; return the attempt and the reversal, also if it was recorded before.

        ``reopens``: a return of the whole amount lets another attempt pay the obligation. Raises ``ReversalDiffers`` if
        the same reversal is recorded with another amount, ``ReversalTooLarge``, ``AttemptMoved``, ``LedgerBusy``, and
        ``NoSuchEdge`` for an attempt that is not processed, for a refund, and for one reversal too many.
        """
        event = _EVENTS.get(report.kind)
        if event is None:
            raise NoSuchEdge("a refund: must be requested by one person and approved by another")
        for _ in range(CHANGE_TRIES_MAX):
            known = await self.of(attempt)
            reversal = _reversal(attempt, report, len(known) + 1)
            same = next((each for each in known if each.reversal_id == reversal.reversal_id), None)
            if same is not None:
                if same.amount != reversal.amount:
                    raise ReversalDiffers(same)
                return await self._reread(attempt), same
            full_return = report.kind == RETURNED and reversal.amount == attempt.amount
            try:
                return await self._write(
                    attempt, reversal, event, actor, reopened=attempt.reopened or (reopens and full_return)
                )
            except AttemptMoved as moved:
                attempt = moved.attempt
        raise AttemptMoved(attempt)

    async def request_refund(
        self, attempt: Attempt, amount: Decimal, *, by: str, reason: str
    ) -> tuple[Attempt, RefundRequest]:
        """Store the request ``by`` a person to refund ``amount`` dollars; return the attempt and the request.

        Raises ``ReversalTooLarge`` for more than is left, ``AttemptMoved``, ``LedgerBusy``, and ``NoSuchEdge``.
        """
        return await self._request(attempt, money(amount), len(await self._requests(attempt)), by=by, reason=reason)

    async def request_reported_refund(self, attempt: Attempt, report: ReversalReport) -> tuple[Attempt, RefundRequest]:
        """Store the request for a refund that an activity file reports; ``report.by`` asks for it.

        Return the existing request if one of the same amount is open, or if the same report was requested before.
        Raises as :meth:`request_refund`, and ``ValueError`` for a report without a person or a reason.
        """
        if not report.by or not report.reason:
            raise ValueError("a report of a refund: must have a person and a reason")
        known = await self._requests(attempt)
        facts = {name: getattr(report, name) for name in _REPORTED}
        for each in known:
            is_open = each.status == OPEN and each.source is None
            if each.amount == report.amount and (is_open or all(getattr(each, n) == v for n, v in facts.items())):
                return attempt, each
        facts |= {"deposit_ticket": report.deposit_ticket, "debit_voucher": report.debit_voucher}
        return await self._request(
            attempt, money(report.amount), len(known), by=report.by, reason=report.reason, **facts
        )

    async def _requests(self, attempt: Attempt) -> list[RefundRequest]:
        items = await self._ruled.partition({"S": _partition(attempt)}, refunds_begin(attempt))
        return [refund_from_item(item) for item in items]

    async def _request(
        self, attempt: Attempt, amount: Decimal, known: int, *, by: str, reason: str, **facts: Any
    ) -> tuple[Attempt, RefundRequest]:
        if amount + (attempt.reversed_amount or ZERO) > attempt.amount:
            raise ReversalTooLarge(attempt, amount)
        request = RefundRequest(
            client=attempt.client,
            reference=attempt.reference,
            agency_tracking_id=attempt.agency_tracking_id,
            attempt_created_at=attempt.created_at,
            seq=known + 1,
            amount=amount,
            reason=reason,
            requested_by=by,
            requested_at=0.0,
            **facts,
        )
        detail = {"refund": request.seq, "refund_amount": f"{amount:f}", "by": by, "reason": reason}

        def also(_: Attempt, at: float) -> Sequence[LogicalWrite]:
            nonlocal request
            request = replace(request, requested_at=at)
            return [Put(refund_to_item(request))]

        _check_not_too_often(attempt, "refund_requested")
        changed = await self._journal.record(attempt, "refund_requested", "operator", detail=detail, also=also)
        return changed, request

    async def approve(self, attempt: Attempt, seq: int, *, by: str, reason: str) -> tuple[Attempt, Reversal]:
        """Approve request ``seq`` and record its refund. Nothing is sent to Pay.gov.

        Raises ``LookupError`` without such a request, ``RefundDecided``, ``RefundNeedsSecondPerson`` if ``by`` asked
        for it, ``ReversalTooLarge``, ``AttemptMoved``, and ``LedgerBusy``.
        """
        item, request = await self._open_request(attempt, seq)
        report = ReversalReport(
            REFUNDED,
            request.amount,
            request.source or "operator",
            by=by,
            reason=request.reason,
            reason_code=request.reason_code,
            effective_on=request.effective_on,
            deposit_ticket=request.deposit_ticket,
            debit_voucher=request.debit_voucher,
            report_id=str(seq),
        )
        known = await self.of(attempt)
        reversal = replace(
            _reversal(attempt, report, len(known) + 1), requested_by=request.requested_by, approved_by=by
        )
        decided = replace(request, status=APPROVED, approved_by=by, decision_reason=reason)
        try:
            return await self._write(
                attempt, reversal, "refund_approved", "operator", decision=(item, decided), reopened=attempt.reopened
            )
        except RuleRefused as refusal:
            if refusal.rule in (rules.REFUND_TWO_PEOPLE, rules.REFUNDED_TWO_PEOPLE):
                raise RefundNeedsSecondPerson(request) from None
            raise

    async def reject(self, attempt: Attempt, seq: int, *, by: str, reason: str) -> tuple[Attempt, RefundRequest]:
        """Reject request ``seq``. Raises ``LookupError``, ``RefundDecided``, ``AttemptMoved``, ``LedgerBusy``."""
        item, request = await self._open_request(attempt, seq)
        decided = replace(request, status=REJECTED, rejected_by=by, decision_reason=reason)
        detail = {"refund": seq, "refund_amount": f"{request.amount:f}", "by": by, "reason": reason}

        def also(_: Attempt, at: float) -> Sequence[LogicalWrite]:
            nonlocal decided
            decided = replace(decided, decided_at=at)
            return [_decide(item, decided)]

        changed = await self._journal.record(attempt, "refund_rejected", "operator", detail=detail, also=also)
        return changed, decided

    async def _open_request(self, attempt: Attempt, seq: int) -> tuple[Item, RefundRequest]:
        item = await self._ruled.get(refund_key(attempt, seq))
        if item is None:
            raise LookupError(f"{attempt.agency_tracking_id}/{seq}: must be a request for a refund; got none")
        request = refund_from_item(item)
        if request.status != OPEN:
            raise RefundDecided(request)
        return item, request

    async def _write(
        self,
        attempt: Attempt,
        reversal: Reversal,
        event: EventName,
        actor: Actor,
        *,
        reopened: bool,
        decision: tuple[Item, RefundRequest] | None = None,
    ) -> tuple[Attempt, Reversal]:
        """Write the reversal, the attempt's new total, the event and the ``decision`` on its request together."""
        _check_not_too_often(attempt, event)

        def also(_: Attempt, at: float) -> Sequence[LogicalWrite]:
            nonlocal reversal
            reversal = replace(reversal, at=at)
            decided = [_decide(decision[0], replace(decision[1], decided_at=at))] if decision else []
            return [Put(reversal_to_item(reversal)), *decided]

        total = (attempt.reversed_amount or ZERO) + reversal.amount
        if total > attempt.amount:
            raise ReversalTooLarge(attempt, reversal.amount)
        changed = await self._journal.record(
            attempt,
            event,
            actor,
            detail=_detail(reversal, total, decision[1] if decision else None),
            also=also,
            reversed_amount=total,
            reopened=reopened,
        )
        return changed, reversal


def _reversal(attempt: Attempt, report: ReversalReport, seq: int) -> Reversal:
    return Reversal(
        client=attempt.client,
        reference=attempt.reference,
        agency_tracking_id=attempt.agency_tracking_id,
        attempt_created_at=attempt.created_at,
        seq=seq,
        reversal_id=reversal_id(attempt, report),
        kind=report.kind,
        amount=money(report.amount),
        at=0.0,
        source=report.source,
        by=report.by,
        reason=report.reason,
        reason_code=report.reason_code,
        effective_on=report.effective_on,
        deposit_ticket=report.deposit_ticket,
        debit_voucher=report.debit_voucher,
    )


def _detail(reversal: Reversal, total: Decimal, decided: RefundRequest | None) -> dict[str, Any]:
    """Return the event's detail: the reversal's facts, the attempt's new total, and the request that it decides."""
    values: Mapping[str, Any] = {
        "reversal": reversal.seq,
        "reversal_amount": f"{reversal.amount:f}",
        "reversed_amount": f"{total:f}",
        "source": reversal.source,
        "reason_code": reversal.reason_code,
        "effective_on": reversal.effective_on,
        "by": reversal.by,
        "reason": reversal.reason if decided is None else decided.decision_reason,
        "refund": None if decided is None else decided.seq,
    }
    return {name: value for name, value in values.items() if value is not None}


def _decide(item: Item, decided: RefundRequest) -> Update:
    kept = {name: value for name, value in item.items() if name not in _DUE_KEYS}
    return Update(item, kept | refund_to_item(decided))


def _check_not_too_often(attempt: Attempt, event: EventName) -> None:
    if taken_too_often(attempt, event):
        raise NoSuchEdge(
            f"{event}: must be before event {REVERSAL_EVENTS_MAX} of an attempt; "
            f"{attempt.agency_tracking_id} has {attempt.event_seq}"
        )


def _partition(attempt: Attempt) -> str:
    return partition_key(attempt.client, attempt.reference)
