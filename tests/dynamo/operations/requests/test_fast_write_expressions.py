"""The short way for writes of a known form: it says what the long way says, or nothing."""

from typing import Any

import pytest

from bursar.dynamo.expressions import Binding, parse_condition, parse_update
from bursar.dynamo.operations.requests.fast_write_expressions import known_form
from tests.support.dynamo.tables import item

STORED = item(pk="a", state="open", n=1)


def request(condition: str | None, names: Any = None, values: Any = None) -> dict[str, Any]:
    members = {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    return {name: member for name, member in members.items() if member is not None}


@pytest.mark.parametrize(
    ("condition", "names", "values"),
    [
        ("attribute_not_exists(pk)", None, None),
        ("attribute_exists(pk) AND #s <> :s", {"#s": "state"}, item(**{":s": "paid"})),
        ("#s = :s OR nowhere <> :s", {"#s": "state"}, item(**{":s": "open"})),
        ("n = :n", None, {":n": {"N": "01.0"}}),
        ("n <> :n", None, {":n": {"SS": ["a", "b"]}}),
    ],
)
def test_a_known_form_means_the_same(condition: str, names: Any, values: Any) -> None:
    binding = Binding(names, values)
    long = parse_condition(condition).bind(binding)
    for _ in range(2):
        known = known_form(request(condition, names, values), None)
        assert known is not None
        update, short = known
        assert update is None
        assert short is not None
        for stored in (STORED, {}):
            assert short.evaluate(stored) == long.evaluate(stored)


def test_an_update_takes_its_own_values() -> None:
    text, names = "SET #s = :s ADD n :one", {"#s": "state"}
    for state in ("paid", "open", "paid"):
        values = {":s": {"S": state}, ":one": {"N": "1.0"}}
        known = known_form(request(None, names, values), text)
        assert known is not None
        update, condition = known
        assert update is not None
        assert condition is None
        expected = parse_update(text).bind(Binding(names, values)).apply(STORED)
        assert update.apply(STORED) == expected
        assert expected[0] == item(pk="a", state=state, n=2)


@pytest.mark.parametrize(
    ("condition", "names", "values"),
    [
        ("not an expression", None, None),
        ("attribute_exists(pk)", {"#unused": "pk"}, None),
        ("attribute_exists(pk)", None, item(**{":unused": 1})),
        ("attribute_exists(pk)", {}, None),
        ("attribute_exists(pk)", None, {}),
        ("n = :n", None, {":n": {"N": "no number"}}),
        ("n = :n", None, {":n": {"N": "1", "S": "1"}}),
        ("n = :n", None, {":n": "1"}),
        ("#n = :n", {"#n": ["n"]}, item(**{":n": 1})),
        ("#n = :n", {"n": "n"}, item(**{":n": 1})),
        ("n BETWEEN :low AND :high", None, item(**{":low": 2, ":high": 1})),
    ],
)
def test_what_is_wrong_or_depends_on_values_goes_the_long_way(condition: str, names: Any, values: Any) -> None:
    for _ in range(2):
        assert known_form(request(condition, names, values), None) is None
