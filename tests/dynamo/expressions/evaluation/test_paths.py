"""Reading along document paths, and paths that clash."""

import pytest

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import Binding, parse_projection
from bursar.dynamo.expressions.evaluation.paths import path_text, path_tree, value_at
from bursar.dynamo.items.attribute_values import Item

ITEM: Item = {"a": {"M": {"b": {"L": [{"S": "x"}, {"M": {"c": {"N": "1"}}}]}}}, "s": {"S": "y"}}


def test_a_path_is_read_through_maps_and_lists() -> None:
    assert value_at(ITEM, ("a", "b", 1, "c")) == {"N": "1"}
    assert value_at(ITEM, ("s",)) == {"S": "y"}


@pytest.mark.parametrize(
    "path", [("z",), ("z", "b"), ("a", "z"), ("a", 0), ("a", "b", 2), ("a", "b", "c"), ("s", "x"), ("s", 0)]
)
def test_a_missing_value_is_none(path: tuple[str | int, ...]) -> None:
    assert value_at(ITEM, path) is None


def test_a_path_is_written_as_in_amazons_errors() -> None:
    assert path_text(("a", 1, "b")) == "[a, [1], b]"


def test_paths_join_into_a_tree() -> None:
    assert path_tree([(("a", "b"), 1), (("a", "c", 0), 2), (("d",), 3)]) == {"a": {"b": 1, "c": {0: 2}}, "d": 3}


@pytest.mark.parametrize(
    ("text", "relation", "one", "two"),
    [
        ("a, a", "overlap", "[a]", "[a]"),
        ("a.b, a", "overlap", "[a, b]", "[a]"),
        ("a, a.b[2].c", "overlap", "[a]", "[a, b, [2], c]"),
        ("a[1], a[1]", "overlap", "[a, [1]]", "[a, [1]]"),
        ("a.b, a[1]", "conflict", "[a, b]", "[a, [1]]"),
        ("a.b.c, a.b[2]", "conflict", "[a, b, c]", "[a, b, [2]]"),
        # The paths are checked from the last to the first.
        ("a.b, a[1], a.c", "conflict", "[a, [1]]", "[a, c]"),
        ("a.b, a, a.c", "overlap", "[a]", "[a, c]"),
        ("#n, n", "overlap", "[n]", "[n]"),
    ],
)
def test_paths_that_clash(text: str, relation: str, one: str, two: str) -> None:
    names = {"#n": "n"} if "#n" in text else None
    with pytest.raises(DynamoError) as refusal:
        parse_projection(text).bind(Binding(names, None))
    assert refusal.value.message == (
        f"Invalid ProjectionExpression: Two document paths {relation} with each other; "
        f"must remove or rewrite one of these paths; path one: {one}, path two: {two}"
    )


@pytest.mark.parametrize("text", ["a, b", "a.b, a.c", "a[1], a[2]", "a.b.d, a.b.e", "a.b, a.c[2]"])
def test_paths_that_do_not_clash(text: str) -> None:
    parse_projection(text).bind(Binding(None, None))
