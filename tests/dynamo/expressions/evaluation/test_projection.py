"""Projections: the chosen parts of an item, at their places in it."""

import copy
from typing import Any

import pytest
from hypothesis import given

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import Binding, parse_projection
from tests.support.dynamo.value_strategies import items

ITEM: dict[str, Any] = {
    "pk": {"S": "a"},
    "a": {"M": {"b": {"L": [{"N": "2"}, {"N": "4"}, {"M": {"x": {"S": "hi"}, "y": {"S": "yo"}}}]}, "c": {"N": "5"}}},
    "a.b": {"S": "dotted"},
    "ss": {"SS": ["x"]},
}


def projected(text: str, names: dict[str, str] | None = None) -> dict[str, Any]:
    binding = Binding(names, None)
    projection = parse_projection(text).bind(binding)
    binding.check_all_used()
    return projection.project(ITEM)


def inner(**members: Any) -> dict[str, Any]:
    return {"a": {"M": members}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pk", {"pk": {"S": "a"}}),
        ("pk, zz, ss", {"pk": {"S": "a"}, "ss": {"SS": ["x"]}}),
        ("zz", {}),
        ("a", {"a": ITEM["a"]}),
        ("a.c", inner(c={"N": "5"})),
        ("a.b[0]", inner(b={"L": [{"N": "2"}]})),
        ("a.b[1], a.b[0]", inner(b={"L": [{"N": "2"}, {"N": "4"}]})),
        ("a.b[2].y", inner(b={"L": [{"M": {"y": {"S": "yo"}}}]})),
        ("a.b[2], a.b[0], a.c", inner(b={"L": [{"N": "2"}, ITEM["a"]["M"]["b"]["L"][2]]}, c={"N": "5"})),
        ("a.x, a.b[0], a.b[3].x", inner(b={"L": [{"N": "2"}]})),
        ("a.b[3]", {}),
        ("a.x.y", {}),
        ("a[0]", {}),
        ("a.b.x", {}),
        ("a.b[0][0]", {}),
        ("pk.x", {}),
    ],
)
def test_parts_of_an_item(text: str, expected: dict[str, Any]) -> None:
    assert projected(text) == expected


def test_a_placeholder_is_one_name_with_any_content() -> None:
    assert projected("#p", {"#p": "a.b"}) == {"a.b": {"S": "dotted"}}
    assert projected("#p.#q", {"#p": "a", "#q": "c"}) == inner(c={"N": "5"})


def test_an_undefined_placeholder_is_refused_the_last_path_first() -> None:
    with pytest.raises(DynamoError) as refusal:
        projected("#x, #y")
    assert refusal.value.message == (
        "Invalid ProjectionExpression: "
        "An expression attribute name used in the document path is not defined; attribute name: #y"
    )


@given(items)
def test_all_attributes_are_the_item_and_nothing_changes(item: dict[str, Any]) -> None:
    names = {f"#{at}": name for at, name in enumerate(item)} or {"#0": "zz"}
    before = copy.deepcopy(item)
    assert parse_projection(", ".join(names)).bind(Binding(names, None)).project(item) == item
    assert item == before
