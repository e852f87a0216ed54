"""The pages of the console in process: every URL, what the forms write, and what they refuse."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest

from bursar.dynamo.console.application import PAGES
from bursar.dynamo.console.item_texts import key_token
from tests.support.dynamo.console import ConsoleBrowser, engine_with_notes

KEY = {"pk": {"S": "a"}, "at": {"N": "3"}}
ITEM = f"/tables/notes/item?key={key_token(KEY)}"


@pytest.fixture
async def browser() -> AsyncIterator[ConsoleBrowser]:
    engine = engine_with_notes()
    opened = ConsoleBrowser(engine)
    yield opened
    await opened.client.aclose()
    engine.close()


def found(browser: ConsoleBrowser, key: dict[str, Any] = KEY) -> dict[str, Any] | None:
    item: dict[str, Any] | None = browser.engine.execute("GetItem", {"TableName": "notes", "Key": key}).get("Item")
    return item


async def test_every_page_is_answered_and_has_a_strict_policy(browser: ConsoleBrowser) -> None:
    key = f"?key={key_token(KEY)}"
    for method, path, _ in PAGES:
        filled = path.replace("{table}", "notes").replace("{form}", "csv")
        answer = await browser.get(filled + key if method == "GET" else "/partiql")
        if method == "POST":
            answer = await browser.send(filled, {"table": "notes"})
        assert answer.status_code in (200, 303, 400), (method, path, answer.text)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy
        assert " style=" not in answer.text


async def test_tables_are_listed_and_described(browser: ConsoleBrowser) -> None:
    assert ">notes</bdi>" in (await browser.get("/")).text
    page = (await browser.get("/tables/notes")).text
    assert "by-day" in page
    assert "NEW_AND_OLD_IMAGES" in page
    assert "ENABLED" in page
    assert (await browser.get("/tables/absent")).status_code == 400
    assert (await browser.get("/absent")).status_code == 404


async def test_a_scan_is_paged_by_its_last_key(browser: ConsoleBrowser) -> None:
    first = (await browser.get("/tables/notes/items")).text
    assert "Scan: 25 items" in first
    link = re.search(r'href="([^"]*)">Next page', first)
    assert link is not None
    second = (await browser.get(unescape(link[1]))).text
    assert "Scan: 5 items" in second
    assert "Next page" not in second
    assert "First page" in second


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("k0=a&sort_operator=BETWEEN&k1=3&sort_end=5", "Query: 3 items, 1 unit read"),
        ("k0=a&sort_operator=%3E&k1=27&order=desc", "Query: 2 items"),
        ("k0=a&f0_name=n&f0_type=N&f0_operator=%3C&f0_value=10&size=100", "Query: 5 items of 30 evaluated"),
        ("f0_name=absent&f0_operator=attribute_exists", "Scan: 0 items of 25 evaluated"),
        ("index=by-day&keys_of=by-day&k0=d1", "Query: 10 items"),
        ("index=by-day&keys_of=(table)&k0=a", "Scan: 25 items"),
    ],
)
async def test_the_query_builder(browser: ConsoleBrowser, query: str, says: str) -> None:
    assert says in (await browser.get(f"/tables/notes/items?{query}")).text


@pytest.mark.parametrize(
    "query",
    [
        "index=absent", "start=%21", "start=W10", "k0=a&sort_operator=LIKE&k1=1", "k0=a&k1=x", "f0_name=a..b",
        "f0_name=a&f0_type=BOOL&f0_value=yes", "f0_name=a&f0_type=X", "f0_name=a&f0_operator=X", "f0_name=pk&k0=a",
    ],
)  # fmt: skip
async def test_a_wrong_query_is_answered_with_its_reason(browser: ConsoleBrowser, query: str) -> None:
    answer = await browser.get(f"/tables/notes/items?{query}")
    assert answer.status_code == 400
    assert "alert" in answer.text or "The request cannot be understood" in answer.text


async def test_an_item_is_changed_after_a_confirmation(browser: ConsoleBrowser) -> None:
    assert "&#34;at&#34;: {" in (await browser.get(ITEM)).text
    await browser.get(ITEM.replace("item?", "item/edit?"))
    changed = KEY | {"day": {"S": "d0"}, "n": {"N": "7"}, "new": {"BOOL": True}}
    review = await browser.send("/item/review", {"item": json.dumps(changed)})
    assert "Change this item?" in review.text
    assert found(browser) == KEY | {"day": {"S": "d0"}, "n": {"N": "6"}}
    assert (await browser.send("/item/put", {})).status_code == 303
    assert found(browser) == changed


async def test_an_item_that_another_client_has_changed_is_not_overwritten(browser: ConsoleBrowser) -> None:
    await browser.get(ITEM.replace("item?", "item/edit?"))
    await browser.send("/item/review", {"item": json.dumps(KEY | {"n": {"N": "7"}})})
    other = KEY | {"n": {"N": "8"}}
    browser.engine.execute("PutItem", {"TableName": "notes", "Item": other})
    answer = await browser.send("/item/put", {})
    assert (answer.status_code, found(browser)) == (409, other)


async def test_an_item_is_made_only_where_there_is_none(browser: ConsoleBrowser) -> None:
    page = (await browser.get("/tables/notes/item/edit")).text
    assert "New item" in page
    for at, status in (("99", 303), ("3", 409)):
        key = {"pk": {"S": "a"}, "at": {"N": at}}
        await browser.get("/tables/notes/item/edit")
        assert "Make this item?" in (await browser.send("/item/review", {"item": json.dumps(key)})).text
        assert (await browser.send("/item/put", {})).status_code == status
    assert found(browser, {"pk": {"S": "a"}, "at": {"N": "99"}}) is not None


async def test_an_edit_with_another_key_makes_another_item(browser: ConsoleBrowser) -> None:
    await browser.get(ITEM.replace("item?", "item/edit?"))
    moved = {"pk": {"S": "b"}, "at": {"N": "1"}}
    assert "Make this item?" in (await browser.send("/item/review", {"item": json.dumps(moved)})).text
    await browser.send("/item/put", {})
    assert found(browser) is not None
    assert found(browser, moved) == moved


async def test_an_item_is_deleted_after_a_confirmation(browser: ConsoleBrowser) -> None:
    assert "Delete this item?" in (await browser.get(ITEM.replace("item?", "item/delete?"))).text
    assert found(browser) is not None
    assert (await browser.send("/item/delete", {})).status_code == 303
    assert found(browser) is None
    assert (await browser.get(ITEM)).status_code == 404


@pytest.mark.parametrize("text", ["{", "[]", '{"pk": "a"}', '{"pk": {"S": "a"}}'])
async def test_an_item_that_cannot_be_read_is_not_written(browser: ConsoleBrowser, text: str) -> None:
    await browser.get("/tables/notes/item/edit")
    review = await browser.send("/item/review", {"item": text})
    if review.status_code == 200:  # only the engine knows that the sort key is missing
        review = await browser.send("/item/put", {})
    assert review.status_code == 400


async def test_the_versions_of_an_item(browser: ConsoleBrowser) -> None:
    browser.engine.execute("DeleteItem", {"TableName": "notes", "Key": KEY})
    page = (await browser.get(ITEM.replace("item?", "item/history?"))).text
    assert "2 versions, newest first" in page
    assert page.index("deleted") < page.index("The whole item")
    off = {"TableName": "notes", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}}
    browser.engine.execute("UpdateContinuousBackups", off)
    assert (await browser.get(ITEM.replace("item?", "item/history?"))).status_code == 400


async def test_statements(browser: ConsoleBrowser) -> None:
    await browser.get("/partiql")
    page = await browser.send("/partiql", {"statement": "SELECT * FROM notes WHERE pk = 'a' AND \"at\" < 4"})
    assert "4 items" in page.text
    assert "read" in page.text
    write = {"statement": "DELETE FROM notes WHERE pk = 'a' AND \"at\" = 3"}
    assert "Run this write?" in (await browser.send("/partiql", write)).text
    assert found(browser) is not None
    assert "Done" in (await browser.send("/partiql", write | {"confirmed": "yes"})).text
    assert found(browser) is None
    assert (await browser.send("/partiql", {"statement": "SELEC"})).status_code == 400
    assert (await browser.send("/partiql", {"statement": "SELECT * FROM absent"})).status_code == 400


async def test_a_statement_is_paged(browser: ConsoleBrowser) -> None:
    for number in range(100):
        item = {"pk": {"S": "b"}, "at": {"N": str(number)}}
        browser.engine.execute("PutItem", {"TableName": "notes", "Item": item})
    await browser.get("/partiql")
    assert "100 items" in (await browser.send("/partiql", {"statement": "SELECT * FROM notes"})).text
    assert "30 items" in (await browser.send("/partiql", {})).text


async def test_the_stream_goes_on_where_it_stopped(browser: ConsoleBrowser) -> None:
    page = (await browser.get("/tables/notes/stream?from=all")).text
    poll = re.search(r'id="poll" hx-get="([^"]*)"', page)
    assert poll is not None
    part = (await browser.get(unescape(poll[1]))).text
    assert part.count("INSERT") == 30
    poll = re.search(r'id="poll" hx-get="([^"]*)"', part)
    assert poll is not None
    browser.engine.execute("DeleteItem", {"TableName": "notes", "Key": KEY})
    part = (await browser.get(unescape(poll[1]))).text
    assert (part.count("INSERT"), part.count("REMOVE")) == (0, 1)


async def test_downloads(browser: ConsoleBrowser) -> None:
    lines = (await browser.get("/tables/notes/export.jsonl?size=25")).text.splitlines()
    assert json.loads(lines[0])["CreateTable"]["TableName"] == "notes"
    assert len(lines) == 31
    formula = {"pk": {"S": "=1+1"}, "at": {"N": "-1"}, "tags": {"SS": ["x", "y"]}}
    browser.engine.execute("PutItem", {"TableName": "notes", "Item": formula})
    text = (await browser.get("/tables/notes/export.csv?k0=%3D1%2B1")).text
    assert list(csv.reader(io.StringIO(text))) == [["pk", "at", "tags"], ["'=1+1", "-1", "{x, y}"]]
    assert (await browser.get("/tables/notes/export.xml")).status_code == 404
    assert (await browser.get("/tables/notes/export.csv?k0=a&k1=x")).status_code == 400


async def test_hostile_items_are_shown_and_do_nothing(browser: ConsoleBrowser) -> None:
    item = {"pk": {"S": "<script>alert(1)</script>"}, "at": {"N": "1"}, '"><img>': {"S": "\u202egnp.exe"}}
    browser.engine.execute("PutItem", {"TableName": "notes", "Item": item})
    page = (await browser.get("/tables/notes/items?size=100")).text
    assert "<script>alert" not in page
    assert "<img>" not in page
    assert "\u202e" not in page
    assert "\\u202egnp.exe" in page
