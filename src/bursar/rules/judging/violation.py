"""``Violation``: one rule broken by one item, the common result of compiling, guarding and auditing."""

from dataclasses import dataclass

from bursar.dynamo.items.attribute_values import Item


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken by one item: everything a refusal or an audit line says."""

    rule: str
    key: Item
    old: Item | None
    new: Item | None
    message: str
    owner: Item | None = None
