"""The common parts of equivalence and interleaving tests: stores without an event loop, random rules and writes."""

import random
from collections.abc import Coroutine, Mapping
from typing import Any

from hypothesis import strategies as st

from bursar.dynamo.engine.compare_and_swap import EngineCompareAndSwap
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.operations.dispatch import Operation
from bursar.rules import (
    Agrees,
    AppendOnly,
    BoundedSum,
    Check,
    Immutable,
    Kind,
    References,
    RuledTable,
    Rules,
    Transitions,
    TwoActors,
    Unique,
    UniqueWhile,
    Where,
    WriteOnce,
    one_of,
)
from bursar.rules.judging.sentinels import is_sentinel
from bursar.rules.language.toml import rules_to_toml
from bursar.rules.native import load_guard
from tests.support.rules.reference import is_parent

TABLE = "ruled"
DEFINITION = {
    "TableName": TABLE,
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}

Key = tuple[str, str]


class PlainStore:
    """The engine as a Store that never waits."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.engine = Engine.open(":memory:", clock=lambda: 0.0, guard_loader=load_guard)
        self.engine.execute("CreateTable", DEFINITION)
        if rules is not None:
            self.engine.put_rules_document(TABLE, rules_to_toml(rules))
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self.swaps = 0

    @property
    def compare_and_swap(self) -> EngineCompareAndSwap:
        """The direct access to the engine, which never waits either."""

        async def write(operation: Operation, request: Mapping[str, Any]) -> bytes:
            self.swaps += 1
            outcome = self.engine.run_group([(operation, request)])[0]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return EngineCompareAndSwap(self.engine, write)

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.requests.append((operation, request))
        return self.engine.execute(operation, request)

    async def close(self) -> None:
        self.engine.close()

    def items(self) -> dict[Key, Item]:
        """Return every item except the sentinels, by key."""
        return {key_of(item): item for item in self.everything() if not is_sentinel(item, "kind")}

    def everything(self) -> list[Item]:
        answer = self.engine.execute("Scan", {"TableName": TABLE, "ConsistentRead": True})
        assert "LastEvaluatedKey" not in answer
        items: list[Item] = answer["Items"]
        return items

    def sentinels(self) -> dict[str, Key]:
        """Return sentinel partition → the key of the owner that it names."""
        found = [item for item in self.everything() if is_sentinel(item, "kind")]
        return {item["pk"]["S"]: key_of(item["owner"]["M"]) for item in found}


def ruled(store: Any, rules: Rules, seed: int = 0, *, swaps: bool = False) -> RuledTable:
    compare_and_swap = store.compare_and_swap if swaps else None
    return RuledTable(
        store, TABLE, rules, randomness=random.Random(seed), clock=lambda: 0.0, compare_and_swap=compare_and_swap
    )


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited for something")


def key_of(item: Mapping[str, Any]) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def put_plainly(store: PlainStore, changes: Mapping[Key, tuple[Item | None, Item | None]]) -> str | None:
    """Send the changes like a client that knows no rules; return the refusal's message, or None."""
    actions: list[dict[str, Any]] = []
    for (pk, sk), (old, new) in changes.items():
        exists = "attribute_not_exists(pk)" if old is None else "attribute_exists(pk)"
        common = {"TableName": TABLE, "ConditionExpression": exists}
        if new is None:
            actions.append({"Delete": {**common, "Key": {"pk": {"S": pk}, "sk": {"S": sk}}}})
        else:
            actions.append({"Put": {**common, "Item": new}})
    cancelled = None
    try:
        store.engine.execute("TransactWriteItems", {"TransactItems": actions})
    except DynamoError as error:
        cancelled = error
    if cancelled is None:
        return None
    reasons = [one for one in cancelled.cancellation_reasons or [] if one["Code"] != "None"]
    assert [one["Code"] for one in reasons] == ["ConditionalCheckFailed"], cancelled
    return str(reasons[0]["Message"])


# --- random rules ----------------------------------------------------------------------------------------------------

PREDICATES = [
    (one_of("s", ["open", "busy"]), lambda item: item.get("s") in ({"S": "open"}, {"S": "busy"})),
    (Where("attribute_exists(a)"), lambda item: "a" in item),
    (Where("n > :one", values={":one": 1}), lambda item: "N" in item.get("n", {}) and int(item["n"]["N"]) > 1),
    (
        Where("attribute_not_exists(b) OR n = :two", values={":two": 2}),
        lambda item: "b" not in item or item.get("n") == {"N": "2"},
    ),
]
LIVE, NAMED, LARGE, EITHER = range(4)

KINDS = (Kind("parent"), Kind("child"), Kind("log"), Kind("fixed", kept=True))
ABOUT = st.sampled_from([None, "parent", "child", "child", "child"])
GROUPS = st.sampled_from([("a",), ("b",), ("a", "b"), ("pk",), ("pk", "b"), ("n",)])
NAMES = st.sampled_from([("a",), ("b",), ("n",), ("a", "n"), ("s",)])
PARENT_KEYS = [{"pk": "{pk}", "sk": "0"}, {"pk": "p{a}", "sk": "0"}, {"pk": "{up}", "sk": "{pk}"}]
GRAPHS = [
    (("open",), (("open", "busy"), ("busy", "done"), ("busy", "open")), ("done",)),
    (("open", "busy"), (("open", "done"), ("busy", "done")), ("done",)),
    (("open",), (("open", "busy"), ("open", "done"), ("busy", "done")), ("done",)),
]


@st.composite
def rule_sets(draw: st.DrawFn) -> tuple[Rules, dict[str, Any]]:
    """Draw rules, and the Python meaning of their predicates by rule."""
    rules: list[Any] = []
    meanings: dict[str, Any] = {}

    def predicate(name: str) -> Where:
        where: Where
        where, meaning = draw(st.sampled_from(PREDICATES))
        meanings[name] = meaning
        return where

    words = draw(st.lists(st.sampled_from(sorted(MAKERS)), min_size=1, max_size=4))
    for position, word in enumerate(words):
        rules.append(MAKERS[word](draw, f"{word}-{position}", predicate))
    if any(isinstance(rule, BoundedSum) for rule in rules) and not any(isinstance(rule, AppendOnly) for rule in rules):
        rules.append(AppendOnly("append-sum", kind="log"))
    secrets = draw(st.sampled_from([frozenset(), frozenset({"a"})]))
    return Rules("pk", "sk", kinds=KINDS, rules=tuple(rules), secrets=secrets), meanings


@st.composite
def erasable_names(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Draw attributes, and which of them may be erased."""
    names = draw(NAMES)
    return {"attributes": names, "erasable": draw(st.sampled_from([(), names[:1], names]))}


MAKERS: dict[str, Any] = {
    "unique": lambda draw, name, _: Unique(name, kind=draw(ABOUT), attributes=draw(GROUPS)),
    "while": lambda draw, name, p: UniqueWhile(name, kind=draw(ABOUT), group=draw(GROUPS), where=p(name)),
    "moves": lambda draw, name, _: Transitions(
        name,
        kind="child",
        attribute="s",
        **dict(zip(("initial", "edges", "final"), draw(st.sampled_from(GRAPHS)), strict=True)),
    ),
    "immutable": lambda draw, name, _: Immutable(name, kind=draw(ABOUT), **draw(erasable_names())),
    "once": lambda draw, name, _: WriteOnce(name, kind=draw(ABOUT), attributes=draw(NAMES)),
    "check": lambda draw, name, p: Check(name, kind=draw(ABOUT), where=p(name)),
    "references": lambda draw, name, _: References(
        name, kind="child", parent="parent", key=draw(st.sampled_from(PARENT_KEYS))
    ),
    "agrees": lambda draw, name, _: Agrees(
        name, kind="child", parent="parent", key=draw(st.sampled_from(PARENT_KEYS)), **draw(erasable_names())
    ),
    "sum": lambda draw, name, _: BoundedSum(
        name,
        kind="log",
        parent="parent",
        key=draw(st.sampled_from(PARENT_KEYS)),
        amount="n",
        total="total",
        limit="limit",
    ),
    "actors": lambda draw, name, _: TwoActors(name, kind=draw(ABOUT), first="made_by", second="checked_by"),
    "append": lambda _, name, __: AppendOnly(name, kind="log"),
}

# --- random items and writes -----------------------------------------------------------------------------------------

KEYS = [(pk, sk) for pk in ("p0", "p1") for sk in ("0", "p0", "2")]
VALUES: dict[str, list[Any]] = {
    "a": [None, {"S": "0"}, {"S": "1"}, {"S": "#%"}, {"BOOL": True}],
    "b": [None, {"S": "0"}, {"N": "0"}, {"B": "MA=="}],
    "n": [None, {"N": "1"}, {"N": "2"}, {"N": "3"}],
    "s": [{"S": "open"}, {"S": "busy"}, {"S": "done"}, None],
    "up": [None, {"S": "p0"}, {"S": "p1"}],
    "total": [None, None, {"N": "0"}, {"N": "1"}, {"S": "1"}],
    "limit": [{"N": "3"}, {"N": "5"}, {"S": "9"}, None],
    "made_by": [None, {"S": "ann"}, {"S": "Bob"}, {"N": "1"}],
    "checked_by": [None, {"S": " Ann"}, {"S": "bob"}, {"S": " "}],
    "idle": [None, {"L": [{"S": "x"}]}, {"SS": ["x", "y"]}],
}
# Mostly children and parents: most rules are about them. The last two values are not kinds.
SAID_KINDS = (
    [{"S": "child"}] * 6 + [{"S": "parent"}] * 5 + [{"S": "log"}, {"S": "fixed"}, {"S": "stranger"}, {"N": "1"}]
)


@st.composite
def new_items(draw: st.DrawFn, key: Key) -> dict[str, Any]:
    item = {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "kind": draw(st.sampled_from(SAID_KINDS))}
    for name, values in VALUES.items():
        value = draw(st.sampled_from(values))
        if value is not None:
            item[name] = value
    return item


@st.composite
def next_states(draw: st.DrawFn, key: Key, old: Item | None) -> dict[str, Any] | None:
    """Draw the next state of an item: mostly a small change, so that most writes are legal; sometimes any item."""
    if old is None:
        return draw(new_items(key))
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return draw(new_items(key))
    if choice <= 2:
        return None
    item = dict(old)
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=2)):
        value = draw(st.sampled_from(VALUES[name]))
        item.pop(name, None)
        if value is not None:
            item[name] = value
    return item


@st.composite
def steps(
    draw: st.DrawFn, state: Mapping[Key, Item], rules: Rules | None = None
) -> dict[Key, tuple[Item | None, Item | None]]:
    """Draw one transaction: one to three items, each with its state before and after.

    If ``rules`` have a bounded sum, every second transaction adds a child and changes its parent's total, mostly right.
    """
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True))
    changes = {key: (state.get(key), draw(next_states(key, state.get(key)))) for key in keys}
    sums = [rule for rule in rules.rules if isinstance(rule, BoundedSum)] if rules is not None else []
    adds_child: bool = draw(st.booleans()) if sums else False
    if adds_child:
        key = draw(st.sampled_from(KEYS))
        child = {**draw(new_items(key)), "kind": {"S": "log"}, "n": draw(st.sampled_from(VALUES["n"][1:]))}
        parent = next((at for at, item in state.items() if is_parent(sums[0], child, *at)), key)
        changes = {**(changes if draw(st.integers(0, 3)) == 0 else {}), key: (state.get(key), child)}
        if parent != key:
            before = state[parent]
            grown = int(before.get("total", {}).get("N", "0")) + int(child["n"]["N"])
            after = {**before, "total": {"N": str(grown + draw(st.sampled_from([0, 0, 0, 0, -1])))}}
            changes[parent] = (before, after)
    return changes
