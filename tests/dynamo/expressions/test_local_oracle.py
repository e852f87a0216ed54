"""Compare random expressions on random items with Amazon's DynamoDB Local.

The tests run where `tools/install-oracles` has installed DynamoDB Local. ORACLE_EXAMPLES=5000 runs more examples than a
test run needs. ``QUIRKS`` lists the answers in which DynamoDB Local is known to differ from Amazon's service, with
reasons. Everything else must be equal, error texts included.
"""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import Binding, parse_condition, parse_update
from bursar.dynamo.expressions.evaluation.update import INVALID_PATH
from bursar.dynamo.expressions.evaluation.update_actions import MISSING, WRONG_TYPE
from bursar.dynamo.expressions.parsing.syntax_tree import Condition, PathAction
from tests.support.dynamo.dynamodb_local import Local, comparable
from tests.support.dynamo.oracle_runs import oracle_settings, same_requests_in_each_run  # noqa: F401 - fixtures
from tests.support.dynamo.peers import missing
from tests.support.dynamo.tree_strategies import conditions, new_values, paths, placeholders
from tests.support.dynamo.value_strategies import items, values

EXAMPLES = 60

QUIRKS = (
    "HeapByteBuffer",  # shows a binary bound as a Java object
    "document paths overlap",  # names another path than the one that clashes, by the order of a hash table
    "document paths conflict",  # likewise
)
RUN_TIME = {MISSING, WRONG_TYPE, INVALID_PATH}
"""Errors of applying an update; of several, either may be reported."""

KEY = {"pk": {"S": "key"}}
NAMES = {"#n": "n", "#e": "é"}

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(missing("local") is not None, reason=str(missing("local"))),
]


def placeholders_of(text: str, given_values: dict[str, Any]) -> dict[str, Any]:
    """Return the request's parameters for the placeholders in ``text``."""
    names = {name: NAMES[name] for name in re.findall(r"#\w+", text)}
    used = {name: given_values[name] for name in re.findall(r":\w+", text)}
    return {"ExpressionAttributeNames": names or None, "ExpressionAttributeValues": used or None}


def bound(parameters: dict[str, Any]) -> Binding:
    return Binding(parameters["ExpressionAttributeNames"], parameters["ExpressionAttributeValues"])


def our_condition(text: str, item: dict[str, Any], parameters: dict[str, Any]) -> bool | str:
    try:
        return parse_condition(text).bind(bound(parameters)).evaluate(item)
    except DynamoError as refusal:
        return refusal.message


def our_update(text: str, item: dict[str, Any], parameters: dict[str, Any]) -> Any:
    try:
        return comparable(parse_update(text).bind(bound(parameters)).apply(item)[0])
    except DynamoError as refusal:
        return refusal.message


given_values = st.fixed_dictionaries({":a": values, ":b": values, ":c1": values})
actions = st.lists(
    st.builds(lambda path, operand: PathAction("SET", path, operand), paths, new_values)
    | paths.map(lambda path: PathAction("REMOVE", path, None))
    | st.builds(PathAction, st.sampled_from(["ADD", "DELETE"]), paths, placeholders),
    min_size=1,
    max_size=3,
)
random_expressions = oracle_settings(EXAMPLES)


@random_expressions
@given(conditions, items, given_values)
def test_conditions_hold_in_local_as_in_the_engine(
    local: Local, condition: Condition, item: dict[str, Any], given_values: dict[str, Any]
) -> None:
    item = {**item, **KEY}
    local("PutItem", Item=item)
    parameters = placeholders_of(str(condition), given_values)
    answer = local("PutItem", Item=item, ConditionExpression=str(condition), **parameters)
    theirs: bool | str = local.message(answer) or True
    assume(not any(quirk in str(theirs) for quirk in QUIRKS))
    if theirs == "The conditional request failed":
        theirs = False
    assert our_condition(str(condition), item, parameters) == theirs


@random_expressions
@given(actions, items, given_values)
def test_updates_give_equal_items_in_local_and_the_engine(
    local: Local, actions: list[PathAction], item: dict[str, Any], given_values: dict[str, Any]
) -> None:
    item = {**item, **KEY}
    local("PutItem", Item=item)
    sections = {action.section: [] for action in actions}  # type: dict[str, list[str]]
    for action in actions:
        sections[action.section].append(str(action))
    text = " ".join(f"{section} {', '.join(texts)}" for section, texts in sections.items())
    parameters = placeholders_of(text, given_values)
    answer = local("UpdateItem", Key=KEY, UpdateExpression=text, ReturnValues="ALL_NEW", **parameters)
    theirs = local.message(answer) or comparable(answer["Attributes"])
    assume(not any(quirk in str(theirs) for quirk in QUIRKS))
    ours = our_update(text, item, parameters)
    if isinstance(theirs, str) and theirs in RUN_TIME:
        assert ours in RUN_TIME
    else:
        assert ours == theirs
