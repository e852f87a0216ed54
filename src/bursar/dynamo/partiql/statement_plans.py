"""Plan the reads and writes of a statement from its parameters and its table.

A plan reads no item: every error of the statement itself is raised here.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bursar.dynamo.errors import invalid
from bursar.dynamo.expressions import BoundCondition, BoundUpdate
from bursar.dynamo.expressions.evaluation.paths import value_at
from bursar.dynamo.expressions.parsing.syntax_tree import Condition, FunctionCall, Logical
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.partiql.key_ranges import (
    KeyLayout,
    PartitionSpan,
    constant_of_key,
    equality,
    key_ranges,
    wrong_key_type,
)
from bursar.dynamo.partiql.parser import output_name
from bursar.dynamo.partiql.statement_values import StatementValues
from bursar.dynamo.partiql.syntax_tree import (
    DeleteStatement,
    Expression,
    InsertStatement,
    Order,
    Reference,
    SelectStatement,
    UpdateStatement,
)
from bursar.dynamo.partiql.translation import Translator, conjuncts
from bursar.dynamo.storage.rows import Span
from bursar.dynamo.storage.secondary_index import SecondaryIndex
from bursar.dynamo.storage.table import Table

NO_KEY = "Where clause does not contain a mandatory equality on all key attributes"
NO_WHERE = "Must have WHERE clause in the statement when using ORDER BY clause."
NO_PARTITION = "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."


class SelectList:
    """The projection of a SELECT: nested values are returned under their last name, not at their path."""

    __slots__ = ("_chosen", "heads")

    def __init__(self, paths: Sequence[Reference]) -> None:
        self._chosen = [(output_name(path), path.parts) for path in paths]
        self.heads = tuple(dict.fromkeys(str(path.parts[0]) for path in paths))

    def project(self, item: Item) -> Item:
        """Return the chosen values that the item has."""
        found = ((name, value_at(item, parts)) for name, parts in self._chosen)
        return {name: value for name, value in found if value is not None}


class ReadPlan(NamedTuple):
    """The plan of a SELECT: its ranges in reading order, their direction, a filter and a projection.

    ``keyed``: the clause names the partition key of the table or index. Otherwise the whole table or index is read.
    """

    spans: tuple[PartitionSpan, ...]
    forward: bool
    condition: BoundCondition | None
    projection: SelectList | None
    key: Item | None
    """The key of the only possible item, if the clause consists of one equality for each key attribute."""
    keyed: bool


class ChangePlan(NamedTuple):
    """The plan of an UPDATE, a DELETE or an EXISTS: the key of one item, its condition, and its update."""

    key: Item
    condition: BoundCondition | None
    update: BoundUpdate | None


def plan_select(
    select: SelectStatement, values: StatementValues, table: Table, index: SecondaryIndex | None
) -> ReadPlan:
    """Return the plan of a SELECT. Raise ValidationException."""
    layout = KeyLayout.of(table, index)
    where = conjuncts(select.where)
    projection = None if select.projection is None else SelectList(select.projection)
    ranges = key_ranges(layout, where, values)
    condition = None
    if select.where is not None and (ranges is None or not ranges.complete):
        translator = Translator(values)
        condition = translator.builder.condition(translator.condition(select.where))
    backward_partitions, backward = _directions(select, layout, keyed=ranges is not None)
    if ranges is None:
        return ReadPlan((PartitionSpan(b"", Span(b"", True, None)),), True, condition, projection, None, False)
    spans = ranges.spans
    if backward != backward_partitions:
        spans = _partitions_backward(spans)
    if backward:
        spans = spans[::-1]
    key = None
    if index is None and ranges.complete and len(where) == len(table.key_names):
        key = _key(table, where, values)
    return ReadPlan(spans, not backward, condition, projection, key, True)


def _directions(select: SelectStatement, layout: KeyLayout, *, keyed: bool) -> tuple[bool, bool]:
    """Return whether partitions are read backward, and whether the items in each are."""
    if not select.order:
        return False, False
    if select.where is None:
        raise invalid(NO_WHERE)
    for part in select.order:
        if part.name not in layout.types:
            raise invalid(f"Variable reference {part.name} in ORDER BY clause must be part of the primary key")
    if not keyed:
        raise invalid(NO_PARTITION)
    return _descends(select.order, layout.partition), _descends(select.order, layout.sort)


def _descends(order: Sequence[Order], names: Sequence[str]) -> bool:
    return any(part.descending for part in order if part.name in names)


def _partitions_backward(spans: Sequence[PartitionSpan]) -> tuple[PartitionSpan, ...]:
    """Return the partitions in reverse order, with the ranges in each of them in the same order."""
    groups: dict[bytes, list[PartitionSpan]] = {}
    for one in spans:
        groups.setdefault(one.partition, []).append(one)
    return tuple(one for partition in reversed(groups) for one in groups[partition])


def plan_insert(insert: InsertStatement, values: StatementValues, table: Table) -> Item:
    """Return the item of an INSERT, normalised, with a key that fits the table. Raise ValidationException."""
    item = values.item(insert.item)
    for name, kind in table.key_types:
        if name not in item:
            raise invalid(f"Key attribute should be present in the item: Key {name}")
        if kind not in item[name]:
            raise wrong_key_type(name)
    return item


def plan_update(update: UpdateStatement, values: StatementValues, table: Table) -> ChangePlan:
    """Return the plan of an UPDATE, whose item must exist. Raise ValidationException."""
    where = conjuncts(update.where)
    key = _whole_key(table, where, values)
    changes = Translator(values)
    bound = changes.builder.update([changes.action(one) for one in update.assignments])
    bound.check_keys(table.key_names)
    return ChangePlan(key, _condition(table, where, values, "attribute_exists"), bound)


def plan_delete(delete: DeleteStatement, values: StatementValues, table: Table) -> ChangePlan:
    """Return the plan of a DELETE. Raise ValidationException.

    A missing item always fulfils the condition.
    """
    where = conjuncts(delete.where)
    key = _whole_key(table, where, values)
    return ChangePlan(key, _condition(table, where, values, "attribute_not_exists"), None)


def plan_exists(select: SelectStatement, values: StatementValues, table: Table) -> ChangePlan | None:
    """Return the plan of an EXISTS; None without a whole key and a condition. Raise ValidationException."""
    where = conjuncts(select.where)
    if select.index is not None or len(where) <= len(table.key_names):
        return None
    key = _key(table, where, values)
    return None if key is None else ChangePlan(key, _condition(table, where, values, "attribute_exists"), None)


def _key(table: Table, where: list[Expression], values: StatementValues) -> Item | None:
    """Return the key that the clause names, or None; remove its conditions from ``where``."""
    key: Item = {}
    for name, kind in table.key_types:
        for position, node in enumerate(where):
            constant = equality(node, name)
            if constant is not None:
                key[name] = constant_of_key(name, kind, constant, values)
                del where[position]
                break
        else:
            return None
    return key


def _whole_key(table: Table, where: list[Expression], values: StatementValues) -> Item:
    key = _key(table, where, values)
    if key is None:
        raise invalid(NO_KEY)
    return key


def _condition(
    table: Table, rest: Sequence[Expression], values: StatementValues, presence: str
) -> BoundCondition | None:
    """Return the condition of the rest of the clause, joined with the presence or absence of the item."""
    translator = Translator(values)
    present: Condition = FunctionCall(presence, (translator.builder.path(table.partition_name),))
    if not rest:
        return translator.builder.condition(present) if presence == "attribute_exists" else None
    joined = translator.condition(rest[0])
    for node in rest[1:]:
        joined = Logical("AND", joined, translator.condition(node))
    operator = "AND" if presence == "attribute_exists" else "OR"
    return translator.builder.condition(Logical(operator, present, joined))
