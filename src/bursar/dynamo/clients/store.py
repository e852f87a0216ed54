"""The port through which everything above talks to a DynamoDB, and the one place that knows which there are.

file:/path/portal.db · file:portal.db · file::memory:     the engine of this room, in this process
dynamodb:?region=us-east-1                                Amazon's
dynamodb+http://127.0.0.1:8000                            anything else that speaks its API
"""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from bursar.clock import Clock
from bursar.dynamo.core.guards import GuardLoader
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.storage.sqlite_file import MEMORY

FILE_SCHEME = "file:"
REMOTE_SCHEMES = ("dynamodb:", "dynamodb+http:", "dynamodb+https:")


class Store(Protocol):
    """A DynamoDB: requests and responses are DynamoDB JSON as on the wire, binary values base64 text."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out one request.

        Raises ``DynamoError``; a remote store also ``StoreUnreachable`` (not sent) and ``StoreOutcomeUnknown`` (sent,
        and no answer came).
        """

    async def close(self) -> None:
        """Ends what the store holds open."""


async def open_store(
    url: str,
    *,
    clock: Clock,
    randomness: random.Random,
    guard_loader: GuardLoader | None = None,
    must_exist: bool = False,
) -> Store:
    """The store that ``url`` names; a file that is not there is made, unless it ``must_exist``.

    Raises ``ValueError`` for another URL, ``StoreFormatError``, ``apsw.Error``, and ``FileNotFoundError`` (its text is
    a line for whoever named the file) where there is none and must be one.
    """
    if url.startswith(FILE_SCHEME):
        path = unquote(url.removeprefix(FILE_SCHEME))
        if path.startswith("///"):
            path = path[2:]
        if not path:
            raise ValueError(f"a store's URL names a file, as in file:/var/lib/bursar/portal.db: {url!r}")
        if must_exist:
            _expect(path)
        return AsyncEngine(Engine.open(path, clock=clock, randomness=randomness, guard_loader=guard_loader))
    if url.startswith(REMOTE_SCHEMES):
        from bursar.dynamo.clients.remote_store import open_remote_store

        return await open_remote_store(url)
    raise ValueError(f"a store's URL begins with {FILE_SCHEME}, {', '.join(REMOTE_SCHEMES)}: {url!r}")


def _expect(path: str) -> None:
    if path != MEMORY and not Path(path).is_file():
        raise FileNotFoundError(f"there is no store at {path}")
