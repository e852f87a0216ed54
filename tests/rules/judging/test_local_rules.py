"""DynamoDB's comparison of items, with and without a comparison that the caller has made."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bursar.rules.judging.local_rules import changed_attributes

VALUES: list[dict[str, Any]] = [
    {"S": "1"},
    {"S": "2"},
    {"N": "1"},
    {"N": "1.0"},
    {"N": "2"},
    {"BOOL": True},
    {"SS": ["a", "b"]},
    {"SS": ["b", "a"]},
    {"L": [{"N": "1"}]},
    {"L": [{"N": "1.00"}]},
]
NAMES = ["a", "b", "c", "d"]
items = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES))


@given(items, items, st.sets(st.sampled_from(NAMES)))
def test_a_comparison_made_by_the_caller_gives_the_same_answer(
    old: dict[str, Any], new: dict[str, Any], more: set[str]
) -> None:
    unlike = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    assert changed_attributes(old, new, unlike) == changed_attributes(old, new)
    # Names that turn out to be equal after all do not matter.
    assert changed_attributes(old, new, unlike | (more & old.keys() & new.keys())) == changed_attributes(old, new)


def test_values_are_compared_as_dynamodb_does() -> None:
    old: dict[str, Any] = {"n": {"N": "1.0"}, "set": {"SS": ["a", "b"]}, "text": {"S": "1.0"}, "gone": {"S": "x"}}
    new: dict[str, Any] = {"n": {"N": "1"}, "set": {"SS": ["b", "a"]}, "text": {"S": "1"}, "come": {"S": "x"}}
    assert changed_attributes(old, new) == {"text", "gone", "come"}
