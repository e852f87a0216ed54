"""Separate stores for each access key and region, as DynamoDB Local has them without ``-sharedDb``.

    Authorization: AWS4-HMAC-SHA256 Credential=alice/20261130/eu-west-1/dynamodb/aws4_request, …
                                               ─────          ─────────  ──► the store alice_eu-west-1

Nothing is verified. This separates tests and people on one machine, but does not protect them from each other.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from bursar.dynamo.errors import DynamoError
from bursar.startup import CannotStart

if TYPE_CHECKING:
    from bursar.dynamo.engine.group_commit import AsyncEngine

STORES_MAX: Final = 500
_SCOPE: Final = re.compile(rb"Credential=([A-Za-z0-9_-]{1,128})/\d{8}/([a-z0-9-]{1,32})/")


class IsolatedStores:
    """The stores of one server, by access key and region.

    ``open_store`` opens the store with a name, at its first use.
    """

    def __init__(self, open_store: "Callable[[str], AsyncEngine]") -> None:
        self._open_store = open_store
        self._stores: dict[tuple[bytes, bytes], AsyncEngine] = {}

    def of(self, headers: Mapping[bytes, bytes]) -> "AsyncEngine":
        """Return the store of a request's access key and region. Raises ``DynamoError`` if it cannot be opened."""
        found = _SCOPE.search(headers.get(b"authorization", b""))
        if found is None:
            raise DynamoError(
                "UnrecognizedClientException",
                "The access key must have letters, digits, _ and - only, because it names a store",
            )
        scope = (found[1], found[2])
        store = self._stores.get(scope)
        if store is None:
            store = self._stores[scope] = self._opened("_".join(part.decode() for part in scope))
        return store

    def _opened(self, name: str) -> "AsyncEngine":
        if len(self._stores) >= STORES_MAX:
            raise DynamoError("LimitExceededException", f"This server has {STORES_MAX} stores already")
        try:
            return self._open_store(name)
        except CannotStart as error:
            raise DynamoError("InternalServerError", str(error)) from None

    async def close(self) -> None:
        """Close every store."""
        for store in self._stores.values():
            await store.close()
