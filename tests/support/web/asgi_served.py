"""An ASGI server on a loopback socket, and raw clients of it, both closed at the end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from bursar.web.asgi_server import AsgiServer, start_asgi_server
from bursar.web.refusals import Refuse
from tests.support.raw_client import RawClient

Connect = Callable[[], Awaitable[RawClient]]


@asynccontextmanager
async def asgi_served(app: Any, refuse: Refuse) -> AsyncIterator[tuple[AsgiServer, Connect]]:
    """Serve ``app``; yield the server and a function that connects one more client."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = await start_asgi_server(app, listening, refuse=refuse)
    clients: list[RawClient] = []

    async def connect() -> RawClient:
        clients.append(RawClient(*await asyncio.open_connection(*listening.getsockname())))
        return clients[-1]

    try:
        yield server, connect
    finally:
        await server.close(0)
        for client in clients:
            client.close()
