"""ExecuteStatement: the items that statements read and write, and the statements that are rejected."""

from typing import Any

import pytest

from bursar.dynamo import AsyncEngine, Engine
from bursar.dynamo.operations.data_plane.statement_requests import only_reads
from tests.support.dynamo.statements import NO_KEY, fill, keys, run
from tests.support.dynamo.tables import item, refusal, refused


@pytest.fixture
def orders(engine: Engine) -> Engine:
    return fill(engine)


def refusal_of(engine: Engine, statement: str, code: str = "ValidationException", **members: Any) -> str:
    return refusal(engine, "ExecuteStatement", {"Statement": statement, **members}, code)


# --- SELECT ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("pk = 'a'", "a0 a1 a2 a3 a4"),
        ("pk = 'a' AND sk > 1 AND sk < 4", "a2 a3"),
        ("pk = 'a' AND sk BETWEEN 1 AND 2", "a1 a2"),
        ("pk = 'a' AND sk IN [3, 1, 9]", "a1 a3"),
        ("pk IN ['b', 'a'] AND sk = 1", "a1 b1"),
        ("pk = 'b' AND NOT (sk = 1 OR sk = 2)", "b0 b3 b4"),
        ("pk = 'a' AND sk <> 1", "a0 a2 a3 a4"),
        ("sk = 1", "a1 b1 c1"),
        ("pk = 'a' AND sk = 1 OR pk = 'b' AND sk = 2", "a1 b2"),
        ("nul IS NULL", "a1"),
        ("nul IS NOT MISSING", "a1"),
        ("pk = 'a' AND nul IS MISSING", "a0 a2 a3 a4"),
        ("nul = NULL", "a1"),
        ("begins_with(t, 'text4')", "a4 b4 c4"),
        ("contains(t, '3') AND pk >= 'b'", "b3 c3"),
        ("pk = 'a' AND attribute_type(nul, 'NULL')", "a1"),
        ("pk = 'a' AND size(t) = 5 AND m.x > 2", "a3 a4"),
        ("pk = 'a' AND m.l[1] = 7.0 AND m['x'] = 1e0", "a1"),
        ("pk = 'a' AND m = {'x': 2, 'l': ['e', 7]}", "a2"),
        ("pk = 'a' AND v = sk", ""),
        ("pk = 'a' AND 7 < v", "a0 a1 a2"),
        ("pk = 'z'", ""),
    ],
)
def test_a_select_finds_the_items_of_its_where_clause(orders: Engine, where: str, found: str) -> None:
    assert keys(run(orders, f"SELECT * FROM orders WHERE {where}")) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("sk DESC", "a1 a0 b1 b0"),
        ("pk DESC", "b0 b1 a0 a1"),
        ("pk DESC, sk DESC", "b1 b0 a1 a0"),
        ("pk, sk ASC", "a0 a1 b0 b1"),
    ],
)
def test_order_by_reverses_partitions_and_their_items(orders: Engine, order: str, found: str) -> None:
    assert keys(run(orders, f"SELECT * FROM orders WHERE pk IN ['a','b'] AND sk < 2 ORDER BY {order}")) == found


def test_a_projection_names_nested_values_by_their_last_name(orders: Engine) -> None:
    statement = "SELECT t, m.x, m.l[1], none FROM orders WHERE pk = 'a' AND sk = 2"
    assert run(orders, statement) == [{"t": {"S": "text2"}, "x": {"N": "2"}, "l[1]": {"N": "7"}}]
    assert run(orders, "SELECT none FROM plain") == [{}]


def test_an_index_is_read_in_its_own_order(orders: Engine) -> None:
    statement = 'SELECT pk, sk FROM "orders"."by-g" WHERE g = \'g1\' AND v >= 9 ORDER BY v DESC'
    assert keys(run(orders, statement)) == "c1 b1 a1"
    assert refusal_of(orders, "SELECT * FROM orders.nope") == "The table does not have the specified index"


def test_parameters_replace_values(orders: Engine) -> None:
    found = run(orders, "SELECT * FROM orders WHERE pk = ? AND sk IN [?, ?]", {"S": "a"}, {"N": "1"}, {"N": "3.0"})
    assert keys(found) == "a1 a3"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "SELECT * FROM orders WHERE pk = 5",
            "Key attribute's data type should match its data type in table's schema: Key pk",
        ),
        ("SELECT * FROM orders WHERE t", "WHERE clause must contain an expression that resolves to a boolean"),
        ("SELECT * FROM orders WHERE foo(t)", "Unrecognized function: foo at 1:28:3"),
        ("SELECT * FROM orders WHERE t = MISSING", "MISSING must be compared using IS operator"),
        ("SELECT * FROM orders WHERE v + 1 = 2", "Unsupported operator in Condition Expression. Operator: +"),
        (
            "SELECT * FROM orders WHERE t < true",
            "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
        ),
        (
            "SELECT * FROM orders WHERE t = t",
            "The first operand must be distinct from the remaining operands for this operator or function; "
            "operator: =, first operand: [t]",
        ),
        (
            "SELECT * FROM orders WHERE t IN []",
            "IN operator must have a left hand argument of type Variable Reference and right hand argument of type Seq "
            "with at least one member",
        ),
        (
            "SELECT * FROM orders WHERE t BETWEEN 'b' AND 'a'",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
            "lower bound operand: AttributeValue: {S:b}, upper bound operand: AttributeValue: {S:a}",
        ),
        ("SELECT * FROM orders ORDER BY sk", "Must have WHERE clause in the statement when using ORDER BY clause."),
        (
            "SELECT * FROM orders WHERE t = 'a' ORDER BY sk",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        (
            "SELECT * FROM orders WHERE pk = 'a' ORDER BY t",
            "Variable reference t in ORDER BY clause must be part of the primary key",
        ),
        ("SELECT * FROM orders WHERE pk = ?", "Number of parameters in request and statement don't match."),
        (
            "EXISTS(SELECT * FROM orders WHERE pk = 'a')",
            "EXISTS can only be used in ExecuteTransaction write requests.",
        ),
    ],
)
def test_a_malformed_select_is_refused_in_amazons_words(orders: Engine, statement: str, message: str) -> None:
    assert refusal_of(orders, statement) == message


def test_a_missing_table_is_an_error(orders: Engine) -> None:
    message = refusal_of(orders, "SELECT * FROM nope WHERE pk = 'x'", "ResourceNotFoundException")
    assert message == "Requested resource not found"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"NextToken": "junk"}, "Invalid NextToken"),
        ({"NextToken": "eyJhIjoxfQ=="}, "Invalid NextToken"),
        ({"NextToken": "W10="}, "Invalid NextToken"),
        (
            {"Limit": 0},
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
        ),
    ],
)
def test_bad_pages_are_refused(orders: Engine, members: dict[str, Any], message: str) -> None:
    assert refusal_of(orders, "SELECT * FROM orders", **members) == message


def test_a_statement_is_at_most_8192_characters(orders: Engine) -> None:
    assert "less than or equal to 8192" in refusal_of(orders, "x" * 8193)


def test_a_long_chain_of_conditions_is_no_trouble(orders: Engine) -> None:
    chain = " OR ".join(["v=99"] * 900 + ["sk=1"])
    assert keys(run(orders, f"SELECT * FROM orders WHERE pk='a' AND ({chain})")) == "a1"


# --- writes ---------------------------------------------------------------------------------------------------------


def test_an_insert_is_of_a_new_item_only(orders: Engine) -> None:
    statement = "INSERT INTO plain VALUE {'pk': 'new', 'n': 1.50, 's': <<'x'>>}"
    assert run(orders, statement) == []
    assert run(orders, "SELECT * FROM plain WHERE pk='new'") == [item(pk="new", n={"N": "1.5"}, s={"SS": ["x"]})]
    assert refusal_of(orders, statement, "DuplicateItemException") == "Duplicate primary key exists in table"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{'a': 1}", "Key attribute should be present in the item: Key pk"),
        ("{'pk': 1}", "Key attribute's data type should match its data type in table's schema: Key pk"),
        (
            "{'pk': ''}",
            "One or more parameter values are not valid. "
            "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk",
        ),
    ],
)
def test_an_insert_without_its_key_is_refused(orders: Engine, value: str, message: str) -> None:
    assert refusal_of(orders, f"INSERT INTO plain VALUE {value}") == message


@pytest.mark.parametrize(
    ("assignments", "modified"),
    [
        ("SET n = n + 1", {"n": {"N": "6"}}),
        ("SET n = 1 + n - 2", {"n": {"N": "4"}}),
        ("SET a = d, b = [1]", {"a": {"S": "one"}, "b": {"L": [{"N": "1"}]}}),
        ("SET a = 1 SET b = true REMOVE d", {"a": {"N": "1"}, "b": {"BOOL": True}}),
        ("SET l[1] = 9", {"l": {"L": [{"N": "9"}]}}),
        ("SET l = list_append([0], l)", {"l": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}]}}),
        ("SET z = list_append(if_not_exists(z, []), ['x'])", {"z": {"L": [{"S": "x"}]}}),
        ("SET ss = set_add(ss, <<'c'>>)", {"ss": {"SS": ["a", "b", "c"]}}),
        ("SET ss = set_delete(ss, <<'a', 'x'>>)", {"ss": {"SS": ["b"]}}),
        ("SET \"a b\" = 'x'", {"a b": {"S": "x"}}),
    ],
)
def test_an_update_changes_its_item(orders: Engine, assignments: str, modified: dict[str, Any]) -> None:
    assert run(orders, f"UPDATE plain {assignments} WHERE pk = 'h' RETURNING MODIFIED NEW *") == [modified]


def test_an_update_returns_the_requested_attributes(orders: Engine) -> None:
    before = run(orders, "SELECT * FROM plain")[0]
    assert run(orders, "UPDATE plain SET n = 6 WHERE pk = 'h'") == []
    assert run(orders, "UPDATE plain SET n = 7 WHERE pk = 'h' RETURNING ALL OLD *") == [{**before, "n": {"N": "6"}}]
    assert run(orders, "UPDATE plain SET n = 8 WHERE pk = 'h' RETURNING ALL NEW *") == [{**before, "n": {"N": "8"}}]
    assert run(orders, "UPDATE plain SET n = 9 WHERE pk = 'h' RETURNING MODIFIED OLD *") == [{"n": {"N": "8"}}]
    assert run(orders, "UPDATE plain REMOVE none WHERE pk = 'h' RETURNING MODIFIED OLD *") == []


@pytest.mark.parametrize(
    "where", ["pk = 'none'", "pk = 'h' AND n = 6", "pk = 'h' AND (zz IS NOT MISSING OR d = 'x')", "pk='h' AND pk='x'"]
)
def test_an_update_needs_its_item_and_its_condition(orders: Engine, where: str) -> None:
    statement = f"UPDATE plain SET a = 1 WHERE {where}"
    message = refusal_of(orders, statement, "ConditionalCheckFailedException")
    assert message == "The conditional request failed"


def test_a_failed_condition_returns_the_item_on_request(orders: Engine) -> None:
    statement = "UPDATE plain SET a = 1 WHERE pk = 'h' AND n = 6"
    error = refused(
        lambda: run(orders, statement, ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        "ConditionalCheckFailedException",
    )
    assert error.item == run(orders, "SELECT * FROM plain")[0]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE plain SET a = 1", NO_KEY),
        ("UPDATE plain SET a = 1 WHERE d = 'one'", NO_KEY),
        ("UPDATE plain SET a = 1 WHERE pk = 'h' OR pk = 'x'", NO_KEY),
        ("UPDATE plain SET a = 1 WHERE pk IN ['h']", NO_KEY),
        ("UPDATE orders SET a = 1 WHERE pk = 'a'", NO_KEY),
        ("DELETE FROM plain WHERE pk > 'a'", NO_KEY),
        (
            "UPDATE orders SET a = 1 WHERE pk = 'a' AND sk = '1'",
            "Key attribute's data type should match its data type in table's schema: Key sk",
        ),
        (
            "UPDATE plain SET pk = 'x' WHERE pk = 'h'",
            "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
        ),
        (
            "UPDATE plain SET a = 1 SET a = 2 WHERE pk = 'h'",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a], path two: [a]",
        ),
        ("UPDATE plain SET a = n * 2 WHERE pk = 'h'", "Unsupported operator in Update Expression. Operator: *"),
        ("UPDATE plain SET a = foo(n) WHERE pk = 'h'", "Unrecognized function: foo at 1:22:3"),
        (
            "UPDATE plain SET a = size(d) WHERE pk = 'h'",
            "The function is not allowed in an update expression; function: size",
        ),
        (
            "UPDATE plain SET a = -n WHERE pk = 'h'",
            "Incorrect number of operands for operator or function; operator or function: -, number of operands: 1",
        ),
        (
            "UPDATE plain SET a = set_add(ss, <<'c'>>) WHERE pk = 'h'",
            "The first argument to SET_ADD must equal the assignment value at 1:22:7",
        ),
        (
            "UPDATE plain SET ss = set_add(ss, 'c') WHERE pk = 'h'",
            "The second argument to SET_ADD must be a value with type SET at 1:31:2",
        ),
        ("UPDATE plain SET a = MISSING WHERE pk = 'h'", "MISSING must be compared using IS operator"),
        (
            "UPDATE plain SET a = none WHERE pk = 'h'",
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        (
            "UPDATE plain SET x.y = 1 WHERE pk = 'h'",
            "The document path provided in the update expression is invalid for update",
        ),
    ],
)
def test_a_malformed_write_is_refused_in_amazons_words(orders: Engine, statement: str, message: str) -> None:
    assert refusal_of(orders, statement) == message


def test_a_delete_removes_one_item_and_returns_it_on_request(orders: Engine) -> None:
    refusal_of(orders, "DELETE FROM plain WHERE pk = 'h' AND n = 6", "ConditionalCheckFailedException")
    found = run(orders, "DELETE FROM plain WHERE pk = 'h' AND n = 5 RETURNING ALL OLD *")
    assert [one["pk"] for one in found] == [{"S": "h"}]
    assert run(orders, "SELECT * FROM plain") == []


def test_a_delete_of_a_missing_item_succeeds_with_any_condition(orders: Engine) -> None:
    assert run(orders, "DELETE FROM plain WHERE pk = 'none' AND n = 6 RETURNING ALL OLD *") == []


def test_capacity_is_reported_for_reads_and_writes(orders: Engine) -> None:
    def consumed(statement: str, **members: Any) -> dict[str, Any]:
        request = {"Statement": statement, "ReturnConsumedCapacity": "TOTAL", **members}
        told: dict[str, Any] = orders.execute("ExecuteStatement", request)["ConsumedCapacity"]
        return told

    assert consumed("SELECT * FROM orders WHERE pk='a'") == {"TableName": "orders", "CapacityUnits": 0.5}
    assert consumed("SELECT * FROM orders WHERE pk='a'", ConsistentRead=True)["CapacityUnits"] == 1.0
    assert consumed("INSERT INTO orders VALUE {'pk': 'x', 'sk': 1, 'g': 'g', 'v': 1}")["CapacityUnits"] == 2.0


# --- reads do not wait for the write lock ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_body", "answer"),
    [
        ({"Statement": " select * from t"}, True),
        ({"Statement": "SELECTED"}, False),
        ({"Statement": "DELETE FROM t"}, False),
        ({"Statement": 5}, False),
        ({"Statements": [{"Statement": "SELECT 1"}, {"Statement": "SELECT 2"}]}, True),
        ({"TransactStatements": [{"Statement": "SELECT 1"}, {"Statement": "UPDATE"}]}, False),
        ({"Statements": 5}, True),
    ],
)
def test_a_request_of_selects_only_reads(request_body: dict[str, Any], answer: bool) -> None:
    assert only_reads(request_body) is answer


async def test_statements_pass_the_asyncio_door(orders: Engine) -> None:
    door = AsyncEngine(orders)
    insert = await door.call("ExecuteStatement", {"Statement": "INSERT INTO plain VALUE {'pk': 'door'}"})
    select = await door.call("ExecuteStatement", {"Statement": "SELECT * FROM plain WHERE pk = 'door'"})
    assert (insert["Items"], select["Items"]) == ([], [item(pk="door")])
