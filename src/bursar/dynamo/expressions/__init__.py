"""DynamoDB's expression language: condition, filter, update, projection and key condition.

text → lexer → parser → tree (cached on the text) → bound to names (cached) → bound to values → evaluated.

How an operation uses it::

    binding = Binding(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
    update = parse_update(text).bind(binding)            # syntax, placeholders, reserved words, operand types
    condition = parse_condition(text).bind(binding)
    binding.check_all_used()                             # "Value provided in ExpressionAttributeNames unused in …"
    condition.evaluate(item) -> bool                     # item {} when there is none
    update.check_keys(key_attribute_names)               # "Cannot update attribute pk. This attribute is part of the key"
    update.apply(item) -> (new_item, touched_paths)      # never mutates item; shares what it did not touch

    projection = parse_projection(text).bind(binding);   projection.project(item) -> item
    keys = parse_key_condition(text).bind(binding);      keys.resolve(partition_names, sort_names, types) -> KeyRange

Every function raises ``DynamoError`` (ValidationException) with Amazon's text and nothing else.
"""
