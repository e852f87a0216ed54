"""Each property of a documented body is required, except for those that an answer or a request may leave out."""

from collections.abc import Iterator
from typing import Any

from bursar.portal.contract.schemas import COMPONENTS

MAY_BE_LEFT_OUT = {
    "InitRequest": {"amount"},
    "TransactionSummary": {"payGovTrackingId", "paymentMethod", "returnCode", "returnDetail"},
    "Reversal": {"effectiveOn", "reasonCode"},
    "Payment": {"stale"},
    "History.properties.events.items": {"fromStatus"},
    "Health": {"restored"},
    "Health.properties.checks.additionalProperties": {"details", "error"},
    "LogEntry": {
        *("createdAt", "feeName", "lastUpdatedAt", "metadata", "paygovTrackingId", "paymentMethod", "paymentStatus"),
        *("returnCode", "returnDetail", "transactionStatus"),
    },
    "TransactionLog": {"counts", "total", "totals"},
    "TransactionLog.properties.totals": {"day", "fiscalYear", "month", "quarter", "week"},
    "SqlRequest": {"asOf", "parameters"},
    "Answer": {"totals"},
}
"""The place of an object → its properties that are not required."""


def objects(where: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object with properties in ``schema``, and where it is."""
    if isinstance(schema, list | tuple):
        for number, each in enumerate(schema):
            yield from objects(f"{where}.{number}", each)
    elif isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield where, schema
        for name, each in schema.items():
            yield from objects(f"{where}.{name}", each)


def test_every_other_property_is_required() -> None:
    found = [(where, each) for name, schema in COMPONENTS.items() for where, each in objects(name, schema)]
    optional = {where: set(each["properties"]) - set(each.get("required", ())) for where, each in found}
    assert {where: names for where, names in optional.items() if names} == MAY_BE_LEFT_OUT
    assert all(set(each.get("required", ())) <= set(each["properties"]) for _, each in found)
