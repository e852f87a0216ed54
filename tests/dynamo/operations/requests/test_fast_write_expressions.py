"""The fast binding of a known form equals the plain one, or is left to it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError
from bursar.dynamo.expressions import Binding, parse_condition, parse_update
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.operations.data_plane.item_actions import UPDATING, bind_expressions
from bursar.dynamo.operations.requests.fast_write_expressions import BoundExpressions, known_form
from tests.support.dynamo.request_strategies import update_expressions
from tests.support.dynamo.tables import item
from tests.support.dynamo.tree_strategies import conditions
from tests.support.dynamo.value_strategies import items, values

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
    plain = parse_condition(condition).bind(binding)
    for _ in range(2):
        known = known_form(request(condition, names, values), None)
        assert known is not None
        update, fast = known
        assert update is None
        assert fast is not None
        for stored in (STORED, {}):
            assert fast.evaluate(stored) == plain.evaluate(stored)


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
def test_wrong_forms_and_checks_of_values_go_the_plain_way(condition: str, names: Any, values: Any) -> None:
    for _ in range(2):
        assert known_form(request(condition, names, values), None) is None


ALL_NAMES = {"#n": "n", "#e": "é"}
ALL_VALUES = st.fixed_dictionaries({":a": values, ":b": values, ":c1": values})


@given(
    update=st.none() | update_expressions(),
    condition=st.none() | conditions.map(str),
    all_values=ALL_VALUES,
    only_used=st.sampled_from([True, True, True, False]),
    stored=st.lists(items, min_size=1, max_size=3),
)
def test_a_known_form_binds_as_the_plain_way_does(
    update: str | None, condition: str | None, all_values: dict[str, Any], only_used: bool, stored: list[Item]
) -> None:
    text = f"{update} {condition}"
    names = {name: path for name, path in ALL_NAMES.items() if name in text or not only_used}
    used = {name: value for name, value in all_values.items() if name in text or not only_used}
    of_write = request(condition, names or None, used or None) | (
        {} if update is None else {"UpdateExpression": update}
    )
    fast = UPDATING.known_form(of_write)
    if fast is None:
        return
    plain = bind_expressions(of_write, UPDATING)
    for one in stored:
        assert outcome(fast, one) == outcome(plain, one)


def outcome(bound: BoundExpressions, stored: Item) -> tuple[Any, Any]:
    """Return what the update makes of an item, or its error, and whether the condition holds for it."""
    update, condition = bound
    holds = None if condition is None else condition.evaluate(stored)
    try:
        return None if update is None else update.apply(stored), holds
    except DynamoError as error:
        return error.message, holds
