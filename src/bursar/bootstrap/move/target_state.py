"""The progress of a move, in an item of the payments table that it fills.

While the item exists, no process uses the table (:mod:`bursar.payments.ledger.store_records.move_state`). Its removal
opens the new store.
"""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.tools.moving.changed_keys import Places
from bursar.dynamo.tools.moving.copying import StartKeys
from bursar.payments.ledger.store_records.move_state import MOVE, MOVE_KEY, PARTITION

if TYPE_CHECKING:
    from bursar.dynamo.tools.moving.patient_store import PatientStore

PROBE_KEY: Final[Item] = {"pk": {"S": PARTITION}, "sk": {"S": "move-probe"}}
"""A key that no item has, so deleting it changes nothing."""

Phase = Literal["copying", "following", "closing"]


@dataclass
class MovedTableState:
    """The copy of one table: the next key of each segment, and the position in each shard of the source's stream."""

    starts: StartKeys
    places: Places = field(default_factory=dict)


@dataclass
class MoveState:
    """A move from ``source``. ``began_at``: Unix seconds, before the first item was copied."""

    source: str
    began_at: float
    tables: dict[str, MovedTableState]
    phase: Phase = "copying"
    copied: int = 0
    followed: int = 0

    def to_item(self) -> Item:
        """Return the state as an item."""
        document = orjson.dumps(asdict(self)).decode()
        return {**MOVE_KEY, "kind": {"S": MOVE}, "document": {"S": document}}

    @classmethod
    def from_item(cls, item: Item) -> "MoveState":
        """Return the state in an item that :meth:`to_item` made."""
        document: dict[str, Any] = orjson.loads(item["document"]["S"])
        tables = {name: MovedTableState(**each) for name, each in document.pop("tables").items()}
        return cls(tables=tables, **document)


class TargetState:
    """The state of the move into the payments table ``table``."""

    def __init__(self, store: "PatientStore", table: str) -> None:
        self._store = store
        self._table = table

    async def load(self) -> MoveState | None:
        """Return the state of the move that fills the table; None without one."""
        request = {"TableName": self._table, "Key": MOVE_KEY, "ConsistentRead": True}
        item: Item | None = (await self._store.call("GetItem", request)).get("Item")
        return None if item is None else MoveState.from_item(item)

    async def save(self, state: MoveState) -> None:
        """Store the state."""
        await self._store.call("PutItem", {"TableName": self._table, "Item": state.to_item()})

    async def remove(self) -> None:
        """Remove the state, which opens the table."""
        await self._store.call("DeleteItem", {"TableName": self._table, "Key": MOVE_KEY})


def is_state(item: Item) -> bool:
    """Return whether ``item`` is the state of a move."""
    return item["pk"] == MOVE_KEY["pk"] and item["sk"] == MOVE_KEY["sk"]
