"""The fast tests of whole attributes answer as their plain twins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.expressions.evaluation.fast_attribute_tests import ATTRIBUTE_TESTS, VALUE_TESTS
from bursar.dynamo.expressions.evaluation.paths import getter
from bursar.dynamo.expressions.evaluation.predicates import EQUALITY, FUNCTION_TESTS
from bursar.dynamo.items.attribute_values import AttributeValue, Item
from tests.support.dynamo.value_strategies import items, names, values


@pytest.mark.parametrize("operator", list(VALUE_TESTS))
@given(item=items, name=names, value=values, same=st.booleans())
def test_comparisons_with_a_value_equal_the_plain_ones(
    operator: str, item: Item, name: str, value: AttributeValue, same: bool
) -> None:
    given_values = {":v": item.get(name, value) if same else value}
    plain = EQUALITY[operator](getter((name,)), lambda _item, values: values[":v"])
    assert VALUE_TESTS[operator](name, ":v")(item, given_values) == plain(item, given_values)


@pytest.mark.parametrize("function", list(ATTRIBUTE_TESTS))
@given(item=items, name=names)
def test_functions_of_an_attribute_equal_the_plain_ones(function: str, item: Item, name: str) -> None:
    assert ATTRIBUTE_TESTS[function](name)(item, {}) == FUNCTION_TESTS[function](getter((name,)))(item, {})
