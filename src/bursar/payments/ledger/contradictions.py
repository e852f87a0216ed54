"""What Pay.gov said against the record, or beside it (a second collection of one attempt, which charges twice): kept in
the payments table until a person acknowledges it, and after.

    kind           pk               sk
    contradiction  contradictions   <agencyTrackingId>#<the status said>#<the Pay.gov tracking id said>

A final attempt stays as it is whatever is heard of it later, so a contradiction is an item of its own and changes
nothing else. The same word heard again is the same item. None is ever removed (:mod:`bursar.payments.rules`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import Clock, from_iso_ms, iso_ms
from bursar.payments.errors import LedgerBusy
from bursar.payments.records import Attempt, Item, Outcome, whole_ms
from bursar.rules import Contention, Put, RuledTable, RuleRefused, Update

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

PARTITION: Final = "contradictions"
KIND: Final = "contradiction"
TOLD: Final = (
    "agencyTrackingId",
    "client",
    "reference",
    "recordedStatus",
    "recordedPayGovTrackingId",
    "saidStatus",
    "saidPayGovTrackingId",
    "saidTransactionStatus",
    "createdAt",
)
"""The attributes that say what happened; they never change."""
ACKNOWLEDGED: Final = ("acknowledgedBy", "acknowledgedReason", "acknowledgedAt")
"""The attributes that a person adds, once."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What was recorded of an attempt and what Pay.gov said instead. Times are Unix seconds.

    The acknowledgement's three are None until a person has looked.
    """

    agency_tracking_id: str
    client: str
    reference: str
    recorded_status: str
    recorded_paygov_id: str | None
    said_status: str
    said_paygov_id: str | None
    said_transaction_status: str | None
    created_at: float
    acknowledged_by: str | None = None
    acknowledged_reason: str | None = None
    acknowledged_at: float | None = None

    def told(self) -> str:
        """It in one line for a person."""
        said = _with_id(self.said_status, self.said_paygov_id)
        return f"Pay.gov says {said}, recorded is {_with_id(self.recorded_status, self.recorded_paygov_id)}"


class Contradictions:
    """All contradictions in one payments table. Safe in many processes at once."""

    def __init__(self, store: "Store", ruled: RuledTable, table: str, *, clock: Clock) -> None:
        self._store = store
        self._ruled = ruled
        self._table = table
        self._clock = clock

    async def keep(self, attempt: Attempt, said: Outcome) -> None:
        """Keeps that Pay.gov ``said`` this of ``attempt``. Raises ``LedgerBusy``, and what the store raises."""
        found = Contradiction(
            agency_tracking_id=attempt.agency_tracking_id,
            client=attempt.client,
            reference=attempt.reference,
            recorded_status=attempt.status,
            recorded_paygov_id=attempt.paygov_tracking_id,
            said_status=said.status,
            said_paygov_id=said.paygov_tracking_id,
            said_transaction_status=said.transaction_status,
            created_at=whole_ms(self._clock()),
        )
        item = _to_item(found)
        try:
            await self._ruled.write([Put(item)])
        except (Contention, RuleRefused) as refusal:
            if await self._items(item["sk"]["S"]):
                return  # said before
            if isinstance(refusal, RuleRefused):
                raise
            raise LedgerBusy(str(refusal)) from refusal

    async def unacknowledged(self) -> list[Contradiction]:
        """Those that nobody has acknowledged, oldest first; strongly consistent."""
        found = [_from_item(item) for item in await self._items("") if "acknowledgedAt" not in item]
        return sorted(found, key=lambda each: (each.created_at, each.agency_tracking_id))

    async def acknowledge(self, agency_tracking_id: str, *, by: str, reason: str) -> list[Contradiction]:
        """Acknowledges all of one attempt's that nobody has; none when there are none. Raises ``LedgerBusy``."""
        items = [item for item in await self._items(f"{agency_tracking_id}#") if "acknowledgedAt" not in item]
        now = whole_ms(self._clock())
        looked_at = [
            replace(_from_item(item), acknowledged_by=by, acknowledged_reason=reason, acknowledged_at=now)
            for item in items
        ]
        try:
            if items:
                pairs = zip(items, looked_at, strict=True)
                await self._ruled.write([Update(item, _to_item(each)) for item, each in pairs])
        except Contention as moved:  # somebody else is acknowledging it, or the store is too contended to write
            raise LedgerBusy(str(moved)) from moved
        return looked_at

    async def _items(self, starts_with: str) -> list[Item]:
        """The items whose sort key starts so, of all pages."""
        values: dict[str, Any] = {":pk": {"S": PARTITION}}
        condition = "pk = :pk"
        if starts_with:
            values[":start"] = {"S": starts_with}
            condition += " AND begins_with(sk, :start)"
        request: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        items: list[Item] = []
        while True:
            reply = await self._store.call("Query", request)
            items += reply["Items"]
            if "LastEvaluatedKey" not in reply:
                return items
            request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]


_TIMES: Final = frozenset({"createdAt", "acknowledgedAt"})


def _to_item(found: Contradiction) -> Item:
    sk = f"{found.agency_tracking_id}#{found.said_status}#{found.said_paygov_id or ''}"
    item: Item = {"pk": {"S": PARTITION}, "sk": {"S": sk}, "kind": {"S": KIND}}
    for attribute, field in _FIELDS.items():
        value = getattr(found, field)
        if value is not None:
            item[attribute] = {"S": iso_ms(value) if attribute in _TIMES else value}
    return item


def _from_item(item: Mapping[str, Any]) -> Contradiction:
    texts = {attribute: item[attribute]["S"] for attribute in _FIELDS if attribute in item}
    values = {name: from_iso_ms(text) if name in _TIMES else text for name, text in texts.items()}
    absent: dict[str, Any] = dict.fromkeys(_FIELDS.values())
    return Contradiction(**absent | {_FIELDS[name]: value for name, value in values.items()})


_FIELDS: Final[Mapping[str, str]] = dict(
    zip((*TOLD, *ACKNOWLEDGED), Contradiction.__dataclass_fields__, strict=True)  # in the same order
)


def _with_id(status: str, paygov_tracking_id: str | None) -> str:
    return f"{status} as {paygov_tracking_id}" if paygov_tracking_id else status
