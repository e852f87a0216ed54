"""The tables and statements of the PartiQL tests."""

from typing import Any

from bursar.dynamo import Engine
from tests.support.dynamo.tables import item, put, table

NO_KEY = "Where clause does not contain a mandatory equality on all key attributes"


def orders_table() -> dict[str, Any]:
    """Return the CreateTable request of ``orders``."""
    return table(key=("pk:S", "sk:N"), global_indexes={"by-g": ("g:S", "v:N")})


def order_items() -> list[dict[str, Any]]:
    """Return three partitions of five items each."""
    held = [
        item(
            pk=partition,
            sk=number,
            g=f"g{number % 2}",
            v=10 - number,
            t=f"text{number}",
            m={"M": {"x": {"N": str(number)}, "l": {"L": [{"S": "e"}, {"N": "7"}]}}},
        )
        for partition in "abc"
        for number in range(5)
    ]
    held[1]["nul"] = {"NULL": True}
    return held


def fill(engine: Engine) -> Engine:
    """Create two tables with items: ``orders``, which has an index, and ``plain``."""
    engine.execute("CreateTable", orders_table())
    engine.execute("CreateTable", table("plain", ("pk:S",)))
    put(engine, "orders", *order_items())
    put(engine, "plain", item(pk="h", d="one", n=5, ss={"SS": ["a", "b"]}, l={"L": [{"N": "1"}, {"N": "2"}]}))
    return engine


def run(engine: Engine, statement: str, *parameters: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    """Return the items of one ExecuteStatement."""
    request: dict[str, Any] = {"Statement": statement, **members}
    if parameters:
        request["Parameters"] = list(parameters)
    found: list[dict[str, Any]] = engine.execute("ExecuteStatement", request)["Items"]
    return found


def keys(items: list[dict[str, Any]]) -> str:
    """Return partition and sort keys in order: ``a1 a2``."""
    return " ".join(one["pk"]["S"] + one["sk"]["N"] for one in items)
