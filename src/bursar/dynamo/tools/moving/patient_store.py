"""``PatientStore``: a store whose requests are repeated until they succeed, for work that may be repeated freely.

After throttling, conflicts, lost answers and unreachable servers, a request is repeated with a growing wait (full
jitter). Batches are sent until nothing is left unprocessed. Every write here puts or deletes whole items, so a repeated
one changes nothing.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.dynamo.items.attribute_values import Item

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

TRIES_MAX: Final = 12
WAIT_FIRST_S: Final = 0.05
WAIT_MAX_S: Final = 20.0
WRITES_PER_BATCH_MAX: Final = 25
READS_PER_BATCH_MAX: Final = 100
"""DynamoDB's quotas of BatchWriteItem and BatchGetItem."""
BATCHES_AT_ONCE_MAX: Final = 16
RETRIED_CODES: Final = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
    }
)


class PatientStore:
    """The tables of ``store``, for a caller for which waiting is better than failing."""

    def __init__(self, store: "Store", randomness: random.Random) -> None:
        self._store = store
        self._randomness = randomness
        self._batches = asyncio.Semaphore(BATCHES_AT_ONCE_MAX)
        self.retries = 0
        """Requests and batches that were sent again so far."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request that may be repeated.

        Raises ``DynamoError``; the last error of a retried kind after :data:`TRIES_MAX` tries.
        """
        for tried in range(1, TRIES_MAX + 1):
            try:
                return await self._store.call(operation, request)
            except DynamoError as error:
                if error.code not in RETRIED_CODES or tried == TRIES_MAX:
                    raise
            except (StoreOutcomeUnknown, StoreUnreachable):
                if tried == TRIES_MAX:
                    raise
            await self._back_off(tried)
        raise AssertionError("the last try returns or raises")

    async def get(self, table: str, keys: Sequence[Item]) -> list[dict[str, Any]]:
        """Return the items under ``keys``, by strongly consistent reads; absent items are left out."""
        groups = [keys[at : at + READS_PER_BATCH_MAX] for at in range(0, len(keys), READS_PER_BATCH_MAX)]
        pages = await asyncio.gather(*(self._get_group(table, group) for group in groups))
        return [item for page in pages for item in page]

    async def write(self, table: str, puts: Iterable[Item], deleted_keys: Iterable[Item] = ()) -> None:
        """Put and delete whole items, in any order; no key may be given twice."""
        requests: list[dict[str, Any]] = [{"PutRequest": {"Item": item}} for item in puts]
        requests += [{"DeleteRequest": {"Key": key}} for key in deleted_keys]
        groups = [requests[at : at + WRITES_PER_BATCH_MAX] for at in range(0, len(requests), WRITES_PER_BATCH_MAX)]
        await asyncio.gather(*(self._write_group(table, group) for group in groups))

    async def _get_group(self, table: str, keys: Sequence[Item]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        left: Mapping[str, Any] = {table: {"Keys": list(keys), "ConsistentRead": True}}
        tried = 0
        async with self._batches:
            while left:
                answer = await self.call("BatchGetItem", {"RequestItems": left})
                found = answer["Responses"].get(table, [])
                items += found
                left = answer.get("UnprocessedKeys") or {}
                tried = await self._after_partial_batch(tried, bool(found), bool(left))
        return items

    async def _write_group(self, table: str, requests: Sequence[Mapping[str, Any]]) -> None:
        left: Mapping[str, Any] = {table: list(requests)}
        tried = 0
        async with self._batches:
            while left:
                before = len(left[table])
                answer = await self.call("BatchWriteItem", {"RequestItems": left})
                left = answer.get("UnprocessedItems") or {}
                tried = await self._after_partial_batch(tried, len(left.get(table, ())) < before, bool(left))

    async def _after_partial_batch(self, tried: int, progressed: bool, is_left: bool) -> int:
        """Wait if a part of a batch is left; return the number of waits without progress since."""
        if not is_left:
            return 0
        tried = 1 if progressed else tried + 1
        if tried >= TRIES_MAX:
            raise DynamoError("ThrottlingException", f"a batch made no progress in {TRIES_MAX} tries")
        await self._back_off(tried)
        return tried

    async def _back_off(self, tried: int) -> None:
        self.retries += 1
        await asyncio.sleep(self._randomness.uniform(0.0, min(WAIT_MAX_S, WAIT_FIRST_S * 2**tried)))
