"""The four actions that a request can take on one item: put, update, delete, or check.

An action is made in three steps. :func:`read_put` and its siblings check the request alone. :func:`fit_put` and its
siblings find the table and check the request against its definition. Neither reads an item. Then
:meth:`ItemAction.decide` reads the item, evaluates the condition and returns the write. Nothing is written here, so
that a transaction can take each step for all its actions before the next, as Amazon does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from bursar.dynamo.core.catalogue import Core, check_size
from bursar.dynamo.errors import DynamoError, condition_failed, invalid
from bursar.dynamo.expressions import Binding, BoundCondition, BoundUpdate, parse_condition, parse_update
from bursar.dynamo.items.attribute_values import TOO_LARGE, TOO_LARGE_TO_UPDATE, Item, item_size
from bursar.dynamo.items.fast_normalise import normalise_and_measure, size_after
from bursar.dynamo.operations.data_plane import legacy_parameters
from bursar.dynamo.operations.requests.expression_parameters import ExpressionParameters
from bursar.dynamo.storage.rows import StoredRow
from bursar.dynamo.storage.secondary_index import KINDS
from bursar.dynamo.storage.table import ItemWrite, Table

DUPLICATE_ITEM = "DuplicateItemException"
UNFIT_UPDATE = "The update expression attempted to update the secondary index key to unsupported type"
"""The error of an update whose old item has an unfit value.

For an unfit value in the request, the error is about its type.
"""
EMPTY_UPDATE = (
    "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a "
    "value that is not supported. The AttributeValue for a key attribute cannot contain an empty {kind} value."
)


class EmptyIndexKey(DynamoError):
    """A ValidationException about an update that makes the key of an index empty.

    In a transaction it is raised too, and is no cancellation reason.

    Source: paritysuite/dynamodb-conformance, error-messages/transactIndexKeys.
    """

    def __init__(self, kind: str) -> None:
        super().__init__("ValidationException", EMPTY_UPDATE.format(kind=kind))


class ItemAction:
    """One validated action on one item, not yet decided."""

    __slots__ = ("condition", "key", "returns_old", "table")
    needs_old = False
    """Whether :meth:`outcome` reads the old item."""

    def __init__(self, table: Table, key: bytes, condition: BoundCondition | None, *, returns_old: bool) -> None:
        """Create the action. With ``returns_old``, the error of a failed condition has the old item."""
        self.table = table
        self.key = key
        self.condition = condition
        self.returns_old = returns_old

    def decide(self) -> ItemWrite:
        """Return the write for the current item. Raise ConditionalCheckFailedException, ValidationException."""
        table, condition = self.table, self.condition
        row = table.rows.get(self.key)
        old: Item | None = None
        if row is not None and (condition is not None or self.needs_old):
            old = orjson.loads(row[2])
        if condition is not None and not condition.evaluate(old or {}):
            raise condition_failed(old if self.returns_old else None)
        new, size = self.outcome(row, old)
        return ItemWrite(table, self.key, row, old, new, size)

    def outcome(self, row: StoredRow | None, old: Item | None) -> tuple[Item | None, int]:
        """Return the new item (None for none) and its size in bytes."""
        raise AssertionError("each subclass must define outcome")


class PutAction(ItemAction):
    """Writes the whole item."""

    __slots__ = ("item", "size")
    item: Item
    size: int

    def outcome(self, row: StoredRow | None, old: Item | None) -> tuple[Item | None, int]:
        """See :class:`ItemAction`."""
        return self.item, self.size


class InsertAction(PutAction):
    """Writes the whole item, which must not exist (PartiQL)."""

    __slots__ = ()

    def decide(self) -> ItemWrite:
        """See :class:`ItemAction`. Raise DuplicateItemException for an existing item."""
        if self.table.rows.get(self.key) is not None:
            raise DynamoError(DUPLICATE_ITEM, "Duplicate primary key exists in table")
        return ItemWrite(self.table, self.key, None, None, self.item, self.size)


class DeleteAction(ItemAction):
    """Deletes the item."""

    __slots__ = ()

    def outcome(self, row: StoredRow | None, old: Item | None) -> tuple[Item | None, int]:
        """See :class:`ItemAction`."""
        return None, 0


class CheckAction(ItemAction):
    """Checks the condition and writes nothing."""

    __slots__ = ()

    def decide(self) -> ItemWrite:
        """See :class:`ItemAction`."""
        row = self.table.rows.get(self.key)
        old: Item | None = None if row is None else orjson.loads(row[2])
        if self.condition is not None and not self.condition.evaluate(old or {}):
            raise condition_failed(old if self.returns_old else None)
        return ItemWrite.check(self.table, self.key, row, old)


class UpdateAction(ItemAction):
    """Changes the item, or a new one with this key, by an expression."""

    __slots__ = ("request_key", "touched", "update")
    needs_old = True
    request_key: Mapping[str, Any]
    """The valid key as in the request. A new item begins with its normalised form."""
    touched: Sequence[Sequence[str | int]]
    """The paths that the update changed."""
    update: BoundUpdate | None

    def outcome(self, row: StoredRow | None, old: Item | None) -> tuple[Item | None, int]:
        """See :class:`ItemAction`. Store the changed paths in ``touched``.

        An update that only removes does nothing to a missing item: it creates no item and ignores its document paths.
        Source: ScyllaDB's Alternator tests, which record DynamoDB's behaviour (test_item.py:
        test_update_item_non_existent, test_update_expression.py: test_nested_attribute_remove_from_missing_item).
        """
        if self.update is None:
            if row is not None and old is not None:
                return old, row[1]
            new, _ = self.table.key_of(self.request_key)
            return new, item_size(new)
        if row is None or old is None:
            if self.update.only_removes:
                return None, 0
            key_item, _ = self.table.key_of(self.request_key)
            new, self.touched = self.update.apply(key_item)
            size = item_size(new)
        else:
            new, self.touched = self.update.apply(old)
            size = size_after(row[1], old, new, self.update.heads)
        check_size(size, TOO_LARGE_TO_UPDATE)
        if row is None or not self.table.index_key_names.isdisjoint(self.update.heads):
            self._check_index_keys(old or {}, new)
        return new, size

    def _check_index_keys(self, old: Item, new: Item) -> None:
        keys = [(name, kind) for index in self.table.checked_indexes for name, kind in index.key_types]
        for name, kind in keys:
            if kind in new.get(name, ()) and "" in new[name].values() and new[name] != old.get(name):
                raise EmptyIndexKey(KINDS[kind])
        for index in self.table.checked_indexes:
            for name, kind in index.key_types:
                value = new.get(name)
                if value is None or value == old.get(name):
                    continue
                if kind not in value and (self.update is None or name not in self.update.assigned_types):
                    raise invalid(UNFIT_UPDATE)
                for part, its_kind in index.key_types:
                    if part in new:
                        index.check_value(part, its_kind, new[part])
        for vectors in self.table.vector_indexes.values():
            if any(new.get(name) != old.get(name) for name in vectors.read_names):
                vectors.check_item(new)


CONDITIONAL = ExpressionParameters(("ConditionExpression",))
UPDATING = ExpressionParameters(("UpdateExpression", "ConditionExpression"))


PutRead = tuple[Item, int, BoundCondition | None]
"""The checked request of a put: the normalised item, its size in bytes, and the condition."""
UpdateRead = tuple[BoundUpdate | None, BoundCondition | None]
"""The checked request of an update: the update and its condition."""


def read_put(request: Mapping[str, Any], parameters: ExpressionParameters = CONDITIONAL) -> PutRead:
    """Check the request of a put. Raise ValidationException."""
    known = parameters.known_form(request)
    if known is not None:
        item, size = normalise_and_measure(request["Item"])
        return item, size, known[1]
    binding = parameters.binding(request)
    item, size = normalise_and_measure(request["Item"])
    condition = None
    if binding is not None:
        condition = bound_condition(request, binding)
        binding.check_all_used()
    return item, size, condition


def fit_put(core: Core, request: Mapping[str, Any], read: PutRead) -> PutAction:
    """Return the action of a PutItem, or of a transaction's Put."""
    item, size, condition = read
    check_size(size, TOO_LARGE)
    table = core.table(request["TableName"])
    action = PutAction(table, table.key_of_item(item), condition, returns_old=_returns_old(request))
    table.check_index_keys(item)
    action.item = item
    action.size = size
    return action


def read_condition(request: Mapping[str, Any], parameters: ExpressionParameters = CONDITIONAL) -> BoundCondition | None:
    """Check the request of a delete or of a check, except for its key. Raise ValidationException."""
    known = parameters.known_form(request)
    if known is not None:
        return known[1]
    binding = parameters.binding(request)
    if binding is None:
        return None
    condition = bound_condition(request, binding)
    binding.check_all_used()
    return condition


def fit_delete(core: Core, request: Mapping[str, Any], condition: BoundCondition | None) -> DeleteAction:
    """Return the action of a DeleteItem, or of a transaction's Delete."""
    table = core.table(request["TableName"])
    return DeleteAction(table, table.encoded_key(request["Key"]), condition, returns_old=_returns_old(request))


def fit_check(core: Core, request: Mapping[str, Any], condition: BoundCondition | None) -> CheckAction:
    """Return the action of a transaction's ConditionCheck."""
    table = core.table(request["TableName"])
    return CheckAction(table, table.encoded_key(request["Key"]), condition, returns_old=_returns_old(request))


def read_update(request: Mapping[str, Any], parameters: ExpressionParameters = UPDATING) -> UpdateRead:
    """Check the request of an update, except for its key. Raise ValidationException."""
    return parameters.known_form(request) or bind_expressions(request, parameters)


def fit_update(core: Core, request: Mapping[str, Any], read: UpdateRead) -> UpdateAction:
    """Return the action of an UpdateItem, or of a transaction's Update."""
    update, condition = read
    table = core.table(request["TableName"])
    request_key = request["Key"]
    key = table.encoded_key(request_key)
    if update is not None:
        update.check_keys(table.key_names)
    action = UpdateAction(table, key, condition, returns_old=_returns_old(request))
    action.request_key = request_key
    action.update = update
    action.touched = ()
    return action


def bind_expressions(
    request: Mapping[str, Any], parameters: ExpressionParameters
) -> tuple[BoundUpdate | None, BoundCondition | None]:
    """Return the request's (update, condition), from expressions or legacy parameters. Raise ValidationException."""
    binding = parameters.binding(request)
    if binding is None:
        return None, None
    update: BoundUpdate | None = None
    if request.get("UpdateExpression") is not None:
        update = parse_update(request["UpdateExpression"]).bind(binding)
    elif request.get("AttributeUpdates") is not None:
        update = legacy_parameters.update(request["AttributeUpdates"])
    condition = bound_condition(request, binding)
    binding.check_all_used()
    return update, condition


def bound_condition(request: Mapping[str, Any], binding: Binding) -> BoundCondition | None:
    """Return the request's ConditionExpression, bound, or the condition of its legacy parameters."""
    text = request.get("ConditionExpression")
    return legacy_parameters.expected(request) if text is None else parse_condition(text).bind(binding)


def _returns_old(request: Mapping[str, Any]) -> bool:
    return request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
