"""Measure the payments per second that DynamoDB's partitions allow, and run payments with their limits enforced.

    python -m bench.scale_model                 the tables of docs/scale.md
    python -m bench.scale_model --seconds 20    a longer run at each rate

First one card payment is made on the engine, and the units of each of its transactions are charged to the partition
that pays them: an obligation, a sentinel, a shard of the index `due`, a bucket of the index `changes`. Then payments
arrive at fixed rates in virtual time, at a store that refuses a write while one of its partitions has used its 1,000
write units (or 3,000 read units) a second. The ledger, its transactions and its retries are the real ones.

A partition key is taken as one partition: no burst capacity, and no split of a key, because the keys of `changes` only
grow and all new ones land at the end.
"""

import argparse
import asyncio
import random
import statistics
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bursar.clock import Clock
from bursar.dynamo import AsyncEngine, Engine
from bursar.dynamo.clients.store import Store
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item, item_size
from bursar.payments import FeeCatalogue, Ledger, Outcome
from bursar.payments.errors import LedgerBusy
from bursar.payments.ledger.store_records.change_shards import bucket_of, shard_of
from bursar.payments.ledger.table import TABLE_NAME, table_definition
from bursar.payments.records import DUE_SHARDS, change_bucket, due_shard
from bursar.rules import StoreBusy
from bursar.rules.transactions.cost import TRANSACTION_FACTOR, WRITE_UNIT_BYTES
from sim.loop import VirtualLoop, run_virtual

WRITE_UNITS_PER_S: Final = 1_000
READ_UNITS_PER_S: Final = 3_000
READ_UNIT_BYTES: Final = 4096
TABLE_WRITE_UNITS_PER_S: Final = 40_000
"""Amazon's default quota of an on-demand table, and of each of its indexes."""
GOAL_PER_S: Final = 10_000
RATES: Final = (120, 200, 240, 280, 360)
PAYER_S: Final = 1.0
"""How long a payer takes on Pay.gov's pages, in this run."""
RETRY_AFTER_S: Final = 2.0
"""The pause of an application after a 503 (Retry-After)."""
REQUEST_S: Final = 0.01
TRIES_MAX: Final = 1_000
INDEXES: Final = {"due": ("dueShard", "dueAt"), "changes": ("changeBucket", "changedAt")}
KEYS_ONLY: Final = ("pk", "sk", *INDEXES["due"])
"""All that the index `due` holds of an item."""

Partition = tuple[str, str]
"""(table or index, partition key)."""
Charges = Counter[Partition]


class LimitedStore(Store):
    """A store whose partitions have a rate. ``changes_shards``: how many shards the ledger writes to.

    A partition that has used more than its second's units is in debt until they are earned again; a request that
    touches it is refused meanwhile. ``limited`` False: measure only.
    """

    def __init__(self, behind: Store, clock: Clock, *, changes_shards: int = 1, limited: bool = True) -> None:
        self._behind = behind
        self._clock = clock
        self._shards = changes_shards
        self._limited = limited
        self._debts: dict[tuple[str, Partition], tuple[float, float]] = {}
        self.transactions: list[Charges] = []
        self.refused = 0

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request, unless one of its partitions has no units left."""
        await asyncio.sleep(REQUEST_S)
        if operation == "TransactWriteItems":
            return await self._write(request)
        answer = await self._behind.call(operation, request)
        for item in [answer["Item"]] if "Item" in answer else answer.get("Items", []):
            self._charge("read", Counter({("table", item["pk"]["S"]): -(-item_size(item) // READ_UNIT_BYTES)}))
        return answer

    async def close(self) -> None:
        """Close the store behind."""
        await self._behind.close()

    async def _write(self, request: Mapping[str, Any]) -> dict[str, Any]:
        keys = [_key(action) for action in request["TransactItems"]]
        if self._limited and any(self._in_debt("write", each) for each in self._touched(keys)):
            self.refused += 1
            raise DynamoError("ThrottlingException", "a partition has no units left (KeyRangeThroughputExceeded)")
        before = [await self._item(key) for key in keys]
        answer = await self._behind.call("TransactWriteItems", {**request, "ReturnConsumedCapacity": "TOTAL"})
        charges: Charges = Counter()
        for key, old in zip(keys, before, strict=True):
            new = await self._item(key)
            larger = max(item_size(old or {}), item_size(new or {}))
            charges["table", key["pk"]["S"]] += TRANSACTION_FACTOR * max(1, -(-larger // WRITE_UNIT_BYTES))
            self._add_indexes(charges, key, old, new)
        [consumed] = answer["ConsumedCapacity"]
        if charges.total() != consumed["CapacityUnits"]:
            raise AssertionError(f"charged {charges.total()} units; the engine consumed {consumed['CapacityUnits']}")
        self._charge("write", charges)
        self.transactions.append(charges)
        return answer

    def _add_indexes(self, charges: Charges, key: Item, old: Item | None, new: Item | None) -> None:
        for name, attributes in INDEXES.items():
            entries = [each if each and all(a in each for a in attributes) else None for each in (old, new)]
            if name == "due":
                entries = [each and {a: each[a] for a in KEYS_ONLY} for each in entries]
            index_keys = [None if each is None else tuple(each[a]["S"] for a in attributes) for each in entries]
            if entries[0] == entries[1]:
                continue
            if index_keys[0] == index_keys[1]:  # one write, of the larger of the two
                entries = [max(entries, key=lambda each: item_size(each or {}))]
            for entry in entries:
                if entry is not None:
                    partition = (name, entry[attributes[0]]["S"])
                    charges[partition] += -(-item_size(entry) // WRITE_UNIT_BYTES)

    def _touched(self, keys: Sequence[Item]) -> Iterator[Partition]:
        """Yield the partitions that a request may charge: all its keys, and the partitions of both indexes."""
        hour = change_bucket(self._clock())
        for key in keys:
            yield "table", key["pk"]["S"]
            if key["sk"]["S"].startswith("event#"):
                yield "changes", bucket_of(hour, shard_of(key["pk"]["S"], self._shards))
            if key["sk"]["S"].startswith("attempt#"):
                yield "due", due_shard(key["sk"]["S"].rpartition("#")[2], max(self._shards, DUE_SHARDS))

    def _in_debt(self, kind: str, partition: Partition) -> bool:
        rate = WRITE_UNITS_PER_S if kind == "write" else READ_UNITS_PER_S
        used, at = self._debts.get((kind, partition), (0.0, 0.0))
        return used - (self._clock() - at) * rate > 0

    def _charge(self, kind: str, charges: Charges) -> None:
        rate, now = (WRITE_UNITS_PER_S if kind == "write" else READ_UNITS_PER_S), self._clock()
        for partition, units in charges.items():
            used, at = self._debts.get((kind, partition), (0.0, now))
            # A partition saves up to a second of units: only what is used beyond them is a debt.
            left = max(-float(rate), used - (now - at) * rate)
            self._debts[kind, partition] = (left + units, now)

    async def _item(self, key: Item) -> Item | None:
        request = {"TableName": TABLE_NAME, "Key": key, "ConsistentRead": True}
        item: Item | None = (await self._behind.call("GetItem", request)).get("Item")
        return item


def _key(action: Mapping[str, Any]) -> Item:
    ((_, body),) = action.items()
    item = body.get("Key") or body["Item"]
    return {"pk": item["pk"], "sk": item["sk"]}


@dataclass
class LoadResult:
    """A run at one rate."""

    rate_per_s: float
    offered: int = 0
    paid: int = 0
    busy: int = 0
    """Requests of applications that were answered 503."""
    refused: int = 0
    """Transactions that were refused because a partition had no units left."""
    lost: int = 0
    """Payments that were acknowledged and are not in the table."""
    seconds: list[float] = field(default_factory=list)
    """Of each payment: from its first request to its end, less the payer's time."""
    span_s: float = 0.0


class Scene:
    """A ledger over a limited store, and payers."""

    def __init__(self, loop: VirtualLoop, engine: AsyncEngine, *, changes_shards: int, limited: bool) -> None:
        self.loop = loop
        self.engine = engine
        self.payer_s = PAYER_S
        self.store = LimitedStore(engine, loop.clock, changes_shards=changes_shards, limited=limited)
        self._random = random.Random(5)
        self._fees = FeeCatalogue.default()
        self.ledger = Ledger(
            self.store, clock=loop.clock, randomness=random.Random(4), fees=self._fees, compare_and_swap=None
        )

    async def pay(self, result: LoadResult) -> str:
        """Make one card payment, and repeat each step that is answered 503; return its agency tracking id."""
        fee = self._fees.fee("PETITION_FILING_FEE", self.loop.clock())
        assert fee is not None
        assert fee.amount is not None
        amount = fee.amount
        reference = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        token, ours = f"{self._random.getrandbits(128):032x}", f"{self._random.getrandbits(60):x}"
        began = self.loop.time()
        ledger = self.ledger
        attempt = await self._until_done(
            result,
            lambda: ledger.start_attempt(
                "dawson", reference, fee, amount, {"docketNumber": "1-26"}, "https://a.example/s", "https://a.example/c"
            ),
        )
        attempt = await self._until_done(result, lambda: ledger.record_token(attempt, token))
        await asyncio.sleep(self.payer_s)
        leased = await self._until_done(result, lambda: ledger.take_lease(attempt, "worker-1", 60.0))
        outcome = Outcome("processed", ours, "Success", "PLASTIC_CARD")
        done = await self._until_done(result, lambda: ledger.record_outcome(leased, outcome, actor="portal"))
        result.paid += 1
        result.seconds.append(self.loop.time() - began - self.payer_s)
        identity: str = done.agency_tracking_id
        return identity

    async def _until_done(self, result: LoadResult, step: Any) -> Any:
        for _ in range(TRIES_MAX):
            try:
                return await step()
            except (LedgerBusy, StoreBusy):  # 503: the retries of the ledger are used up
                result.busy += 1
            await asyncio.sleep(RETRY_AFTER_S)
        raise AssertionError(f"no progress in {TRIES_MAX} tries")


async def _scene(loop: VirtualLoop, *, changes_shards: int = 1, limited: bool = True) -> Scene:
    engine = AsyncEngine(Engine.open(":memory:", clock=loop.clock, randomness=random.Random(1)))
    await engine.call("CreateTable", table_definition(TABLE_NAME))
    scene = Scene(loop, engine, changes_shards=changes_shards, limited=limited)
    if changes_shards > 1:
        await scene.ledger.change_shards.raise_to(changes_shards, by="the model")
        await scene.ledger.change_shards.learn()
    return scene


def measured_charges() -> dict[str, float]:
    """Return the write units of one card payment, by kind of partition."""

    async def play(loop: VirtualLoop) -> dict[str, float]:
        scene = await _scene(loop, limited=False)
        await scene.pay(LoadResult(0))
        by_kind: dict[str, float] = defaultdict(float)
        for charges in scene.store.transactions:
            for (place, key), units in charges.items():
                kind = place if place != "table" else "obligation" if key.startswith("o#") else "sentinels"
                by_kind[kind] += units
        return dict(by_kind)

    return run_virtual(play)


def load(rate_per_s: float, seconds: float, changes_shards: int, payer_s: float = PAYER_S) -> LoadResult:
    """Offer payments at a rate for so many seconds, wait until all are paid, and count."""

    async def play(loop: VirtualLoop) -> LoadResult:
        scene = await _scene(loop, changes_shards=changes_shards)
        scene.payer_s = payer_s
        result = LoadResult(rate_per_s)
        began = loop.time()
        paying = []
        for _ in range(int(rate_per_s * seconds)):
            paying.append(asyncio.create_task(scene.pay(result)))
            result.offered += 1
            await asyncio.sleep(1 / rate_per_s)
        acknowledged = await asyncio.gather(*paying)
        result.span_s = loop.time() - began
        result.refused = scene.store.refused
        result.lost = len(set(acknowledged) - await _processed(scene.engine))
        return result

    return run_virtual(play)


async def _processed(engine: AsyncEngine) -> set[str]:
    found: set[str] = set()
    request: dict[str, Any] = {"TableName": TABLE_NAME}
    while True:
        page = await engine.call("Scan", request)
        found |= {
            item["agencyTrackingId"]["S"]
            for item in page["Items"]
            if item.get("kind") == {"S": "attempt"} and item["status"] == {"S": "processed"}
        }
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def units_table(units: Mapping[str, float]) -> Iterator[str]:
    """Yield the table of units and of the rate that each kind of partition allows."""
    yield "| partition key | partitions | WCU of a card payment | payments a second that it allows |"
    yield "|---|---|---|---|"
    keys = {"obligation": "one for each obligation", "sentinels": "one for each unique value"}
    for kind, each in keys.items():
        yield f"| `pk` of {kind} | {each} | {units[kind]:.0f} | not limited by a partition |"
    for kind, count in (("due", DUE_SHARDS), ("changes", 1)):  # until `bursar shards` raises both
        allowed = WRITE_UNITS_PER_S * count / units[kind]
        of_each = "" if kind == "due" else " for each shard"
        name = f"`{INDEXES[kind][0]}` of the index `{kind}`"
        yield f"| {name} | {count}{of_each} | {units[kind]:.0f} | {allowed:,.0f}{of_each} |"
    yield f"| all | | {sum(units.values()):.0f} | |"


def shards_table(units: Mapping[str, float]) -> Iterator[str]:
    """Yield what 10,000 payments a second need."""
    yield f"| for {GOAL_PER_S:,} payments a second | WCU a second | partitions needed | times the default quota |"
    yield "|---|---|---|---|"
    table = units["obligation"] + units["sentinels"]
    for name, each in (("table", table), ("index `due`", units["due"]), ("index `changes`", units["changes"])):
        total = each * GOAL_PER_S
        partitions, quota = total / WRITE_UNITS_PER_S, total / TABLE_WRITE_UNITS_PER_S
        yield f"| {name} | {total:,.0f} | {partitions:,.0f} | {quota:.2f} |"


def load_table(seconds: float, rates: Sequence[float], changes_shards: int, payer_s: float) -> Iterator[str]:
    """Yield one line for each rate."""
    yield "| offered a second | paid | paid a second | transactions refused | answers 503 | median s | p99 s | lost |"
    yield "|---|---|---|---|---|---|---|---|"
    for rate in rates:
        result = load(rate, seconds, changes_shards, payer_s)
        ordered = sorted(result.seconds)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        yield (
            f"| {rate:g} | {result.paid} of {result.offered} | {result.paid / (result.span_s - payer_s):.1f} "
            f"| {result.refused} | {result.busy} | {statistics.median(ordered):.2f} | {p99:.2f} | {result.lost} |"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Print the payments per second that DynamoDB's partitions allow.")
    parser.add_argument("--seconds", type=float, default=10.0, help="Seconds at each rate, in virtual time.")
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="Payments a second.")
    parser.add_argument("--shards", type=int, default=1, help="Shards of the indexes (bursar shards --raise-to).")
    parser.add_argument("--payer-s", type=float, default=PAYER_S, help="Seconds of a payer on Pay.gov's pages.")
    arguments = parser.parse_args()
    units = measured_charges()
    for lines in (units_table(units), shards_table(units)):
        print("\n".join(lines), end="\n\n")
    for line in load_table(arguments.seconds, arguments.rates, arguments.shards, arguments.payer_s):
        print(line, flush=True)


if __name__ == "__main__":
    main()
