"""The fast projection of whole attributes answers as its plain twin."""

from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.expressions.evaluation.fast_projection import whole_attributes
from bursar.dynamo.expressions.evaluation.projection import pick
from bursar.dynamo.items.attribute_values import Item
from tests.support.dynamo.value_strategies import items, names


@given(item=items, chosen=st.lists(names, unique=True, max_size=6))
def test_whole_attributes_equal_the_plain_projection(item: Item, chosen: list[str]) -> None:
    fast = whole_attributes(item, chosen)
    plain = pick(item, dict.fromkeys(chosen))
    assert fast == plain
    assert list(fast) == list(plain)
