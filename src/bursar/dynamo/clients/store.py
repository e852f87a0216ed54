"""The port through which the rooms above call a DynamoDB, and the URLs that it understands.

file:/path/portal.db · file:portal.db · file::memory:     the engine of this room, in this process
dynamodb:?region=us-east-1                                Amazon's
dynamodb+http://127.0.0.1:8000                            another server of its API
"""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from bursar.clock import Clock
from bursar.private_files import require_private

if TYPE_CHECKING:
    from bursar.dynamo.core.guards import GuardLoader

FILE_SCHEME = "file:"
MEMORY = ":memory:"
"""SQLite's name of a database in memory."""
REMOTE_SCHEMES = ("dynamodb:", "dynamodb+http:", "dynamodb+https:")


class Store(Protocol):
    """A DynamoDB: requests and responses are DynamoDB JSON as on the wire, binary values base64 text."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request.

        Raises ``DynamoError``; a remote store also ``StoreUnreachable`` (not sent) and ``StoreOutcomeUnknown`` (sent,
        but no answer received).
        """

    async def close(self) -> None:
        """Release the store's file or connections."""


async def open_store(
    url: str,
    *,
    clock: Clock,
    randomness: random.Random,
    guard_loader: "GuardLoader | None" = None,
    must_exist: bool = False,
    private: bool = False,
) -> Store:
    """Open the store at ``url``. A missing file is created with mode 600, unless it ``must_exist``.

    ``private``: an existing file that others may use is refused, as are its WAL and shm files.

    Raises ``ValueError`` for another URL, ``StoreFormatError``, ``apsw.Error``, ``TooOpen``, and ``FileNotFoundError``
    (its text is one line that names the file) where the file is missing and must exist.
    """
    path = file_of(url)
    if path is not None:
        # Loaded here: a process with a store on the network does not need the engine.
        from bursar.dynamo.engine.engine import Engine
        from bursar.dynamo.engine.group_commit import AsyncEngine
        from bursar.dynamo.storage.sqlite_file import SQLITE_FILES

        if must_exist:
            _raise_if_missing(path)
        if private and path != MEMORY:
            require_private(*(path + ending for ending in SQLITE_FILES))
        return AsyncEngine(Engine.open(path, clock=clock, randomness=randomness, guard_loader=guard_loader))
    if url.startswith(REMOTE_SCHEMES):
        from bursar.dynamo.clients.remote_store import open_remote_store

        return await open_remote_store(url)
    raise ValueError(f"store URL: must begin with {FILE_SCHEME} or {', '.join(REMOTE_SCHEMES)}; got {url!r}")


def file_of(url: str) -> str | None:
    """Return the path (or ``:memory:``) of a ``file:`` URL, or None. Raises ``ValueError`` without a path."""
    if not url.startswith(FILE_SCHEME):
        return None
    path = unquote(url.removeprefix(FILE_SCHEME))
    if path.startswith("///"):
        path = path[2:]
    if not path:
        raise ValueError(f"store URL: must name a file, as in file:/var/lib/bursar/portal.db; got {url!r}")
    return path


def _raise_if_missing(path: str) -> None:
    if path != MEMORY and not Path(path).is_file():
        raise FileNotFoundError(f"there is no store at {path}")
