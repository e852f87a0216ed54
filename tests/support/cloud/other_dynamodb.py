"""Another implementation of DynamoDB as the store of a simulated run, behind the store of `dynamodb+http:`.

The simulation's loop has virtual time and never waits for I/O. So requests are carried out on a separate loop, and
the simulation pauses until the answer arrives: virtual time does not depend on the server.
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from bursar.dynamo.clients.remote_store import RemoteStore, open_remote_store
from bursar.dynamo.errors import DynamoError
from sim.world import TABLE

ANSWER_S_MAX: Final = 120.0


class OtherDynamoDb:
    """A store whose requests take no virtual time. ``refusals`` counts the errors of the server by their code."""

    def __init__(self, loop: asyncio.AbstractEventLoop, remote: RemoteStore) -> None:
        self._loop = loop
        self._remote = remote
        self.requests: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request."""
        self.requests[operation] += 1
        try:
            return self.answer(operation, request)
        except DynamoError as error:
            self.refusals[name_of(error)] += 1
            raise

    def answer(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one request."""
        work = self._remote.call(operation, request)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_S_MAX)

    def drop_table(self) -> None:
        """Delete the payments table, so that another run finds an empty store."""
        self.answer("DeleteTable", {"TableName": TABLE})

    async def close(self) -> None:
        """Do nothing: :func:`connected` closes the connections."""


def name_of(error: DynamoError) -> str:
    """Return the code of an error, with the reasons of a cancelled transaction."""
    reasons = {each["Code"] for each in error.cancellation_reasons or () if each["Code"] != "None"}
    return " ".join([error.code, *sorted(reasons)])


@contextmanager
def connected(port: int) -> Iterator[OtherDynamoDb]:
    """Connect to the server on ``port`` for the length of a ``with``."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def done(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(ANSWER_S_MAX)

    remote = done(open_remote_store(f"dynamodb+http://127.0.0.1:{port}", randomness=random.Random(0)))
    try:
        yield OtherDynamoDb(loop, remote)
    finally:
        done(remote.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
