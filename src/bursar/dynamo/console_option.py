"""The option ``--console`` of `bursar dynamo`: a console beside the server of the API, in the same process."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import click

from bursar.clock import system_clock
from bursar.dynamo.command_inputs import DynamoCommandRefused
from bursar.dynamo.server.admission import Access
from bursar.dynamo.server.serve import MEMORY, Beside, ServerSettings, url_of
from bursar.web.binding import bind, is_loopback

if TYPE_CHECKING:
    from bursar.dynamo.engine.group_commit import AsyncEngine

DEFAULT_CONSOLE_PORT: Final = 8001
CLOSE_S_MAX: Final = 2.0
_LOOPBACK: Final = "127.0.0.1"


def console_beside(settings: ServerSettings, access: Access | None, port: int) -> Beside:
    """Bind the console's port, and return what starts the console.

    Without access keys it listens only on loopback, even if ``--open-to-anyone`` opens the API. Raises ``CannotStart``
    if the port cannot be bound.
    """
    try:  # before the server starts: an extra that is missing must end the command, not the event loop
        from bursar.dynamo.console.application import start_console
        from bursar.dynamo.console.visit import ConsoleSite
    except ImportError:
        raise DynamoCommandRefused("--console: needs bursar[console]; pip install 'bursar[console]'") from None
    if settings.workers > 1:
        raise DynamoCommandRefused(f"--workers: must be 1 with --console; got {settings.workers}")
    host = settings.host if access is not None or is_loopback(settings.host) else _LOOPBACK
    listening = bind(host, port)
    store = "in memory" if settings.path == MEMORY else settings.path

    async def start(engine: "AsyncEngine") -> Callable[[], Awaitable[None]]:
        site = ConsoleSite(engine, store=store, clock=system_clock, access=access)
        server = await start_console(site, listening)
        click.echo(f"Console at {url_of(host, listening.getsockname()[1])}/")
        sys.stdout.flush()

        async def close() -> None:
            await server.close(CLOSE_S_MAX)

        return close

    return start
