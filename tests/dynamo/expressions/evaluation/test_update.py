"""Updates: the new item, the rejected updates, and that the old item never changes."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import Binding, parse_update, values_at_paths
from bursar.dynamo.expressions.evaluation.update import INVALID_PATH
from bursar.dynamo.expressions.evaluation.update_actions import MISSING, WRONG_TYPE
from bursar.dynamo.items.attribute_values import normalise
from tests.support.dynamo.value_strategies import items, values

ITEM: dict[str, Any] = {
    "pk": {"S": "a"},
    "n": {"N": "1"},
    "s": {"S": "text"},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
    "l": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}, {"N": "3"}]},
    "m": {"M": {"x": {"N": "1"}, "l": {"L": [{"S": "p"}, {"S": "q"}]}, "mm": {"M": {"y": {"S": "z"}}}}},
}


CLASH = "Two document paths {} with each other; must remove or rewrite one of these paths; "


def updated(text: str, item: dict[str, Any] | None = None, **given_values: Any) -> Any:
    binding = Binding(None, {f":{name}": value for name, value in given_values.items()} or None)
    update = parse_update(text).bind(binding)
    binding.check_all_used()
    old = ITEM if item is None else item
    before = copy.deepcopy(old)
    new, _ = update.apply(old)
    assert old == before
    return new


def changed(text: str, **given_values: Any) -> dict[str, Any]:
    """Return the attributes that the update changes; None for those that it removes."""
    new = updated(text, **given_values)
    return {name: new.get(name) for name in sorted(ITEM.keys() | new.keys()) if new.get(name) != ITEM.get(name)}


def numbers(*content: int) -> dict[str, Any]:
    return {"L": [{"N": str(number)} for number in content]}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("SET b = :v", {"b": {"N": "5"}}),
        ("SET n = :v, b = n", {"b": {"N": "1"}, "n": {"N": "5"}}),
        ("SET n = n + :v", {"n": {"N": "6"}}),
        ("SET n = :v - n", {"n": {"N": "4"}}),
        ("SET n = m.x + l[3]", {"n": {"N": "4"}}),
        ("SET b = if_not_exists(b, :v)", {"b": {"N": "5"}}),
        ("SET n = if_not_exists(n, :v)", {}),
        ("SET b = if_not_exists(b, :v) + :v", {"b": {"N": "10"}}),
        ("SET b = if_not_exists(b, if_not_exists(c, :v))", {"b": {"N": "5"}}),
        ("REMOVE n, s SET b = s", {"b": {"S": "text"}, "n": None, "s": None}),
        ("REMOVE zz", {}),
        ("SET l[1] = :v", {"l": numbers(0, 5, 2, 3)}),
        ("SET l[9] = :v, l[7] = n", {"l": numbers(0, 1, 2, 3, 1, 5)}),
        ("REMOVE l[1] SET l[3] = :v", {"l": numbers(0, 2, 5)}),
        ("SET l[3] = :v REMOVE l[1]", {"l": numbers(0, 2, 5)}),
        ("SET l[9] = :v REMOVE l[0], l[2]", {"l": numbers(1, 3, 5)}),
        ("REMOVE l[0], l[1], l[2], l[3]", {"l": {"L": []}}),
        ("REMOVE l[17]", {}),
        ("REMOVE m.mm.y, m.zz", {"m": {"M": {**ITEM["m"]["M"], "mm": {"M": {}}}}}),
        ("SET m.mm.fresh = :v", {"m": {"M": {**ITEM["m"]["M"], "mm": {"M": {"y": {"S": "z"}, "fresh": {"N": "5"}}}}}}),
        ("ADD n :v", {"n": {"N": "6"}}),
        ("ADD b :v", {"b": {"N": "5"}}),
        ("ADD m.x :v", {"m": {"M": {**ITEM["m"]["M"], "x": {"N": "6"}}}}),
        ("ADD l[9] :v", {"l": numbers(0, 1, 2, 3, 5)}),
    ],
)
def test_changes(text: str, changes: dict[str, Any]) -> None:
    given_values = {"v": {"N": "5"}} if ":v" in text else {}
    assert changed(text, **given_values) == changes


@pytest.mark.parametrize(
    ("text", "value", "changes"),
    [
        ("ADD ss :v", {"SS": ["b", "c"]}, {"ss": {"SS": ["a", "b", "c"]}}),
        ("ADD b :v", {"SS": ["b"]}, {"b": {"SS": ["b"]}}),
        ("ADD ns :v", {"NS": ["2.0", "7"]}, {"ns": {"NS": ["1", "2", "7"]}}),
        ("DELETE ss :v", {"SS": ["b", "c"]}, {"ss": {"SS": ["a"]}}),
        ("DELETE ss :v", {"SS": ["b", "a"]}, {"ss": None}),
        ("DELETE zz :v", {"SS": ["b"]}, {}),
        ("DELETE ns :v", {"NS": ["1.0"]}, {"ns": {"NS": ["2"]}}),
        ("SET b = list_append(l[9], :v)", {"L": []}, MISSING),
        ("SET l = list_append(l, :v)", {"L": [{"N": "9"}]}, {"l": numbers(0, 1, 2, 3, 9)}),
        ("SET l = list_append(:v, l)", {"L": [{"N": "9"}]}, {"l": numbers(9, 0, 1, 2, 3)}),
        ("SET b = list_append(if_not_exists(b, :v), :v)", {"L": [{"N": "9"}]}, {"b": numbers(9, 9)}),
        ("ADD s :v", {"N": "1"}, WRONG_TYPE),
        ("ADD ss :v", {"N": "1"}, WRONG_TYPE),
        ("ADD ns :v", {"SS": ["a"]}, WRONG_TYPE),
        ("DELETE n :v", {"SS": ["a"]}, WRONG_TYPE),
        ("SET b = s + :v", {"N": "1"}, WRONG_TYPE),
        ("SET b = list_append(s, :v)", {"L": []}, WRONG_TYPE),
        ("SET b = if_not_exists(zz, :v) + n", {"S": "x"}, WRONG_TYPE),
        ("SET b = zz + :v", {"N": "1"}, MISSING),
        ("SET b = if_not_exists(n, zz), c = :v", {"N": "1"}, MISSING),
        ("SET s.x = :v", {"N": "1"}, INVALID_PATH),
        ("SET zz.x = :v", {"N": "1"}, INVALID_PATH),
        ("SET zz[0] = :v", {"N": "1"}, INVALID_PATH),
        ("SET m[0] = :v", {"N": "1"}, INVALID_PATH),
        ("SET l.x = :v", {"N": "1"}, INVALID_PATH),
        ("SET m.zz.y = :v", {"N": "1"}, INVALID_PATH),
        ("ADD zz.x :v", {"N": "1"}, INVALID_PATH),
        ("DELETE zz.x :v", {"SS": ["a"]}, INVALID_PATH),
        ("REMOVE zz.x SET b = :v", {"N": "1"}, INVALID_PATH),
        ("SET b = n + :v", {"N": "9E125"}, "Number overflow. Attempting to store a number with magnitude larger "
         "than supported range"),
    ],
)  # fmt: skip
def test_changes_and_refusals_that_depend_on_types(text: str, value: dict[str, Any], changes: Any) -> None:
    if isinstance(changes, dict):
        assert changed(text, v=value) == changes
    else:
        with pytest.raises(DynamoError) as refusal:
            changed(text, v=value)
        assert refusal.value.message == changes


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("ADD b :v", {"S": "x"}, "operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        ("ADD b :v", {"L": []}, "operator: ADD, operand type: LIST, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        ("DELETE b :v", {"N": "1"}, "operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND"),
        ("SET b = n + :v", {"S": "x"}, "operator or function: +, operand type: S"),
        ("SET b = :v - n", {"SS": ["x"]}, "operator or function: -, operand type: SS"),
        ("SET b = list_append(l, :v)", {"S": "x"}, "operator or function: list_append, operand type: S"),
    ],
)
def test_a_value_of_a_type_that_an_operator_never_takes(text: str, value: dict[str, Any], problem: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        updated(text, v=value)
    assert refusal.value.message == (
        f"Invalid UpdateExpression: Incorrect operand type for operator or function; {problem}"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SET a = if_not_exists(b)", "Incorrect number of operands for operator or function; "
         "operator or function: if_not_exists, number of operands: 1"),
        ("SET a = list_append(l, l, l)", "Incorrect number of operands for operator or function; "
         "operator or function: list_append, number of operands: 3"),
        ("SET a = if_not_exists(:v, :v)",
         "Operator or function requires a document path; operator or function: if_not_exists"),
        ("SET a = :v, a.b = :v", CLASH.format("overlap") +
         "path one: [a], path two: [a, b]"),
        ("SET a.b = :v REMOVE a[1]", CLASH.format("conflict") +
         "path one: [a, b], path two: [a, [1]]"),
        (
            "SET a = if_not_exists(b.c, b.c)",
            "The first operand must be distinct from the remaining operands for this operator or function; "
            "operator: if_not_exists, first operand: [b, c]",
        ),
        # Paths come before operands, and each from the last to the first.
        ("SET a = :v, a = :zz", CLASH.format("overlap") +
         "path one: [a], path two: [a]"),
        ("SET b = #q, a = :zz",
         "An expression attribute value used in expression is not defined; attribute value: :zz"),
        ("SET a = :zz, b = #q",
         "An expression attribute name used in the document path is not defined; attribute name: #q"),
    ],
)  # fmt: skip
def test_other_errors_are_raised_before_an_item_is_read(text: str, problem: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        updated(text, v={"N": "1"})
    assert refusal.value.message == f"Invalid UpdateExpression: {problem}"


def test_three_hundred_operators_are_the_most() -> None:
    updated("SET " + ", ".join(f"a{at}=n+:v" for at in range(300)), v={"N": "1"})
    with pytest.raises(DynamoError, match="The expression contains too many operators; operator count: 301"):
        updated("SET " + ", ".join(f"a{at}=n+:v" for at in range(301)), v={"N": "1"})


def test_a_key_attribute_cannot_be_updated() -> None:
    for text in ("SET sk = :v", "SET sk.x = :v", "ADD sk :v"):
        update = parse_update(text).bind(Binding(None, {":v": {"N": "1"}}))
        with pytest.raises(DynamoError) as refusal:
            update.check_keys(("pk", "sk"))
        assert refusal.value.message == (
            "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key"
        )
    parse_update("SET b = pk").bind(Binding(None, None)).check_keys(("pk", "sk"))


def test_an_item_that_does_not_exist_begins_as_its_key() -> None:
    key = {"pk": {"S": "new"}}
    assert updated("SET n = :v", key, v={"N": "1"}) == {"pk": {"S": "new"}, "n": {"N": "1"}}
    assert updated("ADD n :v", key, v={"N": "1"})["n"] == {"N": "1"}
    with pytest.raises(DynamoError, match="document path"):
        updated("SET a.b = :v", key, v={"N": "1"})
    with pytest.raises(DynamoError, match="document path"):
        updated("REMOVE a.b", key)


@pytest.mark.parametrize(
    ("text", "only_removes"),
    [
        ("REMOVE a", True),
        ("REMOVE a.b, c[0], d", True),
        ("DELETE a :v", True),
        ("REMOVE a DELETE b :v", True),
        ("REMOVE a SET b = :v", False),
        ("DELETE a :v ADD b :v", False),
    ],
)
def test_an_update_knows_whether_it_only_removes(text: str, only_removes: bool) -> None:
    values = {":v": {"SS": ["x"]}} if ":v" in text else None
    assert parse_update(text).bind(Binding(None, values)).only_removes is only_removes


def test_an_update_that_nests_too_deep_is_rejected() -> None:
    value: dict[str, Any] = {"S": "x"}
    for _ in range(30):
        value = {"M": {"a": value}}
    assert updated("SET m.x = :v", v=value)["m"]["M"]["x"] == value
    with pytest.raises(DynamoError, match="Nesting Levels have exceeded supported limits"):
        updated("SET m.mm.y = :v", v=value)


def test_an_update_knows_its_paths_and_the_types_that_it_assigns() -> None:
    update = parse_update("SET a = :v, b.c = :v, d = e, f = g + :v REMOVE h ADD i :v").bind(
        Binding(None, {":v": {"N": "1"}})
    )
    assert update.paths == (("a",), ("b", "c"), ("d",), ("f",), ("h",), ("i",))
    assert update.heads == {"a", "b", "d", "f", "h", "i"}
    assert update.assigned_types == {"a": "N", "f": "N", "i": "N"}


def test_updated_parts_are_given_in_the_items_own_structure() -> None:
    update = parse_update("SET m.x = :v, l[2] = :v REMOVE zz").bind(Binding(None, {":v": {"N": "5"}}))
    new, paths = update.apply(ITEM)
    assert values_at_paths(ITEM, paths) == {"m": {"M": {"x": {"N": "1"}}}, "l": {"L": [{"N": "2"}]}}
    assert values_at_paths(new, paths) == {"m": {"M": {"x": {"N": "5"}}}, "l": {"L": [{"N": "5"}]}}


@given(items, values, st.sampled_from(["a", "b", "c", "zz"]))
def test_set_and_remove_of_an_attribute_are_a_dictionarys(
    item: dict[str, Any], value: dict[str, Any], name: str
) -> None:
    assert updated(f"SET {name} = :v", item, v=value) == {**item, name: normalise(value)}
    assert updated(f"REMOVE {name}", item) == {key: kept for key, kept in item.items() if key != name}


@given(st.lists(st.integers(0, 9), max_size=6), st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)))
def test_list_indexes_mean_the_old_list(content: list[int], removed: set[int], written: set[int]) -> None:
    written -= removed
    sections = []
    if written:
        sections.append("SET " + ", ".join(f"l[{index}] = :v" for index in sorted(written, reverse=True)))
    if removed:
        sections.append("REMOVE " + ", ".join(f"l[{index}]" for index in removed))
    if not sections:
        return
    kept = [99 if index in written else number for index, number in enumerate(content) if index not in removed]
    appended = [99 for index in written if index >= len(content)]
    given_values = {"v": {"N": "99"}} if written else {}
    assert updated(" ".join(sections), {"l": numbers(*content)}, **given_values)["l"] == numbers(*kept, *appended)


@given(st.sets(st.integers(0, 9), min_size=1), st.sets(st.integers(0, 9), min_size=1))
def test_add_and_delete_are_union_and_difference(old: set[int], other: set[int]) -> None:
    item, value = {"a": {"NS": [*map(str, old)]}}, {"NS": [*map(str, other)]}
    assert {*updated("ADD a :v", item, v=value)["a"]["NS"]} == {*map(str, old | other)}
    rest = updated("DELETE a :v", item, v=value).get("a")
    assert {*(rest["NS"] if rest else ())} == {*map(str, old - other)}
    assert (rest is None) == (old <= other)
