"""Imports of another portal's attempts: each is one transaction of the attempt, its only event, and the obligation.

The other portal has only the last state and no history. So an imported attempt begins in that state, with the event
``imported`` of an operator. Its creation and its last change are the other portal's. The event's time is the import's,
so that the events of past days, and their daily roots, do not change.

Attempts at one obligation are imported in the order of their creation, because each continues the chain of the one
before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from bursar.clock import Clock, iso_ms
from bursar.payments.catalogue.fees import Fee
from bursar.payments.due import DuePolicy
from bursar.payments.errors import ImportRefused, LedgerBusy
from bursar.payments.ledger.first_records import next_created_at, write_first_records
from bursar.payments.ledger.lookups import Lookups
from bursar.payments.ledger.store_records.change_shards import ShardedTable
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import (
    IMPORTED,
    IMPORTED_UPDATED_AT,
    Attempt,
    money,
    normal_reference,
    whole_ms,
)
from bursar.payments.status import BLOCKING, FAILED, PENDING, PROCESSED, PROCESSING, Status, edge
from bursar.rules import Contention, RuleRefused

ImportedStatus = Literal["processed", "failed", "pending", "processing"]


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """An attempt of another portal. Times are Unix seconds, ``amount`` is in dollars.

    ``status`` is processing for an attempt whose payer may have been charged; ``unknown_reason`` is the reason then.
    """

    agency_tracking_id: str
    client: str
    reference: str
    fee: Fee
    amount: Decimal
    metadata: Mapping[str, Any] = field(repr=False, hash=False)
    status: ImportedStatus
    created_at: float
    updated_at: float
    paygov_tracking_id: str | None = None
    payment_method: str | None = None
    return_code: str | None = None
    return_detail: str | None = None
    unknown_reason: str | None = None


class Imports:
    """Writes imported attempts through ``ruled``. Many processes may import into one table at once."""

    def __init__(self, ruled: ShardedTable, lookups: Lookups, *, clock: Clock, due_policy: DuePolicy) -> None:
        self._ruled = ruled
        self._lookups = lookups
        self._clock = clock
        self._due_policy = due_policy

    async def check(self, record: ImportRecord) -> Attempt | None:
        """Return the attempt if it was imported before, None if :meth:`record` may import it. Nothing is written.

        Raises :class:`ImportRefused`.
        """
        return self._known(record, await self._view(record))

    async def record(self, record: ImportRecord, *, by: str, source: str) -> tuple[Attempt, bool]:
        """Import an attempt; return it, and whether it is new. ``source`` names the file and the line.

        Raises :class:`ImportRefused` for a record that contradicts what is stored or that a rule refuses, and
        ``LedgerBusy``.
        """
        view = await self._view(record)
        known = self._known(record, view)
        if known is not None:
            return known, False
        attempt = self._attempt(record, view)
        step = edge(None, IMPORTED, record.status)
        detail = _detail(attempt, by, source)
        try:
            await write_first_records(
                self._ruled, attempt, view, step.event, step.actors[0], detail, at=attempt.imported_at
            )
        except Contention as contention:
            raise LedgerBusy(str(contention)) from contention
        except RuleRefused as refused:
            raise ImportRefused(f"{record.agency_tracking_id}: {refused}") from None
        return attempt, True

    async def _view(self, record: ImportRecord) -> ObligationView | None:
        return await self._lookups.obligation(record.client, record.reference, events=False)

    def _known(self, record: ImportRecord, view: ObligationView | None) -> Attempt | None:
        """Return the attempt if it is stored. Raises :class:`ImportRefused` if the record does not fit the others."""
        name = record.agency_tracking_id
        attempts = () if view is None else view.attempts
        for each in attempts:
            if each.agency_tracking_id == name:
                if any(getattr(each, fact) != value for fact, value in _facts(record).items()):
                    raise ImportRefused(f"{name}: is recorded with other facts")
                return each
        if view is None:
            return None
        differing = view.obligation.differences(record.fee.key, record.metadata)
        if differing:
            raise ImportRefused(f"{name}: {' and '.join(differing)} must be as in the obligation's first attempt")
        if attempts[-1].created_at > whole_ms(record.created_at):
            raise ImportRefused(f"{name}: an attempt that began later is recorded: {attempts[-1].agency_tracking_id}")
        if record.status in BLOCKING and view.blocking is not None:
            twice = ": the payer was charged twice" if view.blocking.status == record.status == PROCESSED else ""
            blocking = f"{view.blocking.agency_tracking_id} ({view.blocking.status})"
            raise ImportRefused(f"{name}: another attempt at the obligation is recorded, {blocking}{twice}")
        return None

    def _attempt(self, record: ImportRecord, view: ObligationView | None) -> Attempt:
        now = whole_ms(self._clock())
        created_at = whole_ms(record.created_at)
        if view is not None:
            created_at = next_created_at(view, created_at)
        updated_at = max(created_at, whole_ms(record.updated_at))
        status: Status = record.status
        attempt = Attempt(
            agency_tracking_id=record.agency_tracking_id,
            client=record.client,
            reference=normal_reference(record.reference),
            fee=record.fee.key,
            fee_version=record.fee.version,
            tcs_app_id=record.fee.tcs_app_id,
            amount=money(record.amount),
            classification=record.fee.classified(money(record.amount)),
            metadata=dict(record.metadata),
            url_success="",
            url_cancel="",
            created_at=created_at,
            updated_at=updated_at,
            status=status,
            event_seq=1,
            paygov_tracking_id=record.paygov_tracking_id,
            payment_method=record.payment_method,
            return_code=record.return_code,
            return_detail=record.return_detail,
            outcome_unknown=status == PROCESSING,
            unknown_reason=record.unknown_reason if status == PROCESSING else None,
            unsettled_since=updated_at if status in (PENDING, PROCESSING) else None,
            settled_at=updated_at if status == PROCESSED else None,
            imported_at=now,
        )
        return replace(attempt, due_at=self._due_at(attempt, now))

    def _due_at(self, attempt: Attempt, now: float) -> float | None:
        """Return when the sweeper asks Pay.gov.

        It asks at once about an unknown or settling payment, and later about a debit that may be returned.
        """
        if attempt.status == FAILED:
            return None
        if attempt.status != PROCESSED:
            return now
        watched = self._due_policy.is_watched(attempt) and now < self._due_policy.return_watch_ends_at(attempt)
        return whole_ms(self._due_policy.next_return_poll_at(attempt, now)) if watched else None


def _facts(record: ImportRecord) -> dict[str, Any]:
    """Return the facts that a stored attempt must share to be the same record.

    The status is not one of them, because it may have changed.
    """
    paid = {} if record.paygov_tracking_id is None else {"paygov_tracking_id": record.paygov_tracking_id}
    return {"fee": record.fee.key, "amount": money(record.amount), **paid}


def _detail(attempt: Attempt, by: str, source: str) -> dict[str, Any]:
    values = {
        "by": by,
        "source": source,
        "amount": f"{attempt.amount:.2f}",
        "fee": attempt.fee,
        "fee_version": attempt.fee_version,
        "created_at": iso_ms(attempt.created_at),
        IMPORTED_UPDATED_AT: iso_ms(attempt.updated_at),
        "paygov_tracking_id": attempt.paygov_tracking_id,
        "payment_method": attempt.payment_method,
        "return_code": attempt.return_code,
        "return_detail": attempt.return_detail,
        "reason": attempt.unknown_reason,
    }
    return {name: value for name, value in values.items() if value is not None}
