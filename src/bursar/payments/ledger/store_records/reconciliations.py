"""The records of reconciliations with Pay.gov's activity files. They are never changed or removed.

    kind                      pk                        sk
    reconciliation-run        reconciliations           run#<run id>
    reconciliation-sign-off   reconciliations           sign-off#<run id>
    reconciliation-part       reconciliation#<run id>   part#<n, 6 digits>

The parts hold the totals by day and the differences as JSON. They are written before their run, so that a run that is
listed is whole. A process that dies in between leaves parts without a run, which are never read.
"""

import json
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from bursar.clock import Clock, iso_ms
from bursar.dynamo.items.attribute_values import Item
from bursar.payments.errors import LedgerBusy
from bursar.payments.item_layout import FLAG, TEXT, TIME, WHOLE_NUMBER, Codec, Layout
from bursar.payments.ledger.store_records.reconciliation_kinds import (
    RECONCILIATION_PART,
    RECONCILIATION_RUN,
    RECONCILIATION_SIGN_OFF,
)
from bursar.payments.records import whole_ms
from bursar.rules import Contention, Put, RuledTable, RuleRefused

PARTITION: Final = "reconciliations"
PART_ROWS: Final = 200
"""The most rows of one part: a row has at most about 600 bytes, and an item of DynamoDB at most 400 KB."""
DIFFERENCES_KEPT_MAX: Final = 20_000
"""The most differences that a run stores. The totals count all of them."""
_ID_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class ReconciledFile:
    """A file that a run read: its name, its SHA-256, its size in bytes, its lines of money, and their sum in cents."""

    name: str
    sha256: str
    size: int
    records: int
    cents: int
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class ReconciliationRun:
    """One run: who ran it and when, the files, the days in New York that were compared, and what was found.

    ``totals`` has (number, cents) by class. ``differences`` counts all of them, and ``kept`` those that are stored.
    ``applied`` counts by kind what ``--apply`` recorded. ``checked_missing``: whether the run searched for payments
    that no file has.
    """

    run_id: str
    at: float
    by: str
    files: tuple[ReconciledFile, ...]
    totals: Mapping[str, tuple[int, int]] = field(hash=False)
    differences: int = 0
    kept: int = 0
    first_day: str | None = None
    last_day: str | None = None
    checked_missing: bool = False
    applied: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class SignOff:
    """A person's statement that the differences of a run are settled, and why."""

    run_id: str
    by: str
    reason: str
    at: float


_FILES: Final = Codec(
    "S",
    lambda files: json.dumps([[getattr(each, name) for name in ReconciledFile.__slots__] for each in files]),
    lambda text: tuple(ReconciledFile(*row) for row in json.loads(text)),
)
_COUNTS: Final = Codec("S", lambda counts: json.dumps(counts, sort_keys=True), json.loads)
_TOTALS: Final = Codec(
    "S",
    lambda totals: json.dumps(totals, sort_keys=True),
    lambda text: {name: (count, cents) for name, (count, cents) in json.loads(text).items()},
)
_RUN_LAYOUT: Final = Layout(
    ReconciliationRun,
    {
        "run_id": ("runId", TEXT),
        "at": ("at", TIME),
        "by": ("by", TEXT),
        "files": ("files", _FILES),
        "totals": ("totals", _TOTALS),
        "differences": ("differences", WHOLE_NUMBER),
        "kept": ("kept", WHOLE_NUMBER),
        "first_day": ("firstDay", TEXT),
        "last_day": ("lastDay", TEXT),
        "checked_missing": ("checkedMissing", FLAG),
        "applied": ("applied", _COUNTS),
    },
)
_SIGN_OFF_LAYOUT: Final = Layout(
    SignOff,
    {"run_id": ("runId", TEXT), "by": ("by", TEXT), "reason": ("reason", TEXT), "at": ("at", TIME)},
)


class ReconciliationRecords:
    """The reconciliations of one payments table. Many processes may use one table at once."""

    def __init__(self, ruled: RuledTable, *, clock: Clock, randomness: random.Random) -> None:
        self._ruled = ruled
        self._clock = clock
        self._randomness = randomness

    def new_id(self) -> str:
        """Return the id of a run that begins now; ids sort by time."""
        moment = iso_ms(self._clock())[:19].replace("-", "").replace(":", "")
        return f"{moment}-{self._randomness.getrandbits(_ID_BITS):08x}"

    async def keep(self, run: ReconciliationRun, rows: Iterable[Mapping[str, Any]]) -> None:
        """Store ``run`` and its ``rows`` (totals by day, and differences, as JSON objects). Raises ``LedgerBusy``."""
        left, number = iter(rows), 1
        while part := list(islice(left, PART_ROWS)):
            written: Item = {"kind": {"S": RECONCILIATION_PART}, "rows": {"S": json.dumps(part, separators=(",", ":"))}}
            await self._put({**_part_key(run.run_id, number), **written})
            number += 1
        key: Item = {"pk": {"S": PARTITION}, "sk": {"S": f"run#{run.run_id}"}}
        await self._put({**key, "kind": {"S": RECONCILIATION_RUN}, **_RUN_LAYOUT.encode(run)})

    async def runs(self) -> Sequence[tuple[ReconciliationRun, SignOff | None]]:
        """Return every run, newest first, each with its sign-off or None."""
        items = await self._ruled.partition({"S": PARTITION})
        runs, sign_offs = [], {}
        for item in items:
            if item["kind"]["S"] == RECONCILIATION_RUN:
                runs.append(_RUN_LAYOUT.decode(item))
            elif item["kind"]["S"] == RECONCILIATION_SIGN_OFF:
                sign_off = _SIGN_OFF_LAYOUT.decode(item)
                sign_offs[sign_off.run_id] = sign_off
        return [(run, sign_offs.get(run.run_id)) for run in reversed(runs)]

    async def find(self, run_id: str) -> tuple[ReconciliationRun, SignOff | None]:
        """Return a run with its sign-off. Raises ``LookupError`` if there is none."""
        item = await self._ruled.get({"pk": {"S": PARTITION}, "sk": {"S": f"run#{run_id}"}})
        if item is None:
            raise LookupError(f"{run_id}: must be a run; got none of this id")
        signed = await self._ruled.get(_sign_off_key(run_id))
        return _RUN_LAYOUT.decode(item), None if signed is None else _SIGN_OFF_LAYOUT.decode(signed)

    async def rows(self, run_id: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the rows of a run, as :meth:`keep` got them."""
        number = 1
        while item := await self._ruled.get(_part_key(run_id, number)):
            for row in json.loads(item["rows"]["S"]):
                yield row
            number += 1

    async def sign_off(self, run_id: str, *, by: str, reason: str) -> SignOff:
        """Sign a run off, once. Raises ``LookupError``, ``ValueError`` if it is signed off, and ``LedgerBusy``."""
        _, signed = await self.find(run_id)
        found = SignOff(run_id, by, reason, whole_ms(self._clock()))
        if signed is None:
            item: Item = {
                **_sign_off_key(run_id),
                "kind": {"S": RECONCILIATION_SIGN_OFF},
                **_SIGN_OFF_LAYOUT.encode(found),
            }
            try:
                await self._ruled.write([Put(item)])
                return found
            except (Contention, RuleRefused) as refusal:
                _, signed = await self.find(run_id)
                if signed is None:
                    raise LedgerBusy(str(refusal)) from refusal
        raise ValueError(f"{run_id}: is signed off by {signed.by} at {iso_ms(signed.at)}")

    async def _put(self, item: Item) -> None:
        try:
            await self._ruled.write([Put(item)])
        except Contention as contention:
            raise LedgerBusy(str(contention)) from contention


def _part_key(run_id: str, number: int) -> Item:
    return {"pk": {"S": f"reconciliation#{run_id}"}, "sk": {"S": f"part#{number:06d}"}}


def _sign_off_key(run_id: str) -> Item:
    return {"pk": {"S": PARTITION}, "sk": {"S": f"sign-off#{run_id}"}}
