"""A store that behaves as Amazon's does on a bad day: late, busy, throttled, silent, its indexes behind.

| fault | what the portal sees | what took place |
|---|---|---|
| conflict | TransactionCanceledException, every reason TransactionConflict | nothing |
| throttled | ProvisionedThroughputExceededException | nothing |
| unreachable | StoreUnreachable | nothing |
| unanswered | StoreOutcomeUnknown | the write, or nothing |
| stale index | what the same question was answered a moment ago | |
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from bursar.dynamo import DynamoError, Store, StoreOutcomeUnknown, StoreUnreachable

WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"})


class FaultyStore:
    """``inner`` on a bad day. ``rate``: probability that one of the faults happens to a request."""

    def __init__(self, inner: Store, randomness: random.Random, counts: Counter[str], rate: float) -> None:
        self._inner = inner
        self._randomness = randomness
        self._counts = counts
        self._rate = rate
        self._seen: dict[tuple[str, str], dict[str, Any]] = {}

    def calm(self) -> None:
        """From now on it is a good day."""
        self._rate = 0.0

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(self._randomness.uniform(0.001, 0.03))
        struck = self._randomness.random() < self._rate
        if "IndexName" in request:
            return await self._index_query(operation, request, struck)
        if struck:
            await self._strike(operation, request)
        return await self._inner.call(operation, request)

    async def close(self) -> None:
        await self._inner.close()

    async def _strike(self, operation: str, request: Mapping[str, Any]) -> None:
        kinds = ["throttled", "unreachable"]
        if operation == "TransactWriteItems":
            kinds += ["conflict", "conflict", "unanswered, done", "unanswered, not done"]
        elif operation in WRITES:
            kinds += ["unanswered, done", "unanswered, not done"]
        kind = self._randomness.choice(kinds)
        self._counts[f"store {kind}"] += 1
        if kind == "throttled":
            message = "The level of configured provisioned throughput for the table was exceeded."
            raise DynamoError("ProvisionedThroughputExceededException", message)
        if kind == "unreachable":
            raise StoreUnreachable("simulated")
        if kind == "conflict":
            reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
            reasons *= len(request["TransactItems"])
            raise DynamoError("TransactionCanceledException", "Transaction cancelled", cancellation_reasons=reasons)
        if kind == "unanswered, done":
            await self._inner.call(operation, request)
        raise StoreOutcomeUnknown("simulated")

    async def _index_query(self, operation: str, request: Mapping[str, Any], struck: bool) -> dict[str, Any]:
        partition = (request["IndexName"], str(sorted(request.get("ExpressionAttributeValues", {}).items()))[:60])
        if struck and partition in self._seen:
            self._counts["store stale index"] += 1
            return self._seen[partition]
        answer = await self._inner.call(operation, request)
        self._seen[partition] = answer
        return answer
