"""The list of tables, and the description of one."""

from typing import Any

from starlette.responses import Response

from bursar.dynamo.console.query_form import indexes_of
from bursar.dynamo.console.visit import ConsoleVisit
from bursar.dynamo.errors import DynamoError

TABLES_SHOWN_MAX = 100


async def tables_page(visit: ConsoleVisit) -> Response:
    """Show one page of the tables that the person may list."""
    request: dict[str, Any] = {"Limit": TABLES_SHOWN_MAX}
    if "after" in visit.query:
        request["ExclusiveStartTableName"] = visit.query["after"]
    listed = await visit.call("ListTables", request)
    rows = []
    for name in listed["TableNames"]:
        try:
            rows.append((name, (await visit.call("DescribeTable", {"TableName": name}))["Table"]))
        except DynamoError:  # the table was removed since, or the access key does not allow it
            rows.append((name, None))
    return visit.page("tables.html", rows=rows, after=listed.get("LastEvaluatedTableName"), indexes_of=indexes_of)


async def table_page(visit: ConsoleVisit) -> Response:
    """Show a table's description, and whether it keeps a past and deletes expired items."""
    table = await visit.described()
    return visit.page(
        "table.html",
        table=table,
        indexes=indexes_of(table),
        types={each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]},
        recovery=(await _answer(visit, "DescribeContinuousBackups", "ContinuousBackupsDescription")),
        ttl=(await _answer(visit, "DescribeTimeToLive", "TimeToLiveDescription")),
    )


async def _answer(visit: ConsoleVisit, operation: str, member: str) -> dict[str, Any]:
    """Return a part of the description; an empty object if the access key does not allow it."""
    try:
        answer: dict[str, Any] = (await visit.call(operation, {"TableName": visit.table_name}))[member]
    except DynamoError:
        return {}
    return answer
