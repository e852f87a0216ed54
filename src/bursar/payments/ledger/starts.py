"""Start an attempt, in one transaction with its first event and, if it is the first attempt, with its obligation.

Starts at the same time derive the same id and write the same keys, so one of them succeeds and the others read again.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import Clock
from bursar.payments.attempt_ids import next_attempt_id
from bursar.payments.catalogue.fees import Fee
from bursar.payments.due import DuePolicy
from bursar.payments.errors import (
    AttemptsExhausted,
    FeeRetired,
    LedgerBusy,
    MetadataDiffers,
    MetadataErased,
    ObligationTaken,
)
from bursar.payments.ledger.first_records import next_created_at, write_first_records
from bursar.payments.ledger.lookups import Lookups
from bursar.payments.ledger.store_records.change_shards import ShardedTable
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import Attempt, money, normal_reference, whole_ms
from bursar.payments.status import RECEIVED
from bursar.rules import Contention, RuleRefused, StoreBusy

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

START_TRIES_MAX: Final = 4
"""The most tries of a start that loses races. After these, the obligation counts as taken."""
_IDENTITY: Final = (
    "client",
    "reference",
    "fee",
    "fee_version",
    "tcs_app_id",
    "amount",
    "classification",
    "metadata",
    "url_success",
    "url_cancel",
)
"""The fields of an attempt that a lost attempt at the same obligation has too."""


class Starts(Lookups):
    """The part of the ledger that starts attempts."""

    def __init__(self, store: "Store", ruled: ShardedTable, table: str, *, clock: Clock, due_policy: DuePolicy) -> None:
        super().__init__(store, ruled, table)
        self.due_policy = due_policy
        self._clock = clock

    async def start_attempt(
        self,
        client: str,
        reference: str,
        fee: Fee,
        amount: Decimal,
        metadata: Mapping[str, Any],
        url_success: str,
        url_cancel: str,
    ) -> Attempt:
        """Start an attempt, in status ``received``, and write its obligation if it is the first.

        ``amount`` is in dollars.

        Raises ``MetadataDiffers``, ``ObligationTaken`` with the blocking attempt, ``MetadataErased`` and ``FeeRetired``
        if no attempt blocks, ``AttemptsExhausted``, ``LedgerBusy``, and ``ValueError`` for an amount that is not the
        fee's. ``MetadataDiffers`` is checked first, so that a caller with other metadata learns nothing about the live
        attempt.
        """
        if fee.amount is not None and money(amount) != fee.amount:
            raise ValueError(f"amount: must be {fee.amount}, the price of {fee.key}; got {amount}")
        attempt = self.draft(client, reference, fee, amount, metadata, url_success, url_cancel)
        return await self._start(attempt, retired=fee.retired)

    def draft(
        self,
        client: str,
        reference: str,
        fee: Fee,
        amount: Decimal,
        metadata: Mapping[str, Any],
        url_success: str,
        url_cancel: str,
    ) -> Attempt:
        """Return an attempt, in status ``received``, that is not stored and has no id. ``amount`` is in dollars.

        Raises ``ValueError`` for an amount with more than two decimals or out of bounds.
        """
        now, exact = self._now(), money(amount)
        return Attempt(
            agency_tracking_id="",
            client=client,
            reference=normal_reference(reference),
            fee=fee.key,
            fee_version=fee.version,
            tcs_app_id=fee.tcs_app_id,
            amount=exact,
            classification=fee.classified(exact),
            metadata=dict(metadata),
            url_success=url_success,
            url_cancel=url_cancel,
            created_at=now,
            updated_at=now,
            status=RECEIVED,
            event_seq=1,
        )

    def lost_attempt(self, like: Attempt, agency_tracking_id: str) -> Attempt:
        """Return an attempt that is not stored, with an id that the lost part of a restored store may have used.

        It has the identity of ``like``, a draft or another attempt at the obligation.
        """
        now = self._now()
        identity = {name: getattr(like, name) for name in _IDENTITY}
        return Attempt(
            agency_tracking_id=agency_tracking_id,
            created_at=now,
            updated_at=now,
            status=RECEIVED,
            event_seq=1,
            **identity,
        )

    async def start_lost_attempt(self, lost: Attempt, created_at: float) -> Attempt:
        """Start ``lost``, made by :meth:`lost_attempt`, under its id, as created not before ``created_at``.

        Return the attempt as it is stored if another caller has started it. Raises ``MetadataDiffers``,
        ``ObligationTaken``, ``LedgerBusy``.
        """
        again = replace(lost, created_at=whole_ms(created_at))
        return await self._start(again, lost_id=lost.agency_tracking_id)

    async def _start(self, attempt: Attempt, *, retired: bool = False, lost_id: str | None = None) -> Attempt:
        """Store ``attempt`` as the next one at its obligation.

        ``lost_id``: keep the attempt's id, which is not the next one.
        """
        client, reference = attempt.client, attempt.reference
        created_at, now = attempt.created_at, attempt.updated_at
        for _ in range(START_TRIES_MAX):
            view = await self.obligation(client, reference, events=False)
            attempts = () if view is None else view.attempts
            for each in attempts:
                if each.agency_tracking_id == lost_id:
                    return each
            if view is not None:
                created_at = _created_at_or_conflict(view, created_at, attempt.fee, attempt.metadata)
            if retired:
                raise FeeRetired(attempt.fee)
            new_id = lost_id or next_attempt_id(client, reference, (each.agency_tracking_id for each in attempts))
            if new_id is None:
                raise AttemptsExhausted(client, reference)
            attempt.agency_tracking_id = new_id
            attempt.created_at, attempt.updated_at = created_at, max(created_at, now)
            due_policy = self.due_policy
            attempt.due_at = due_policy.due_at(attempt) if lost_id is None else due_policy.lost_due_at(attempt)
            owed = {"amount": f"{attempt.amount:.2f}", "fee": attempt.fee, "fee_version": attempt.fee_version}
            try:
                await write_first_records(self._ruled, attempt, view, "started", "portal", owed)
                return attempt
            except StoreBusy as busy:
                raise LedgerBusy(str(busy)) from busy
            except Contention:
                continue
            except RuleRefused:
                # Two concurrent starts write the same keys, so any rule can refuse the second one, which has lost the
                # race.
                if await self.obligation(client, reference, events=False) == view:
                    raise
        raise ObligationTaken(None)

    def _now(self) -> float:
        return whole_ms(self._clock())


def _created_at_or_conflict(view: ObligationView, now: float, fee: str, metadata: Mapping[str, Any]) -> float:
    """Return the creation time of a further attempt.

    Raises ``MetadataDiffers``, ``ObligationTaken`` and ``MetadataErased``.
    """
    erased = view.obligation.metadata_erased_at is not None
    differing = view.obligation.differences(fee, {} if erased else metadata)
    if differing:
        raise MetadataDiffers(view.obligation, differing)
    if view.blocking is not None:
        raise ObligationTaken(view.blocking)
    if erased:
        raise MetadataErased(view.obligation)
    return next_created_at(view, now)
