"""UpdateItem's own limit of 400 KB, to the byte."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.items.attribute_values import ITEM_BYTES_MAX, TOO_LARGE_TO_UPDATE, item_size
from tests.support.dynamo.tables import item, put, refusal, table

TEN = "y" * 10
PAD_CLAUSE_BYTES = 3 + 19 + 1
"""The charge of the update itself and of `SET b = :pad` without the padding."""

CLAUSES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "SET c = abcdefghij": (item(abcdefghij=TEN), {}, 20 + 1 + 14 + 10),
    "SET c = m.z": ({"m": {"M": item(z=TEN)}}, {}, 20 + 1 + 2 * 15),
    "SET c = l[10]": ({"l": {"L": [{"S": "e"}] * 11}}, {}, 20 + 1 + 15 + 16),
    "SET l = list_append(l, :new)": ({"l": {"L": [{"S": "e"}]}}, {":new": {"L": [{"S": TEN}]}}, 20 + 37 + 16 + 14),
    "SET c = if_not_exists(c, :m)": (item(c="c"), {":m": {"M": item(a="y" * 100)}}, 20 + 39 + 16 + 105),
    "SET c = if_not_exists(c, :s), d = if_not_exists(d, :s)": ({}, item(**{":s": "s" * 100}), 2 * (20 + 39 + 16 + 100)),
    "SET n = n + :one": (item(n=12345678901234567890), item(**{":one": 1}), 20 + 34 + 16 + 2),
    "SET n = n - :one": (item(n=1), item(**{":one": 1}), 20 + 37 + 16 + 2),
    "ADD abcdefghij :one": (item(abcdefghij=1), item(**{":one": 1}), 19 + 10 + 2),
    "ADD ss :new": ({"ss": {"SS": ["p"]}}, {":new": {"SS": ["s" * 500]}}, 19 + 2 + 500),
    "REMOVE abcdefghij": (item(abcdefghij="r"), {}, 1 + 10),
    "REMOVE m.yyyyyyyyyy": ({"m": {"M": item(x=TEN, yyyyyyyyyy="r")}}, {}, 1 + 1 + 14),
    "REMOVE l[10]": ({"l": {"L": [{"S": "e"}] * 11}}, {}, 1 + 1 + 4 + 2),
    "DELETE ss :rm": ({"ss": {"SS": ["p", "q"]}}, {":rm": {"SS": ["q"]}}, 1 + 2),
    "SET d.leaf = :v": ({"d": {"M": item(leaf="x")}}, item(**{":v": "z"}), 19 + 1 + 4 + 4 + 1),
}
"""A clause beside `SET b = :pad`, the item before, the clause's values, and its charge in bytes."""


@pytest.fixture
def plain(engine: Engine) -> Engine:
    engine.execute("CreateTable", table("plain", ("pk:S",)))
    return engine


@pytest.mark.parametrize("clause", CLAUSES)
def test_each_kind_of_clause_has_its_charge(plain: Engine, clause: str) -> None:
    before, values, charge = CLAUSES[clause]
    put(plain, "plain", {**item(pk="C"), **before})
    ending = f", {clause.removeprefix('SET ')}" if clause.startswith("SET ") else f" {clause}"
    padding = ITEM_BYTES_MAX - PAD_CLAUSE_BYTES - charge

    def update(padding: int) -> dict[str, Any]:
        given = {**values, **item(**{":pad": "x" * padding})}
        return {
            "TableName": "plain",
            "Key": item(pk="C"),
            "UpdateExpression": f"SET b = :pad{ending}",
            "ExpressionAttributeValues": given,
        }

    assert refusal(plain, "UpdateItem", update(padding + 1)) == TOO_LARGE_TO_UPDATE
    plain.execute("UpdateItem", update(padding))


def set_b(pk: str, item_bytes: int) -> dict[str, Any]:
    padding = item_bytes - item_size(item(pk=pk)) - len("b")
    return {
        "TableName": "plain",
        "Key": item(pk=pk),
        "UpdateExpression": "SET #attribute = :pad",
        "ExpressionAttributeNames": {"#attribute": "b"},
        "ExpressionAttributeValues": item(**{":pad": "x" * padding}),
    }


def test_the_key_is_free_and_the_finished_item_is_limited_too(plain: Engine) -> None:
    assert refusal(plain, "UpdateItem", set_b("K", ITEM_BYTES_MAX - 18)) == TOO_LARGE_TO_UPDATE
    plain.execute("UpdateItem", set_b("K", ITEM_BYTES_MAX - 19))
    long_key = "k" * 100
    assert refusal(plain, "UpdateItem", set_b(long_key, ITEM_BYTES_MAX + 1)) == TOO_LARGE_TO_UPDATE
    plain.execute("UpdateItem", set_b(long_key, ITEM_BYTES_MAX))


def test_other_updates_have_the_limit_of_the_finished_item(plain: Engine) -> None:
    whole = set_b("K", ITEM_BYTES_MAX)
    plain.execute("TransactWriteItems", {"TransactItems": [{"Update": whole}]})
    value = whole["ExpressionAttributeValues"][":pad"]
    statement = {"Statement": """UPDATE plain SET b = ? WHERE pk = 'K'""", "Parameters": [value]}
    plain.execute("ExecuteStatement", statement)
    legacy = {"TableName": "plain", "Key": item(pk="K"), "AttributeUpdates": {"b": {"Value": value}}}
    plain.execute("UpdateItem", legacy)
