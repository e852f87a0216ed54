"""The one pass over an item returns what normalising it and measuring it return."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.items.attribute_values import item_size, normalise_item
from bursar.dynamo.items.fast_normalise import normalise_and_measure, size_after

NAMES = st.text(min_size=1, max_size=6)
SCALARS = st.one_of(
    st.builds(lambda text: {"S": text}, st.text(max_size=12)),
    st.builds(lambda number: {"N": str(number)}, st.integers(-(10**20), 10**20)),
    st.sampled_from([{"BOOL": True}, {"BOOL": False}, {"NULL": True}]),
    st.just({"B": "AAEC"}),
    st.builds(lambda members: {"SS": sorted(members)}, st.sets(st.text(max_size=4), min_size=1, max_size=4)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda elements: {"L": elements}, st.lists(inner, max_size=3)),
        st.builds(lambda members: {"M": members}, st.dictionaries(NAMES, inner, max_size=3)),
    ),
    max_leaves=6,
)
ITEMS = st.dictionaries(NAMES, VALUES, max_size=6)


@given(ITEMS)
def test_the_same_item_and_the_same_size(item: dict[str, Any]) -> None:
    assert normalise_and_measure(item) == (normalise_item(item), item_size(normalise_item(item)))


@given(ITEMS, ITEMS)
def test_a_size_follows_the_attributes_that_changed(old: dict[str, Any], changes: dict[str, Any]) -> None:
    new = {**old, **changes}
    assert size_after(item_size(old), old, new, frozenset(changes)) == item_size(new)
    assert size_after(item_size(new), new, old, frozenset(changes)) == item_size(old)
