"""Whether a table's resource policy closes the table: it denies every write to everyone, without a condition.

Amazon enforces whole resource policies. The engine enforces only this statement of a policy, under the write lock, so
it is in force in every process for every write after the commit that stores it:

    {"Effect": "Deny", "Principal": "*", "Action": [PutItem, UpdateItem, DeleteItem, …], "Resource": "<table's ARN>"}
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

WRITES_OF_ITEMS: Final = frozenset({"dynamodb:putitem", "dynamodb:updateitem", "dynamodb:deleteitem"})
EVERY_ACTION: Final = frozenset({"*", "dynamodb:*"})
EVERYONE: Final = ("*", {"AWS": "*"}, {"AWS": ["*"]})


def denies_all_writes(document: Mapping[str, Any]) -> bool:
    """Return whether the policy in a table's definition denies every write to everyone, without a condition."""
    stored = document.get("ResourcePolicies", {}).get("table")
    if stored is None:
        return False
    statements = orjson.loads(stored["Policy"])["Statement"]
    return any(_closes(each) for each in (statements if isinstance(statements, list) else [statements]))


def _closes(statement: Any) -> bool:
    if not isinstance(statement, Mapping) or statement.get("Effect") != "Deny" or "Condition" in statement:
        return False
    if statement.get("Principal") not in EVERYONE:
        return False
    actions = statement.get("Action", ())
    denied = {str(each).lower() for each in ([actions] if isinstance(actions, str) else actions)}
    return not denied.isdisjoint(EVERY_ACTION) or denied >= WRITES_OF_ITEMS
