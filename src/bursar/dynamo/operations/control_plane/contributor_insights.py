"""Contributor insights of tables and global indexes: stored and described as on Amazon, without counting keys.

Amazon makes rules in CloudWatch, which the descriptions name; there is no CloudWatch here. A change is complete with
the next request; the response to it reports ENABLING or DISABLING. Sources: DynamoDB's API reference and Developer
Guide, and the answers of Amazon that the ack-api-quirks project recorded in October 2026.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid_request
from bursar.dynamo.operations.control_plane.definitions import GLOBAL
from bursar.dynamo.operations.control_plane.tables import existing_table
from bursar.dynamo.operations.requests.common_members import NAME, STRING, TABLE_NAME
from bursar.dynamo.operations.requests.shapes import IntegerShape, Request, StringShape
from bursar.dynamo.storage.table import Table

PAGE_MAX = 100
INSIGHTS = "ContributorInsights"
"""The member of a table's or index's document with the state of its insights, once they were turned on."""
ALL_KEYS, THROTTLED = "ACCESSED_AND_THROTTLED_KEYS", "THROTTLED_KEYS"
_ACCESSED_RULES, _THROTTLED_RULES = ("PKC", "SKC"), ("PKT", "SKT")

DESCRIBE_INSIGHTS = Request({"TableName": TABLE_NAME, "IndexName": NAME}, ("TableName",))
UPDATE_INSIGHTS = Request(
    {
        "TableName": TABLE_NAME,
        "IndexName": NAME,
        "ContributorInsightsAction": StringShape(choices=("ENABLE", "DISABLE")),
        "ContributorInsightsMode": StringShape(choices=(ALL_KEYS, THROTTLED)),
    },
    ("TableName", "ContributorInsightsAction"),
)
LIST_INSIGHTS = Request({"TableName": TABLE_NAME, "MaxResults": IntegerShape(most=PAGE_MAX), "NextToken": STRING})


def describe_contributor_insights(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of the insights of a table or a global index."""
    table, index = existing_table(core, request["TableName"]), request.get("IndexName")
    described = _document(table, index)
    state = described.get(INSIGHTS)
    if state is None:
        return {**_named(table, index), "ContributorInsightsStatus": "DISABLED"}
    answer = _summary(table, index, state) | {"LastUpdateDateTime": state["UpdatedAt"]}
    if state["Status"] == "ENABLED":
        answer["ContributorInsightsRuleList"] = _rules(table, index, described["KeySchema"], state)
    return answer


def update_contributor_insights(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the insights of a table or a global index on or off, or change their mode."""
    table, index = existing_table(core, request["TableName"]), request.get("IndexName")
    state = _document(table, index).get(INSIGHTS)
    now = round(core.clock(), 3)
    if request["ContributorInsightsAction"] == "DISABLE":
        if state is None or state["Status"] == "DISABLED":
            answer = {**_named(table, index), "ContributorInsightsStatus": "DISABLED"}
            return answer if state is None else _summary(table, index, state)
        changed = {**state, "Status": "DISABLED", "UpdatedAt": now}
        passing = "DISABLING"
    else:
        mode = request.get("ContributorInsightsMode") or ALL_KEYS
        is_on = state is not None and state["Status"] == "ENABLED"
        if state is not None and is_on and state["Mode"] == mode:
            return _summary(table, index, state)
        since = state["Since"] if state is not None and is_on else now
        changed = {"Status": "ENABLED", "Mode": mode, "UpdatedAt": now, "Since": since}
        passing = "ENABLING"
    _store(core, table, index, changed)
    return _summary(table, index, {**changed, "Status": passing})


def list_contributor_insights(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables and global indexes whose insights are on, by name; a table comes before its indexes."""
    name = request.get("TableName")
    tables = core.tables() if name is None else [existing_table(core, name)]
    token = request.get("NextToken")
    after = None if token is None else _place_of(token)
    found = [
        (place, _summary(table, place[1] or None, state))
        for table in tables
        for place, state in sorted(_states(table), key=lambda one: one[0])
        if state["Status"] != "DISABLED" and (after is None or place > after)
    ]
    limit = max(request.get("MaxResults") or PAGE_MAX, 1)
    answer: dict[str, Any] = {"ContributorInsightsSummaries": [summary for _, summary in found[:limit]]}
    if len(found) > limit:
        answer["NextToken"] = urlsafe_b64encode("/".join(found[limit - 1][0]).encode()).decode()
    return answer


def _states(table: Table) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    """Yield (table, index) and state of the table, whose index is empty text, and of its global indexes."""
    documents = [("", table.document), *((one["IndexName"], one) for one in table.document.get(GLOBAL, ()))]
    for index, document in documents:
        if INSIGHTS in document:
            yield (table.name, index), document[INSIGHTS]


def _place_of(token: str) -> tuple[str, str]:
    try:
        table, index = urlsafe_b64decode(token).decode().split("/")
    except ValueError:
        raise invalid_request(f"Provided nextToken is invalid: {token}") from None
    return table, index


def _document(table: Table, index: str | None) -> Mapping[str, Any]:
    """Return the document of a table or of a global index. Raises ResourceNotFoundException for any other index."""
    if index is None:
        return table.document
    for document in table.document.get(GLOBAL, ()):
        if document["IndexName"] == index:
            found: Mapping[str, Any] = document
            return found
    raise DynamoError(
        "ResourceNotFoundException", f"Requested resource not found: Index: {index} not found for table: {table.name}"
    )


def _store(core: Core, table: Table, index: str | None, state: Mapping[str, Any]) -> None:
    if index is None:
        core.change_table(table, {**table.document, INSIGHTS: state})
        return
    indexes = [
        {**document, INSIGHTS: state} if document["IndexName"] == index else document
        for document in table.document[GLOBAL]
    ]
    core.change_table(table, {**table.document, GLOBAL: indexes})


def _named(table: Table, index: str | None) -> dict[str, Any]:
    return {"TableName": table.name} if index is None else {"TableName": table.name, "IndexName": index}


def _summary(table: Table, index: str | None, state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_named(table, index),
        "ContributorInsightsStatus": state["Status"],
        "ContributorInsightsMode": state["Mode"],
    }


def _rules(table: Table, index: str | None, key_schema: list[Mapping[str, Any]], state: Mapping[str, Any]) -> list[str]:
    """Return the names of the rules that Amazon would make in CloudWatch."""
    kinds = (*(_ACCESSED_RULES if state["Mode"] == ALL_KEYS else ()), *_THROTTLED_RULES)
    has_sort_key = any(part["KeyType"] == "RANGE" for part in key_schema)
    resource = table.name if index is None else f"{table.name}-{index}"
    return [
        f"DynamoDBContributorInsights-{kind}-{resource}-{round(state['Since'] * 1000)}"
        for kind in kinds
        if has_sort_key or kind.startswith("PK")
    ]
