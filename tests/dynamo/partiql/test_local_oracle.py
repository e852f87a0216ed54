"""Compare statements with Amazon's DynamoDB Local: items and error texts are equal.

The tests run where `tools/install-oracles` has installed DynamoDB Local. Statements on which it differs from Amazon's
service are left out: it repeats a malformed statement instead of naming the error, fails with a 500 at ORDER BY … DESC
and when two attributes are compared, and names DuplicateItemException without its last word. ``KNOWN`` lists, with
reasons, where it finds other items by random WHERE clauses.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import event, given

from bursar.dynamo import DynamoError, Engine
from tests.support.dynamo.dynamodb_local import Local, comparable
from tests.support.dynamo.oracle_runs import oracle_settings, same_requests_in_each_run  # noqa: F401 - fixtures
from tests.support.dynamo.peers import missing
from tests.support.dynamo.statements import order_items, orders_table
from tests.support.dynamo.tables import item, table
from tests.support.dynamo.where_clauses import WHERE, as_filter

EXAMPLES = 60

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(missing("local") is not None, reason=str(missing("local"))),
]

PLAIN = item(pk="h", d="one", n=5, ss={"SS": ["a", "b"]}, l={"L": [{"N": "1"}, {"N": "2"}]}, m={"M": {"x": {"N": "1"}}})

READS = [
    "SELECT d, m.x, l[1] FROM plain WHERE pk = 'h'",
    "SELECT m['x'] FROM plain",
    "SELECT d AS e FROM plain",
    "SELECT d, d FROM plain",
    "SELECT VALUE d FROM plain",
    "SELECT size(d) FROM plain",
    "SELECT m.* FROM plain",
    "SELECT * FROM plain, orders",
    "SELECT * FROM plain.nope",
    "SELECT * FROM 'plain'",
    "SELECT * FROM a.b.c",
    "SELECT * FROM plain LIMIT 2",
    "SELECT * FROM plain WHERE pk = 'h' HAVING d",
    "SELECT sk FROM orders WHERE pk = 'a' AND sk IN [3, 1] ",
    "SELECT sk FROM orders WHERE pk = 'a' AND sk BETWEEN 2 AND 1",
    "SELECT sk FROM orders WHERE pk = 'a' ORDER BY t",
    "SELECT sk FROM orders ORDER BY sk",
    "SELECT sk FROM orders WHERE t = 'x' ORDER BY sk",
    "SELECT sk FROM orders WHERE nul IS NULL",
    "SELECT sk FROM orders WHERE nul = MISSING",
    "SELECT sk FROM orders WHERE t LIKE 'x'",
    "SELECT sk FROM orders WHERE v + 1 = 5",
    "SELECT sk FROM orders WHERE foo(t)",
    "SELECT sk FROM orders WHERE t",
    "SELECT sk FROM orders WHERE size(t)",
    "SELECT sk FROM orders WHERE t IN []",
    "SELECT sk FROM orders WHERE t IN 'x'",
    "SELECT sk FROM orders WHERE t = <<>>",
    "SELECT sk FROM orders WHERE t < true",
    "SELECT sk FROM orders WHERE begins_with(t, 5)",
    "SELECT sk FROM orders WHERE contains(t)",
    "SELECT sk FROM orders WHERE t = t",
    "SELECT sk FROM orders WHERE pk = 5",
    "SELECT sk FROM orders WHERE pk = 'a' AND sk = '1'",
    "SELECT sk FROM orders WHERE pk = ''",
    "SELECT t FROM orders.\"by-g\" WHERE g = 'g1' AND v > 7",
]
WRITES = [
    "INSERT INTO plain VALUE {'a': 1}",
    "INSERT INTO plain VALUE {'pk': 5}",
    "INSERT INTO plain VALUE {'pk': ''}",
    "INSERT INTO plain VALUE {'pk': 'i', 'pk': 'j'}",
    "INSERT INTO plain VALUE {pk: 'i'}",
    "INSERT INTO plain VALUE {'pk': 'i', 's': <<1, 'a'>>}",
    "INSERT INTO plain VALUE {'pk': 'i', 's': MISSING}",
    "INSERT INTO plain VALUE {'pk': 'i', 'u': 1 + 1}",
    "INSERT INTO plain VALUE 5",
    "INSERT INTO plain VALUES ('x')",
    "INSERT INTO plain.i VALUE {'pk': 'i'}",
    "INSERT INTO plain VALUE {'pk': 'i'} RETURNING ALL OLD *",
    "INSERT INTO plain VALUE {'pk': 'i', 'a': -5.0e3, 'b': [1, {'c': <<'x'>>}], 'd': null}",
    "UPDATE plain SET n = n + 1 SET b = 4 REMOVE d WHERE pk = 'h' RETURNING ALL NEW *",
    "UPDATE plain SET m.x = 2, m.y = 3 WHERE pk = 'h'",
    "UPDATE plain SET l[0] = 9 WHERE pk = 'h'",  # its MODIFIED is the whole list, Amazon's the element
    "UPDATE plain SET l = list_append(l, [5]) WHERE pk = 'h' RETURNING MODIFIED NEW *",
    "UPDATE plain SET ss = set_add(ss, <<'c'>>) WHERE pk = 'h' RETURNING MODIFIED NEW *",
    "UPDATE plain SET ss = set_delete(ss, <<'a'>>) WHERE pk = 'h' RETURNING MODIFIED NEW *",
    "UPDATE plain SET q = set_add(ss, <<'c'>>) WHERE pk = 'h'",
    "UPDATE plain SET ss = set_add(ss, 'c') WHERE pk = 'h'",
    "UPDATE plain SET n = n * 2 WHERE pk = 'h'",
    "UPDATE plain SET n = -n WHERE pk = 'h'",
    "UPDATE plain SET n = size(d) WHERE pk = 'h'",
    "UPDATE plain SET q = none WHERE pk = 'h'",
    "UPDATE plain SET q = d + 1 WHERE pk = 'h'",
    "UPDATE plain SET x.y = 1 WHERE pk = 'h'",
    "UPDATE plain SET pk = 'x' WHERE pk = 'h'",
    "UPDATE plain SET a = 1 SET a = 2 WHERE pk = 'h'",
    "UPDATE plain SET a = 1",
    "UPDATE plain SET a = 1 WHERE pk = 'none'",
    "UPDATE plain SET a = 1 WHERE pk = 'h' AND d = 'two'",
    "UPDATE plain SET a = 1 WHERE pk = 'h' OR pk = 'i'",
    "UPDATE orders.\"by-g\" SET a = 1 WHERE pk = 'a' AND sk = 1",
    "UPDATE plain SET a = 1 WHERE pk = 'h' RETURNING ALL NEW a",
    "UPDATE plain SET a = 1 WHERE pk = 'h' RETURNING ALL OLD *, ALL NEW *",
    "DELETE FROM plain WHERE pk = 'h' RETURNING MODIFIED OLD *",
    "DELETE FROM plain WHERE pk = 'h' AND d = 'x'",
    "DELETE FROM plain WHERE pk = 'none' AND d = 'x'",
    "DELETE FROM plain WHERE pk = 'h' RETURNING ALL OLD *",
    "EXISTS(SELECT * FROM plain WHERE pk = 'h')",
    "DROP TABLE plain",
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    opened = Engine.open(":memory:")
    for request in (orders_table(), table("plain", ("pk:S",))):
        opened.execute("CreateTable", request)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def oracle(local: Local, engine: Engine) -> Local:
    for request in (orders_table(), table("plain", ("pk:S",))):
        local("CreateTable", **request)
    for one in order_items():
        local("PutItem", TableName="orders", Item=one)
        engine.execute("PutItem", {"TableName": "orders", "Item": one})
    return local


def ours(engine: Engine, statement: str) -> Any:
    try:
        return in_no_order(engine.execute("ExecuteStatement", {"Statement": statement})["Items"])
    except DynamoError as error:
        return without_later_words(error.message)


def without_later_words(message: str) -> str:
    """Return the message as DynamoDB Local has it: Amazon's has gained positions and lost the name of an index."""
    return message.partition(" at 1:")[0]


def theirs(oracle: Local, statement: str) -> Any:
    answer = oracle("ExecuteStatement", Statement=statement)
    if "Items" in answer:
        return in_no_order(answer["Items"])
    return without_later_words(str(oracle.message(answer)).removesuffix(": nope"))


def in_no_order(items: list[Any]) -> list[Any]:
    """Return the items in one order: DynamoDB Local returns partitions in the order of a hash."""
    return sorted(map(comparable, items), key=lambda one: json.dumps(one, sort_keys=True))


@pytest.mark.parametrize("statement", READS + WRITES)
def test_a_statement_has_amazons_answer_and_effect(oracle: Local, engine: Engine, statement: str) -> None:
    for key in ("h", "i"):
        oracle("DeleteItem", TableName="plain", Key=item(pk=key))
        engine.execute("DeleteItem", {"TableName": "plain", "Key": item(pk=key)})
    oracle("PutItem", TableName="plain", Item=PLAIN)
    engine.execute("PutItem", {"TableName": "plain", "Item": PLAIN})
    assert ours(engine, statement) == theirs(oracle, statement)
    assert ours(engine, "SELECT * FROM plain") == theirs(oracle, "SELECT * FROM plain")


def once_each(found: list[Any]) -> list[Any]:
    return [one for at, one in enumerate(found) if one not in found[:at]]


def scanned(oracle: Local, where: str) -> list[Any] | None:
    """Return the items of Local's Scan with the same condition; None if it rejects the filter."""
    text, values = as_filter(where)
    answer = oracle("Scan", TableName="orders", FilterExpression=text, ExpressionAttributeValues=values)
    return in_no_order(answer["Items"]) if "Items" in answer else None


KNOWN: tuple[tuple[Callable[[Local, str, list[Any], list[Any]], bool], str], ...] = (
    (
        lambda oracle, where, here, there: once_each(there) == here,
        "Local reads a partition as often as an IN names it. Amazon documents no more than that IN is TRUE when the "
        "operand equals one of the list, and for what is TRUE of an item it is found once. With any condition beside "
        "the IN, or an OR instead of it, Local finds it once too.",
    ),
    (
        lambda oracle, where, here, there: scanned(oracle, where) == here,
        "Local loses a condition where one on the sort key stands in nested ANDs and none on the partition key: its "
        "own Scan with that filter finds what ours finds.",
    ),
)
"""(test of a difference, by the clause and the items found here and there; its reason)."""


def test_an_in_with_a_partition_twice_finds_its_items_once_and_twice_in_local(oracle: Local, engine: Engine) -> None:
    twice = "SELECT * FROM orders WHERE pk IN ['a', 'b', 'a']"
    found = theirs(oracle, twice)
    assert (len(ours(engine, twice)), len(found)) == (10, 15)
    assert ours(engine, twice) == once_each(found)


@oracle_settings(EXAMPLES)
@given(where=WHERE)
def test_a_where_clause_finds_the_same_items(oracle: Local, engine: Engine, where: str) -> None:
    statement = f"SELECT * FROM orders WHERE {where}"
    here, there = ours(engine, statement), theirs(oracle, statement)
    if here != there:
        reasons = [reason for covers, reason in KNOWN if covers(oracle, where, here, there)]
        assert reasons, (here, there)
        event(reasons[0])
