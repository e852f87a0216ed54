"""The unique values that a transaction takes and gives up: one action for each sentinel.

    taken by one item, given up by none       Put, if the sentinel is absent
    given up by one item, taken by none       Delete, if the sentinel still names that item
    given up by one item, taken by another    Put, if the sentinel is absent or names the first item

DynamoDB allows only one action for each item, so a value that passes between two items is one Put.
"""

from typing import Any

from bursar.rules.errors import RuleRefused
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import OWNER, sentinel_item, sentinel_key
from bursar.rules.judging.unique_and_parent import UniqueValue
from bursar.rules.transactions.actions import CompiledAction, ItemChange
from bursar.rules.transactions.as_read_conditions import ALL_OLD, placeholder


class SentinelActions:
    """The unique values that the changes take and give up, with one action for each sentinel."""

    def __init__(self, plan: RulesPlan, table: str) -> None:
        self._plan = plan
        self._table = table
        self._taken: dict[str, tuple[ItemChange, UniqueValue]] = {}
        self._given: dict[str, tuple[ItemChange, UniqueValue]] = {}

    def add(self, change: ItemChange) -> None:
        """Add the unique values that ``change`` takes and gives up. Raises ``RuleRefused`` for one taken before."""
        old, new = change.old, change.new
        known = old is not None and new is not None
        for unique in (change.kind.touched_by(change.changed) if known else change.kind.on_creation).unique_values:
            before, after = unique.given_up_and_taken(old, new)
            if before is not None:
                self._given[before] = (change, unique)
            if after is not None:
                if after in self._taken:
                    owner = self._taken[after][0].key
                    raise RuleRefused.by(self._plan.taken_violation(unique, old, new, owner))
                self._taken[after] = (change, unique)

    def actions(self) -> list[CompiledAction]:
        """Return a Put for each value taken, and a Delete for each value only given up."""
        found = []
        for partition, (change, unique) in self._taken.items():
            giver = self._given.pop(partition, None)
            found.append(
                CompiledAction(self._take_action(partition, change, unique, giver and giver[0]), "take", change, unique)
            )
        for partition, (change, unique) in self._given.items():
            found.append(CompiledAction(self._give_up_action(partition, change), "give_up", change, unique))
        return found

    def _sentinel(self, partition: str, unique: UniqueValue, owner: ItemChange) -> dict[str, Any]:
        plan = self._plan
        return sentinel_item(plan.key_names, plan.kind_attribute, partition, unique.rule.name, owner.key)

    def _take_action(
        self, partition: str, change: ItemChange, unique: UniqueValue, giver: ItemChange | None
    ) -> dict[str, Any]:
        """Return a Put on the condition that the sentinel is absent, or names this item or the giver.

        If the sentinel names this item already, a writer that bypassed the rules has left it.
        """
        plan = self._plan
        name = placeholder(plan.key_names[0])
        values: dict[str, Any] = {":me": {"M": change.key}}
        condition = f"attribute_not_exists({name}) OR #owner = :me"
        if giver is not None:
            values[":giver"] = {"M": giver.key}
            condition += " OR #owner = :giver"
        return {
            "Put": {
                "TableName": self._table,
                "Item": self._sentinel(partition, unique, change),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {name: plan.key_names[0], "#owner": OWNER},
                "ExpressionAttributeValues": values,
                "ReturnValuesOnConditionCheckFailure": ALL_OLD,
            }
        }

    def _give_up_action(self, partition: str, change: ItemChange) -> dict[str, Any]:
        """Return a Delete on the condition that the sentinel is absent or names this item."""
        plan = self._plan
        name = placeholder(plan.key_names[0])
        return {
            "Delete": {
                "TableName": self._table,
                "Key": sentinel_key(plan.key_names, partition),
                "ConditionExpression": f"attribute_not_exists({name}) OR #owner = :me",
                "ExpressionAttributeNames": {name: plan.key_names[0], "#owner": OWNER},
                "ExpressionAttributeValues": {":me": {"M": change.key}},
                "ReturnValuesOnConditionCheckFailure": ALL_OLD,
            }
        }
