"""Parsed statements, and texts that are not statements."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError
from bursar.dynamo.partiql import (
    DeleteStatement,
    ExistsStatement,
    InsertStatement,
    SelectStatement,
    UpdateStatement,
    parse_statement,
)
from bursar.dynamo.partiql.parser import output_name
from bursar.dynamo.partiql.syntax_tree import (
    Assignment,
    FunctionExpression,
    Literal,
    OperatorExpression,
    Order,
    ParameterExpression,
    Reference,
    Series,
    StructExpression,
)
from tests.support.dynamo.tables import refused

WELL = "Statement wasn't well formed, can't be processed: "


def ref(*parts: str | int) -> Reference:
    return Reference(parts, "")


def text(value: str) -> Literal:
    return Literal({"S": value}, "")


def number(value: str) -> Literal:
    return Literal({"N": value}, "")


def op(operator: str, *operands: object) -> OperatorExpression:
    return OperatorExpression(operator, operands, "")  # type: ignore[arg-type]  # the operator is drawn at random


def where(condition: str) -> object:
    statement = parse_statement(f"SELECT * FROM t WHERE {condition}")
    assert isinstance(statement, SelectStatement)
    return statement.where


def test_a_select() -> None:
    assert parse_statement("select a, m.x[1]['y z'] from \"my-t\".i where a=? order by b desc, c;") == SelectStatement(
        "my-t",
        "i",
        (ref("a"), ref("m", "x", 1, "y z")),
        op("=", ref("a"), ParameterExpression(0, "")),
        (Order("b", True), Order("c", False)),
        1,
    )


def test_an_insert() -> None:
    assert parse_statement(
        "INSERT INTO t VALUE {'pk': 'a', 's': <<1, -2>>, 'l': [true, null], 'p': ?}"
    ) == InsertStatement(
        "t",
        StructExpression(
            (
                (text("pk"), text("a")),
                (text("s"), Series((number("1"), number("-2")), True, "")),
                (text("l"), Series((Literal({"BOOL": True}, ""), Literal({"NULL": True}, "")), False, "")),
                (text("p"), ParameterExpression(0, "")),
            ),
            "",
        ),
        1,
    )


def test_an_update() -> None:
    assert parse_statement(
        "UPDATE t SET a=1, b=b+1 SET c=f(a) REMOVE d[0] WHERE pk=? RETURNING MODIFIED NEW *"
    ) == UpdateStatement(
        "t",
        (
            Assignment(ref("a"), number("1")),
            Assignment(ref("b"), op("+", ref("b"), number("1"))),
            Assignment(ref("c"), FunctionExpression("f", (ref("a"),), "")),
            Assignment(ref("d", 0), None),
        ),
        op("=", ref("pk"), ParameterExpression(0, "")),
        ("modified", "new"),
        1,
    )


def test_a_delete_and_an_exists() -> None:
    assert parse_statement("DELETE FROM t WHERE pk='a' RETURNING ALL OLD *") == DeleteStatement(
        "t", op("=", ref("pk"), text("a")), True, 0
    )
    inner = SelectStatement("t", None, None, op("=", ref("pk"), text("a")), (), 0)
    assert parse_statement("EXISTS(SELECT * FROM t WHERE pk='a')") == ExistsStatement(inner)


@pytest.mark.parametrize(
    ("condition", "tree"),
    [
        ("a=1 OR b=2 AND NOT c=3", "(a = 1 or (b = 2 and not c = 3))"),
        ("(a=1 OR b=2) AND c=3", "((a = 1 or b = 2) and c = 3)"),
        ("a NOT IN [1, 2]", "not a in [1, 2]"),
        ("a IN (1, 2)", "a in [1, 2]"),
        ("a IN (1)", "a in [1]"),
        ("a NOT BETWEEN 1 AND 2 AND b=1", "(not a between 1 2 and b = 1)"),
        ("a IS NOT MISSING AND b IS NULL", "(not is missing a and is null b)"),
        ("a != - 1 AND b > +2", "(a <> -1 and b > 2)"),
        ("SIZE(a) > 1 AND begins_with(b, 'x')", "(size(a) > 1 and begins_with(b, x))"),
        ("a + 1 * 2 = 3", "(a + (1 * 2)) = 3"),
    ],
)
def test_operators_bind_as_in_sql(condition: str, tree: str) -> None:
    assert drawn(where(condition)) == tree


def drawn(node: object) -> str:
    """Return a condition with its structure in parentheses."""
    if isinstance(node, Reference):
        return output_name(node)
    if isinstance(node, Literal):
        return str(next(iter(node.value.values())))
    if isinstance(node, FunctionExpression):
        return f"{node.name}({', '.join(map(drawn, node.operands))})"
    if isinstance(node, Series):
        return f"[{', '.join(map(drawn, node.elements))}]"
    assert isinstance(node, OperatorExpression)
    operands = list(map(drawn, node.operands))
    if node.operator in ("and", "or", "+", "*"):
        return f"({operands[0]} {node.operator} {operands[1]})"
    if len(operands) == 1:
        return f"{node.operator} {operands[0]}"
    return f"{operands[0]} {node.operator} {' '.join(operands[1:])}"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECTT * FROM t", WELL + "Expected data manipulation"),
        ("", WELL + "Expected data manipulation"),
        ("SELECT user FROM t", WELL + "Unexpected keyword"),
        ("SELECT * FROM t WHERE", WELL + "Unexpected term"),
        ("SELECT * FROM t WHERE a = 'b", WELL),
        ("SELECT * FROM t; SELECT * FROM t", WELL + "Unexpected token after expression"),
        ("UPDATE t WHERE a = 1", WELL + "Unexpected keyword"),
        ("UPDATE t REMOVE a, b WHERE a = 1", WELL + "Unexpected token after expression"),
        ("CREATE TABLE t", "Unsupported operation: CreateTable"),
        ("DROP INDEX i ON t", "Unsupported operation: DropIndex"),
        ("SELECT a AS b FROM t", "Aliasing is not supported"),
        ("SELECT * FROM t x", "Aliasing is not supported"),
        ("SELECT a, m.a FROM t", "Duplicate identifiers in select clause: a"),
        ("SELECT DISTINCT a FROM t", "Unsupported token in expression: DISTINCT"),
        ("SELECT VALUE a FROM t", "Select projection doesn't support value or pivot keywords"),
        ("SELECT size(a) FROM t", "Unexpected path component at 1:8:4"),
        ("SELECT COUNT(*) FROM t", "Unexpected path component at 1:8:5"),
        ("SELECT a, sum(b) FROM t", "Unexpected path component at 1:11:3"),
        ("SELECT a FROM t WHERE MAX(b) = 1", "Unsupported token in expression: max at 1:23:3"),
        ("SELECT m.* FROM t", "Changing item's hierarchy while reading isn't supported"),
        ("SELECT l[-1] FROM t", "List index is not within the allowable range; index: [-1] at 1:11:1"),
        ('SELECT "" FROM t', "Path component cannot be an empty string"),
        ("SELECT * FROM t, u", "Only select from a single table or index is supported."),
        ("SELECT * FROM 't'", "Unexpected from source"),
        ("SELECT * FROM a.b.c", "A path may contain at most 2 components in the FROM clause"),
        ("SELECT * FROM t LIMIT 2", "Unsupported clause: LIMIT at 1:23:1"),
        ("SELECT * FROM t WHERE a = 1 GROUP BY a", "Unsupported clause: GROUP BY"),
        ("SELECT * FROM t WHERE a LIKE 'b%'", "Unsupported operator in Condition Expression. Operator: like"),
        (
            "INSERT INTO t.i VALUE {}",
            "FROM clause may only contain a single table name in data manipulation statements",
        ),
        ("INSERT INTO t VALUES (1)", "Unsupported operation: InsertOp"),
        (
            "INSERT INTO t VALUE 5",
            "Unsupported format in item expression. "
            "Please use struct format {...} to express item values for insert statement. at 1:21:1",
        ),
        ("INSERT INTO t VALUE {'a': 1} RETURNING ALL OLD *", "RETURNING is not supported in INSERT"),
        ("UPDATE t.i SET a = 1", "This operation is not supported on an index"),
        (
            "UPDATE t SET a = 1 WHERE b = 1 RETURNING ALL NEW a",
            "Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause",
        ),
        (
            "UPDATE t SET a = 1 WHERE b = 1 RETURNING ALL OLD *, ALL NEW *",
            "Invalid syntax with multiple returning elements in RETURNING clause",
        ),
        (
            "DELETE FROM t WHERE b = 1 RETURNING MODIFIED OLD *",
            "Invalid returning clause: RETURNING MODIFIED OLD *. "
            "Only RETURNING ALL OLD * is allowed in DELETE statements.",
        ),
    ],
)
def test_an_invalid_statement_is_rejected_with_amazons_text(statement: str, message: str) -> None:
    assert refused(lambda: parse_statement(statement)).message == message


@pytest.mark.parametrize("opening", ["(", "[", "NOT ", "f(", "<<", "{'a': ", "- "])
def test_depth_is_bounded(opening: str) -> None:
    assert refused(lambda: parse_statement("SELECT * FROM t WHERE a = " + opening * 2000)).code == "ValidationException"


WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        "SELECT * FROM t WHERE AND OR NOT IN IS MISSING NULL BETWEEN ( ) [ ] { } << >> , . : = <> < 'x' 1 ? a \"b\" "
        "SET UPDATE INSERT INTO VALUE DELETE REMOVE RETURNING ALL OLD NEW EXISTS ORDER BY DESC size ( -",
    )
)


@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_any_words_give_a_statement_or_a_refusal(statement: str) -> None:
    try:
        parse_statement(statement)
    except DynamoError as refusal:
        if refusal.code != "ValidationException":
            raise
