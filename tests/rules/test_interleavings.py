"""Two and three concurrent writers, run through every interleaving of their store requests.

First small rules of each sort, then the payments' operations (start, lease, complete, expire) on the real ledger. After
every request the reference model judges the step from the state before to the state after. At the end the sentinels
must be exactly those of the owned values, and every writer must have a permitted result.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from bursar.dynamo.errors import StoreOutcomeUnknown
from bursar.payments import AttemptMoved, Ledger, ObligationTaken, Outcome
from bursar.payments.ledger.table import table_definition
from bursar.rules import (
    Agrees,
    AppendOnly,
    Check,
    Contention,
    Delete,
    Kind,
    Put,
    RuledTable,
    RuleRefused,
    Rules,
    Transitions,
    Unique,
    UniqueWhile,
    Update,
    one_of,
)
from bursar.rules.audit.table_audit import audit_table
from tests.support.rules.judged_payments import (
    PAYMENT_MEANINGS,
    PAYMENT_RULES,
    JudgedStore,
    attempts,
    ledger_on,
    starting,
    statuses,
)
from tests.support.rules.samples import RETURNS, part_returned, sale
from tests.support.rules.stepping import Run, SteppedStore, Writer, interleavings
from tests.support.rules.worlds import TABLE, finish, ruled

FATES = ("answered", "lost before", "lost after", "conflict")
COUNTED: dict[str, int] = {}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace waits: a wait is not a request, and the other writers have had every chance already."""

    async def at_once(*_: object) -> None:
        return None

    monkeypatch.setattr(RuledTable, "wait", at_once)


def stepped_through(
    name: str,
    start: Callable[[], tuple[JudgedStore, Sequence[Writer]]],
    judge: Callable[[JudgedStore, Run], None],
    fates: Sequence[str] = ("answered",),
) -> None:
    """Run every interleaving; the model judges each step, the audit and ``judge`` its end."""
    runs = 0
    for store, run in interleavings(start, fates):
        runs += 1
        report = finish(audit_table(store, TABLE, store.rules, randomness=random.Random(0), segments=1))
        assert report.clean, (run.schedule, report.findings)
        judge(store, run)
        finish(store.close())
    COUNTED[name] = runs
    print(f"{name}: {runs} interleavings")


# --- rules of each sort ----------------------------------------------------------------------------------------------

KINDS = (Kind("order"), Kind("line"), Kind("entry"))
SMALL = Rules(
    "pk",
    "sk",
    kinds=KINDS,
    rules=(
        Unique("number", kind="order", attributes=("number",)),
        UniqueWhile("one-open", kind="order", group=("customer",), where=one_of("state", ["open", "paid"])),
        Transitions(
            "moves",
            kind="order",
            attribute="state",
            initial=("open",),
            edges=(("open", "paid"), ("open", "void"), ("paid", "sent")),
            final=("void", "sent"),
        ),
        Check("known", kind="order", where=one_of("state", ["open", "paid", "void", "sent"])),
        Agrees("currency", kind="line", parent="order", key={"pk": "{pk}", "sk": "order"}, attributes=("currency",)),
        AppendOnly("entries", kind="entry"),
    ),
)
MEANINGS = {
    "one-open": lambda item: item.get("state") in ({"S": "open"}, {"S": "paid"}),
    "known": lambda item: item.get("state", {}).get("S") in ("open", "paid", "void", "sent"),
}


def order(name: str, **values: str) -> dict[str, Any]:
    said = {"number": f"n-{name}", "customer": f"c-{name}", "state": "open", "currency": "USD", **values}
    key = {"pk": {"S": name}, "sk": {"S": "order"}, "kind": {"S": "order"}}
    return {**key, **{attribute: {"S": value} for attribute, value in said.items()}}


def line(name: str, number: int, currency: str = "USD") -> dict[str, Any]:
    key = {"pk": {"S": name}, "sk": {"S": f"line-{number}"}, "kind": {"S": "line"}}
    return {**key, "currency": {"S": currency}}


def entry(name: str, number: int) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"S": f"entry-{number}"}, "kind": {"S": "entry"}, "at": {"N": "1"}}


def moved(item: Mapping[str, Any], **values: str) -> dict[str, Any]:
    return {**item, **{attribute: {"S": value} for attribute, value in values.items()}}


async def changing(table: RuledTable, key: Mapping[str, Any], change: Callable[[dict[str, Any]], Any]) -> str:
    """Read an item, decide and write; repeat when the item moved. Returns done, refused by a rule, gone or unknown."""
    for _ in range(6):
        old = await table.get({"pk": key["pk"], "sk": key["sk"]})
        if old is None:
            return "gone"
        try:
            await table.write(change(old))
            return "done"
        except Contention:
            continue
        except RuleRefused as refused:
            return refused.rule
        except StoreOutcomeUnknown:
            return "unknown"
    return "starved"


async def putting(table: RuledTable, *items: dict[str, Any]) -> str:
    try:
        await table.write([Put(item) for item in items])
    except Contention:
        return "contention"
    except RuleRefused as refused:
        return refused.rule
    except StoreOutcomeUnknown:
        return "unknown"
    return "done"


def small_world(*before: dict[str, Any]) -> tuple[JudgedStore, RuledTable]:
    store = JudgedStore(SMALL, MEANINGS)
    if before:
        finish(ruled(store, SMALL).write([Put(item) for item in before]))
    return store, ruled(SteppedStore(store), SMALL, seed=1)


def outcomes(run: Run) -> list[Any]:
    return sorted(map(str, run.outcomes))


@pytest.mark.parametrize("fates", [FATES[:1], FATES], ids=["in-order", "with-failures"])
def test_of_three_writers_of_one_value_one_gets_it(fates: Sequence[str]) -> None:
    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        store, table = small_world()
        return store, [putting(table, order(name, number="same")) for name in "abc"]

    def judge(store: JudgedStore, run: Run) -> None:
        assert outcomes(run) == ["done", "number", "number"]
        assert len(store.state) == 1

    stepped_through(f"unique × 3, {len(fates)} fates", start, judge, fates)


@pytest.mark.parametrize("fates", [FATES[:1], FATES], ids=["in-order", "with-failures"])
def test_a_group_passes_from_item_to_item(fates: Sequence[str]) -> None:
    """Void one order while two others of the same customer try to become the open one."""

    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        first = order("a", customer="c")
        store, table = small_world(first)
        voiding = changing(table, first, lambda old: [Update(old, moved(old, state="void"))])
        return store, [voiding, *(putting(table, order(name, customer="c")) for name in "bc")]

    def judge(store: JudgedStore, run: Run) -> None:
        assert run.outcomes[0] == "done"
        assert outcomes(run)[:2] in (["done", "done"], ["done", "one-open"])

    stepped_through(f"unique while × 3, {len(fates)} fates", start, judge, fates)


@pytest.mark.parametrize("fates", [FATES[:1], FATES], ids=["in-order", "with-failures"])
def test_a_state_moves_once(fates: Sequence[str]) -> None:
    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        first = order("a")
        store, table = small_world(first)
        return store, [
            changing(table, first, lambda old: [Update(old, moved(old, state="paid"))]),
            changing(table, first, lambda old: [Update(old, moved(old, state="void"))]),
        ]

    def judge(store: JudgedStore, run: Run) -> None:
        assert outcomes(run) == ["done", "moves"]

    stepped_through(f"transitions × 2, {len(fates)} fates", start, judge, fates)


def test_an_item_is_removed_while_others_change_it_and_take_its_value() -> None:
    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        first = order("a", number="same")
        store, table = small_world(first)
        return store, [
            changing(table, first, lambda old: [Update(old, moved(old, number="other"))]),
            putting(table, order("b", number="same")),
        ]

    def judge(store: JudgedStore, run: Run) -> None:
        assert run.outcomes[0] == "done"
        assert run.outcomes[1] in ("done", "number")

    stepped_through("value given up × 2", start, judge, FATES)


def test_children_and_their_parents_currency() -> None:
    """Add lines in both currencies while another writer tries to change the order's and to remove the order."""

    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        first = order("a")
        store, table = small_world(first)
        return store, [
            putting(table, line("a", 1), entry("a", 1)),
            putting(table, line("a", 2, "EUR")),
            changing(table, first, lambda old: [Delete(old)]),
        ]

    def judge(store: JudgedStore, run: Run) -> None:
        assert run.outcomes == ["done", "currency", "currency"]

    stepped_through("agrees × 3", start, judge, FATES)


def test_writers_of_different_attributes_do_not_disturb_each_other() -> None:
    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        first = order("a")
        store, table = small_world(first)

        async def once(change: Callable[[dict[str, Any]], Any]) -> str:
            old = await table.get({"pk": first["pk"], "sk": first["sk"]})
            assert old is not None
            await table.write(change(old))
            return "done"

        return store, [
            once(lambda old: [Update(old, moved(old, state="paid"))]),
            once(lambda old: [Update(old, moved(old, note="x"))]),
            once(lambda old: [Update(old, moved(old, memo="y"))]),
        ]

    def judge(store: JudgedStore, run: Run) -> None:
        assert run.outcomes == ["done"] * 3
        (item,) = store.state.values()
        assert (item["state"], item["note"], item["memo"]) == ({"S": "paid"}, {"S": "x"}, {"S": "y"})

    stepped_through("disjoint × 3", start, judge)


def test_two_writers_add_children_of_which_only_one_fits() -> None:
    """Let both read the sale and add a return of 6 of 10; each repeats after contention; one is refused."""

    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        store = JudgedStore(RETURNS, {})
        finish(ruled(store, RETURNS).write([Put(sale())]))
        table = ruled(SteppedStore(store), RETURNS, seed=1)

        def adding(number: int) -> Callable[[dict[str, Any]], Any]:
            def change(old: dict[str, Any]) -> Any:
                total = int(old.get("returned", {"N": "0"})["N"]) + 6
                return [
                    Put(part_returned(number=number, amount=6)),
                    Update(old, {**old, "returned": {"N": str(total)}}),
                ]

            return change

        return store, [changing(table, sale(), adding(number)) for number in (1, 2)]

    def judge(store: JudgedStore, run: Run) -> None:
        assert outcomes(run) == ["done", "returned"]
        assert len(store.state) == 2

    stepped_through("bounded sum × 2", start, judge, FATES)


# --- the payments' own operations ------------------------------------------------------------------------------------


class Payments:
    """A fresh ledger on which the given steps of one attempt are done already; the later ones are stepped."""

    def __init__(self, *, claimed: bool = False, initiated: bool = True, started: bool = True) -> None:
        self.store = JudgedStore(PAYMENT_RULES, PAYMENT_MEANINGS, table_definition(TABLE))
        self.plain = ledger_on(self.store, 0)
        self.attempt: Any = None
        if started:
            self.attempt = finish(starting(self.plain))
        if started and initiated:
            self.attempt = finish(self.plain.record_token(self.attempt, "t" * 32))
        if claimed:
            self.attempt = finish(self.plain.take_lease(self.attempt, "first", 30.0))

    def stepped(self, seed: int) -> Ledger:
        return ledger_on(SteppedStore(self.store), seed)


PAID = Outcome(status="processed", transaction_status="Success", paygov_tracking_id="p1", payment_method="PLASTIC_CARD")


@pytest.mark.parametrize("writers", [2, 3])
def test_payments_start_at_once(writers: int) -> None:
    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        world = Payments(started=False)
        return world.store, [starting(world.stepped(seed)) for seed in range(1, writers + 1)]

    def judge(store: JudgedStore, run: Run) -> None:
        refused = [one for one in run.outcomes if isinstance(one, ObligationTaken)]
        assert len(refused) == writers - 1, run
        assert statuses(store) == ["received"]

    stepped_through(f"start × {writers}", start, judge)


@pytest.mark.parametrize("fates", [FATES[:1], FATES], ids=["in-order", "with-failures"])
def test_payments_take_leases_at_once(fates: Sequence[str]) -> None:
    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        world = Payments()
        owners = ["one", "two", "three"] if len(fates) == 1 else ["one", "two"]
        return world.store, [
            world.stepped(seed).take_lease(world.attempt, owner, 30.0) for seed, owner in enumerate(owners, start=1)
        ]

    def judge(store: JudgedStore, run: Run) -> None:
        won = [one for one in run.outcomes if not isinstance(one, Exception)]
        assert len(won) == 1, run
        assert all(isinstance(one, AttemptMoved) for one in run.outcomes if one not in won), run
        (attempt,) = attempts(store)
        assert attempt["leaseOwner"]["S"] == won[0].lease_owner

    stepped_through(f"claim × {3 if len(fates) == 1 else 2}, {len(fates)} fates", start, judge, fates)


@pytest.mark.parametrize("fates", [FATES[:1], FATES], ids=["in-order", "with-failures"])
def test_payments_take_a_lease_while_the_sweeper_expires_and_another_starts(fates: Sequence[str]) -> None:
    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        world = Payments()
        expiring = world.stepped(2).fail(
            world.attempt, event="expired", actor="sweeper", return_code="5009", return_detail="token expired"
        )
        writers: list[Writer] = [world.stepped(1).take_lease(world.attempt, "one", 30.0), expiring]
        return world.store, [*writers, *([starting(world.stepped(3))] if len(fates) == 1 else [])]

    def judge(store: JudgedStore, run: Run) -> None:
        claim, expire = run.outcomes[:2]
        assert isinstance(claim, AttemptMoved) != isinstance(expire, AttemptMoved), run
        if isinstance(expire, AttemptMoved):
            assert statuses(store) == ["processing"]
        else:
            assert statuses(store) in (["failed"], ["failed", "received"])

    stepped_through(f"claim, expire, start, {len(fates)} fates", start, judge, fates)


@pytest.mark.parametrize("fates", [FATES[:1], FATES], ids=["in-order", "with-failures"])
def test_payments_complete_twice_while_another_starts(fates: Sequence[str]) -> None:
    """Let the portal and the sweeper both learn that it is paid, while an application asks for a second attempt."""

    def start() -> tuple[JudgedStore, Sequence[Writer]]:
        world = Payments(claimed=True)
        writers: list[Writer] = [
            world.stepped(1).record_outcome(world.attempt, PAID, actor="portal"),
            world.stepped(2).record_outcome(world.attempt, PAID, actor="sweeper"),
        ]
        return world.store, [*writers, *([starting(world.stepped(3))] if len(fates) == 1 else [])]

    def judge(store: JudgedStore, run: Run) -> None:
        assert statuses(store) == ["processed"]
        assert not any(isinstance(one, Exception) for one in run.outcomes[:2]), run
        assert all(isinstance(one, ObligationTaken) for one in run.outcomes[2:]), run

    stepped_through(f"complete × 2, start, {len(fates)} fates", start, judge, fates)
