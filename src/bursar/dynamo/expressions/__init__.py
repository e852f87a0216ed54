"""Parse, bind and evaluate DynamoDB's expressions: condition, filter, update, projection and key condition.

text → lexer → parser → tree (cached by text) → compiled for names and types of values (cached) → bound to values.

An operation uses them in DynamoDB's order of checks::

    binding = Binding(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
    update = parse_update(text).bind(binding)            # syntax, placeholders, reserved words, operand types
    condition = parse_condition(text).bind(binding)
    binding.check_all_used()                             # "Value provided in ExpressionAttributeNames unused in …"

    condition.evaluate(item) -> bool                     # {} when there is no item
    update.check_keys(key_names)                         # "Cannot update attribute pk. …"
    update.only_removes -> bool                          # on a missing item such an update does nothing
    update.apply(item) -> (new_item, paths)              # never changes item; shares the unchanged parts with it
    values_at_paths(item, paths) -> item                 # ReturnValues UPDATED_OLD and UPDATED_NEW

    parse_projection(text).bind(binding).project(item) -> item
    parse_key_condition(text).bind(binding).resolve(partition_names, sort_names, types) -> KeyRange

Every function raises ``DynamoError`` (a ValidationException with Amazon's text) and no other exception.

A name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from bursar.lazy_names import lazy_names

if TYPE_CHECKING:
    from bursar.dynamo.expressions.evaluation.condition import BoundCondition, ParsedCondition, parse_condition
    from bursar.dynamo.expressions.evaluation.key_condition import (
        BoundKeyCondition,
        KeyRange,
        ParsedKeyCondition,
        parse_key_condition,
        resolve_key_conditions,
    )
    from bursar.dynamo.expressions.evaluation.placeholders import Binding
    from bursar.dynamo.expressions.evaluation.projection import (
        BoundProjection,
        ParsedProjection,
        parse_projection,
        values_at_paths,
    )
    from bursar.dynamo.expressions.evaluation.update import BoundUpdate, ParsedUpdate, parse_update

__all__ = [
    "Binding",
    "BoundCondition",
    "BoundKeyCondition",
    "BoundProjection",
    "BoundUpdate",
    "KeyRange",
    "ParsedCondition",
    "ParsedKeyCondition",
    "ParsedProjection",
    "ParsedUpdate",
    "parse_condition",
    "parse_key_condition",
    "parse_projection",
    "parse_update",
    "resolve_key_conditions",
    "values_at_paths",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Binding": "evaluation.placeholders",
        "BoundCondition": "evaluation.condition",
        "BoundKeyCondition": "evaluation.key_condition",
        "BoundProjection": "evaluation.projection",
        "BoundUpdate": "evaluation.update",
        "KeyRange": "evaluation.key_condition",
        "ParsedCondition": "evaluation.condition",
        "ParsedKeyCondition": "evaluation.key_condition",
        "ParsedProjection": "evaluation.projection",
        "ParsedUpdate": "evaluation.update",
        "parse_condition": "evaluation.condition",
        "parse_key_condition": "evaluation.key_condition",
        "parse_projection": "evaluation.projection",
        "parse_update": "evaluation.update",
        "resolve_key_conditions": "evaluation.key_condition",
        "values_at_paths": "evaluation.projection",
    },
)
