"""One item: its JSON, its versions, and the three steps of a change: edit, confirm, write."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from bursar.dynamo.console.item_texts import changes, item_of_text, key_of_token, key_token, pretty, unchanged_condition
from bursar.dynamo.console.visit import ConsoleVisit, PageRefused, units_text, url
from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.tools.item_versions import PastRefused, Version, iso_micros, versions_in

VERSIONS_SHOWN_MAX: Final = 100


async def item_page(visit: ConsoleVisit) -> Response:
    """Show an item."""
    key = key_of_token(visit.query.get("key", ""))
    item, units = await _read(visit, key)
    return visit.page("item.html", key=key, item=item, units=units)


async def edit_page(visit: ConsoleVisit) -> Response:
    """Show the form of an item; without a key, the form of a new one with the key attributes."""
    if "key" in visit.query:
        key = key_of_token(visit.query["key"])
        item, _ = await _read(visit, key)
        return visit.page("edit.html", key=key, seen=pretty(item), text=pretty(item))
    table = await visit.described()
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    empty = {each["AttributeName"]: {types[each["AttributeName"]]: ""} for each in table["KeySchema"]}
    return visit.page("edit.html", key=None, seen="{}", text=pretty(empty))


async def review_page(visit: ConsoleVisit) -> Response:
    """Show what a change will write, and ask for a confirmation. Nothing is written."""
    item, seen = item_of_text(visit.form.get("item", "")), item_of_text(visit.form.get("seen", "{}"))
    table = await visit.described()
    if not _same_key(table, item, seen):
        seen = {}  # the item under the new key must not exist; the one that was read is kept
    return visit.page("review.html", item=item, seen=seen, changes=changes(seen, item), is_new=not seen)


async def put_page(visit: ConsoleVisit) -> Response:
    """Write an item that was confirmed, unless it has changed since it was read."""
    item, seen = item_of_text(visit.form.get("item", "")), item_of_text(visit.form.get("seen", "{}"))
    table = await visit.described()
    names = [each["AttributeName"] for each in table["KeySchema"]]
    if seen and not _same_key(table, item, seen):
        raise PageRefused(400, "The item was not written", "Its key differs from that of the item that was read.")
    key_only = {name: item[name] for name in names if name in item}
    condition = unchanged_condition(seen, item) if seen else unchanged_condition({}, key_only)
    await _write(visit, "PutItem", {"TableName": visit.table_name, "Item": item, **condition})
    return visit.redirect(url("tables", visit.table_name, "item", key=key_token(key_only)))


async def delete_form_page(visit: ConsoleVisit) -> Response:
    """Show an item that is to be deleted, and ask for a confirmation."""
    key = key_of_token(visit.query.get("key", ""))
    item, _ = await _read(visit, key)
    return visit.page("delete.html", key=key, item=item)


async def delete_page(visit: ConsoleVisit) -> Response:
    """Delete an item that was confirmed, unless it has changed since it was read."""
    key, seen = key_of_token(visit.form.get("key", "")), item_of_text(visit.form.get("seen", "{}"))
    request = {"TableName": visit.table_name, "Key": key, **unchanged_condition(seen or key, {})}
    await _write(visit, "DeleteItem", request)
    return visit.redirect(url("tables", visit.table_name, "items"))


async def history_page(visit: ConsoleVisit) -> Response:
    """Show the versions of an item, newest first, where the table keeps a past."""
    key = key_of_token(visit.query.get("key", ""))
    visit.authorise("GetItem", {"TableName": visit.table_name, "Key": key})

    def read(core: Core) -> list[Version]:
        with core.storage.snapshot():
            return versions_in(core.storage, visit.table_name, key)

    try:
        versions = visit.site.engine.engine.read_committed(read)
    except PastRefused as refusal:
        raise PageRefused(400, "The item has no versions", f"{refusal}.") from None
    shown = []
    for number, version in enumerate(versions):
        before = versions[number - 1].item if number else None
        since = "before the past" if version.at is None else iso_micros(version.at)
        shown.append((since, version.item, changes(before or {}, version.item or {})))
    return visit.page("history.html", key=key, versions=shown[::-1][:VERSIONS_SHOWN_MAX], count=len(shown))


async def _read(visit: ConsoleVisit, key: Mapping[str, Any]) -> tuple[Item, str]:
    """Return an item, and the capacity that the read consumed. Raises :class:`PageRefused` if there is none."""
    request = {"TableName": visit.table_name, "Key": key, "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}
    answer = await visit.call("GetItem", request)
    if "Item" not in answer:
        raise PageRefused(404, "There is no such item", f"{visit.table_name} has no item with the key {pretty(key)}.")
    return answer["Item"], units_text(answer.get("ConsumedCapacity"))


async def _write(visit: ConsoleVisit, operation: str, request: Mapping[str, Any]) -> None:
    try:
        await visit.call(operation, request)
    except DynamoError as error:
        if error.code != "ConditionalCheckFailedException":
            raise
        reason = "Another client has changed the item, or made one with this key, since this page was read."
        raise PageRefused(409, "Nothing was written", reason) from None


def _same_key(table: Mapping[str, Any], item: Item, seen: Item) -> bool:
    return all(item.get(each["AttributeName"]) == seen.get(each["AttributeName"]) for each in table["KeySchema"])
