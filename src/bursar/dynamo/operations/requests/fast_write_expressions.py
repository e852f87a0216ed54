"""Bind the expressions of a write whose form was checked in an earlier request.

A form is the texts of the expressions, the names and the types of the values. Programs repeat a few forms with other
values, and all checks that DynamoDB makes before it reads the values depend on the form alone.

``known_form`` has the plain twin ``item_actions.bind_expressions``, which answers everything else, errors included. A
property test in tests/dynamo/operations/requests/test_fast_write_expressions.py holds the two equal. Gain: 13 % of a
PutItem with a condition, 16 % of an UpdateItem, 16 % of a TransactWriteItems of four actions.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import BoundCondition, BoundUpdate
from bursar.dynamo.expressions.evaluation.condition import CompiledCondition, compiled_condition
from bursar.dynamo.expressions.evaluation.placeholders import COMPILED_MAX, Pairs, check_names, check_value_keys
from bursar.dynamo.expressions.evaluation.update import CompiledUpdate, compiled_update
from bursar.dynamo.items.attribute_values import Item, normalise
from bursar.dynamo.items.fast_numbers import is_canonical_whole

CONDITION = "ConditionExpression"

BoundExpressions = tuple[BoundUpdate | None, BoundCondition | None]


class _Form(NamedTuple):
    update: CompiledUpdate | None
    condition: CompiledCondition | None
    bound: BoundExpressions
    """The bound form, without values."""


def known_form(request: Mapping[str, Any], update: str | None) -> BoundExpressions | None:
    """Return the request's (update, condition) with its values; None if the plain twin must answer.

    ``update`` is the text of the update expression. The plain twin answers invalid forms, and forms whose values must
    be checked.
    """
    condition = request.get(CONDITION)
    names = request.get("ExpressionAttributeNames")
    values = request.get("ExpressionAttributeValues")
    if names == {} or values == {}:
        return None
    if values is None:
        if names is None:
            return _bare(update, condition)
        normalised: Item = {}
        types: Pairs = ()
    else:
        normalised = values
        types_seen = []
        for name, value in values.items():
            if type(value) is not dict or len(value) != 1:
                return None
            for kind, content in value.items():
                types_seen.append((name, kind))
                # The two most frequent types, in the form in which they are stored.
                if type(content) is str:
                    if kind == "S" and content.isascii():
                        continue
                    if kind == "N" and is_canonical_whole(content):
                        continue
                try:
                    normal = normalise(value)
                except DynamoError:
                    return None
                if normal is not value:
                    normalised = dict(values) if normalised is values else normalised
                    normalised[name] = normal
        types = tuple(types_seen)
    try:
        form = _form(update, condition, tuple(names.items()) if names else (), types)
    except TypeError:  # a name that is not hashable
        return None
    if form is None:
        return None
    return (
        None if form.update is None else BoundUpdate(form.update, normalised),
        None if form.condition is None else BoundCondition(form.condition, normalised),
    )


@lru_cache(COMPILED_MAX)
def _bare(update: str | None, condition: str | None) -> BoundExpressions | None:
    form = _form(update, condition, (), ())
    return None if form is None else form.bound


@lru_cache(COMPILED_MAX)
def _form(update: str | None, condition: str | None, names: Pairs, types: Pairs) -> _Form | None:
    """Return the compiled form; None for an invalid form, and for one whose values must be checked."""
    used_names: frozenset[str] = frozenset()
    used_values: frozenset[str] = frozenset()
    update_form = condition_form = None
    try:
        check_names(names)
        check_value_keys(tuple([name for name, _ in types]))
        if update is not None:
            update_form = compiled_update(update, names, types)
            used_names, used_values = update_form.names, update_form.values
            if update_form.late_checks:
                return None
        if condition is not None:
            condition_form = compiled_condition(condition, CONDITION, names, types)
            used_names, used_values = used_names | condition_form.names, used_values | condition_form.values
            if condition_form.late_checks or condition_form.problem is not None:
                return None
    except DynamoError:
        return None
    if len(used_names) < len(names) or len(used_values) < len(types):
        return None
    bound = (
        None if update_form is None else BoundUpdate(update_form, {}),
        None if condition_form is None else BoundCondition(condition_form, {}),
    )
    return _Form(update_form, condition_form, bound)
