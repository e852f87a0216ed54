"""The errors of the weather, with Amazon's codes, texts and members.

Sources: botocore's service model of DynamoDB (TransactionCanceledException lists the texts of throttling and conflicts;
ThrottlingReason, the form of its reasons); "Internal server error" is the text in clients' reports.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.operations.data_plane.transactions import cancelled
from bursar.dynamo.storage.table import Table

_PROVISIONED: Final = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)
_PROVISIONED_INDEX: Final = (
    "The level of configured provisioned throughput for one or more global secondary indexes of the table was exceeded"
    ". Consider increasing your provisioning level for the under-provisioned global secondary indexes with the "
    "UpdateTable API."
)
_ON_DEMAND: Final = (
    "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or "
    "index so please try again shortly. If exceptions persist, check if you have a hot key: "
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
)
_ON_DEMAND_INDEX: Final = (
    "Throughput exceeds the current capacity for one or more global secondary indexes. DynamoDB is automatically "
    "scaling your index so please try again shortly."
)
_CONFLICT: Final = "Transaction is ongoing for the item"

KEY_RANGE: Final = "KeyRangeThroughputExceeded"
PROVISIONED: Final = "ProvisionedThroughputExceeded"


class Throttled(DynamoError):
    """ProvisionedThroughputExceededException, or ThrottlingException for an on-demand table, with its reason."""

    def __init__(self, table: Table, index: str | None, kind: str, limit: str) -> None:
        """Describe the throttling of a table or an index; ``kind`` is ``Read`` or ``Write``."""
        provisioned = is_provisioned(table)
        super().__init__(
            "ProvisionedThroughputExceededException" if provisioned else "ThrottlingException",
            _text(provisioned=provisioned, index=index if kind == "Write" else None),
        )
        self.reason_code = "ProvisionedThroughputExceeded" if provisioned else "ThrottlingError"
        self._member = "ThrottlingReasons" if provisioned else "throttlingReasons"
        resource = table.arn if index is None else f"{table.arn}/index/{index}"
        self._reasons = [{"reason": f"{'Index' if index else 'Table'}{kind}{limit}", "resource": resource}]

    def body(self) -> dict[str, Any]:
        """Return the body with the reasons."""
        return {**super().body(), self._member: self._reasons}


def is_provisioned(table: Table) -> bool:
    """Return whether a table's capacity is provisioned."""
    return table.document.get("BillingMode") != "PAY_PER_REQUEST"


def _text(*, provisioned: bool, index: str | None) -> str:
    if provisioned:
        return _PROVISIONED if index is None else _PROVISIONED_INDEX
    return _ON_DEMAND if index is None else _ON_DEMAND_INDEX


def conflict() -> DynamoError:
    """Return the error of a single write to an item of an ongoing transaction."""
    return DynamoError("TransactionConflictException", _CONFLICT)


def conflict_reason() -> dict[str, Any]:
    """Return the reason of a transaction's action whose item is part of another one."""
    return {"Code": "TransactionConflict", "Message": _CONFLICT}


def throttled_reason(error: Throttled) -> dict[str, Any]:
    """Return the reason of a transaction's action that was throttled."""
    return {"Code": error.reason_code, "Message": error.message}


def transaction_cancelled(reasons: Mapping[int, dict[str, Any]], actions: Sequence[Any]) -> DynamoError:
    """Return TransactionCanceledException with the reasons of some of the actions."""
    return cancelled([reasons.get(at) or {"Code": "None"} for at in range(len(actions))])


def server_error() -> DynamoError:
    """Return the error 500 after which a write may have taken place."""
    return DynamoError("InternalServerError", "Internal server error")
