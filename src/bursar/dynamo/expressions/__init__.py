"""DynamoDB's expression language: condition, filter, update, projection and key condition.

text → lexer → parser → tree (cached on the text) → compiled for names and types of values (cached) → with values.

How an operation uses it, in DynamoDB's order of checks::

    binding = Binding(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
    update = parse_update(text).bind(binding)            # syntax, placeholders, reserved words, operand types
    condition = parse_condition(text).bind(binding)
    binding.check_all_used()                             # "Value provided in ExpressionAttributeNames unused in …"

    condition.evaluate(item) -> bool                     # {} when there is no item
    update.check_keys(key_names)                         # "Cannot update attribute pk. …"
    update.only_removes -> bool                          # on a missing item such an update does nothing
    update.apply(item) -> (new_item, paths)              # never changes item; shares with it what it did not touch
    values_at_paths(item, paths) -> item                 # ReturnValues UPDATED_OLD and UPDATED_NEW

    parse_projection(text).bind(binding).project(item) -> item
    parse_key_condition(text).bind(binding).resolve(partition_names, sort_names, types) -> KeyRange

Every function raises ``DynamoError`` (a ValidationException with Amazon's text) and nothing else.
"""

from bursar.dynamo.expressions.condition import BoundCondition, ParsedCondition, parse_condition
from bursar.dynamo.expressions.key_condition import (
    BoundKeyCondition,
    KeyRange,
    ParsedKeyCondition,
    parse_key_condition,
    resolve_key_conditions,
)
from bursar.dynamo.expressions.placeholders import Binding
from bursar.dynamo.expressions.projection import BoundProjection, ParsedProjection, parse_projection, values_at_paths
from bursar.dynamo.expressions.update import BoundUpdate, ParsedUpdate, parse_update

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
