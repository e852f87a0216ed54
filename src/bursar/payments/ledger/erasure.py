"""Erasure: remove the metadata, which are personal data, of an obligation whose attempts have all ended.

    obligation   metadata ✘   metadataErasedAt
    attempt 1    metadata ✘   metadataErasedAt   ◄── event metadata_erased (by, reason)
    attempt 2    metadata ✘   metadataErasedAt   ◄── event metadata_erased (by, reason)      one transaction

Nothing else changes: amounts, statuses and times are kept, and so is the chain of events, which never contains
metadata. The rules allow an erasure of final attempts only, and never let metadata come back.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from bursar.clock import Clock, iso_ms
from bursar.dynamo.items.attribute_values import Item
from bursar.payments.errors import LedgerBusy
from bursar.payments.event_chain import event_hash
from bursar.payments.records import (
    ATTEMPT,
    METADATA,
    METADATA_ERASED_AT,
    OBLIGATION,
    Attempt,
    attempt_from_item,
    attempt_to_item,
    event_to_item,
    latest_event,
    partition_key,
    whole_ms,
)
from bursar.payments.status import FINAL, EventName, edge
from bursar.rules import Contention, Put, RuledTable, Update
from bursar.rules.language.writes import LogicalWrite

METADATA_ERASED: Final[EventName] = "metadata_erased"
ERASE_TRIES_MAX: Final = 4
"""The most tries of one erasure while other writers change the obligation."""

ErasureResult = Literal["erased", "erased before", "live", "too recent"]


class Erasure:
    """Erases the metadata of obligations in one payments table."""

    def __init__(self, ruled: RuledTable, *, clock: Clock) -> None:
        self._ruled = ruled
        self._clock = clock

    async def erase(
        self, client: str, reference: str, *, ended_before: float, by: str, reason: str, dry_run: bool = False
    ) -> tuple[ErasureResult, int]:
        """Erase the metadata of an obligation if all its attempts ended before ``ended_before``, Unix seconds.

        Returns the result and the number of attempts with metadata. ``dry_run``: write nothing. Raises ``LedgerBusy``.
        """
        for _ in range(ERASE_TRIES_MAX):
            items = await self._ruled.partition({"S": partition_key(client, reference)})
            attempts = [attempt_from_item(item) for item in items if item["kind"] == {"S": ATTEMPT}]
            pending = [attempt for attempt in attempts if attempt.metadata_erased_at is None]
            result = _result(attempts, pending, ended_before)
            if result != "erased" or dry_run:
                return result, len(pending)
            now = whole_ms(self._clock())
            obligations = [item for item in items if item["kind"] == {"S": OBLIGATION} and METADATA in item]
            writes: list[LogicalWrite] = [Update(item, _without_metadata(item, now)) for item in obligations]
            for attempt in pending:
                writes += _erasing(attempt, now, by, reason)
            try:
                await self._ruled.write(writes)
            except Contention:
                continue
            return result, len(pending)
        raise LedgerBusy(f"{client}, {reference}: other writers have changed it {ERASE_TRIES_MAX} times meanwhile")


def _result(attempts: Sequence[Attempt], pending: Sequence[Attempt], ended_before: float) -> ErasureResult:
    if any(attempt.status not in FINAL for attempt in attempts):
        return "live"
    if not pending:
        return "erased before"
    if any(attempt.updated_at >= ended_before for attempt in attempts):
        return "too recent"
    return "erased"


def _erasing(attempt: Attempt, now: float, by: str, reason: str) -> list[LogicalWrite]:
    """Return the writes that erase one attempt's metadata: its next version, and the event."""
    step = edge(attempt.status, METADATA_ERASED)
    assert attempt.stored_item is not None  # it was read from the store
    changed = replace(
        attempt, metadata={}, metadata_erased_at=now, version=attempt.version + 1, event_seq=attempt.event_seq + 1
    )
    detail = {"by": by, "reason": reason}
    event = latest_event(changed, attempt.status, step.event, step.actors[0], detail, previous_hash=attempt.event_hash)
    item = event_to_item(replace(event, at=max(now, attempt.updated_at)))
    changed.event_hash = event_hash(item)
    return [Update(attempt.stored_item, attempt_to_item(changed)), Put(item)]


def _without_metadata(obligation: Item, now: float) -> Item:
    kept = {name: value for name, value in obligation.items() if name != METADATA}
    return {**kept, METADATA_ERASED_AT: {"S": iso_ms(now)}}
