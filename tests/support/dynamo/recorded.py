"""Clients that record what they did and saw, over HTTP, while servers come and go under them."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from tests.support.dynamo.histories import NEVER, Call
from tests.support.dynamo.served import Answer, Connection, Lost, Served

Operation = tuple[str, dict[str, Any]]
Read = Callable[[int, dict[str, Any]], Any]
"""(HTTP status, response) → the answer as the model gives it."""


class Recorder:
    """One history: everything that its clients did, by one count of moments."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._tick = itertools.count(1)

    async def call(
        self, connection: Connection, client: str, action: Hashable, operation: Operation, read: Read
    ) -> None:
        """Sends a request and records what came. Raises ``Lost`` once that is recorded too."""
        invoked = next(self._tick)
        try:
            status, answer = await connection.call(*operation)
        except Lost:
            self.calls.append(Call(client, action, invoked, NEVER))
            raise
        self.calls.append(Call(client, action, invoked, next(self._tick), read(status, answer)))


Turn = Callable[[Connection, str, random.Random], Coroutine[Any, Any, None]]
"""One request of a client: it chooses, sends and records."""


async def run_clients(
    server: Served,
    turn: Turn,
    *,
    clients: int,
    turns: int,
    seed: int,
    when: dict[int, Callable[[], None]] | None = None,
) -> None:
    """So many clients take ``turns`` turns each, or until nobody listens; ``when`` does things after so many turns."""
    taken = itertools.count(1)

    async def run(number: int) -> None:
        connection = Connection(server.port)
        luck = random.Random(seed * 1000 + number)
        try:
            for _ in range(turns):
                try:
                    await turn(connection, f"client {number}", luck)
                except Lost:
                    continue
                finally:
                    (when or {}).get(next(taken), _nothing)()
        except ConnectionError:
            pass  # nobody listens: the request was never sent
        finally:
            connection.close()

    await asyncio.gather(*(run(number) for number in range(clients)))


def _nothing() -> None: ...


async def ask(server: Served, operation: str, request: dict[str, Any]) -> Answer:
    """One request by itself."""
    connection = Connection(server.port)
    try:
        return await connection.call(operation, request)
    finally:
        connection.close()
