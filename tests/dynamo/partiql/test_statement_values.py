"""Constants of statements as attribute values."""

from typing import Any

import pytest

from bursar.dynamo.partiql import InsertStatement, parse_statement
from bursar.dynamo.partiql.statement_values import StatementValues
from tests.support.dynamo.tables import refused

SETS = "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags"


def value_of(literal: str, *parameters: Any) -> Any:
    statement = parse_statement(f"INSERT INTO t VALUE {{'a': {literal}}}")
    assert isinstance(statement, InsertStatement)
    return StatementValues(parameters, statement.parameters).item(statement.item)["a"]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'it''s'", {"S": "it's"}),
        ("''", {"S": ""}),
        ("1.50", {"N": "1.5"}),
        ("-.5e1", {"N": "-5"}),
        ("- -5", {"N": "5"}),
        ("TRUE", {"BOOL": True}),
        ("Null", {"NULL": True}),
        ("[]", {"L": []}),
        ("[1, ['x']]", {"L": [{"N": "1"}, {"L": [{"S": "x"}]}]}),
        ("('a', 1)", {"L": [{"S": "a"}, {"N": "1"}]}),
        ("{}", {"M": {}}),
        ("{'b': {'c': <<1, 2.0>>}}", {"M": {"b": {"M": {"c": {"NS": ["1", "2"]}}}}}),
        ("<<'x', 'y'>>", {"SS": ["x", "y"]}),
    ],
)
def test_a_literal_is_an_attribute_value(literal: str, value: Any) -> None:
    assert value_of(literal) == value


def test_a_parameter_is_the_value_given_and_more_than_needed_do_no_harm() -> None:
    assert value_of("?", {"BS": ["AAA="]}, {"S": "unused"}) == {"BS": ["AAA="]}


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        ("?", "Number of parameters in request and statement don't match."),
        ("MISSING", "Unsupported data type: MISSING under key root at 1:27:7"),
        ('"q"', "Unsupported data type: q under key root at 1:27:3"),
        ("1 + 1", "Unsupported data type: + under key root at 1:29:1"),
        ("<<>>", "Empty bags are not supported at 1:27:2"),
        ("<<1, 'a'>>", SETS),
        ("<<[1]>>", f"{SETS} at 1:29:1"),
        ("<<1, 1.0>>", "Input collection contains duplicates"),
        ("{b: 1}", "Tuple keys must be of type String. Actual type: VariableReference under root at 1:28:1"),
        ("{'b': 1, 'b': 2}", "Duplicate keys in tuple. Key: b under root at 1:36:3"),
        ("{'': 1}", "Path component cannot be an empty string"),
    ],
)
def test_an_invalid_value_is_rejected_with_amazons_text(literal: str, message: str) -> None:
    assert refused(lambda: value_of(literal)).message == message


def test_a_parameter_replaces_only_a_whole_attribute() -> None:
    message = refused(lambda: value_of("[?]", {"S": "x"})).message
    assert message == "Unsupported data type: Parameter under key root[0] at 1:28:1"
