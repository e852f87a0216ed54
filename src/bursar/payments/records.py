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
from typing import Any, Final, cast

from bursar.clock import from_iso_ms, iso_ms
from bursar.payments.status import LIVE, PROCESSING, Status

Item = dict[str, dict[str, Any]]

DUE_SHARDS: Final = 8
EVENT_SEQ_MAX: Final = 9999
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
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


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
    return {**key, "kind": {"S": "obligation"}, **_encoded(obligation, _OBLIGATION_FIELDS)}


def attempt_to_item(attempt: Attempt) -> Item:
    item = {**attempt_key(attempt), "kind": {"S": "attempt"}, **_encoded(attempt, _ATTEMPT_FIELDS)}
    if attempt.due_at is not None:
        item["dueShard"] = {"S": due_shard(attempt.agency_tracking_id)}
    return item | _change_keys(attempt.updated_at, attempt.agency_tracking_id)


def event_to_item(event: Event) -> Item:
    item = {**event_key(event), "kind": {"S": "event"}, **_encoded(event, _EVENT_FIELDS)}
    return item | _change_keys(event.at, f"{event.agency_tracking_id}#{event.seq:04d}")


def obligation_from_item(item: Item) -> Obligation:
    return Obligation(**_decoded(item, _OBLIGATION_FIELDS))


def attempt_from_item(item: Item) -> Attempt:
    return Attempt(**_decoded(item, _ATTEMPT_FIELDS))


def event_from_item(item: Item) -> Event:
    return Event(**{"from_status": None, **_decoded(item, _EVENT_FIELDS)})


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


_ENCODERS: Final[dict[str, Any]] = {
    "S": lambda value: {"S": value},
    "T": lambda value: {"S": iso_ms(value)},
    "N": lambda value: {"N": str(value)},
    "A": lambda value: {"N": format(money(value).normalize(), "f")},
    "J": lambda value: {"S": canonical_json(value)},
    "B": lambda value: {"BOOL": True} if value else None,
}
_DECODERS: Final[dict[str, Any]] = {
    "S": lambda av: av["S"],
    "T": lambda av: from_iso_ms(av["S"]),
    "N": lambda av: int(av["N"]),
    "A": lambda av: money(Decimal(av["N"])),
    "J": lambda av: json.loads(av["S"]),
    "B": lambda av: av["BOOL"],
}


def _encoded(record: object, fields: Mapping[str, tuple[str, str]]) -> Item:
    item: Item = {}
    for name, (attribute, codec) in fields.items():
        value = getattr(record, name)
        encoded = None if value is None else _ENCODERS[codec](value)
        if encoded is not None:
            item[attribute] = cast("dict[str, Any]", encoded)
    return item


def _decoded(item: Item, fields: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    return {name: _DECODERS[codec](item[attribute]) for name, (attribute, codec) in fields.items() if attribute in item}
