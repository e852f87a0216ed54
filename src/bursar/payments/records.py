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

A payment is a dozen records made and read, so they are made cheaply: an attempt carries the item it was read from or
written as, its next state is a copy of its values with a few changed, and items share the attributes they have in
common. Nobody changes an item, or a part of one, once it is made.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, TypeVar

from bursar.clock import from_iso_ms, iso_ms
from bursar.dynamo.items.attribute_values import AttributeValue
from bursar.payments.ledger.layout import Codec, Layout
from bursar.payments.ledger.layout import Item as Item
from bursar.payments.status import LIVE, PROCESSING, Status

DUE_SHARDS: Final = 8
EVENT_SEQ_MAX: Final = 9999
"""The most events of one attempt that sort by their key; payments.repeats keeps every attempt well below it."""
CHANGE_BUCKET_CHARS: Final = len("2026-11-22T19")
OBLIGATION: Final = "obligation"
ATTEMPT: Final = "attempt"
EVENT: Final = "event"
"""The ``kind`` of each item."""
ATTEMPTS_BEGIN: Final = "attempt#"
"""With what the sort key of every attempt begins, and of nothing else."""
CENT: Final = Decimal("0.01")
REPEAT_USED: Final = "repeatUsed"
_REPEAT_USED_BEFORE: Final = "second complete: "
"""How a store written before ``repeatUsed`` remembers the second complete: by the start of ``unknownReason``."""
AMOUNT_MAX: Final = Decimal("999999999.99")
"""What Pay.gov is guessed to take: a test holds it equal to paygov.protocol.AMOUNT_MAX."""


# No slots: the three records keep their values in one dict each, which is made at once (:func:`_made`).
@dataclass(frozen=True)
class Obligation:
    """What is owed, named by (client, reference), paid at most once; fee and metadata are its first attempt's."""

    client: str
    reference: str
    fee: str
    metadata: dict[str, Any] = field(repr=False, hash=False)  # personal data: never in a log line
    created_at: float


@dataclass(frozen=True)
class Attempt:
    """One try at paying an obligation, as it stands at ``version``.

    ``amount`` is in dollars. ``outcome_unknown`` is only ever true while processing: Pay.gov may have charged the
    payer. ``repeat_used`` stays true once it is. ``lease_owner`` may complete it until ``lease_until``. ``due_at`` is
    when the sweeper should look at it, None once it is final. ``event_seq`` is how many events it has.
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
    repeat_used: bool = False  # the one repeated complete may have been sent: never another
    refreshed_at: float | None = None
    due_at: float | None = None
    _item: "Item | None" = field(default=None, init=False, repr=False, compare=False)  # as it was read or written

    @property
    def live(self) -> bool:
        return self.status in LIVE

    def leased(self, now: float) -> bool:
        """Whether somebody holds the lease to complete it at ``now``."""
        return self.status == PROCESSING and self.lease_until is not None and now < self.lease_until


@dataclass(frozen=True)
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
    return _CANONICAL.encode(value) if value else "{}"


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_DECODER: Final = json.JSONDecoder()


def normal_reference(reference: str) -> str:
    """One obligation whatever the case of its reference's letters."""
    return reference.lower()


def partition_key(client: str, reference: str) -> str:
    return f"o#{client}#{normal_reference(reference)}"


def due_shard(agency_tracking_id: str) -> str:
    return str(zlib.crc32(agency_tracking_id.encode()) % DUE_SHARDS)


def change_bucket(seconds: float) -> str:
    """The UTC hour, ``2026-11-22T19``: the partition of the ``changes`` index."""
    return iso_ms(seconds)[:CHANGE_BUCKET_CHARS]


# How each attribute of a record is written: field name → (attribute name, codec), in the order of the record's fields.
# Codecs: S text, T time, N whole number, A amount, J JSON, B boolean (only kept when true).
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
    "repeat_used": ("repeatUsed", "B"),
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
    sk = f"{ATTEMPTS_BEGIN}{iso_ms(attempt.created_at)}#{attempt.agency_tracking_id}"
    return _key(partition_key(attempt.client, attempt.reference), sk)


def event_key(event: Event) -> Item:
    sk = f"event#{event.agency_tracking_id}#{event.seq:04d}"
    return _key(partition_key(event.client, event.reference), sk)


def obligation_to_item(obligation: Obligation) -> Item:
    key = obligation_key(obligation.client, obligation.reference)
    return {**key, "kind": {"S": OBLIGATION}, **_OBLIGATION_LAYOUT.encoded(obligation)}


def obligation_of(first: Attempt) -> Obligation:
    """The obligation at which ``first`` is the first attempt; the rules hold the two to the same values."""
    return Obligation(first.client, first.reference, first.fee, first.metadata, first.created_at)


def first_obligation_item(attempt: Attempt) -> Item:
    """The item of the obligation at which ``attempt`` is the first attempt."""
    of = attempt_to_item(attempt)
    item: Item = {"pk": of["pk"], "sk": {"S": OBLIGATION}, "kind": {"S": OBLIGATION}}
    for attribute, _ in _OBLIGATION_FIELDS.values():
        item[attribute] = of[attribute]
    return item


def attempt_to_item(attempt: Attempt) -> Item:
    """The attempt's item, made once per record: not to be changed in place."""
    item = attempt._item
    if item is None:
        item = {**attempt_key(attempt), "kind": {"S": ATTEMPT}, **_ATTEMPT_LAYOUT.encoded(attempt)}
        if attempt.due_at is not None:
            item["dueShard"] = {"S": due_shard(attempt.agency_tracking_id)}
        _write_change_keys(item, item["lastUpdatedAt"]["S"], attempt.agency_tracking_id)
        object.__setattr__(attempt, "_item", item)
    return item


def next_attempt(old: Attempt, changes: Mapping[str, Any]) -> Attempt:
    """``old`` with ``changes``: field → value. ``TypeError`` for what is no field."""
    values = {**old.__dict__, **changes, "_item": None}
    if len(values) != len(old.__dict__):
        raise TypeError(f"not fields of an attempt: {', '.join(changes.keys() - old.__dict__.keys())}")
    return _made(Attempt, values)


def next_attempt_to_item(old: Attempt, new: Attempt) -> Item:
    """As ``attempt_to_item(new)``, made of the item of ``old``: what both have in common is not written again."""
    item = attempt_to_item(old).copy()
    _ATTEMPT_LAYOUT.write_differences(item, old, new)
    if new.repeat_used and REPEAT_USED not in item:  # old was read by its reason's prefix
        item[REPEAT_USED] = {"BOOL": True}
    if new.due_at is None:
        item.pop("dueShard", None)
    elif old.due_at is None:
        item["dueShard"] = {"S": due_shard(new.agency_tracking_id)}
    if new.updated_at != old.updated_at:
        _write_change_keys(item, item["lastUpdatedAt"]["S"], new.agency_tracking_id)
    object.__setattr__(new, "_item", item)
    return item


def event_to_item(event: Event) -> Item:
    item: Item = {**event_key(event), "kind": {"S": EVENT}, **_EVENT_LAYOUT.encoded(event)}
    _write_change_keys(item, item["at"]["S"], f"{event.agency_tracking_id}#{event.seq:04d}")
    return item


def latest_event_item(
    attempt: Attempt, source: Status | None, name: str, actor: str, detail: Mapping[str, Any]
) -> Item:
    """The item of the event telling how ``attempt`` came into its state from ``source`` (None: it is new)."""
    of = attempt_to_item(attempt)
    number = f"{attempt.agency_tracking_id}#{attempt.event_seq:04d}"
    item: Item = {
        "pk": of["pk"],
        "sk": {"S": f"event#{number}"},
        "kind": {"S": EVENT},
        "client": of["client"],
        "reference": of["reference"],
        "agencyTrackingId": of["agencyTrackingId"],
        "seq": of["eventSeq"],
        "at": of["lastUpdatedAt"],
        "name": {"S": name},
        "actor": {"S": actor},
    }
    if source is not None:
        item["fromStatus"] = {"S": source}
    item["toStatus"] = of["status"]
    item["detail"] = {"S": canonical_json(detail)}
    item["changeBucket"] = of["changeBucket"]
    item["changedAt"] = {"S": f"{of['lastUpdatedAt']['S']}#{number}"}
    return item


def obligation_from_item(item: Item) -> Obligation:
    return _made(Obligation, _OBLIGATION_LAYOUT.decoded(item))


def attempt_from_item(item: Item) -> Attempt:
    values = _ATTEMPT_LAYOUT.decoded(item)
    if (values["unknown_reason"] or "").startswith(_REPEAT_USED_BEFORE):
        values["repeat_used"] = True
    values["_item"] = item
    return _made(Attempt, values)


def event_from_item(item: Item) -> Event:
    return _made(Event, _EVENT_LAYOUT.decoded(item))


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
    OBLIGATION: obligation_from_item,
    ATTEMPT: attempt_from_item,
    EVENT: event_from_item,
}

_Record = TypeVar("_Record", Obligation, Attempt, Event)


def _made(kind: type[_Record], values: dict[str, Any]) -> _Record:
    """The record with ``values``, which are all of its fields; its own ``__init__`` would set them one by one."""
    record = object.__new__(kind)
    object.__setattr__(record, "__dict__", values)
    return record


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _write_change_keys(item: Item, at: str, record_id: str) -> None:
    """``at`` as ISO text; the hour is left as it is when it is the same."""
    bucket: AttributeValue = {"S": at[:CHANGE_BUCKET_CHARS]}
    if item.get("changeBucket") != bucket:
        item["changeBucket"] = bucket
    item["changedAt"] = {"S": f"{at}#{record_id}"}


@lru_cache(maxsize=256)
def _amount_text(amount: Decimal) -> str:
    return format(money(amount).normalize(), "f")


@lru_cache(maxsize=256)
def _amount_of(text: str) -> Decimal:
    return money(Decimal(text))


def _json_of(text: str) -> Any:
    return {} if text == "{}" else _DECODER.decode(text)


_CODECS: Final[Mapping[str, Codec]] = {
    "S": Codec("S", None, None),
    "T": Codec("S", iso_ms, from_iso_ms),
    "N": Codec("N", str, int),
    "A": Codec("N", _amount_text, _amount_of),
    "J": Codec("S", canonical_json, _json_of),
    "B": Codec("BOOL", None, None),
}
_OBLIGATION_LAYOUT: Final = Layout(Obligation, _OBLIGATION_FIELDS, _CODECS)
_ATTEMPT_LAYOUT: Final = Layout(Attempt, _ATTEMPT_FIELDS, _CODECS)
_EVENT_LAYOUT: Final = Layout(Event, _EVENT_FIELDS, _CODECS, from_status=None)
