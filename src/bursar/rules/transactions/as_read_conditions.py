"""Conditions that the attributes on which a verdict depends are still as they were read."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from bursar.dynamo.items.attribute_values import Item

ALL_OLD = "ALL_OLD"
"""``ReturnValuesOnConditionCheckFailure``: the failed action returns the item, which saves a second read."""


class AsReadConditions:
    """One action's condition and update, with their names and values.

    ``compared``: the attributes that must equal ``old``.
    """

    def __init__(self, partition_key: str, old: Item, compared: Iterable[str]) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        conditions, exists = [], False
        # Sorted, so that equal changes have equal text: stores cache parsed expressions by text.
        for attribute in sorted(compared):
            name, suffix = self._name(attribute)
            if attribute in old:
                exists = True
                self.values[f":old_{suffix}"] = old[attribute]
                conditions.append(f"{name} = :old_{suffix}")
            else:
                conditions.append(f"attribute_not_exists({name})")
        if not exists:  # an absent item also lacks these attributes, and an update must not create it
            conditions.append(f"attribute_exists({self._name(partition_key)[0]})")
        self.condition = " AND ".join(conditions)

    def _name(self, attribute: str) -> tuple[str, str]:
        name = placeholder(attribute)
        self.names[name] = attribute
        return name, name[1:]

    def update(self, new: Item, changed: Iterable[str]) -> str:
        """Return the update expression that writes the ``changed`` attributes of ``new`` and removes absent ones."""
        sets, removes = [], []
        for attribute in sorted(changed):
            name, suffix = self._name(attribute)
            if attribute in new:
                self.values[f":new_{suffix}"] = new[attribute]
                sets.append(f"{name} = :new_{suffix}")
            else:
                removes.append(name)
        clauses = [f"SET {', '.join(sets)}"] if sets else []
        if removes:
            clauses.append(f"REMOVE {', '.join(removes)}")
        return " ".join(clauses)

    def request(self, table: str, key: dict[str, Any]) -> dict[str, Any]:
        """Return the members that an Update, a Delete and a ConditionCheck have in common."""
        request = {
            "TableName": table,
            "Key": key,
            "ConditionExpression": self.condition,
            "ExpressionAttributeNames": self.names,
            "ReturnValuesOnConditionCheckFailure": ALL_OLD,
        }
        if self.values:
            request["ExpressionAttributeValues"] = self.values
        return request


@lru_cache(maxsize=4096)
def placeholder(attribute: str) -> str:
    """Return ``#status`` for ``status``; a name with other characters becomes its bytes in hexadecimal."""
    if re.fullmatch(r"[A-Za-z0-9]\w*", attribute, re.ASCII):
        return f"#{attribute}"
    return f"#x_{attribute.encode().hex()}"
