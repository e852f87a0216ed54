"""What Amazon's answers to statements: forms that run, and the words of its refusals.

Source: answers of Amazon's recorded by paritysuite/dynamodb-conformance (partiql*, October 2026).
"""

from typing import Any

import pytest

from bursar.dynamo import DynamoError, Engine
from tests.support.dynamo.tables import item, put, refusal, table

NOT_WELL_FORMED = "Statement wasn't well formed, can't be processed: "
LEFTOVER = f"{NOT_WELL_FORMED}Unexpected token after expression"
ALIASING = "Aliasing is not supported"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
DIGITS = "Attempting to store more than 38 significant digits in a Number"
UNCONVERTIBLE = "The parameter cannot be converted to a numeric value"
NESTING = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
NO_PRIMARY_KEY = "Select statements within {} must specify the primary key in the where clause."
SET = item(
    pk="i",
    ss={"SS": ["a", "b", "c"]},
    ns={"NS": ["1", "2"]},
    s="str",
    m={"M": {"inner": {"SS": ["x"]}, "sub": {"S": "x"}}},
    nul={"NULL": True},
    flag={"BOOL": True},
)


@pytest.fixture
def tables(engine: Engine) -> Engine:
    engine.execute("CreateTable", table("text", ("pk:S",)))
    engine.execute("CreateTable", table("number", ("pk:N",)))
    engine.execute("CreateTable", table("sorted", ("pk:S", "sk:N")))
    put(engine, "text", SET, item(pk="a"), item(pk="b"), item(pk="c"))
    put(engine, "number", item(pk=7310000), item(pk={"N": "7.3"}), item(pk={"N": "-7.3"}))
    put(engine, "sorted", *(item(pk="o", sk=n) for n in (1, 2, 3)))
    return engine


@pytest.fixture
def indexed(engine: Engine) -> Engine:
    request = table("indexed", ("pk:S", "sk:S"), global_indexes={"all": ("g:S",), "inc": ("h:S",)})
    request["GlobalSecondaryIndexes"][1]["Projection"] = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["proj"]}
    request["AttributeDefinitions"].append({"AttributeName": "l", "AttributeType": "S"})
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}]
    local = {"IndexName": "local", "KeySchema": keys, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    engine.execute("CreateTable", {**request, "LocalSecondaryIndexes": [local]})
    put(engine, "indexed", item(pk="p", sk="1", g="x", h="y", l="z", proj="in", other="np"))
    return engine


def run(engine: Engine, statement: str, *parameters: Any, **members: Any) -> list[dict[str, Any]]:
    given = {"Parameters": list(parameters)} if parameters else {}
    items: list[dict[str, Any]] = engine.execute("ExecuteStatement", {"Statement": statement, **given, **members})[
        "Items"
    ]
    return items


def message(engine: Engine, statement: str, *parameters: Any, **members: Any) -> str:
    given = {"Parameters": list(parameters)} if parameters else {}
    return refusal(engine, "ExecuteStatement", {"Statement": statement, **given, **members})


REFUSED = {
    'SELECT * FROM "number" WHERE pk = 1 foo': LEFTOVER,
    'SELECT * FROM "number" WHERE pk = 1 e5': LEFTOVER,
    """INSERT INTO "number" VALUE {'pk': 970001} foo""": LEFTOVER,
    'UPDATE "number" SET a = 9 WHERE pk = 970002 foo': LEFTOVER,
    'DELETE FROM "number" WHERE pk = 970003 foo': LEFTOVER,
    'SELECT * FROM "number" WHERE pk = 1)': LEFTOVER,
    'DELETE FROM "number" WHERE pk = 970004 ORDER BY pk': LEFTOVER,
    'SELECT * FROM "number" ORDER BY pk WHERE pk = 1': LEFTOVER,
    """INSERT INTO "text" t VALUE {'pk': 'x'}""": LEFTOVER,
    'SELECT * FROM "number" WHERE pk = 1e2147483648': NOT_WELL_FORMED,
    'SELECT * FROM "number" WHERE pk = 1e99999999999': NOT_WELL_FORMED,
    'SELECT * FROM "number" WHERE pk = 1.5e-2147483647': NOT_WELL_FORMED,
    'SELECT * FROM "number" WHERE pk = 1 # note': NOT_WELL_FORMED,
    'SELECT * FROM "number" WHERE pk = 1 /* note': NOT_WELL_FORMED,
    """SELECT * FROM "text" t WHERE pk = 'x'""": ALIASING,
    """SELECT * FROM "text" AS t WHERE pk = 'x'""": ALIASING,
    """UPDATE "text" t SET a = 3 WHERE pk = 'x'""": ALIASING,
    """DELETE FROM "text" t WHERE pk = 'x'""": ALIASING,
    'SELECT * FROM "number" WHERE pk = 1e126': f"{OVERFLOW} under root",
    'SELECT * FROM "number" WHERE pk = 1e-131': f"{UNDERFLOW} under root",
    f'SELECT * FROM "number" WHERE pk = {"123456789" * 4}123': f"{DIGITS} under root",
    """INSERT INTO "number" VALUE {'pk': 1e126}""": f"{OVERFLOW} under root",
    'UPDATE "number" SET a = 1e-131 WHERE pk = 970005': f"{UNDERFLOW} under root",
    """INSERT INTO "number" VALUE {'pk': 970006, 'm': {'x': 1e126}}""": f"{OVERFLOW} under root.x",
    """INSERT INTO "number" VALUE {'pk': 970007, 'l': [1, 1e126]}""": f"{OVERFLOW} under root[1]",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_a_statement_is_refused_in_amazons_words_and_changes_nothing(tables: Engine, statement: str) -> None:
    before = [tables.execute("Scan", {"TableName": name})["Items"] for name in ("text", "number")]
    assert message(tables, statement) == REFUSED[statement]
    assert [tables.execute("Scan", {"TableName": name})["Items"] for name in ("text", "number")] == before


@pytest.mark.parametrize("literal", ["7.31e6", "7.31E6", "7.31e+6", "731e4", "73100000e-1"])
def test_a_number_may_have_an_exponent(tables: Engine, literal: str) -> None:
    assert run(tables, f'SELECT * FROM "number" WHERE pk = {literal}') == [item(pk=7310000)]


def test_a_number_may_have_no_leading_digit(tables: Engine) -> None:
    assert run(tables, 'SELECT * FROM "number" WHERE pk = .73e1') == [item(pk={"N": "7.3"})]
    assert run(tables, 'SELECT * FROM "number" WHERE pk = -.73e1') == [item(pk={"N": "-7.3"})]
    run(tables, """INSERT INTO "number" VALUE {'pk': .7325e1}""")
    assert run(tables, 'SELECT * FROM "number" WHERE pk = 7.325') == [item(pk={"N": "7.325"})]


@pytest.mark.parametrize(
    "statement",
    [
        """SELECT * FROM "text" WHERE pk = 'a' -- a note""",
        """SELECT * FROM "text" -- a note\nWHERE pk = 'a'""",
        """-- a note\nSELECT * FROM "text" WHERE pk = 'a'""",
        """SELECT * FROM "text" /* a note */ WHERE pk = 'a'""",
        """SELECT * FROM "text" WHERE pk = 'a' /* a note */""",
    ],
)
def test_comments_are_ignored(tables: Engine, statement: str) -> None:
    assert run(tables, statement) == [item(pk="a")]


def at(statement: str, token: str, start: int = 0) -> str:
    return f"at 1:{statement.index(token, start) + 1}:{len(token)}"


def where(condition: str) -> str:
    return f"""SELECT * FROM "text" WHERE pk = 'i' AND {condition}"""


def update(assignment: str) -> str:
    return f"""UPDATE "text" SET {assignment} WHERE pk = 'i'"""


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("attribute_exists(ss)", True),
        ("attribute_exists(nope)", False),
        ("attribute_not_exists(nope)", True),
        ("NOT attribute_exists(nope)", True),
        ("ATTRIBUTE_EXISTS(ss)", True),
        ("(attribute_exists(nope) OR attribute_exists(ss))", True),
        ("attribute_exists(ss) = true", True),
        ('attribute_exists("ss")', True),
        ("attribute_exists(m.sub)", True),
        ("attribute_exists(m.nope)", False),
        ("size(s) = 3", True),
        ("attribute_type(ss, 'SS')", True),
        ("attribute_type(ss, 'S')", False),
        ("nul IS NULL", True),
        ("s IS NULL", False),
        ("s IS NOT NULL", True),
        ("nul IS NOT NULL", False),
        ("flag IS BOOL", True),
        ("s IS STRING", True),
        ("s IS BOOL", False),
    ],
)
def test_a_condition_of_a_select_runs_as_a_filter(tables: Engine, condition: str, holds: bool) -> None:
    assert bool(run(tables, where(condition))) is holds


def test_the_refusals_of_functions(tables: Engine) -> None:
    path_needed = "Operator or function requires a document path; operator or function: attribute_exists"
    operands = (
        "Incorrect number of operands for operator or function; "
        "operator or function: attribute_exists, number of operands: {}"
    )
    assert message(tables, where("attribute_exists('ss')")) == path_needed
    assert message(tables, where("attribute_exists(?)"), {"S": "ss"}) == path_needed
    assert message(tables, where("attribute_exists()")) == operands.format(0)
    assert message(tables, where("attribute_exists(ss, ns)")) == operands.format(2)
    statement = """SELECT attribute_exists(ss) FROM "text" WHERE pk = 'i'"""
    assert message(tables, statement) == f"Unexpected path component {at(statement, 'attribute_exists')}"
    statement = where("EXISTS(ss)")
    assert message(tables, statement) == f"Unrecognized function: exists {at(statement, 'EXISTS')}"
    assert message(tables, where("attribute_exists(m.inner)")) == f"{NOT_WELL_FORMED}Invalid path dot component"
    statement = where("set_add(ss, <<'x'>>) = ss")
    assert message(tables, statement) == f"Unrecognized function: set_add {at(statement, 'set_add')}"


def test_the_refusals_of_set_functions(tables: Engine) -> None:
    first = "The first argument to SET_ADD must equal the assignment value"
    second = "The second argument to SET_ADD must be a value with type SET"
    two = "SET_ADD must have exactly two arguments"
    for assignment, text in (
        ("t = set_add(ss, <<'x'>>)", first),
        ("ss = set_add(<<'a'>>, <<'b'>>)", first),
        ("ss = set_add(ss)", two),
        ("ss = set_add(ss, <<'x'>>, <<'y'>>)", two),
    ):
        statement = update(assignment)
        assert message(tables, statement) == f"{text} {at(statement, 'set_add')}"
    for assignment in ("ss = set_add(ss, 'x')", "ss = set_add(ss, ['x'])"):
        statement = update(assignment)
        assert message(tables, statement) == f"{second} {at(statement, 'ss', statement.index('set_add('))}"
    wrong_type = "An operand in the update expression has an incorrect data type"
    assert message(tables, update("ss = set_add(ss, <<1>>)")) == wrong_type
    assert message(tables, update("s = set_add(s, <<'x'>>)")) == wrong_type
    assert message(tables, update("ss = set_add(ss, <<'x', 'x'>>)")) == (
        "One or more parameter values were invalid: Input collection [x, x] contains duplicates."
    )
    assert message(tables, update("ss = set_add(ss, <<>>)")) == "Empty bags are not supported"
    assert message(tables, update("m.inner = set_add(m.inner, <<'y'>>)")) == (
        f"{NOT_WELL_FORMED}Invalid path dot component"
    )
    statement = """INSERT INTO "text" VALUE {'pk': 'j', 'ss': set_add(<<'a'>>, <<'b'>>)}"""
    assert message(tables, statement) == f"Unsupported data type: set_add under key root {at(statement, 'set_add')}"
    statement = update("t = set_delete(ss, <<'a'>>)")
    assert message(tables, statement) == (
        f"The first argument to SET_DELETE must equal the assignment value {at(statement, 'set_delete')}"
    )


def test_a_select_of_a_batch_or_transaction_names_the_whole_key(tables: Engine, indexed: Engine) -> None:
    batch = [{"Statement": where("attribute_exists(ss)")}, {"Statement": """SELECT * FROM "indexed" WHERE pk = 'p'"""}]
    batch.append({"Statement": """SELECT * FROM "indexed"."all" WHERE g = 'x'"""})
    for response in indexed.execute("BatchExecuteStatement", {"Statements": batch})["Responses"]:
        assert response["Error"] == {
            "Code": "ValidationError",
            "Message": NO_PRIMARY_KEY.format("BatchExecuteStatement"),
        }
    transaction = {"TransactStatements": batch[:1]}
    assert refusal(tables, "ExecuteTransaction", transaction) == (
        f"Validation failed in TransactStatements[0]: {NO_PRIMARY_KEY.format('ExecuteTransaction')}"
    )


def test_the_refusals_of_indexes(indexed: Engine) -> None:
    invalid = "One or more parameter values were invalid: "
    for statement in (
        """SELECT pk FROM "indexed"."inc" WHERE h = 'y' AND other = 'np'""",
        """SELECT pk FROM "indexed"."local" WHERE pk = 'p' AND other = 'np'""",
    ):
        name = statement.split('"')[3]
        assert message(indexed, statement) == (
            f"{invalid}Secondary index {name} does not project one or more filter attributes: [other]"
        )
    assert message(indexed, """SELECT other FROM "indexed"."inc" WHERE h = 'y'""") == (
        f"{invalid}Global secondary index inc does not project [other]"
    )
    for index in ("none", "indexed"):
        no_index = f"""SELECT * FROM "indexed"."{index}" WHERE pk = 'p'"""
        assert message(indexed, no_index) == "The table does not have the specified index"
        assert message(indexed, no_index, ConsistentRead=True) == "The table does not have the specified index"
    assert message(indexed, """SELECT * FROM "indexed"."all"."extra" WHERE pk = 'p'""") == (
        "A path may contain at most 2 components in the FROM clause"
    )
    for table_path in ('"indexed".""', '""'):
        assert message(indexed, f"SELECT * FROM {table_path} WHERE pk = 'p'") == (
            "Path component cannot be an empty string"
        )
    assert message(indexed, """SELECT * FROM "indexed"."all" WHERE g = 'x'""", ConsistentRead=True) == (
        "Strongly consistent read is not supported on Global Secondary Indexes"
    )
    transaction = {"TransactStatements": [{"Statement": """SELECT * FROM "indexed"."all" WHERE g = 'x'"""}]}
    assert refusal(indexed, "ExecuteTransaction", transaction) == (
        "Validation failed in TransactStatements[0]: Reads on indices are not supported within transactions."
    )


def test_a_fault_of_a_statement_names_its_place_in_the_transaction(tables: Engine) -> None:
    good = {"Statement": """SELECT * FROM "text" WHERE pk = 'a'"""}
    for fault, found in (
        (
            {"Statement": 'SELECT * FROM "text" WHERE pk = ?'},
            "Number of parameters in request and statement don't match.",
        ),
        ({"Statement": 'SELECT COUNT(*) FROM "text"'}, "Unexpected path component at 1:8:5"),
    ):
        statements = {"TransactStatements": [good, fault]}
        assert (
            refusal(tables, "ExecuteTransaction", statements) == f"Validation failed in TransactStatements[1]: {found}"
        )
    write = {"Statement": """INSERT INTO "text" VALUE {'pk': 'w'}"""}
    for statement, found in (
        ("""INSERT INTO "text" VALUE {'pk': 'x', 'n': 1e126}""", f"{OVERFLOW} under root"),
        ("""UPDATE "text" SET a = 1, a = 2 WHERE pk = 'x'""", "Two document paths overlap"),
    ):
        message = refusal(tables, "ExecuteTransaction", {"TransactStatements": [write, {"Statement": statement}]})
        assert message.startswith(f"Validation failed in TransactStatements[1]: {found}")
    statements = {"TransactStatements": [good, {"Statement": "SELEC"}]}
    assert refusal(tables, "ExecuteTransaction", statements).startswith("Statement wasn't well formed")
    statements = {"TransactStatements": [good, {"Statement": 'SELECT * FROM "text" WHERE pk = 1'}]}
    with pytest.raises(DynamoError) as cancelled:
        tables.execute("ExecuteTransaction", statements)
    assert [reason["Code"] for reason in cancelled.value.cancellation_reasons or ()] == ["None", "ValidationError"]


def test_operands_are_checked_before_the_table_is_looked_for(tables: Engine) -> None:
    wrong = "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"
    statement = 'SELECT pk FROM "missing" WHERE pk = ? AND val < ?'
    assert message(tables, statement, {"S": "x"}, {"BOOL": True}) == wrong
    for kind, value in {"NULL": True, "L": [], "M": {}, "SS": ["a"], "NS": ["1"]}.items():
        found = message(tables, where("s < ?"), {kind: value})
        assert found == wrong.replace("BOOL", kind)
    between = message(tables, where("s BETWEEN ? AND ?"), {"BOOL": True}, {"BOOL": False})
    assert "operator or function: BETWEEN" in between
    assert run(tables, where("s < ?"), {"N": "5"}) == []


@pytest.mark.parametrize("parameter", ["1e99999999999", "-1e99999999999", "1e2147483648", "1e-2147483648"])
@pytest.mark.parametrize(
    "statement",
    [
        """SELECT * FROM "text" WHERE pk = 'i' AND n = ?""",
        """INSERT INTO "text" VALUE {'pk': 'j', 'n': ?}""",
        """UPDATE "text" SET n = ? WHERE pk = 'i'""",
        'SELECT * FROM "text" WHERE pk = ?',
    ],
)
def test_a_parameter_is_read_as_javas_big_decimal(tables: Engine, statement: str, parameter: str) -> None:
    assert message(tables, statement, {"N": parameter}) == f"{UNCONVERTIBLE}: {parameter}"
    assert message(tables, statement, {"N": "1e2147483647"}) == UNDERFLOW
    assert message(tables, statement, {"N": ""}) == UNCONVERTIBLE


def test_a_parameter_that_cannot_be_read_refuses_a_transaction(tables: Engine) -> None:
    one = {"Statement": """UPDATE "text" SET n = ? WHERE pk = 'i'""", "Parameters": [{"N": "1e99999999999"}]}
    unconvertible = f"{UNCONVERTIBLE}: 1e99999999999"
    assert refusal(tables, "ExecuteTransaction", {"TransactStatements": [one]}) == unconvertible
    (response,) = tables.execute("BatchExecuteStatement", {"Statements": [one]})["Responses"]
    assert response["Error"]["Message"] == unconvertible
    deep: dict[str, Any] = {"S": "leaf"}
    for _ in range(40):
        deep = {"M": {"n": deep}}
    two = {"Statement": """UPDATE "text" SET x = ? SET y = ? WHERE pk = 'i'""", "Parameters": [deep, {"N": "abc"}]}
    assert refusal(tables, "ExecuteTransaction", {"TransactStatements": [two]}) == NESTING


def test_an_update_may_begin_with_from(tables: Engine) -> None:
    assert run(tables, """FROM "text" WHERE pk = 'i' SET c = 2 REMOVE s RETURNING MODIFIED NEW *""") == [item(c=2)]
    run(tables, """from "text" where pk = ? and c = 2 set c = ?""", {"S": "i"}, {"N": "7"})
    assert run(tables, """SELECT c, s FROM "text" WHERE pk = 'i'""") == [item(c=7)]
    for statement in (
        """FROM "text" WHERE pk = 'i' AND c = 1 SET c = 5""",
        """FROM "text" WHERE pk = 'none' SET c = 1""",
    ):
        refusal(tables, "ExecuteStatement", {"Statement": statement}, "ConditionalCheckFailedException")
    assert tables.execute("GetItem", {"TableName": "text", "Key": item(pk="none")}) == {}


@pytest.mark.parametrize(
    ("left", "found"),
    [
        ("NOT sk = 1", [2, 3]),
        ("sk <> 1", [2, 3]),
        ("NOT sk IN [1, 3]", [2]),
        ("NOT sk > 5", [1, 2, 3]),
        ("NOT (sk = 1)", [2, 3]),
    ],
)
def test_a_negated_sort_key_beside_an_equality_runs(tables: Engine, left: str, found: list[int]) -> None:
    items = run(tables, f"""SELECT * FROM "sorted" WHERE pk = 'o' AND {left} OR pk = 'o' AND sk = 2""")
    assert sorted(int(one["sk"]["N"]) for one in items) == found
