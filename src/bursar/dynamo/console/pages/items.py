"""The items of a table: the query builder, one page of its result, and downloads of all of it."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping
from tempfile import SpooledTemporaryFile
from typing import Any, Final

import orjson
from starlette.responses import Response, StreamingResponse

from bursar.dynamo.console.item_texts import columns_of, key_token, value_text
from bursar.dynamo.console.query_form import (
    FILTER_OPERATORS,
    FILTER_TYPES,
    FILTERS,
    PAGE_SIZES,
    SORT_OPERATORS,
    QueryForm,
    indexes_of,
)
from bursar.dynamo.console.visit import ConsoleVisit, PageRefused, units_text, url
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import AttributeValue, Item
from bursar.dynamo.tools.dump_and_load import create_table_request
from bursar.web.pages.harmless_text import cell_text

EXPORT_FORMS: Final = ("jsonl", "csv")
SPOOL_BYTES_MAX: Final = 8 * 1024 * 1024
"""A CSV's items are kept until all of its columns are known: in memory up to this size, then in a temporary file."""


async def items_page(visit: ConsoleVisit) -> Response:
    """Show the query builder and a page of items."""
    table = await visit.described()
    form = QueryForm(table, visit.query)
    request = form.request()
    problem, answer = "", dict[str, Any]()
    try:
        answer = await visit.call(form.operation, request)
    except DynamoError as error:
        problem = str(error)
    items = answer.get("Items", [])
    table_keys = [each["AttributeName"] for each in table["KeySchema"]]
    key_names = list(dict.fromkeys([*table_keys, *(each.name for each in form.keys)]))
    last = answer.get("LastEvaluatedKey")
    others = {name: value for name, value in visit.query.items() if name != "start"}
    return visit.page(
        "items.html",
        http_status=400 if problem else 200,
        table=table,
        form=form,
        request=request,
        problem=problem,
        items=items,
        keys=[{name: item[name] for name in table_keys if name in item} for item in items],
        columns=columns_of(items, key_names),
        answer=answer,
        units=units_text(answer.get("ConsumedCapacity")),
        next_page=url("tables", table["TableName"], "items", **others | {"start": key_token(last)}) if last else "",
        first_page=url("tables", table["TableName"], "items", **others) if "start" in visit.query else "",
        exports=[(each, url("tables", table["TableName"], f"export.{each}", **others)) for each in EXPORT_FORMS],
        choices={
            "indexes": [("", "the table"), *((each["IndexName"],) * 2 for each in indexes_of(table))],
            "filters": range(FILTERS),
            "filter_operators": FILTER_OPERATORS,
            "types": FILTER_TYPES,
            "sort_operators": SORT_OPERATORS,
            "sizes": PAGE_SIZES,
        },
    )


async def export_page(visit: ConsoleVisit) -> Response:
    """Return every item of the query as a file: JSON lines, which `load` reads, or CSV."""
    form = str(visit.request.path_params["form"])
    if form not in EXPORT_FORMS:
        raise PageRefused(404, "There is no such page", f"A file is one of {', '.join(EXPORT_FORMS)}.")
    table = await visit.described()
    query = QueryForm(table, {name: value for name, value in visit.query.items() if name != "start"})
    request = query.request()
    del request["Limit"]
    pages = _pages(visit, query.operation, request)
    first = await anext(pages)  # an error of the request gives a page instead of a broken file
    head = {} if query.index else {"CreateTable": create_table_request(table)}
    content = _json_lines(head, first, pages) if form == "jsonl" else _csv(query, first, pages)
    name = f"{table['TableName']}.{form}"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    media_type = "application/x-ndjson" if form == "jsonl" else "text/csv; charset=utf-8"
    return StreamingResponse(content, media_type=media_type, headers=headers)


async def _pages(visit: ConsoleVisit, operation: str, request: dict[str, Any]) -> AsyncIterator[list[Item]]:
    while True:
        answer = await visit.call(operation, request)
        yield answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        await asyncio.sleep(0)  # other clients of the engine continue between two pages


async def _json_lines(
    head: Mapping[str, Any], first: list[Item], pages: AsyncIterator[list[Item]]
) -> AsyncIterator[bytes]:
    if head:
        yield orjson.dumps(head) + b"\n"
    yield b"".join(orjson.dumps({"Item": item}) + b"\n" for item in first)
    async for items in pages:
        yield b"".join(orjson.dumps({"Item": item}) + b"\n" for item in items)


async def _csv(query: QueryForm, first: list[Item], pages: AsyncIterator[list[Item]]) -> AsyncIterator[bytes]:
    """Yield the lines of a CSV, with a column for each attribute of any item."""
    names = dict.fromkeys(each["AttributeName"] for each in query.table["KeySchema"])
    with SpooledTemporaryFile(SPOOL_BYTES_MAX) as spool:

        def keep(items: list[Item]) -> None:
            for item in items:
                names.update(dict.fromkeys(item))
                spool.write(orjson.dumps(item) + b"\n")

        keep(first)
        async for items in pages:
            keep(items)
        spool.seek(0)
        yield _csv_line(names)
        for line in spool:
            item = orjson.loads(line)
            yield _csv_line(_cell(item.get(name)) for name in names)


def _cell(value: AttributeValue | None) -> str:
    """Return a value for a spreadsheet: numbers unchanged, any other text so that it is not a formula."""
    if value is None:
        return ""
    text = value_text(value)
    return text if "N" in value else cell_text(text)


def _csv_line(cells: Any) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
