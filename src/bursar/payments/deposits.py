"""The deposit of a collection at the Treasury: the fact that a deposit ticket (SF-215) holds the money of an attempt.

A deposit shares the partition of its attempt's obligation, and never changes. An attempt has at most one:

    kind     sk                          indexes
    deposit  deposit#<agencyTrackingId>  changes
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from bursar.dynamo.items.attribute_values import Item
from bursar.payments.item_layout import TEXT, TIME, Layout
from bursar.payments.records import AMOUNT_CODEC, Attempt, change_keys, item_key, partition_key

DEPOSIT: Final = "deposit"
"""The ``kind`` of the item."""
DEPOSITS_BEGIN: Final = "deposit#"
"""The beginning of the sort key of every deposit."""

DepositSource = Literal["activity_file", "operator"]
DEPOSIT_SOURCES: Final[tuple[DepositSource, ...]] = ("activity_file", "operator")


@dataclass(frozen=True, slots=True)
class DepositReport:
    """A report that a ticket holds the money of an attempt, before it is recorded.

    ``deposited_on`` is a date, ``2026-11-29``; ``by`` is the operator who reports it.
    """

    ticket: str
    deposited_on: str
    source: DepositSource
    by: str


@dataclass(frozen=True, slots=True)
class Deposit:
    """A recorded deposit of the whole ``amount`` of an attempt, in dollars; ``at`` is when it was recorded."""

    client: str
    reference: str
    agency_tracking_id: str
    attempt_created_at: float
    ticket: str
    deposited_on: str
    amount: Decimal
    at: float
    source: DepositSource
    by: str


_LAYOUT: Final = Layout(
    Deposit,
    {
        "client": ("client", TEXT),
        "reference": ("reference", TEXT),
        "agency_tracking_id": ("agencyTrackingId", TEXT),
        "attempt_created_at": ("attemptCreatedAt", TIME),
        "ticket": ("depositTicket", TEXT),
        "deposited_on": ("depositedOn", TEXT),
        "amount": ("amount", AMOUNT_CODEC),
        "at": ("at", TIME),
        "source": ("source", TEXT),
        "by": ("by", TEXT),
    },
)
DEPOSIT_ATTRIBUTES: Final = _LAYOUT.attribute_of
"""Field of a deposit → the attribute that holds it."""


def deposit_key(attempt: Attempt) -> Item:
    """Return the key of the attempt's deposit."""
    return item_key(partition_key(attempt.client, attempt.reference), f"{DEPOSITS_BEGIN}{attempt.agency_tracking_id}")


def deposit_to_item(deposit: Deposit) -> Item:
    """Return the item that stores ``deposit``."""
    name = f"{DEPOSITS_BEGIN}{deposit.agency_tracking_id}"
    return {
        **item_key(partition_key(deposit.client, deposit.reference), name),
        "kind": {"S": DEPOSIT},
        **_LAYOUT.encode(deposit),
        **change_keys(deposit.at, name),
    }


def deposit_from_item(item: Item) -> Deposit:
    """Return the deposit in ``item``. Raises ``TypeError`` when an attribute is missing."""
    return _LAYOUT.decode(item)
