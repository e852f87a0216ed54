"""Clients that record their requests and answers over HTTP, while servers start and stop."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from tests.support.dynamo.histories import NEVER, Call
from tests.support.dynamo.served import Answer, Connection, Lost, Served

Operation = tuple[str, dict[str, Any]]
Read = Callable[[int, dict[str, Any]], Any]
"""(HTTP status, response) → the answer in the model's form."""


class Recorder:
    """One history: everything that its clients did, in one count of moments."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._tick = itertools.count(1)

    async def call(
        self, connection: Connection, client: str, action: Hashable, operation: Operation, read: Read
    ) -> None:
        """Send a request and record its answer. Raise ``Lost``, once recorded, for a lost connection."""
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
    """Let the clients take ``turns`` turns each, or until no server listens; run ``when`` after so many turns."""
    taken = itertools.count(1)

    async def run(number: int) -> None:
        connection = Connection(server.port)
        randomness = random.Random(seed * 1000 + number)
        try:
            for _ in range(turns):
                try:
                    await turn(connection, f"client {number}", randomness)
                except Lost:
                    continue
                finally:
                    (when or {}).get(next(taken), _nothing)()
        except ConnectionError:
            pass  # no server listens: the request was never sent
        finally:
            connection.close()

    await asyncio.gather(*(run(number) for number in range(clients)))


def _nothing() -> None: ...


async def ask(server: Served, operation: str, request: dict[str, Any]) -> Answer:
    """Send one request."""
    connection = Connection(server.port)
    try:
        return await connection.call(operation, request)
    finally:
        connection.close()
