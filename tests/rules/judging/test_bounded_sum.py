"""Bounded sums: children and their parent's total move together, on every way to write, and the audit adds them up."""

import random
from typing import Any

import pytest

from bursar.dynamo.engine.engine import RulesRefused
from bursar.dynamo.items.attribute_values import Item
from bursar.rules import Contention, Delete, Put, RuleRefused, Update
from bursar.rules.audit.table_audit import Report, audit_table
from bursar.rules.language.toml import rules_to_toml
from tests.support.rules.samples import RETURNS, changed, part_returned, sale
from tests.support.rules.worlds import TABLE, PlainStore, finish, put_plainly, ruled

Writes = list[Put | Update | Delete]
GROW = "returned must grow by the amount of each return that is added with it"
TOGETHER = "its sale's returned must be written in the same transaction"


def store_with(*items: dict[str, Any], native: bool = False) -> PlainStore:
    store = PlainStore(RETURNS if native else None)
    finish(ruled(store, RETURNS, seed=1).write([Put(one) for one in items]))
    return store


def refusal(writes: Writes, *before: dict[str, Any]) -> str:
    """Return the refusal's message, which is the same on the compiled path, by swap and for a plain client."""
    messages = set()
    for native in (False, True):
        with pytest.raises(RuleRefused) as refused:
            finish(ruled(store_with(*before, native=native), RETURNS, swaps=native).write(writes))
        assert refused.value.rule == "returned"
        messages.add(refused.value.message)
    changes: dict[Any, tuple[Item | None, Item | None]] = {}
    for number, write in enumerate(writes):
        assert not isinstance(write, Delete)
        changes[number] = (None, write.item) if isinstance(write, Put) else (write.old, write.new)
    keyed = {((new or {})["pk"]["S"], (new or {})["sk"]["S"]): (old, new) for old, new in changes.values()}
    messages.add(put_plainly(store_with(*before, native=True), keyed) or "accepted")
    (message,) = messages
    return str(message)


@pytest.mark.parametrize("native", [False, True])
def test_children_and_total_are_written_together(native: bool) -> None:
    store = store_with(sale(), native=native)
    table = ruled(store, RETURNS, swaps=native)
    once = changed(sale(), returned=4)
    finish(table.write([Put(part_returned()), Update(sale(), once)]))
    twice = changed(once, returned=10)
    finish(table.write([Put(part_returned(number=2, amount=5)), Put(part_returned(number=3, amount=1)),
                        Update(once, twice)]))  # fmt: skip
    assert store.items()["a", "sale"] == twice
    assert audited(store).clean


@pytest.mark.parametrize(
    ("writes", "reason"),
    [
        ([Put(part_returned())], TOGETHER),
        ([Put(part_returned()), Update(sale(), changed(sale(), note="x"))], TOGETHER),
        ([Put(part_returned()), Update(sale(), changed(sale(), returned=3))], GROW),
        ([Put(part_returned()), Update(sale(), changed(sale(), returned=5))], GROW),
        ([Update(sale(), changed(sale(), returned=1))], GROW),
        ([Put(part_returned("b")), Update(sale(), changed(sale(), returned=4))], TOGETHER),
        ([Put(part_returned("b")), Put(sale("b", returned=3))], GROW),
        ([Put(sale("b", returned=1))], GROW),
        (
            [Put(part_returned(amount=11)), Update(sale(), changed(sale(), returned=11))],
            "returned must be at most paid",
        ),
        ([Put(part_returned()), Update(sale(), changed(sale(), returned="4"))], "returned must be a number from 0"),
        ([Put(part_returned()), Update(sale(), changed(sale(), returned=4, paid=3))], "returned must be at most paid"),
        ([Put(part_returned(amount=0))], "amount must be a number greater than 0"),
        ([Put(part_returned(amount=-1)), Update(sale(), changed(sale(), returned=-1))], "must be a number"),
        ([Put(changed(part_returned(), amount=None))], "amount must be a number greater than 0"),
        ([Put(changed(part_returned(), amount="4"))], "amount must be a number greater than 0"),
    ],
)
def test_a_write_that_does_not_keep_the_sum_is_refused(writes: Writes, reason: str) -> None:
    assert reason in refusal(writes, sale())


def test_the_limit_never_falls_below_the_total() -> None:
    store = store_with(sale(returned=4), part_returned(), native=False)
    with pytest.raises(RuleRefused, match="returned must be at most paid"):
        finish(ruled(store, RETURNS).write([Update(sale(returned=4), sale(returned=4, paid=3))]))


def test_a_sale_that_has_returns_is_never_removed() -> None:
    store = store_with(sale())
    with pytest.raises(RuleRefused, match="may be the parent of other items"):
        finish(ruled(store, RETURNS).write([Delete(sale())]))


def test_numbers_are_compared_by_value() -> None:
    halves = [changed(part_returned("b", number), amount={"N": text}) for number, text in ((1, "0.5"), (2, "0.50"))]
    store = store_with(sale("b", returned=1), *halves)
    assert audited(store).clean


def test_sums_are_exact() -> None:
    """Refuse a total that is rounded: no number of DynamoDB can be the sum of these two."""
    tiny, huge = {"N": "1E-130"}, {"N": "9e125"}
    before = sale(paid={"N": "9.9e125"}, returned=tiny)
    store = store_with(before, changed(part_returned(), amount=tiny))
    rounded: Writes = [
        Put(changed(part_returned(number=2), amount=huge)),
        Update(before, changed(before, returned=huge)),
    ]
    with pytest.raises(RuleRefused, match="returned must grow"):
        finish(ruled(store, RETURNS).write(rounded))


def test_a_total_that_moved_since_it_was_read_is_contention() -> None:
    """Let two writers add a return on the same read: each is within the limit, both are not."""
    store = store_with(sale())
    table = ruled(store, RETURNS)
    finish(table.write([Put(part_returned(amount=6)), Update(sale(), changed(sale(), returned=6))]))
    late: Writes = [Put(part_returned(number=2, amount=6)), Update(sale(), changed(sale(), returned=6))]
    with pytest.raises(Contention):
        finish(table.write(late))
    assert ("a", "return-2") not in store.items()


def test_a_limit_that_moved_since_it_was_read_is_not_overlooked() -> None:
    store = store_with(sale())
    table = ruled(store, RETURNS)
    finish(table.write([Update(sale(), sale(paid=3))]))
    with pytest.raises((Contention, RuleRefused)):
        finish(table.write([Put(part_returned()), Update(sale(), changed(sale(), returned=4))]))


# --- the audit, and rules for an existing table ----------------------------------------------------------------------


def audited(store: Any, segments: int = 1) -> Report:
    report: Report = finish(audit_table(store, TABLE, RETURNS, randomness=random.Random(0), segments=segments))
    return report


def put(store: PlainStore, one: dict[str, Any]) -> None:
    store.engine.execute("PutItem", {"TableName": TABLE, "Item": one})


PAST_THE_RULES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a total without children": ([sale(returned=4)], '{pk: "a", sk: "sale"} is 4 more than the sum'),
    "a total that is too large": ([sale(returned=5), part_returned()], "is 1 more than the sum of amount of"),
    "a total that is too small": ([sale(returned=3), part_returned()], "is 1 less than the sum"),
    "children without a total": ([sale(), part_returned()], "is 4 less than the sum"),
}  # fmt: skip


@pytest.mark.parametrize("name", PAST_THE_RULES)
def test_the_audit_and_the_adoption_find_a_wrong_total(name: str) -> None:
    items, message = PAST_THE_RULES[name]
    store = PlainStore()
    for one in items:
        put(store, one)
    (finding,) = audited(store).findings
    assert (finding.kind, finding.rule) == ("wrong total", "returned")
    assert message in finding.message
    with pytest.raises(RulesRefused) as refused:
        store.engine.put_rules_document(TABLE, rules_to_toml(RETURNS))
    assert message in str(refused.value)


def test_the_adoption_accepts_sums_that_are_right() -> None:
    store = store_with(sale(returned=4), part_returned(), sale("b"), sale("c", returned=0))
    store.engine.put_rules_document(TABLE, rules_to_toml(RETURNS))


class BusyStore:
    """A store that answers scans with one item per page, and adds a return after the first page."""

    def __init__(self, store: PlainStore) -> None:
        self.store, self.pages = store, 0

    async def call(self, operation: str, request: Any) -> dict[str, Any]:
        if operation != "Scan":
            return await self.store.call(operation, request)
        answer = await self.store.call(operation, {**request, "Limit": 1})
        self.pages += 1
        if self.pages == 1:
            before = sale(returned=1)
            writes: Writes = [Put(part_returned()), Update(before, changed(before, returned=5))]
            await ruled(self.store, RETURNS, seed=2).write(writes)
        return answer

    async def close(self) -> None:
        await self.store.close()


def test_the_audit_reports_no_sum_that_moved_while_it_read() -> None:
    """Let the scan read return-9, then add return-1, which it has passed, then read the sale with its new total."""
    busy = BusyStore(store_with(sale(returned=1), part_returned(number=9, amount=1)))
    report = audited(busy)
    assert report.clean, report.findings
    assert report.items_read == 2
    assert busy.pages > 4  # a second scan looked for the returns that the first did not see
