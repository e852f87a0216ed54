"""The console in a real browser: an item changed by its forms, the live stream, axe and narrow screens."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from bursar.dynamo.console.application import start_console
from bursar.dynamo.console.item_texts import key_token
from bursar.dynamo.console.visit import ConsoleSite
from bursar.dynamo.engine.group_commit import AsyncEngine
from tests.support.browser import AXE_VIOLATIONS, NEEDS_BROWSER, WCAG_TAGS, open_browser
from tests.support.dynamo.console import NOW, engine_with_notes

pytestmark = NEEDS_BROWSER
KEY = f"?key={key_token({'pk': {'S': 'a'}, 'at': {'N': '3'}})}"
PATHS = (
    "/",
    "/tables/notes",
    "/tables/notes/items",
    "/tables/notes/items?k0=a&k1=x",
    f"/tables/notes/item{KEY}",
    f"/tables/notes/item/edit{KEY}",
    f"/tables/notes/item/delete{KEY}",
    f"/tables/notes/item/history{KEY}",
    "/tables/notes/stream?from=all",
    "/partiql",
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve a console from a thread with its own event loop, in which the engine lives."""
    ready, addresses = threading.Event(), []

    async def serve(stopped: asyncio.Event) -> None:
        engine = AsyncEngine(engine_with_notes())
        listening = socket.create_server(("127.0.0.1", 0))
        addresses.append(f"http://127.0.0.1:{listening.getsockname()[1]}")
        server = await start_console(ConsoleSite(engine, store="in memory", clock=lambda: NOW), listening)
        ready.set()
        await stopped.wait()
        await server.close(0)
        await engine.close()

    loop, stopped = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(stopped),))
    thread.start()
    ready.wait()
    yield addresses[0]
    loop.call_soon_threadsafe(stopped.set)
    thread.join()
    loop.close()


@contextlib.contextmanager
def opened(url: str) -> Iterator[Page]:
    """Open a page. At its end, no script or style may have failed."""
    with open_browser() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=url).new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        yield page
        assert [each for each in problems if "status of 400" not in each] == []


def test_the_console(url: str) -> None:
    with opened(url) as page:
        found = {}
        for path in PATHS:
            page.goto(path)
            page.set_viewport_size({"width": 320, "height": 900})
            found[f"{path} at 320"] = max(page.evaluate("document.documentElement.scrollWidth") - 320, 0)
            page.set_viewport_size({"width": 1280, "height": 900})
            page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            page.evaluate(AXE_SCRIPT)
            found[path] = page.evaluate(AXE_VIOLATIONS, {"type": "tag", "values": WCAG_TAGS})
        assert {place: problems for place, problems in found.items() if problems} == {}

        stream = page.context.new_page()
        stream.goto("/tables/notes/stream?from=all")
        expect(stream.locator("#records > li")).to_have_count(30)

        page.goto("/tables/notes/items")
        page.get_by_label("pk (S)").fill("a")
        page.get_by_label("at: comparison").select_option("<")
        page.get_by_label("at (N)").fill("3")
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_role("status")).to_contain_text("Query: 3 items, 1 unit read")

        page.goto(f"/tables/notes/item{KEY}")
        page.get_by_role("link", name="Edit").click()
        field = page.get_by_label("The item in DynamoDB JSON")
        field.fill(field.input_value().replace('"6"', '"600"'))
        page.get_by_role("button", name="Review the change").click()
        expect(page.get_by_role("cell", name="600")).to_be_visible()
        page.get_by_role("button", name="Write the item").click()
        expect(page.locator("pre")).to_contain_text('"600"')
        expect(stream.locator("#records > li")).to_have_count(31)  # without a reload, by the next poll
        expect(stream.locator("#records > li").first).to_contain_text("MODIFY")

        page.get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete the item").click()
        page.goto("/partiql")
        page.get_by_label("Statement", exact=True).fill("SELECT * FROM notes WHERE pk = 'a' AND \"at\" < 5")
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_role("status")).to_contain_text("4 items")
