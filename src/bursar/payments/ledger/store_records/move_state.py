"""The item that marks a payments table as the unfinished target of a move (``bursar move``).

    pk store │ sk move │ kind move │ document: how far the move has come

While the item exists, the table is being filled and no process may use it. The end of the move removes it.
"""

from typing import TYPE_CHECKING, Final

from bursar.dynamo.items.attribute_values import Item

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

PARTITION: Final = "store"
"""The partition of the records about the store itself: restores, and the state of a move."""
MOVE: Final = "move"
MOVE_KEY: Final[Item] = {"pk": {"S": PARTITION}, "sk": {"S": MOVE}}


async def is_being_filled(store: "Store", table: str) -> bool:
    """Return whether a move is filling ``table``. Raises the store's errors."""
    query = {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk AND sk = :sk",
        "ExpressionAttributeValues": {":pk": MOVE_KEY["pk"], ":sk": MOVE_KEY["sk"]},
        "ConsistentRead": True,
    }
    # A query: the roles that only read may not get items (deploy/template.yaml).
    return bool((await store.call("Query", query))["Items"])
