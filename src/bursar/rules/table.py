"""``RuledTable``: a table whose every write keeps the rules, on any store that implements DynamoDB.

    write ─► compile ─► TransactWriteItems ─┬─ done ────────────────────────► return
      ▲                                     ├─ a rule's condition failed ───► RuleRefused, never sent again
      │                                     ├─ the item changed ────────────► Contention, never sent again
      └── the same token, a little later ◄──┼─ conflict, throttled
                                            └─ no answer: it may have taken place
          for 10 minutes the token returns the first result; after the last try the items themselves are read

On a store in this process that keeps the same rules, a write is first a swap of whole items
(:mod:`bursar.rules.transactions.whole_item_swaps`). If the swap does not go through, the write is compiled and sent as
above, and its error gives the reason.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bursar.clock import Clock
from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown
from bursar.dynamo.items.attribute_values import Item
from bursar.rules.errors import RuleRefused, StoreBusy
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import OWNER, sentinel_key, value_text
from bursar.rules.language.predicates import Plain, typed_value
from bursar.rules.language.ruleset import Rules
from bursar.rules.language.toml import rules_to_toml
from bursar.rules.language.writes import LogicalWrite
from bursar.rules.transactions.actions import CompiledAction
from bursar.rules.transactions.cancellations import (
    BUSY_CODES,
    CANCELLED,
    UNCLEAR_CODES,
    failed_conditions,
    guard_refusal,
    is_busy,
    is_in_effect,
    refusal_or_contention,
)
from bursar.rules.transactions.compile import CompiledTransaction, compile_writes
from bursar.rules.transactions.whole_item_swaps import swaps_of

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store
    from bursar.dynamo.engine.compare_and_swap import CompareAndSwap

TOKEN_AGE_MAX_S = 600.0
"""The time for which DynamoDB remembers a ClientRequestToken (API reference, TransactWriteItems)."""

KEYS_PER_BATCH_MAX = 100
"""DynamoDB's quota of BatchGetItem."""


@dataclass(frozen=True)
class RetryLimits:
    """The number of tries of a write, and the waits between them in seconds.

    A wait is random, from 0 to a bound that doubles (full jitter).
    """

    busy_tries_max: int = 10
    busy_wait_first_s: float = 0.01
    busy_wait_max_s: float = 1.0
    unclear_tries_max: int = 6
    unclear_wait_first_s: float = 0.1
    unclear_wait_max_s: float = 5.0


class RuledTable:
    """Writes to ``table_name`` through ``store``; each is one transaction that keeps ``rules`` under any concurrency.

    ``randomness`` makes tokens and jitter, ``clock`` gives a token's age, and waiting is ``asyncio.sleep``.

    ``compare_and_swap`` reads and swaps whole items of a store in this process. Such a store cannot lose an answer, so
    writes carry no token, and the store need not remember one. An unclear answer (a failing disk) is settled by
    reading.
    """

    def __init__(
        self,
        store: "Store",
        table_name: str,
        rules: Rules,
        *,
        randomness: random.Random,
        clock: Clock,
        retry_limits: RetryLimits = RetryLimits(),
        compare_and_swap: "CompareAndSwap | None" = None,
    ) -> None:
        self.store = store
        self.name = table_name
        self.rules = rules
        self.plan = RulesPlan(rules)
        self._randomness = randomness
        self._clock = clock
        self.retry_limits = retry_limits
        self._compare_and_swap = compare_and_swap
        self._document = "" if compare_and_swap is None else rules_to_toml(rules)

    def compile(self, writes: Sequence[LogicalWrite]) -> CompiledTransaction:
        """Return the transaction that :meth:`write` would send; raise what it would raise before sending."""
        return compile_writes(self.plan, self.name, writes)

    async def write(self, writes: Sequence[LogicalWrite], token: str | None = None) -> None:
        """Write all of ``writes``, or none, in one TransactWriteItems or one swap.

        ``token`` (at most 36 characters) is the ClientRequestToken; by default a new one. Raises the errors listed in
        :mod:`bursar.rules.errors`.
        """
        unclear = False
        if self._compare_and_swap is not None and token is None:
            try:
                swaps = swaps_of(writes)
                if swaps:
                    await self._compare_and_swap.swap(self.name, swaps, self._document)
                return
            except ValueError:
                pass  # compiling raises this error again, or the refusal of a rule
            except DynamoError as refusal:
                unclear = refusal.code in UNCLEAR_CODES
        compiled = self.compile(writes)
        if compiled.actions:
            if token is None and self._compare_and_swap is None:
                token = f"{self._randomness.getrandbits(128):032x}"
            await _TransactionSender(self, compiled, token, unclear=unclear).run()

    async def owner_of(self, rule: str, *values: Plain | Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the key of the item that owns ``values`` under the unique or unique-while ``rule``; None without one.

        ``values`` has one value per attribute of the rule. Sends one strongly consistent GetItem for the sentinel.
        Raises ``KeyError`` for an unknown rule and ``ValueError`` for a rule of another kind or a wrong number of
        values.
        """
        unique = self.plan.unique_values.get(rule)
        if unique is None:
            raise ValueError(f"rule {rule!r}: must be unique or unique while; got {self.rules[rule].keyword}")
        if len(values) != len(unique.attributes):
            raise ValueError(
                f"values of rule {rule!r}: must be one for each of {', '.join(unique.attributes)}; got {len(values)}"
            )
        partition = unique.prefix + value_text([typed_value(value) for value in values])
        sentinel = await self.get(sentinel_key(self.rules.key_names, partition))
        return None if sentinel is None else dict(sentinel[OWNER]["M"])

    async def get(self, key: Item) -> dict[str, Any] | None:
        """Return the item at ``key`` by a strongly consistent read, or None."""
        if self._compare_and_swap is not None:
            return await self._compare_and_swap.get(self.name, key)
        request = {"TableName": self.name, "Key": dict(key), "ConsistentRead": True}
        answer = await self.store.call("GetItem", request)
        item: dict[str, Any] | None = answer.get("Item")
        return item

    async def get_several(self, keys: Sequence[Item]) -> list[dict[str, Any]]:
        """Return the items at ``keys`` that exist, in any order. On a remote store they may be slightly behind.

        Raises ``StoreBusy`` if the store leaves out the same keys again and again.
        """
        if self._compare_and_swap is not None:
            return [item for key in keys if (item := await self.get(key)) is not None]
        groups = (keys[at : at + KEYS_PER_BATCH_MAX] for at in range(0, len(keys), KEYS_PER_BATCH_MAX))
        return [item for group in groups for item in await self._get_group(group)]

    async def _get_group(self, keys: Sequence[Item]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        left: Mapping[str, Any] = {self.name: {"Keys": [dict(key) for key in keys]}}
        for tries in range(1, self.retry_limits.busy_tries_max + 1):
            answer = await self.store.call("BatchGetItem", {"RequestItems": left})
            items += answer["Responses"].get(self.name, [])
            left = answer.get("UnprocessedKeys") or {}
            if not left:
                return items
            await self.wait(tries, self.retry_limits.busy_wait_first_s, self.retry_limits.busy_wait_max_s)
        raise StoreBusy(f"{len(left[self.name]['Keys'])} of {len(keys)} items were left out {tries} times")

    async def partition(self, value: Mapping[str, Any], begins: str = "") -> list[dict[str, Any]]:
        """Return every item whose partition key is ``value`` (``{"S": …}``), strongly consistent, in sort key order.

        With ``begins``, only those whose sort key, a text, begins with it.
        """
        if self._compare_and_swap is not None:
            return await self._compare_and_swap.partition(self.name, value, begins)
        request: dict[str, Any] = {
            "TableName": self.name,
            "ConsistentRead": True,
            "KeyConditionExpression": "#partition = :value",
            "ExpressionAttributeNames": {"#partition": self.rules.key_names[0]},
            "ExpressionAttributeValues": {":value": dict(value)},
        }
        if begins:
            request["KeyConditionExpression"] += " AND begins_with(#sort, :begins)"
            request["ExpressionAttributeNames"]["#sort"] = self.rules.key_names[1]
            request["ExpressionAttributeValues"][":begins"] = {"S": begins}
        items: list[dict[str, Any]] = []
        while True:
            page = await self.store.call("Query", request)
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return items
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def wait(self, tries: int, first_s: float, most_s: float) -> None:
        """Wait after try number ``tries`` (from 1), with jitter."""
        bound_s = min(most_s, first_s * 2 ** (tries - 1))
        await asyncio.sleep(self._randomness.uniform(0.0, bound_s))

    def now(self) -> float:
        """Return the clock's time, in seconds."""
        return self._clock()


class _TransactionSender:
    """One compiled transaction while it is sent, with all that is known of its outcome."""

    def __init__(
        self, table: RuledTable, compiled: CompiledTransaction, token: str | None, *, unclear: bool = False
    ) -> None:
        """Prepare the request. ``unclear``: an earlier try of the write may have taken place."""
        self._table = table
        self._compiled = compiled
        self._request = compiled.request(token)
        self._began = table.now()
        self._busy = 0
        self._unclear = int(unclear)

    async def run(self) -> None:
        """Send until the outcome is known; return when the write took place, raise otherwise."""
        while True:
            try:
                await self._table.store.call("TransactWriteItems", self._request)
                return
            except StoreOutcomeUnknown as unknown:
                if await self._settle_unknown(unknown):
                    return
            except DynamoError as error:
                if await self._settle_refusal(error):
                    return

    async def _settle_refusal(self, error: DynamoError) -> bool:
        """Wait if a retry can help. Return True if the write took place; raise otherwise."""
        if error.code in UNCLEAR_CODES:
            return await self._settle_unknown(error)
        if error.code in BUSY_CODES or (error.code == CANCELLED and is_busy(error.cancellation_reasons or ())):
            await self._back_off(error)
            return False
        if error.code != CANCELLED or not error.cancellation_reasons:
            raise error
        failed = failed_conditions(self._compiled, error.cancellation_reasons)
        if not failed:
            raise error
        found: list[tuple[CompiledAction, Item | None]] = []
        refusal: RuleRefused | None = None
        for action, reason in failed:
            guarded = guard_refusal(self._table.plan, action, reason.get("Message") or "")
            refusal = refusal or guarded
            if guarded is None:
                found.append((action, reason.get("Item") or await self._read(action)))
        # Only after a lost answer can this write itself have made the condition fail.
        if self._unclear and await self._is_written():
            return True
        raise refusal or refusal_or_contention(self._table.plan, found) from None

    async def _back_off(self, error: DynamoError) -> None:
        limits = self._table.retry_limits
        self._busy += 1
        if self._busy >= limits.busy_tries_max:
            # After a lost answer, even this many rejected retries do not prove that the write failed.
            if self._unclear:
                raise StoreOutcomeUnknown(f"no answer, then a retry was rejected: {error}") from error
            raise StoreBusy(f"rejected {self._busy} times, the last time with: {error}") from error
        await self._table.wait(self._busy, limits.busy_wait_first_s, limits.busy_wait_max_s)

    async def _settle_unknown(self, unknown: Exception) -> bool:
        """Retry with the token while the store remembers it, then read the items.

        Return True if the write took place.
        """
        limits = self._table.retry_limits
        self._unclear += 1
        remembered = self._table.now() - self._began < TOKEN_AGE_MAX_S - limits.unclear_wait_max_s
        if self._unclear < limits.unclear_tries_max and remembered:
            await self._table.wait(self._unclear, limits.unclear_wait_first_s, limits.unclear_wait_max_s)
            # After the wait the token may be forgotten, and sending again would be a second write.
            if self._table.now() - self._began < TOKEN_AGE_MAX_S:
                return False
        if await self._is_written():
            return True
        raise StoreOutcomeUnknown(f"sent {self._unclear} times without a clear answer: {unknown}") from unknown

    async def _is_written(self) -> bool:
        """Return whether every item is in the state that the write would produce."""
        plan = self._table.plan
        for change in self._compiled.changes:
            if not is_in_effect(plan, change, await self._read_with_retries(change.key)):
                return False
        return True

    async def _read(self, action: CompiledAction) -> Item | None:
        """Return the item whose condition failed, for a store that does not return it."""
        ((_, body),) = action.body.items()
        item = body.get("Key") or {name: body["Item"][name] for name in self._table.rules.key_names}
        return await self._table.get(item)

    async def _read_with_retries(self, key: Item) -> dict[str, Any] | None:
        """Return the item, with as many tries as a busy write. Raises ``StoreOutcomeUnknown`` after the last one."""
        limits = self._table.retry_limits
        for tries in range(1, limits.busy_tries_max + 1):
            try:
                return await self._table.get(key)
            except (DynamoError, StoreOutcomeUnknown) as error:
                if tries == limits.busy_tries_max:
                    raise StoreOutcomeUnknown(f"the outcome could not be read: {error}") from error
                await self._table.wait(tries, limits.busy_wait_first_s, limits.busy_wait_max_s)
        raise AssertionError("the loop returns or raises")
