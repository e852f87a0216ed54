"""The sample rules that tests of single features share: orders, their lines, and a journal."""

from typing import Any

from bursar.rules import (
    Agrees,
    AppendOnly,
    BoundedSum,
    Check,
    Immutable,
    Kind,
    References,
    Rules,
    Transitions,
    TwoActors,
    Unique,
    UniqueWhile,
    Where,
    WriteOnce,
    one_of,
)

_AMOUNT = Where("attribute_not_exists(amount) OR amount > :zero", values={":zero": 0})

ORDERS = Rules(
    "pk",
    "sk",
    kinds=(Kind("order"), Kind("line"), Kind("note"), Kind("entry"), Kind("fixed", kept=True)),
    secrets=frozenset({"token"}),
    rules=(
        Unique("number", kind="order", attributes=("number",)),
        Unique("token", kind="order", attributes=("token",)),
        Unique("place", kind="line", attributes=("shelf", "slot")),
        UniqueWhile("one-open", kind="order", group=("customer",), where=one_of("state", ["open", "paid"])),
        Transitions(
            "moves",
            kind="order",
            attribute="state",
            initial=("open",),
            edges=(("open", "paid"), ("open", "void"), ("paid", "sent")),
            final=("void", "sent"),
        ),
        Immutable("identity", kind="order", attributes=("number", "customer")),
        WriteOnce("once", kind="order", attributes=("token",)),
        Check("amount", kind="order", where=_AMOUNT),
        Check("range", kind="line", where=Where("low <= high")),
        Agrees("currency", kind="line", parent="order", key={"pk": "{pk}", "sk": "order"}, attributes=("currency",)),
        References("noted", kind="note", parent="order", key={"pk": "{about}", "sk": "order"}),
        AppendOnly("entries", kind="entry"),
    ),
)  # fmt: skip


def item(pk: str, sk: str, kind: str, **values: Any) -> dict[str, Any]:
    """Return an item: str values become text, int values numbers; other values are taken as they are."""
    typed = {
        name: {"S": value} if isinstance(value, str) else {"N": str(value)} if isinstance(value, int) else value
        for name, value in values.items()
    }
    return {"pk": {"S": pk}, "sk": {"S": sk}, "kind": {"S": kind}, **typed}


def order(name: str = "a", **values: Any) -> dict[str, Any]:
    """Return an order."""
    values = {"number": f"n-{name}", "customer": f"c-{name}", "state": "open", "currency": "USD", **values}
    return item(name, "order", "order", **values)


def line(name: str = "a", number: int = 1, **values: Any) -> dict[str, Any]:
    """Return a line of an order."""
    return item(name, f"line-{number}", "line", **{"currency": "USD", "low": 1, "high": 2, **values})


def changed(old: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return ``old`` with other values; None removes one."""
    new = {**old, **item("", "", "", **{name: value for name, value in values.items() if value is not None})}
    for name in ("pk", "sk", "kind"):
        new[name] = old[name]
    return {name: value for name, value in new.items() if name not in values or values[name] is not None}


RETURNS = Rules(
    "pk",
    "sk",
    kinds=(Kind("sale"), Kind("return")),
    rules=(
        AppendOnly("returns-stay", kind="return"),
        BoundedSum(
            "returned",
            kind="return",
            parent="sale",
            key={"pk": "{pk}", "sk": "sale"},
            amount="amount",
            total="returned",
            limit="paid",
        ),
        TwoActors("checked", kind="return", first="asked_by", second="approved_by"),
    ),
)
"""Sales and what was returned of each; a return needs two people."""


def sale(name: str = "a", **values: Any) -> dict[str, Any]:
    """Return a sale of 10."""
    return item(name, "sale", "sale", **{"paid": 10, **values})


def part_returned(name: str = "a", number: int = 1, amount: int = 4, **values: Any) -> dict[str, Any]:
    """Return a return of a part of a sale."""
    return item(name, f"return-{number}", "return", amount=amount, **values)
