"""Statements of PartiQL: reads run at once, a write runs after a confirmation."""

from typing import Any, Final

from starlette.responses import Response

from bursar.dynamo.console.item_texts import columns_of
from bursar.dynamo.console.visit import ConsoleVisit, units_text
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.partiql import SelectStatement, parse_statement

ITEMS_PER_PAGE: Final = 100


async def partiql_page(visit: ConsoleVisit) -> Response:
    """Show the form with an example statement."""
    return _page(visit, statement=visit.query.get("statement", ""))


async def run_page(visit: ConsoleVisit) -> Response:
    """Run a SELECT, or another statement that was confirmed; ask for the confirmation otherwise."""
    statement = visit.form.get("statement", "").strip()
    try:
        is_read = isinstance(parse_statement(statement), SelectStatement)
    except DynamoError as error:
        return _page(visit, statement=statement, problem=str(error))
    if not is_read and visit.form.get("confirmed") != "yes":
        return _page(visit, statement=statement, to_confirm=True)
    request: dict[str, Any] = {"Statement": statement, "ReturnConsumedCapacity": "INDEXES"}
    if is_read:
        request["Limit"] = ITEMS_PER_PAGE
    if visit.form.get("next_token"):
        request["NextToken"] = visit.form["next_token"]
    try:
        answer = await visit.call("ExecuteStatement", request)
    except DynamoError as error:
        return _page(visit, statement=statement, problem=str(error))
    return _page(visit, statement=statement, answer=answer, is_read=is_read)


def _page(
    visit: ConsoleVisit,
    *,
    statement: str,
    problem: str = "",
    to_confirm: bool = False,
    answer: dict[str, Any] | None = None,
    is_read: bool = True,
) -> Response:
    items = [] if answer is None else answer.get("Items", [])
    return visit.page(
        "partiql.html",
        http_status=400 if problem else 200,
        statement=statement,
        problem=problem,
        to_confirm=to_confirm,
        answer=answer,
        is_read=is_read,
        items=items,
        columns=columns_of(items, []),
        units="" if answer is None else units_text(answer.get("ConsumedCapacity")),
        next_token="" if answer is None else answer.get("NextToken", ""),
    )
