"""Different values never share a sentinel; equal ones always do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.items.attribute_values import AttributeValue, equal, normalise
from bursar.rules.judging.sentinels import VALUE_BYTES_MAX, value_text

TEXTS = st.text(st.sampled_from("ab#%NSBH\U0001f600"), max_size=6).map(lambda text: {"S": text})
NUMBERS = st.sampled_from(["0", "1", "1.0", "10", "1e1", "-1", "0.10"]).map(lambda text: {"N": text})
BINARIES = st.sampled_from(["", "YQ==", "YWE="]).map(lambda text: {"B": text})
VALUES = st.one_of(TEXTS, NUMBERS, BINARIES)


@given(st.lists(VALUES, min_size=1, max_size=3), st.lists(VALUES, min_size=1, max_size=3))
def test_the_text_is_the_value(left: list[AttributeValue], right: list[AttributeValue]) -> None:
    same = len(left) == len(right) and all(equal(normalise(a), normalise(b)) for a, b in zip(left, right, strict=True))
    # A rule always has the same number of attributes; for that number, equal texts mean equal values.
    if len(left) == len(right):
        assert (value_text(left) == value_text(right)) is same


def test_ordinary_text_is_unchanged() -> None:
    assert value_text([{"S": "abc"}]) == "abc"
    assert value_text([{"S": "a#b"}, {"N": "1.50"}]) == "a%23b#%N1.5"


def test_a_long_value_is_kept_by_its_hash() -> None:
    long = value_text([{"S": "x" * (VALUE_BYTES_MAX + 1)}])
    assert len(long) < 100
    assert long != value_text([{"S": "x" * (VALUE_BYTES_MAX + 2)}])


def test_other_types_cannot_be_unique() -> None:
    with pytest.raises(ValueError, match="unique value: must be of type S, N or B; got BOOL"):
        value_text([{"BOOL": True}])
