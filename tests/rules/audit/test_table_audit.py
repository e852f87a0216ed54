"""The audit finds what broke the rules, and nothing else; repair removes only sentinels without an owner."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bursar.dynamo.errors import DynamoError
from bursar.rules import Put, RuleRefused, Update
from bursar.rules.audit.scratch_database import ScratchDatabase
from bursar.rules.audit.stream_audit import NotAChange, audit_changes, changes_from_lines
from bursar.rules.audit.table_audit import FINDINGS_MAX, Report, audit_table
from bursar.rules.judging.plan import RulesPlan
from tests.support.rules.samples import ORDERS, item, line, order
from tests.support.rules.worlds import TABLE, PlainStore, finish, ruled


def table(*items: dict[str, Any]) -> PlainStore:
    """Return a store with a valid table, written under the rules, and ``items`` written past them."""
    store = PlainStore()
    finish(ruled(store, ORDERS).write([Put(order(token="t")), Put(line(shelf="s", slot=1))]))
    for one in items:
        put(store, one)
    return store


def put(store: PlainStore, one: dict[str, Any]) -> None:
    store.engine.execute("PutItem", {"TableName": TABLE, "Item": one})


def audited(store: Any, **said: Any) -> Report:
    report: Report = finish(audit_table(store, TABLE, ORDERS, randomness=random.Random(0), segments=1, **said))
    return report


def found(report: Report) -> list[tuple[str, str]]:
    return sorted((finding.kind, finding.rule) for finding in report.findings)


def sentinel(partition: str, **owner: str) -> dict[str, Any]:
    named = {name: {"S": value} for name, value in owner.items()}
    return item(partition, "sentinel", "sentinel", owner={"M": named})


def test_a_table_in_order() -> None:
    report = audited(table())
    assert report.clean
    assert (report.items_read, report.sentinels_read) == (2, 4)


CASES: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str]]]] = {
    "a check": ([order(token="t", amount=0)], [("violation", "amount")]),
    "a value of no graph": (
        [order(token="t", state="lost")],
        [("stale sentinel", "one-open"), ("violation", "moves")],
    ),
    "a stranger": ([item("x", "y", "stranger")], [("violation", "kind")]),
    "a value held twice": (
        [order("b", number="n-a", customer="b", state="void")],
        [("duplicate", "number"), ("missing sentinel", "number")],
    ),
    "a group held twice": (
        [order("b", number="b", customer="c-a")],
        [("duplicate", "one-open"), ("missing sentinel", "number"), ("missing sentinel", "one-open")],
    ),
    "a group left": ([order(token="t", state="void")], [("stale sentinel", "one-open")]),
    "a child without its parent": ([line("zz")], [("orphan", "currency")]),
    "a child that disagrees": ([line("a", 2, currency="EUR")], [("orphan", "currency")]),
    "a parent that changed": ([order(token="t", currency="EUR")], [("orphan", "currency")]),
    "a reference to nothing": ([item("n", "n", "note", about="zz")], [("orphan", "noted")]),
    "a sentinel of nobody": ([sentinel("unique#number#x", pk="zz", sk="order")], [("stale sentinel", "number")]),
    "a sentinel without a key": ([sentinel("unique#number#x", pk="zz")], [("stale sentinel", "number")]),
    "a sentinel without an owner": ([item("unique#number#x", "sentinel", "sentinel")], [("stale sentinel", "number")]),
    "a sentinel of no rule": ([sentinel("unique#gone#x", pk="a", sk="order")], [("stale sentinel", "sentinel")]),
    "a sentinel of another": (
        [sentinel("unique#number#n-a", pk="a", sk="line-1")],
        [("missing sentinel", "number"), ("stale sentinel", "number")],
    ),
    "a value that cannot be unique": (
        [order(token={"BOOL": True})],
        [("stale sentinel", "token"), ("violation", "token")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_broken_rules_are_found(name: str) -> None:
    items, findings = CASES[name]
    report = audited(table(*items))
    assert found(report) == sorted(findings)
    assert not report.clean


def test_a_removed_sentinel_is_missed_unless_the_engine_alone_keeps_the_rules() -> None:
    store = table()
    key = {"pk": {"S": "unique#number#n-a"}, "sk": {"S": "sentinel"}}
    store.engine.execute("DeleteItem", {"TableName": TABLE, "Key": key})
    assert found(audited(store)) == [("missing sentinel", "number")]
    assert audited(store, sentinels=False).clean


def test_repair_removes_sentinels_without_an_owner_and_nothing_else() -> None:
    store = table(order("b", number="n-a", state="void"), order(token="t", state="void"))
    put(store, sentinel("unique#number#x", pk="zz", sk="order"))
    report = audited(store, repair=True)
    assert sorted((finding.kind, finding.rule, finding.repaired) for finding in report.findings) == [
        ("duplicate", "number", False),
        ("missing sentinel", "number", False),
        ("stale sentinel", "number", True),
        ("stale sentinel", "one-open", True),
    ]
    assert not report.clean
    assert set(store.sentinels()) == {"unique#number#n-a", "unique#token#t", "unique#place#s#%N1"}
    assert found(audited(store, repair=True)) == [("duplicate", "number"), ("missing sentinel", "number")]


def older(*items: dict[str, Any]) -> PlainStore:
    """Return a store with a table from before it had rules: it has no sentinels."""
    store = PlainStore()
    for one in items:
        put(store, one)
    return store


@pytest.mark.parametrize("segments", [1, 3])
def test_adopting_a_table_protects_what_is_in_it(segments: int) -> None:
    store = older(order(token="t"), line(shelf="s", slot=1), *(order(f"o{n}", number=f"n{n}") for n in range(20)))
    assert not audited(store).clean
    report = asyncio.run(audit_table(store, TABLE, ORDERS, randomness=random.Random(0), segments=segments, adopt=True))
    assert report.clean
    assert {finding.kind for finding in report.findings} == {"missing sentinel"}
    assert report.repaired == report.count == len(store.sentinels()) > 40
    assert audited(store).count == 0
    with pytest.raises(RuleRefused, match="number is taken"):
        finish(ruled(store, ORDERS).write([Put(order("late", number="n7"))]))
    assert finish(ruled(store, ORDERS).owner_of("number", "n7")) == {"pk": {"S": "o7"}, "sk": {"S": "order"}}


def test_a_value_owned_twice_is_not_adopted_and_can_be_given_up() -> None:
    first, second = line(number=1, shelf="s", slot=1), line(number=2, shelf="s", slot=1)
    store = older(order(), first, second)
    report = audited(store, adopt=True)
    assert [(finding.kind, finding.repaired) for finding in report.findings if finding.rule == "place"] == [
        ("duplicate", False),
        ("missing sentinel", False),
        ("missing sentinel", False),
    ]
    assert "unique#place#s#%N1" not in store.sentinels()
    finish(ruled(store, ORDERS).write([Update(second, {**second, "slot": {"N": "2"}})]))
    assert audited(store, adopt=True).clean
    assert {"unique#place#s#%N1", "unique#place#s#%N2"} <= set(store.sentinels())


def test_a_stale_sentinel_in_the_way_needs_repair_as_well() -> None:
    store = older(order(number="n"), sentinel("unique#number#n", pk="zz", sk="order"))
    assert [finding.rule for finding in audited(store, adopt=True).findings if not finding.repaired] == [
        "number",
        "number",
    ]
    assert audited(store, adopt=True, repair=True).clean
    assert audited(store).count == 0


def _leaves(store: PlainStore) -> None:
    put(store, line(shelf="t", slot=1))


def _is_overtaken(store: PlainStore) -> None:
    finish(ruled(store, ORDERS).write([Put(line(number=2, shelf="s", slot=1))]))


@pytest.mark.parametrize(("act", "owner"), [(_leaves, None), (_is_overtaken, ("a", "line-2"))])
def test_what_is_written_while_adopting_decides(act: Callable[[PlainStore], None], owner: object) -> None:
    """Between the read and the write the owner gives its value up, or another item, seeing no sentinel, takes it."""
    store = older(order(), line(shelf="s", slot=1))
    audited(store, adopt=True)
    key = {"pk": {"S": "unique#place#s#%N1"}, "sk": {"S": "sentinel"}}
    store.engine.execute("DeleteItem", {"TableName": TABLE, "Key": key})
    report = audited(StoreWithAnotherWriter(store, "TransactWriteItems", lambda: act(store)), adopt=True)
    assert [(finding.kind, finding.rule, finding.repaired) for finding in report.findings] == [
        ("missing sentinel", "place", False)
    ]
    assert store.sentinels().get("unique#place#s#%N1") == owner


def test_a_report_whose_every_finding_was_repaired_is_clean() -> None:
    assert audited(table(order(token="t", state="void")), repair=True).clean


class StoreWithAnotherWriter(PlainStore):
    """A store that runs another write just before the audit's first request named ``before``."""

    def __init__(self, inner: PlainStore, before: str, act: Callable[[], None]) -> None:
        self.inner, self.before, self.act = inner, before, [act]

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation == self.before and self.act:
            self.act.pop()()
        return await self.inner.call(operation, request)


def test_what_was_true_only_while_reading_is_not_reported() -> None:
    """Let the scan read a value at its old owner and at its new one; on the second read only one owns it."""
    store = table(order("b", number="n-a", state="void"))
    moving = StoreWithAnotherWriter(
        store, "TransactGetItems", lambda: put(store, order("b", number="n-b", state="void"))
    )
    assert found(audited(moving)) == [("missing sentinel", "number")] or audited(moving, sentinels=False).clean
    assert ("duplicate", "number") not in found(audited(moving))


def test_repair_leaves_a_sentinel_that_has_an_owner_again() -> None:
    store = table(order(token="t", state="void"))
    again = StoreWithAnotherWriter(store, "TransactWriteItems", lambda: put(store, order(token="t", state="open")))
    report = audited(again, repair=True)
    assert [(finding.kind, finding.repaired) for finding in report.findings] == [("stale sentinel", False)]
    assert "unique#one-open#c-a" in store.sentinels()


def test_several_segments_find_the_same() -> None:
    store = table(*(line("zz", number) for number in range(50)))
    alone = audited(store)
    read: list[int] = []
    report = asyncio.run(
        audit_table(store, TABLE, ORDERS, randomness=random.Random(0), segments=3, on_progress=read.append)
    )
    assert found(report) == found(alone) == [("orphan", "currency")] * 50
    assert read[-1] == report.items_read + report.sentinels_read == 56


def test_the_list_is_bounded_and_the_count_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.rules.audit.table_audit.FINDINGS_MAX", 3)
    report = audited(table(*(line("zz", number) for number in range(10))))
    assert (len(report.findings), report.count) == (3, 10)
    assert FINDINGS_MAX > 3


class ThrottledStore(PlainStore):
    """A store that throttles every other request."""

    turned_away = 0

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.turned_away += 1
        if self.turned_away % 2:
            raise DynamoError("ThrottlingException", "slow down")
        return await super().call(operation, request)


def test_throttling_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_: float) -> None:
        return None

    monkeypatch.setattr("asyncio.sleep", at_once)
    store = ThrottledStore()
    put(store, line("zz"))
    assert found(audited(store)) == [("orphan", "currency")]


def test_other_errors_end_the_audit() -> None:
    store = PlainStore()
    store.engine.execute("DeleteTable", {"TableName": TABLE})
    with pytest.raises(DynamoError, match="ResourceNotFoundException"):
        audited(store)


def test_a_value_owned_by_more_than_a_transaction_reads_is_still_found() -> None:
    store = table(*(order(f"b{number}", number="same", state="void") for number in range(120)))
    assert ("duplicate", "number") in found(audited(store))


def test_suspicions_are_kept_in_order_of_their_value() -> None:
    scratch = ScratchDatabase()
    scratch.note([("b", "1"), ("a", "1"), ("b", "2"), ("a", "3"), ("c", "1")], [], [], [])
    scratch.index_owned_values()
    assert [(partition, sorted(owners)) for partition, owners in scratch.duplicates()] == [
        ("a", ["1", "3"]),
        ("b", ["1", "2"]),
    ]
    scratch.close()


# --- change streams --------------------------------------------------------------------------------------------------


def test_a_stream_shows_what_no_scan_can() -> None:
    changes = [
        (None, order()),
        (order(), order(state="paid")),
        (order(state="paid"), order(state="open")),
        (order(), order(number="x")),
        (item("a", "e", "entry"), None),
        (None, sentinel("unique#number#x", pk="a", sk="order")),
        (None, None),
    ]
    assert [finding.rule for finding in audit_changes(RulesPlan(ORDERS), changes)] == ["moves", "identity", "entries"]


def test_a_stream_is_read_from_lines() -> None:
    lines = [
        b'{"dynamodb": {"NewImage": {"pk": {"S": "a"}, "sk": {"S": "b"}, "kind": {"S": "entry"}}}}\n',
        b"\n",
        b'{"dynamodb": {"OldImage": {"pk": {"S": "a"}, "sk": {"S": "b"}, "kind": {"S": "entry"}}}}\n',
    ]
    changes = list(changes_from_lines(lines, RulesPlan(ORDERS)))
    assert changes == [(None, item("a", "b", "entry")), (item("a", "b", "entry"), None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "line 1: must be a stream record"),
        (b"[]", "line 1: must be a stream record"),
        (b'{"dynamodb": {"Keys": {}}}', "line 1: must have images; the stream's view type must be NEW_AND_OLD_IMAGES"),
        (b'{"dynamodb": {"NewImage": {"pk": {"S": "a"}}}}', "line 1: must be a stream record; got KeyError('sk')"),
    ],
)
def test_a_line_that_is_no_record_is_named(text: bytes, message: str) -> None:
    with pytest.raises(NotAChange, match=message.replace("(", r"\(").replace(")", r"\)")):
        list(changes_from_lines([text], RulesPlan(ORDERS)))


def test_a_write_during_the_audit_is_no_finding() -> None:
    """Let a writer that keeps the rules write between any two of the audit's requests."""
    store = table()
    first, second = order(token="t"), order(token="t", state="void")
    busy = StoreWithAnotherWriter(store, "TransactGetItems", lambda: None)
    finish(ruled(store, ORDERS, 3).write([Update(first, second)]))
    assert audited(busy).clean
