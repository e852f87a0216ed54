"""The records of restores from a backup in the payments table. :mod:`bursar.payments.rules` has their rules.

    kind             pk      sk                          what it is
    restore-mark     store   restore#<restored at>       the table went back in time; open until a person clears it
    lost-collection  store   lost#<agencyTrackingId>     a collection that Pay.gov has and the table does not
    generation       store   generation                  a number that only grows; it is also kept outside of the store

While a mark is open, the portal asks Pay.gov about what the lost part of the table may have held
(:mod:`bursar.portal.use_cases.after_restore`). An operator clears it after comparing the table with Pay.gov's activity
file, and gives the collections of that file that the table lacks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bursar.clock import Clock, from_iso_ms, iso_ms
from bursar.dynamo.items.attribute_values import Item
from bursar.payments.errors import LedgerBusy
from bursar.payments.item_layout import TEXT, TIME, Codec, Layout
from bursar.payments.ledger.store_records.move_state import PARTITION
from bursar.payments.records import Attempt, whole_ms
from bursar.rules import Contention, Put, RuledTable, RuleRefused, Update

RESTORE_MARK: Final = "restore-mark"
LOST_COLLECTION: Final = "lost-collection"
GENERATION: Final = "generation"
"""The ``kind`` of each item. The last one is also the sort key of its item."""
WRITES_AT_ONCE_MAX: Final = 50
"""The most lost collections in one transaction, which may have 100 actions."""
GENERATION_TRIES_MAX: Final = 4

LOST_SPAN_S: Final = 1.0
"""Lost attempts that are started again are created at the restore and up to this time later, a millisecond apart."""

BY_COMMAND: Final = "bursar restore"
FOUND_AT_START: Final = "found at start"
BY_OPERATOR: Final = "marked by an operator"


@dataclass(frozen=True, slots=True)
class RestoreMark:
    """The store was restored at ``restored_at`` from a backup; ``way``: how that became known. Times are Unix seconds.

    ``backup_at``: when the generation of the backup was last raised; None if that is not known. The backup is not older
    than this. The three fields of the clearing are None while the mark is open.
    """

    restored_at: float
    way: str
    backup_at: float | None = None
    cleared_by: str | None = None
    cleared_reason: str | None = None
    cleared_at: float | None = None

    def covers(self, attempt: Attempt) -> bool:
        """Return whether the attempt began before the restore, or is a lost attempt that was started again."""
        return attempt.created_at <= self.restored_at + LOST_SPAN_S


@dataclass(frozen=True, slots=True)
class LostCollection:
    """A collection that charged a payer and whose attempt the table lost, as ``by`` found it in Pay.gov's reports."""

    agency_tracking_id: str
    paygov_tracking_id: str | None
    by: str
    reason: str
    recorded_at: float


@dataclass(frozen=True, slots=True)
class Restores:
    """The records of one table. ``lost``: agency tracking id → collection. ``generation``: 0 if it was never raised.

    ``generation_at``: when it was last raised, Unix seconds.
    """

    marks: tuple[RestoreMark, ...] = ()
    lost: Mapping[str, LostCollection] = field(default_factory=dict)
    generation: int = 0
    generation_at: float | None = None

    @property
    def open_mark(self) -> RestoreMark | None:
        """The latest mark that is not cleared; None without one."""
        return next((mark for mark in reversed(self.marks) if mark.cleared_at is None), None)


_MARK: Final[dict[str, tuple[str, Codec]]] = {
    "restored_at": ("restoredAt", TIME),
    "way": ("way", TEXT),
    "backup_at": ("backupAt", TIME),
}
_CLEARING: Final[dict[str, tuple[str, Codec]]] = {
    "cleared_by": ("clearedBy", TEXT),
    "cleared_reason": ("clearedReason", TEXT),
    "cleared_at": ("clearedAt", TIME),
}
_LOST: Final[dict[str, tuple[str, Codec]]] = {
    "agency_tracking_id": ("agencyTrackingId", TEXT),
    "paygov_tracking_id": ("payGovTrackingId", TEXT),
    "by": ("recordedBy", TEXT),
    "reason": ("reason", TEXT),
    "recorded_at": ("createdAt", TIME),
}
_MARK_LAYOUT: Final = Layout(RestoreMark, _MARK | _CLEARING)
_LOST_LAYOUT: Final = Layout(LostCollection, _LOST, nullable=("paygov_tracking_id",))
MARK_ATTRIBUTES: Final = tuple(attribute for attribute, _ in _MARK.values())
"""The attributes that describe a restore; they never change."""
CLEARING_ATTRIBUTES: Final = tuple(attribute for attribute, _ in _CLEARING.values())
"""The attributes that a person adds, once."""
LOST_ATTRIBUTES: Final = tuple(attribute for attribute, _ in _LOST.values())
"""The attributes of a lost collection; they never change."""


class RestoreRecords:
    """The restore marks, lost collections and generation of one payments table."""

    def __init__(self, ruled: RuledTable, *, clock: Clock) -> None:
        self._ruled = ruled
        self._clock = clock

    async def read(self) -> Restores:
        """Return everything by one strongly consistent read, marks oldest first."""
        items = await self._ruled.partition({"S": PARTITION})
        kinds: dict[str, list[Item]] = {}
        for item in items:
            kinds.setdefault(item["kind"]["S"], []).append(item)
        lost = (_LOST_LAYOUT.decode(item) for item in kinds.get(LOST_COLLECTION, ()))
        number, raised_at = _generation_of(next(iter(kinds.get(GENERATION, ())), None))
        return Restores(
            marks=tuple(_MARK_LAYOUT.decode(item) for item in kinds.get(RESTORE_MARK, ())),
            lost={each.agency_tracking_id: each for each in lost},
            generation=number,
            generation_at=raised_at,
        )

    async def mark(self, way: str, *, outside: int = 0, only_if_behind: bool = False) -> RestoreMark | None:
        """Mark the store as restored now, and raise its generation above ``outside`` in the same transaction.

        ``outside``: the generation that is known outside of the store. ``only_if_behind``: return None, and write
        nothing, unless the store's generation is below it: another process may have marked the store. Raises
        ``LedgerBusy``.
        """
        for _ in range(GENERATION_TRIES_MAX):
            found = await self._generation_item()
            number, raised_at = _generation_of(found)
            if only_if_behind and number >= outside:
                return None
            mark = RestoreMark(restored_at=whole_ms(self._clock()), way=way, backup_at=raised_at)
            try:
                await self._ruled.write([Put(_mark_to_item(mark)), self._raised(found, outside)])
                return mark
            except (Contention, RuleRefused) as refusal:
                refused = refusal
        raise LedgerBusy(str(refused)) from refused

    async def raise_generation(self) -> int | None:
        """Raise the generation and return it; None if other processes are raising it now."""
        for _ in range(GENERATION_TRIES_MAX):
            raised = self._raised(await self._generation_item(), 0)
            try:
                await self._ruled.write([raised])
                return _generation_of(raised.item if isinstance(raised, Put) else raised.new)[0]
            except (Contention, RuleRefused):
                continue
        return None

    async def clear(self, *, by: str, reason: str, lost: Iterable[tuple[str, str | None]] = ()) -> list[RestoreMark]:
        """Clear all open marks, after recording the ``lost`` collections, and return the marks.

        ``lost``: (agency tracking id, Pay.gov tracking id). A collection that is recorded already is not changed.
        Raises ``LedgerBusy``.
        """
        now = whole_ms(self._clock())
        known = (await self.read()).lost
        new = [LostCollection(each, paygov_id, by, reason, now) for each, paygov_id in lost if each not in known]
        for first in range(0, len(new), WRITES_AT_ONCE_MAX):
            await self._write([Put(_lost_to_item(each)) for each in new[first : first + WRITES_AT_ONCE_MAX]])
        items = await self._ruled.partition({"S": PARTITION}, "restore#")
        opened = [item for item in items if "clearedAt" not in item]
        cleared = [
            replace(_MARK_LAYOUT.decode(item), cleared_by=by, cleared_reason=reason, cleared_at=now) for item in opened
        ]
        changes = [Update(item, item | _MARK_LAYOUT.encode(mark)) for item, mark in zip(opened, cleared, strict=True)]
        if changes:
            await self._write(changes)
        return cleared

    async def _write(self, writes: Sequence[Put | Update]) -> None:
        try:
            await self._ruled.write(writes)
        except Contention as contention:  # another operator does the same now, or the store is busy
            raise LedgerBusy(str(contention)) from contention

    async def _generation_item(self) -> Item | None:
        return await self._ruled.get(_key(GENERATION))

    def _raised(self, found: Item | None, outside: int) -> Put | Update:
        number = max(_generation_of(found)[0], outside) + 1
        values: Item = {"number": {"N": str(number)}, "raisedAt": {"S": iso_ms(self._clock())}}
        if found is not None:
            return Update(found, {**found, **values})
        return Put({**_key(GENERATION), "kind": {"S": GENERATION}, **values})


def _generation_of(item: Item | None) -> tuple[int, float | None]:
    return (0, None) if item is None else (int(item["number"]["N"]), from_iso_ms(item["raisedAt"]["S"]))


def _mark_to_item(mark: RestoreMark) -> Item:
    key = _key(f"restore#{iso_ms(mark.restored_at)}")
    return {**key, "kind": {"S": RESTORE_MARK}, **_MARK_LAYOUT.encode(mark)}


def _lost_to_item(lost: LostCollection) -> Item:
    return {
        **_key(f"lost#{lost.agency_tracking_id}"),
        "kind": {"S": LOST_COLLECTION},
        **_LOST_LAYOUT.encode(lost),
    }


def _key(sk: str) -> Item:
    return {"pk": {"S": PARTITION}, "sk": {"S": sk}}
