"""A tree prints as an expression that parses to an equal tree."""

from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.expressions.parsing.parser import condition_tree, projection_tree, update_tree
from bursar.dynamo.expressions.parsing.syntax_tree import Condition, Operand, Path, PathAction, Value
from tests.support.dynamo.tree_strategies import conditions, new_values, paths, placeholders


@given(conditions)
def test_a_printed_condition_parses_to_an_equal_tree(condition: Condition) -> None:
    assert condition_tree(str(condition), "ConditionExpression").root == condition


@given(st.lists(st.tuples(paths, new_values), min_size=1, max_size=4))
def test_a_printed_set_section_parses_to_an_equal_tree(actions: list[tuple[Path, Operand]]) -> None:
    wanted = tuple(PathAction("SET", path, operand) for path, operand in actions)
    tree = update_tree("SET " + ", ".join(map(str, wanted)))
    assert tree.actions == wanted
    assert update_tree(str(tree)) == tree


@given(paths, paths, paths, placeholders, placeholders)
def test_a_printed_update_parses_to_an_equal_tree(a: Path, b: Path, c: Path, one: Value, two: Value) -> None:
    wanted = (PathAction("REMOVE", a, None), PathAction("ADD", b, one), PathAction("DELETE", c, two))
    assert update_tree(f"REMOVE {a} ADD {b} {one} DELETE {c} {two}").actions == wanted


@given(st.lists(paths, min_size=1, max_size=4))
def test_a_printed_projection_parses_to_an_equal_tree(wanted: list[Path]) -> None:
    tree = projection_tree(", ".join(map(str, wanted)))
    assert tree.paths == tuple(wanted)
    assert projection_tree(str(tree)) == tree
