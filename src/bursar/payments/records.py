"""The payments table's records and how each is laid out as a DynamoDB item (wire form: ``{"S": "…"}``).

All kinds share one table; an obligation, its attempts and its events share a partition:

    kind        pk                          sk                                             indexes
    obligation  o#<client>#<reference>      obligation
    attempt     (the same)                  attempt#<created iso ms>#<agencyTrackingId>    due (while live), changes
    event       (the same)                  event#<agencyTrackingId>#<seq, 4 digits>       changes

Times are Unix seconds at millisecond precision here and ISO text in items. Amounts are ``Decimal`` with exactly two
decimals here and numbers in items (DynamoDB drops trailing zeros; :func:`money` puts them back). Metadata and event
details are canonical JSON text in items: equal values are equal text, and nothing is lost to DynamoDB's number rules.
Absent values are absent attributes. ``to_item(from_item(item)) == item`` for every item of this layout.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from bursar.clock import from_iso_ms, iso_ms
from bursar.payments.status import LIVE, PROCESSING, Status

Item = dict[str, dict[str, Any]]

DUE_SHARDS: Final = 8
EVENT_SEQ_MAX: Final = 9999
EVENT_KIND: Final = {"S": "event"}
"""The ``kind`` of an event's item."""
CENT: Final = Decimal("0.01")
AMOUNT_MAX: Final = Decimal("999999999.99")  # what Pay.gov's amount field can hold with room to spare


@dataclass(frozen=True, slots=True)
class Obligation:
    """What is owed, named by (client, reference), paid at most once; fee and metadata are its first attempt's."""

    client: str
    reference: str
    fee: str
    metadata: dict[str, Any] = field(repr=False, hash=False)  # personal data: never in a log line
    created_at: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at paying an obligation, as it stands at ``version``.

    ``amount`` is in dollars. ``outcome_unknown`` is only ever true while processing: Pay.gov may have charged the
    payer. ``lease_owner`` may complete it until ``lease_until``. ``due_at`` is when the sweeper should look at it,
    None once it is final. ``event_seq`` is how many events it has.
    """

    agency_tracking_id: str
    client: str
    reference: str
    fee: str
    fee_version: str
    tcs_app_id: str
    amount: Decimal
    metadata: dict[str, Any] = field(repr=False, hash=False)  # personal data: never in a log line
    url_success: str
    url_cancel: str
    created_at: float
    updated_at: float
    status: Status
    version: int = 1
    event_seq: int = 0
    token: str | None = field(default=None, repr=False)  # as good as a session: never in a log line
    token_at: float | None = None
    paygov_tracking_id: str | None = None
    payment_method: str | None = None  # Pay.gov's payment_type: PLASTIC_CARD, ACH, PAYPAL, others may appear
    transaction_status: str | None = None  # Pay.gov's own word
    return_code: str | None = None
    return_detail: str | None = None
    lease_owner: str | None = None
    lease_until: float | None = None
    outcome_unknown: bool = False
    unknown_reason: str | None = None  # why, in one line for a person
    refreshed_at: float | None = None
    due_at: float | None = None
    _item: "Item | None" = field(default=None, init=False, repr=False, compare=False)  # its item, once it was made

    @property
    def live(self) -> bool:
        return self.status in LIVE

    def leased(self, now: float) -> bool:
        """Whether somebody holds the lease to complete it at ``now``."""
        return self.status == PROCESSING and self.lease_until is not None and now < self.lease_until


@dataclass(frozen=True, slots=True)
class Event:
    """One line of an attempt's history, written with the change that it tells of and never changed after."""

    client: str
    reference: str
    agency_tracking_id: str
    seq: int
    at: float
    name: str  # an edge's event name (payments.status.EDGES)
    actor: str
    from_status: Status | None
    to_status: Status
    detail: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What Pay.gov said of an attempt's collection: ``status`` is processed, pending or failed."""

    status: Status
    paygov_tracking_id: str | None = None
    transaction_status: str | None = None
    payment_method: str | None = None
    return_code: str | None = None
    return_detail: str | None = None


@dataclass(frozen=True, slots=True)
class ObligationView:
    """An obligation with all its attempts, oldest first, and all their events, oldest first."""

    obligation: Obligation
    attempts: tuple[Attempt, ...]
    events: tuple[Event, ...]

    @property
    def blocking(self) -> Attempt | None:
        """The attempt that keeps others away: the live one, else the processed one, else None."""
        return next((a for a in reversed(self.attempts) if a.status != "failed"), None)


def whole_ms(seconds: float) -> float:
    """``seconds`` at the precision that items keep, so that a record equals itself after a round trip."""
    return int(seconds * 1000 + 0.5) / 1000


def money(value: Decimal) -> Decimal:
    """``value`` with exactly two decimals. Raises ``ValueError`` when that would round, or outside (0, AMOUNT_MAX]."""
    if not value.is_finite() or not 0 < value <= AMOUNT_MAX:
        raise ValueError(f"an amount is more than 0 and at most {AMOUNT_MAX}: {value}")
    exact = value.quantize(CENT)
    if exact != value:
        raise ValueError(f"an amount has at most two decimals: {value}")
    return exact


def canonical_json(value: Mapping[str, Any]) -> str:
    """JSON text that is equal for equal objects, whatever the order of their keys."""
    return _CANONICAL.encode(value)


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def normal_reference(reference: str) -> str:
    """One obligation whatever the case of its reference's letters."""
    return reference.lower()


def partition_key(client: str, reference: str) -> str:
    return f"o#{client}#{normal_reference(reference)}"


def due_shard(agency_tracking_id: str) -> str:
    return str(zlib.crc32(agency_tracking_id.encode()) % DUE_SHARDS)


def change_bucket(seconds: float) -> str:
    """The UTC hour, ``2026-11-22T19``: the partition of the ``changes`` index."""
    return iso_ms(seconds)[:13]


# How each attribute of a record is written: field name → (attribute name, codec). Table-driven so that to_item and
# from_item cannot disagree. Codecs: S text, T time, N whole number, A amount, J JSON, B boolean (only kept when true).
_OBLIGATION_FIELDS: Final[dict[str, tuple[str, str]]] = {
    "client": ("client", "S"),
    "reference": ("reference", "S"),
    "fee": ("fee", "S"),
    "metadata": ("metadata", "J"),
    "created_at": ("createdAt", "T"),
}
_ATTEMPT_FIELDS: Final[dict[str, tuple[str, str]]] = {
    "agency_tracking_id": ("agencyTrackingId", "S"),
    "client": ("client", "S"),
    "reference": ("reference", "S"),
    "fee": ("fee", "S"),
    "fee_version": ("feeVersion", "S"),
    "tcs_app_id": ("tcsAppId", "S"),
    "amount": ("amount", "A"),
    "metadata": ("metadata", "J"),
    "url_success": ("urlSuccess", "S"),
    "url_cancel": ("urlCancel", "S"),
    "created_at": ("createdAt", "T"),
    "updated_at": ("lastUpdatedAt", "T"),
    "status": ("status", "S"),
    "version": ("version", "N"),
    "event_seq": ("eventSeq", "N"),
    "token": ("token", "S"),
    "token_at": ("tokenAt", "T"),
    "paygov_tracking_id": ("payGovTrackingId", "S"),
    "payment_method": ("paymentMethod", "S"),
    "transaction_status": ("transactionStatus", "S"),
    "return_code": ("returnCode", "S"),
    "return_detail": ("returnDetail", "S"),
    "lease_owner": ("leaseOwner", "S"),
    "lease_until": ("leaseUntil", "T"),
    "outcome_unknown": ("outcomeUnknown", "B"),
    "unknown_reason": ("unknownReason", "S"),
    "refreshed_at": ("refreshedAt", "T"),
    "due_at": ("dueAt", "T"),
}
_EVENT_FIELDS: Final[dict[str, tuple[str, str]]] = {
    "client": ("client", "S"),
    "reference": ("reference", "S"),
    "agency_tracking_id": ("agencyTrackingId", "S"),
    "seq": ("seq", "N"),
    "at": ("at", "T"),
    "name": ("name", "S"),
    "actor": ("actor", "S"),
    "from_status": ("fromStatus", "S"),
    "to_status": ("toStatus", "S"),
    "detail": ("detail", "J"),
}


def obligation_key(client: str, reference: str) -> Item:
    return _key(partition_key(client, reference), "obligation")


def attempt_key(attempt: Attempt) -> Item:
    sk = f"attempt#{iso_ms(attempt.created_at)}#{attempt.agency_tracking_id}"
    return _key(partition_key(attempt.client, attempt.reference), sk)


def event_key(event: Event) -> Item:
    sk = f"event#{event.agency_tracking_id}#{event.seq:04d}"
    return _key(partition_key(event.client, event.reference), sk)


def obligation_to_item(obligation: Obligation) -> Item:
    key = obligation_key(obligation.client, obligation.reference)
    return {**key, "kind": {"S": "obligation"}, **_OBLIGATION_LAYOUT.encoded(obligation)}


def attempt_to_item(attempt: Attempt) -> Item:
    """The attempt's item, made once per record: not to be changed in place."""
    item = attempt._item
    if item is None:
        item = {**attempt_key(attempt), "kind": {"S": "attempt"}, **_ATTEMPT_LAYOUT.encoded(attempt)}
        if attempt.due_at is not None:
            item["dueShard"] = {"S": due_shard(attempt.agency_tracking_id)}
        item |= _change_keys(attempt.updated_at, attempt.agency_tracking_id)
        object.__setattr__(attempt, "_item", item)
    return item


def next_attempt_to_item(old: Attempt, new: Attempt) -> Item:
    """As ``attempt_to_item(new)``, made of the item of ``old``: what both have in common is not written again."""
    item = dict(attempt_to_item(old))
    _ATTEMPT_LAYOUT.write_differences(item, old, new)
    if new.due_at is None:
        item.pop("dueShard", None)
    elif old.due_at is None:
        item["dueShard"] = {"S": due_shard(new.agency_tracking_id)}
    if new.updated_at != old.updated_at:
        item |= _change_keys(new.updated_at, new.agency_tracking_id)
    object.__setattr__(new, "_item", item)
    return item


def event_to_item(event: Event) -> Item:
    item = {**event_key(event), "kind": {"S": "event"}, **_EVENT_LAYOUT.encoded(event)}
    return item | _change_keys(event.at, f"{event.agency_tracking_id}#{event.seq:04d}")


def obligation_from_item(item: Item) -> Obligation:
    return Obligation(**_OBLIGATION_LAYOUT.decoded(item))


def attempt_from_item(item: Item) -> Attempt:
    return Attempt(**_ATTEMPT_LAYOUT.decoded(item))


def event_from_item(item: Item) -> Event:
    return Event(**{"from_status": None, **_EVENT_LAYOUT.decoded(item)})


def to_item(record: Obligation | Attempt | Event) -> Item:
    """The record's item, whichever kind it is."""
    if isinstance(record, Attempt):
        return attempt_to_item(record)
    return event_to_item(record) if isinstance(record, Event) else obligation_to_item(record)


def from_item(item: Item) -> Obligation | Attempt | Event | None:
    """The record in ``item``, told by its ``kind``; None for a kind that is not a record (a sentinel)."""
    kind = item.get("kind", {}).get("S", "")
    read = _READERS.get(kind)
    return read(item) if read else None


_READERS: Final[Mapping[str, Callable[[Item], Obligation | Attempt | Event]]] = {
    "obligation": obligation_from_item,
    "attempt": attempt_from_item,
    "event": event_from_item,
}


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _change_keys(at: float, record_id: str) -> Item:
    return {"changeBucket": {"S": change_bucket(at)}, "changedAt": {"S": f"{iso_ms(at)}#{record_id}"}}


@lru_cache(maxsize=256)
def _amount_text(amount: Decimal) -> str:
    return format(money(amount).normalize(), "f")


_ENCODERS: Final[Mapping[str, Callable[[Any], dict[str, Any] | None]]] = {
    "S": lambda value: {"S": value},
    "T": lambda value: {"S": iso_ms(value)},
    "N": lambda value: {"N": str(value)},
    "A": lambda value: {"N": _amount_text(value)},
    "J": lambda value: {"S": canonical_json(value)},
    "B": lambda value: {"BOOL": True} if value else None,
}
_DECODERS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "S": lambda av: av["S"],
    "T": lambda av: from_iso_ms(av["S"]),
    "N": lambda av: int(av["N"]),
    "A": lambda av: money(Decimal(av["N"])),
    "J": lambda av: json.loads(av["S"]),
    "B": lambda av: av["BOOL"],
}


class _Layout:
    """One record's table of fields, made ready: all fields of a record are fetched in one call."""

    def __init__(self, fields: Mapping[str, tuple[str, str]]) -> None:
        self._fetch = attrgetter(*fields)
        self._encoders = [(attribute, _ENCODERS[codec]) for attribute, codec in fields.values()]
        self._decoders = {attribute: (name, _DECODERS[codec]) for name, (attribute, codec) in fields.items()}

    def encoded(self, record: object) -> Item:
        item: Item = {}
        for (attribute, encode), value in zip(self._encoders, self._fetch(record), strict=True):
            encoded = None if value is None else encode(value)
            if encoded is not None:
                item[attribute] = encoded
        return item

    def write_differences(self, item: Item, old: object, new: object) -> None:
        """Makes ``item``, the encoded ``old``, the encoded ``new``."""
        for (attribute, encode), before, after in zip(self._encoders, self._fetch(old), self._fetch(new), strict=True):
            if before is after:
                continue
            encoded = None if after is None else encode(after)
            if encoded is None:
                item.pop(attribute, None)
            else:
                item[attribute] = encoded

    def decoded(self, item: Item) -> dict[str, Any]:
        """Field name → value, of the attributes that are there and known."""
        record: dict[str, Any] = {}
        for attribute, value in item.items():
            known = self._decoders.get(attribute)
            if known is not None:
                record[known[0]] = known[1](value)
        return record


_OBLIGATION_LAYOUT: Final = _Layout(_OBLIGATION_FIELDS)
_ATTEMPT_LAYOUT: Final = _Layout(_ATTEMPT_FIELDS)
_EVENT_LAYOUT: Final = _Layout(_EVENT_FIELDS)
