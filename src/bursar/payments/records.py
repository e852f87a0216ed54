"""The payments table's records, and how each is stored as a DynamoDB item (wire form: ``{"S": "…"}``).

All kinds share one table. An obligation, its attempts and its events share a partition:

    kind        pk                          sk                                             indexes
    obligation  o#<client>#<reference>      obligation
    attempt     (the same)                  attempt#<created iso ms>#<agencyTrackingId>    due (while watched)
    event       (the same)                  event#<agencyTrackingId>#<seq, 4 digits>       changes

Reversals and requests for refunds (:mod:`bursar.payments.reversals`) share the partition too. An attempt changes only
with an event, so the events alone are in ``changes``: an attempt's own entry would cost two write units a change.
Attempts of earlier versions have one until their next change.

Times are Unix seconds with millisecond precision in records and ISO text in items. Amounts are ``Decimal`` with exactly
two decimals in records and numbers in items. DynamoDB drops trailing zeros, and :func:`money` restores them. Metadata
and event details are canonical JSON text in items, so equal values are equal text, and DynamoDB's limits on numbers do
not apply. None is an absent attribute. ``to_item(from_item(item)) == item`` for every item of this layout.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from bursar.clock import iso_ms
from bursar.dynamo.items.attribute_values import AttributeValue
from bursar.dynamo.items.attribute_values import Item as Item
from bursar.payments.classified_amounts import ClassifiedAmount, classification_of_text, classification_text
from bursar.payments.event_chain import CHAIN_BEGINS, EVENT_HASH, PREVIOUS_HASH
from bursar.payments.item_layout import FLAG, TEXT, TIME, WHOLE_NUMBER, Codec, Layout
from bursar.payments.status import LIVE, PENDING, PROCESSED, PROCESSING, Actor, EventName, OutcomeStatus, Status

DUE_SHARDS: Final = 8  # the least number, which `bursar shards` raises (payments.ledger.change_shards)
EVENT_SEQ_MAX: Final = 9999
"""The most events of one attempt that sort by their key; payments.history_bounds keeps attempts well below it."""
CHANGE_BUCKET_CHARS: Final = len("2026-11-22T19")
OBLIGATION: Final = "obligation"
ATTEMPT: Final = "attempt"
EVENT: Final = "event"
"""The ``kind`` of each item."""
ATTEMPTS_BEGIN: Final = "attempt#"
EVENTS_BEGIN: Final = "event#"
"""The beginnings of the sort keys of every attempt and of every event, and of no other item."""
CENT: Final = Decimal("0.01")
METADATA: Final = "metadata"
METADATA_ERASED_AT: Final = "metadataErasedAt"
ZERO: Final = Decimal("0.00")
RETURNS_SHARD: Final = "returns"
"""The partition in the ``due`` index of settled debits that may still be returned. Live attempts are in others."""
_RETURNS: Final[AttributeValue] = {"S": RETURNS_SHARD}
REPEAT_USED: Final = "repeatUsed"
REVERSED_AMOUNT: Final = "reversedAmount"
REOPENED: Final = "reopened"
IMPORTED_AT: Final = "importedAt"
FIRST_ATTEMPT: Final = "firstAttempt"
HOLDS_OBLIGATION: Final = "holdsObligation"
FOLLOWS: Final = "follows"
"""The attributes of an attempt that rules mention."""
IMPORTED: Final[EventName] = "imported"
IMPORTED_UPDATED_AT: Final = "last_updated_at"
"""The event of an import, and the name in its detail of the time at which the other portal changed the record last."""
_REPEAT_USED_BEFORE: Final = "second complete: "
"""The beginning of ``unknownReason`` that records the second complete in stores written before ``repeatUsed``."""
AMOUNT_MAX: Final = Decimal("999999999.99")
"""The largest amount that Pay.gov is guessed to accept; a test keeps it equal to paygov.protocol.AMOUNT_MAX."""


@dataclass(frozen=True, slots=True)
class Obligation:
    """An obligation, named by (client, reference), is paid at most once. Fee and metadata are its first attempt's.

    ``first_attempt`` is the sort key of its first attempt; None in obligations of earlier versions.
    """

    client: str
    reference: str
    fee: str
    metadata: dict[str, Any] = field(repr=False, hash=False)  # personal data: never in a log line; {} once erased
    created_at: float
    metadata_erased_at: float | None = None
    first_attempt: str | None = None

    def differences(self, fee: str, metadata: Mapping[str, Any]) -> tuple[str, ...]:
        """Return which of ``fee`` and ``metadata`` differ from the obligation's.

        Metadata are compared as JSON: ``1`` differs from ``true``, and the order of keys does not matter.
        """
        same = {"fee": fee == self.fee, "metadata": canonical_json(metadata) == canonical_json(self.metadata)}
        return tuple(name for name, is_same in same.items() if not is_same)


@dataclass(slots=True)
class Attempt:
    """One try at paying an obligation, in the state of ``version``.

    ``amount`` is in dollars. ``outcome_unknown`` is only true while processing: Pay.gov may have charged the payer.
    ``repeat_used`` stays true once it is true. ``lease_owner`` may complete the attempt until ``lease_until``.
    ``unsettled_since`` is when it began to wait for Pay.gov, settling or with an unknown outcome: a further event in
    that state changes ``updated_at`` and not this time.
    ``due_at`` is when the sweeper should check it: while it is live, and while a settled ACH debit may be returned.
    ``event_seq`` is its number of events. ``settled_at`` is when it became processed.

    ``reversed_amount`` is the sum of its reversals, None without any. ``reopened`` means that it was returned in full
    and that its client's policy lets another attempt pay the obligation. ``classification`` is the split of its amount
    over the Treasury's accounts, None for a fee without one.

    ``first_attempt`` is the sort key of the obligation's first attempt; None at obligations of earlier versions.
    ``holds_obligation``: this is the first attempt, and no further one has started, so other attempts are kept out
    without a sentinel (:mod:`bursar.payments.rules`). Its end does not change ``version``; attempts that differ only
    in it are equal. ``follows`` is ``first_attempt`` in a further attempt that blocked others when it began.

    ``stored_item`` is the item that was last read or written, None for an attempt that is not stored. A write compares
    it with the store, and copies from it the attributes that this version of Bursar does not know.

    Only the ledger sets fields, of an attempt that it has just made (tests/payments/test_records.py); every other
    change is ``dataclasses.replace``. A frozen class would cost 4 % more processor time for each payment.
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
    transaction_status: str | None = None  # Pay.gov's word
    return_code: str | None = None
    return_detail: str | None = None
    lease_owner: str | None = None
    lease_until: float | None = None
    outcome_unknown: bool = False
    unknown_reason: str | None = None  # one line for a person
    repeat_used: bool = False  # the one repeated complete may have been sent: never send another
    unsettled_since: float | None = None
    refreshed_at: float | None = None
    due_at: float | None = None
    metadata_erased_at: float | None = None  # ``metadata`` is {} if it is set
    settled_at: float | None = None
    reversed_amount: Decimal | None = None
    reopened: bool = False
    classification: tuple[ClassifiedAmount, ...] | None = None
    imported_at: float | None = None  # when it was imported from another portal; its other times are that portal's
    event_hash: str | None = None  # of its last event; None in stores written before events were chained
    first_attempt: str | None = None
    holds_obligation: bool = field(default=False, compare=False)
    follows: str | None = None
    stored_item: Item | None = field(default=None, repr=False, compare=False)

    @property
    def live(self) -> bool:
        """Whether the attempt can still change its status."""
        return self.status in LIVE

    @property
    def net_amount(self) -> Decimal:
        """The dollars that were collected and have not gone back: 0 until the attempt is processed."""
        collected = self.amount if self.status == PROCESSED else ZERO
        return collected - (self.reversed_amount or ZERO)

    def leased(self, now: float) -> bool:
        """Return whether a caller holds the lease to complete the attempt at ``now``."""
        return self.status == PROCESSING and self.lease_until is not None and now < self.lease_until


@dataclass(frozen=True, slots=True)
class Event:
    """One line of an attempt's history, written with the change that it describes and never changed afterwards."""

    client: str
    reference: str
    agency_tracking_id: str
    seq: int
    at: float
    name: EventName
    actor: Actor
    from_status: Status | None
    to_status: Status
    detail: dict[str, Any] = field(default_factory=dict, hash=False)
    previous_hash: str | None = None  # payments.event_chain; None in stores written before events were chained


@dataclass(frozen=True, slots=True)
class Outcome:
    """Pay.gov's report about an attempt's collection: ``status`` is processed, pending or failed."""

    status: OutcomeStatus
    paygov_tracking_id: str | None = None
    transaction_status: str | None = None
    payment_method: str | None = None
    return_code: str | None = None
    return_detail: str | None = None


def whole_ms(seconds: float) -> float:
    """Return ``seconds`` at the precision of items, so that a record equals itself after it is stored and read."""
    return int(seconds * 1000 + 0.5) / 1000


def unsettled_since(before: Attempt, changes: Mapping[str, Any]) -> float | None:
    """Return ``unsettled_since`` after ``changes`` (field → value) of ``before``; None unless it waits for Pay.gov."""
    status = changes["status"]
    if status != PENDING and not changes.get("outcome_unknown", before.outcome_unknown):
        return None
    started_before = before.status == PENDING or before.outcome_unknown
    if status == before.status and started_before:
        return before.unsettled_since or before.updated_at
    updated_at: float = changes["updated_at"]
    return updated_at


def money(value: Decimal) -> Decimal:
    """Return ``value`` with exactly two decimals.

    Raises ``ValueError`` if that would round the value, or if it is outside (0, AMOUNT_MAX].
    """
    if not value.is_finite() or not 0 < value <= AMOUNT_MAX:
        raise ValueError(f"an amount must be more than 0 and at most {AMOUNT_MAX}; got {value}")
    exact = value.quantize(CENT)
    if exact != value:
        raise ValueError(f"an amount must have at most two decimals; got {value}")
    return exact


def canonical_json(value: Mapping[str, Any]) -> str:
    """Return JSON text that is equal for equal objects, independent of the order of their keys."""
    return _CANONICAL_JSON.encode(value)


_CANONICAL_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def normal_reference(reference: str) -> str:
    """Return ``reference`` in lower case: references that differ in case name one obligation."""
    return reference.lower()


def partition_key(client: str, reference: str) -> str:
    """Return the partition of an obligation, its attempts and its events."""
    return f"o#{client}#{normal_reference(reference)}"


def due_shard(agency_tracking_id: str, shards: int = DUE_SHARDS) -> str:
    """Return the partition of a new live attempt in the ``due`` index, one of ``shards``."""
    return str(zlib.crc32(agency_tracking_id.encode()) % shards)


def change_bucket(seconds: float) -> str:
    """Return the UTC hour, ``2026-11-22T19``: the partition of a change in the ``changes`` index."""
    return iso_ms(seconds)[:CHANGE_BUCKET_CHARS]


AMOUNT_CODEC: Final = Codec(
    "N", lambda amount: format(money(amount).normalize(), "f"), lambda text: money(Decimal(text))
)
_JSON: Final = Codec("S", canonical_json, json.loads)


_CLASSIFICATION: Final = Codec("S", classification_text, classification_of_text)
_OBLIGATION_LAYOUT: Final = Layout(
    Obligation,
    {
        "client": ("client", TEXT),
        "reference": ("reference", TEXT),
        "fee": ("fee", TEXT),
        "metadata": ("metadata", _JSON),
        "created_at": ("createdAt", TIME),
        "metadata_erased_at": (METADATA_ERASED_AT, TIME),
        "first_attempt": (FIRST_ATTEMPT, TEXT),
    },
)
_ATTEMPT_LAYOUT: Final = Layout(
    Attempt,
    {
        "agency_tracking_id": ("agencyTrackingId", TEXT),
        "client": ("client", TEXT),
        "reference": ("reference", TEXT),
        "fee": ("fee", TEXT),
        "fee_version": ("feeVersion", TEXT),
        "tcs_app_id": ("tcsAppId", TEXT),
        "amount": ("amount", AMOUNT_CODEC),
        "metadata": ("metadata", _JSON),
        "url_success": ("urlSuccess", TEXT),
        "url_cancel": ("urlCancel", TEXT),
        "created_at": ("createdAt", TIME),
        "updated_at": ("lastUpdatedAt", TIME),
        "status": ("status", TEXT),
        "version": ("version", WHOLE_NUMBER),
        "event_seq": ("eventSeq", WHOLE_NUMBER),
        "token": ("token", TEXT),
        "token_at": ("tokenAt", TIME),
        "paygov_tracking_id": ("payGovTrackingId", TEXT),
        "payment_method": ("paymentMethod", TEXT),
        "transaction_status": ("transactionStatus", TEXT),
        "return_code": ("returnCode", TEXT),
        "return_detail": ("returnDetail", TEXT),
        "lease_owner": ("leaseOwner", TEXT),
        "lease_until": ("leaseUntil", TIME),
        "outcome_unknown": ("outcomeUnknown", FLAG),
        "unknown_reason": ("unknownReason", TEXT),
        "repeat_used": ("repeatUsed", FLAG),
        "unsettled_since": ("unsettledSince", TIME),
        "refreshed_at": ("refreshedAt", TIME),
        "due_at": ("dueAt", TIME),
        "metadata_erased_at": (METADATA_ERASED_AT, TIME),
        "settled_at": ("settledAt", TIME),
        "reversed_amount": (REVERSED_AMOUNT, AMOUNT_CODEC),
        "reopened": (REOPENED, FLAG),
        "classification": ("classification", _CLASSIFICATION),
        "imported_at": (IMPORTED_AT, TIME),
        "event_hash": (EVENT_HASH, TEXT),
        "first_attempt": (FIRST_ATTEMPT, TEXT),
        "holds_obligation": (HOLDS_OBLIGATION, FLAG),
        "follows": (FOLLOWS, TEXT),
    },
)
_EVENT_LAYOUT: Final = Layout(
    Event,
    {
        "client": ("client", TEXT),
        "reference": ("reference", TEXT),
        "agency_tracking_id": ("agencyTrackingId", TEXT),
        "seq": ("seq", WHOLE_NUMBER),
        "at": ("at", TIME),
        "name": ("name", TEXT),
        "actor": ("actor", TEXT),
        "from_status": ("fromStatus", TEXT),
        "to_status": ("toStatus", TEXT),
        "detail": ("detail", _JSON),
        "previous_hash": (PREVIOUS_HASH, TEXT),
    },
    nullable=("from_status",),
)
ATTRIBUTE_OF: Final[Mapping[str, Mapping[str, str]]] = {
    ATTEMPT: _ATTEMPT_LAYOUT.attribute_of,
    EVENT: _EVENT_LAYOUT.attribute_of,
}
"""Kind of record → field → the attribute that holds it."""
_ATTEMPT_ATTRIBUTES: Final = _ATTEMPT_LAYOUT.attributes | {"pk", "sk", "kind", "dueShard", "changeBucket", "changedAt"}
"""Every attribute that a version of Bursar writes. Only earlier versions write the last two."""


def obligation_key(client: str, reference: str) -> Item:
    """Return the key of the obligation's item."""
    return item_key(partition_key(client, reference), "obligation")


def attempt_key(attempt: Attempt) -> Item:
    """Return the key of the attempt's item."""
    return attempt_key_of(attempt.client, attempt.reference, attempt.created_at, attempt.agency_tracking_id)


def attempt_key_of(client: str, reference: str, created_at: float, agency_tracking_id: str) -> Item:
    """Return the key of the item of an attempt with these values; ``created_at`` is Unix seconds."""
    sk = f"{ATTEMPTS_BEGIN}{iso_ms(created_at)}#{agency_tracking_id}"
    return item_key(partition_key(client, reference), sk)


def obligation_of(first: Attempt) -> Obligation:
    """Return the obligation of its first attempt, ``first``: the rules keep the values of the two equal."""
    return Obligation(
        client=first.client, reference=first.reference, fee=first.fee, metadata=first.metadata,
        created_at=first.created_at, metadata_erased_at=first.metadata_erased_at, first_attempt=first.first_attempt,
    )  # fmt: skip


def latest_event(
    attempt: Attempt,
    source: Status | None,
    name: EventName,
    actor: Actor,
    detail: Mapping[str, Any] | None = None,
    *,
    previous_hash: str | None = None,
    at: float | None = None,
) -> Event:
    """Return the event that describes the last step of ``attempt``, from the status ``source`` (None: it is new).

    ``previous_hash`` is the hash of the event before it; None if no event before it is chained. ``at`` is the event's
    time if it differs from the time of the attempt's last change of status.
    """
    return Event(
        client=attempt.client,
        reference=attempt.reference,
        agency_tracking_id=attempt.agency_tracking_id,
        seq=attempt.event_seq,
        at=attempt.updated_at if at is None else at,
        name=name,
        actor=actor,
        from_status=source,
        to_status=attempt.status,
        detail=dict(detail or {}),
        previous_hash=previous_hash or CHAIN_BEGINS,
    )


def obligation_to_item(obligation: Obligation) -> Item:
    """Return the item that stores ``obligation``."""
    key = obligation_key(obligation.client, obligation.reference)
    item: Item = {**key, "kind": {"S": OBLIGATION}, **_OBLIGATION_LAYOUT.encode(obligation)}
    if obligation.metadata_erased_at is not None:
        del item[METADATA]
    return item


def attempt_to_item(attempt: Attempt) -> Item:
    """Return the item that stores ``attempt``, with the unknown attributes of its ``stored_item``."""
    stored = attempt.stored_item or {}
    item: Item = {
        **attempt_key(attempt),
        "kind": {"S": ATTEMPT},
        **_ATTEMPT_LAYOUT.encode(attempt),
        **{name: value for name, value in stored.items() if name not in _ATTEMPT_ATTRIBUTES},
    }
    if attempt.due_at is not None:
        shard = stored.get("dueShard", _RETURNS) if attempt.live else _RETURNS
        if attempt.live and shard == _RETURNS:  # else it stays where it is, also if there are more shards meanwhile
            shard = {"S": due_shard(attempt.agency_tracking_id)}
        item["dueShard"] = shard
    if attempt.metadata_erased_at is not None:
        del item[METADATA]
    return item


def event_to_item(event: Event) -> Item:
    """Return the item that stores ``event``."""
    event_id = f"{event.agency_tracking_id}#{event.seq:04d}"
    return {
        **item_key(partition_key(event.client, event.reference), f"{EVENTS_BEGIN}{event_id}"),
        "kind": {"S": EVENT},
        **_EVENT_LAYOUT.encode(event),
        **change_keys(event.at, event_id),
    }


def obligation_from_item(item: Item) -> Obligation:
    """Return the obligation in ``item``. Raises ``TypeError`` when an attribute is missing."""
    return _OBLIGATION_LAYOUT.decode(item, **_erased(item))


def attempt_from_item(item: Item) -> Attempt:
    """Return the attempt in ``item``. Raises ``TypeError`` when an attribute is missing."""
    if item.get("unknownReason", {}).get("S", "").startswith(_REPEAT_USED_BEFORE):
        return _ATTEMPT_LAYOUT.decode(item, stored_item=item, repeat_used=True, **_erased(item))
    return _ATTEMPT_LAYOUT.decode(item, stored_item=item, **_erased(item))


def event_from_item(item: Item) -> Event:
    """Return the event in ``item``. Raises ``TypeError`` when an attribute is missing."""
    return _EVENT_LAYOUT.decode(item)


def to_item(record: Obligation | Attempt | Event) -> Item:
    """Return the record's item, for a record of any kind."""
    if isinstance(record, Attempt):
        return attempt_to_item(record)
    return event_to_item(record) if isinstance(record, Event) else obligation_to_item(record)


def from_item(item: Item) -> Obligation | Attempt | Event | None:
    """Return the record in ``item``, by its ``kind``; None for a kind that is not a record (a sentinel)."""
    kind = item.get("kind", {}).get("S", "")
    read = _READERS.get(kind)
    return read(item) if read else None


_READERS: Final[Mapping[str, Callable[[Item], Obligation | Attempt | Event]]] = {
    OBLIGATION: obligation_from_item,
    ATTEMPT: attempt_from_item,
    EVENT: event_from_item,
}


def _erased(item: Item) -> dict[str, Any]:
    """Return the metadata of a record that has none because they were erased."""
    return {"metadata": {}} if METADATA_ERASED_AT in item and METADATA not in item else {}


def item_key(pk: str, sk: str) -> Item:
    """Return the key of an item of the table."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def change_keys(changed_at: float, record_id: str) -> Item:
    """Return the key of a record in the ``changes`` index."""
    changed = iso_ms(changed_at)
    return {"changeBucket": {"S": changed[:CHANGE_BUCKET_CHARS]}, "changedAt": {"S": f"{changed}#{record_id}"}}
