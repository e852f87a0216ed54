"""A dashboard that a real browser can visit, served from a thread with its own event loop."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, ConsoleMessage, Page

from bursar.dashboard.application import dashboard_app
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.sessions import PersonSessions
from bursar.dashboard.visit import LANGUAGE_COOKIE, SESSION_COOKIE, THEME_COOKIE
from bursar.web.asgi_server import start_asgi_server
from tests.support.browser import ANSWER_TIMEOUT_S
from tests.support.dashboard.office import Office, OnePerson, open_office

T = TypeVar("T")
Prepare = Callable[[Office], Awaitable[dict[str, Any] | None]]


class Served:
    """A running dashboard. Its loop is in another thread: :meth:`run` runs a coroutine there."""

    def __init__(self, folder: Path, account: Account, prepare: Prepare) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stack = contextlib.AsyncExitStack()
        self.account = account
        self.url, self.office, self.cookie = self.run(self._start(folder, prepare))

    async def _start(self, folder: Path, prepare: Prepare) -> tuple[str, Office, str]:
        office = await self._stack.enter_async_context(open_office(folder))
        listening = socket.create_server(("127.0.0.1", 0))
        office.served_at = f"http://127.0.0.1:{listening.getsockname()[1]}"
        more = await prepare(office) or {}
        parts = office.parts(OnePerson(self.account), **more)
        server = await start_asgi_server(dashboard_app(parts), listening)
        self._stack.push_async_callback(server.close, 0)
        _, cookie = PersonSessions(office.state, parts.accounts, office.wall).begin(self.account, "127.0.0.1")
        return office.served_at, office, cookie

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of ``work``."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_TIMEOUT_S)

    def close(self) -> None:
        """Stop serving and end the thread."""
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER_TIMEOUT_S)
        self._loop.close()


@contextlib.contextmanager
def served(folder: Path, account: Account, prepare: Prepare) -> Iterator[Served]:
    """Serve an office that ``prepare`` fills; it may return further parts of the dashboard."""
    running = Served(folder, account, prepare)
    try:
        yield running
    finally:
        running.close()


def _is_problem(line: ConsoleMessage) -> bool:
    """Return whether the browser reports an error other than a page that says what is wrong with its address."""
    return line.type == "error" and "responded with a status of 400" not in line.text


@contextlib.contextmanager
def open_page(
    browser: Browser, running: Served, *, width: int = 1280, language: str = "en", theme: str = "light"
) -> Iterator[Page]:
    """Open a page of a browser in which the person has signed in. At its end, no script or style may have failed."""
    context = browser.new_context(viewport={"width": width, "height": 900}, base_url=running.url)
    context.set_default_timeout(ANSWER_TIMEOUT_S * 1000)
    pairs = {SESSION_COOKIE: running.cookie, LANGUAGE_COOKIE: language, THEME_COOKIE: theme}
    context.add_cookies([{"name": k, "value": v, "url": f"{running.url}/dashboard"} for k, v in pairs.items()])
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if _is_problem(line) else None)
    yield page
    context.close()
    assert problems == []
