"""From a WHERE clause to the ranges of keys that must be read."""

import pytest

from bursar.dynamo.partiql import SelectStatement, parse_statement
from bursar.dynamo.partiql.key_ranges import KeyLayout, Ranges, key_ranges
from bursar.dynamo.partiql.statement_values import StatementValues
from bursar.dynamo.partiql.translation import conjuncts
from tests.support.dynamo.tables import refused

LAYOUT = KeyLayout(("pk",), ("sk",), {"pk": "S", "sk": "N"})
MULTI = KeyLayout(("a", "b"), ("c", "d"), {"a": "S", "b": "S", "c": "N", "d": "N"})


def ranges(condition: str, layout: KeyLayout = LAYOUT) -> Ranges | None:
    statement = parse_statement(f"SELECT * FROM t WHERE {condition}")
    assert isinstance(statement, SelectStatement)
    return key_ranges(layout, conjuncts(statement.where), StatementValues((), 0))


@pytest.mark.parametrize(
    ("condition", "count", "complete"),
    [
        ("pk = 'a'", 1, True),
        ("'a' = pk AND d = 1", 1, False),
        ("pk = 'a' AND sk = 1", 1, True),
        ("pk = 'a' AND sk > 1 AND sk <= 4 AND 2 < sk", 1, True),
        ("pk = 'a' AND sk > 4 AND sk < 2", 0, True),
        ("pk = 'a' AND sk BETWEEN 1 AND 2 AND sk <> 1", 1, False),
        ("pk = 'a' AND pk = 'b'", 1, False),
        ("pk = 'a' AND sk IN [1, 2, 1.0]", 2, True),
        ("pk IN ['a', 'b', 'a']", 2, True),
        ("(pk = 'a' OR pk IN ('b', 'c')) AND (sk = 1 OR sk = 2)", 6, True),
        ("pk = 'a' AND (sk = 1 OR d = 2)", 1, False),
        ("pk = 'a' AND NOT sk = 1", 1, False),
        ("pk = 'a' AND sk = d", 1, False),
    ],
)
def test_a_clause_that_names_the_partition_gives_ranges(condition: str, count: int, complete: bool) -> None:
    found = ranges(condition)
    assert found is not None
    assert (len(found.spans), found.complete) == (count, complete)


@pytest.mark.parametrize(
    "condition", ["sk = 1", "pk > 'a'", "pk = 'a' OR sk = 1", "NOT pk = 'a'", "pk.x = 'a'", "pk = d", "pk <> 'a'"]
)
def test_a_clause_that_does_not_name_it_gives_none(condition: str) -> None:
    assert ranges(condition) is None


def test_too_many_combinations_give_none() -> None:
    numbers = ", ".join(map(str, range(51)))
    assert ranges(f"pk IN ['a', 'b'] AND sk IN [{numbers}]") is None


def test_a_key_of_several_attributes_is_named_from_the_left() -> None:
    found = ranges("a = 'x' AND b IN ['y', 'z'] AND c = 1 AND d > 2", MULTI)
    assert found is not None
    assert (len(found.spans), found.complete) == (2, True)
    gap = ranges("a = 'x' AND b = 'y' AND d > 2", MULTI)
    assert gap is not None
    assert not gap.complete
    assert ranges("a = 'x' AND c = 1", MULTI) is None


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("pk = 5", "Key attribute's data type should match its data type in table's schema: Key pk"),
        ("pk = 'a' AND sk = '1'", "Key attribute's data type should match its data type in table's schema: Key sk"),
        ("pk = 'a' AND sk < '1'", "Key attribute's data type should match its data type in table's schema: Key sk"),
        (
            "pk = 'a' AND sk IN ['1']",
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            "pk = ''",
            "One or more parameter values are not valid. "
            "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk",
        ),
    ],
)
def test_a_key_of_another_type_is_refused(condition: str, message: str) -> None:
    assert refused(lambda: ranges(condition)).message == message
