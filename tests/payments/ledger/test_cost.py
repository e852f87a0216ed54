"""The cost of one payment's writes on Amazon's DynamoDB, in write capacity units (WCU), against a budget.

A transaction's write costs two units per item of up to 1 KB (the engine's accounting is read for that). An index entry
costs one unit, two if its key moves; a transaction does not double it. Source: Developer Guide, "Global secondary
indexes: provisioned throughput considerations". No documentation states that the factor applies only to the table; it
was measured against Amazon (nubo-db/dynoxide pull request 188). So the test counts index units independently.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from bursar.dynamo.clients.store import Store
from bursar.dynamo.items.attribute_values import item_size
from bursar.payments import Attempt, Ledger, Outcome
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.reversals import ReversalReport
from tests.support.payments.stage import PAID, TOKEN, Listening, Wall, settled
from tests.support.write_paths import WritePath

Start = Callable[..., Awaitable[Attempt]]

# One step → its most WCU. Items: base writes in a transaction ×2; indexes: due and changes.
BUDGET_WCU = {
    "start": 10,  # obligation, attempt (+due), event (+changes), a sentinel: the first attempt holds its obligation
    "start again": 14,  # attempt (+due), event (+changes), two sentinels, the first attempt, a check of the obligation
    "start a third time": 14,  # the same, but the first attempt is only checked
    "expire": 6,  # attempt (+due ends), event (+changes)
    "expire again": 8,  # the same, and the sentinel of a further attempt
    "token": 7,  # attempt (its entry in due stays as it is), event (+changes), a sentinel
    "lease": 7,  # attempt (+due moves), event (+changes)
    "complete": 8,  # attempt (+due ends), event (+changes), a sentinel
    "accept": 9,  # attempt (+due moves), event (+changes), Pay.gov's tracking id has its sentinel
    "settle": 7,  # attempt (+due moves), event (+changes)
    "set_due": 4,  # attempt (+due moves)
    "return": 11,  # attempt (+due ends), event (+changes), reversal (+changes), a sentinel
    "watch": 31,  # 7 questions, and the end of the watch (+due ends)
    "settling for 72 h": 116,  # the payment without polls, and 19 polls
}
CARD_PAYMENT_WCU_MAX = 32
ACH_PAYMENT_WCU_MAX = 40
ACH_WATCH_QUESTIONS_MAX = 7
ACH_SETTLES_AFTER_S = 72 * 3600.0


INDEXES = {("dueShard", "dueAt"): "KEYS_ONLY", ("changeBucket", "changedAt"): "ALL"}
ITEM_BYTES_MAX = 1024


@dataclass
class Metered:
    """A store that sums the write units of its requests."""

    behind: Store
    wall: Wall
    wcu: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation != "TransactWriteItems":
            return await self.behind.call(operation, request)
        keys = [written_key(action) for action in request["TransactItems"]]
        before = [await self.item(key) for key in keys]
        reply = await self.behind.call(operation, {**request, "ReturnConsumedCapacity": "INDEXES"})
        after = [await self.item(key) for key in keys]
        assert all(item_size(item) <= ITEM_BYTES_MAX for item in after)
        self.wcu += sum(table["Table"]["CapacityUnits"] for table in reply["ConsumedCapacity"])
        self.wcu += sum(map(index_wcu, before, after))
        return reply

    async def item(self, key: Mapping[str, Any]) -> dict[str, Any]:
        request = {"TableName": TABLE_NAME, "Key": key, "ConsistentRead": True}
        item: dict[str, Any] = (await self.behind.call("GetItem", request)).get("Item", {})
        return item

    async def close(self) -> None:
        await self.behind.close()

    async def spend(self, step: str, call: Awaitable[Attempt]) -> Attempt:
        self.wall.pass_s(1)
        before = self.wcu
        attempt = await call
        self.spent[step] = self.wcu - before
        return attempt


def written_key(action: Mapping[str, Any]) -> dict[str, Any]:
    ((_, body),) = action.items()
    source = body.get("Item") or body["Key"]
    return {name: source[name] for name in ("pk", "sk")}


def index_wcu(old: Mapping[str, Any], new: Mapping[str, Any]) -> int:
    """Return the cost of old → new in both indexes."""
    cost = 0
    for names, projected in INDEXES.items():
        was, now = [[item[name] for name in names] if names[1] in item else None for item in (old, new)]
        if was == now:
            cost += int(was is not None and old != new and projected == "ALL")
        else:
            cost += (was is not None) + (now is not None)
    return cost


billed = pytest.mark.only_write_path("transaction", reason="only Amazon's DynamoDB bills write units")


@pytest.fixture
def metered(ledger: Ledger, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> Metered:
    meter = Metered(ledger._store, wall)
    monkeypatch.setattr(ledger._ruled, "store", meter)
    return meter


@billed
async def test_a_card_payment_keeps_its_budget(ledger: Ledger, start: Start, metered: Metered) -> None:
    attempt = await metered.spend("start", start())
    attempt = await metered.spend("token", ledger.record_token(attempt, "t" * 32))
    attempt = await metered.spend("lease", ledger.take_lease(attempt, "worker-1", 30))
    paid = Outcome("processed", "3FPAID1234567", "Success", "PLASTIC_CARD")
    attempt = await metered.spend("complete", ledger.record_outcome(attempt, paid, actor="portal"))
    assert metered.spent == {step: BUDGET_WCU[step] for step in ("start", "token", "lease", "complete")}
    assert metered.wcu <= CARD_PAYMENT_WCU_MAX


@billed
async def test_failed_attempts_and_those_that_follow_keep_their_budget(
    ledger: Ledger, start: Start, metered: Metered
) -> None:
    no: dict[str, Any] = {"event": "start_failed", "actor": "portal", "return_code": "4019", "return_detail": None}
    first = await metered.spend("start", start())
    await metered.spend("expire", ledger.fail(first, **no))
    second = await metered.spend("start again", start())
    await metered.spend("expire again", ledger.fail(second, **no))
    await metered.spend("start a third time", start())
    assert metered.spent == {step: BUDGET_WCU[step] for step in metered.spent}


@billed
async def test_an_ach_payment_keeps_its_budget(ledger: Ledger, start: Start, metered: Metered) -> None:
    attempt = await metered.spend("start", start())
    attempt = await metered.spend("token", ledger.record_token(attempt, "t" * 32))
    attempt = await metered.spend("lease", ledger.take_lease(attempt, "worker-1", 30))
    accepted = Outcome("pending", "3FPAID1234567", "Received", "ACH")
    attempt = await metered.spend("accept", ledger.record_outcome(attempt, accepted, actor="portal"))
    success = Outcome("processed", "3FPAID1234567", "Success", "ACH")
    attempt = await metered.spend("settle", ledger.record_outcome(attempt, success, actor="sweeper"))
    assert metered.spent == {step: BUDGET_WCU[step] for step in ("start", "token", "lease", "accept", "settle")}
    assert metered.wcu <= ACH_PAYMENT_WCU_MAX


@billed
async def test_a_poll_that_learns_nothing_costs_one_touch(
    ledger: Ledger, start: Start, metered: Metered, wall: Wall
) -> None:
    attempt = await start()
    await metered.spend("set_due", ledger.set_due(attempt, wall.now + 60))
    assert metered.spent["set_due"] <= BUDGET_WCU["set_due"]


@billed
async def test_an_ach_payment_that_settles_after_three_days_keeps_its_budget(
    ledger: Ledger, start: Start, metered: Metered, wall: Wall
) -> None:
    attempt = await ledger.record_token(await start(), "t" * 32)
    attempt = await ledger.take_lease(attempt, "worker-1", 30)
    accepted = Outcome("pending", "3FPAID1234567", "Received", "ACH")
    attempt = await ledger.record_outcome(attempt, accepted, actor="portal")
    settles_at, asked_at = wall.now + ACH_SETTLES_AFTER_S, wall.now
    while asked_at < settles_at:
        assert attempt.due_at is not None
        wall.now = asked_at = attempt.due_at
        attempt = await ledger.set_due(
            attempt, ledger.due_policy.next_poll_at(attempt, asked_at), refreshed_at=asked_at
        )
    await ledger.record_outcome(attempt, Outcome("processed", "3FPAID1234567", "Success", "ACH"), actor="sweeper")
    assert metered.wcu == BUDGET_WCU["settling for 72 h"]


@billed
async def test_the_watch_for_a_return_keeps_its_budget(
    ledger: Ledger, start: Start, metered: Metered, wall: Wall
) -> None:
    attempt = await settled(ledger, start)
    policy, before, questions = ledger.due_policy, metered.wcu, 0
    while attempt.due_at is not None:
        wall.now = attempt.due_at
        questions += 1
        attempt = await ledger.set_due(attempt, policy.next_return_poll_at(attempt, wall.now), refreshed_at=wall.now)
        if wall.now >= policy.return_watch_ends_at(attempt):
            attempt = await ledger.set_due(attempt, None)
    assert questions <= ACH_WATCH_QUESTIONS_MAX
    assert metered.wcu - before == BUDGET_WCU["watch"]
    assert wall.now == policy.return_watch_ends_at(attempt)


@billed
async def test_a_return_keeps_its_budget(ledger: Ledger, start: Start, metered: Metered) -> None:
    attempt = await settled(ledger, start)

    async def returned() -> Attempt:
        report = ReversalReport("returned", attempt.amount, "paygov")
        changed, _ = await ledger.reversals.record(attempt, report, actor="sweeper")
        return changed

    await metered.spend("return", returned())
    assert metered.spent["return"] == BUDGET_WCU["return"]


async def test_only_a_start_reads_before_it_writes(
    write_path: WritePath, ledger: Ledger, start: Start, store: Listening
) -> None:
    attempt = await start()
    assert store.operations == ["Query", write_path.write_operation]
    store.clear()
    attempt = await ledger.record_token(attempt, TOKEN)
    attempt = await ledger.take_lease(attempt, "worker-1", 30)
    await ledger.record_outcome(attempt, PAID, actor="portal")
    assert store.operations == [write_path.write_operation] * 3
