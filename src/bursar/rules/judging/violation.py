"""``Violation``: one rule broken by one item, the common result of compiling, guarding and auditing."""

from dataclasses import dataclass

from bursar.dynamo.items.attribute_values import Item


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken by one item: all that a refusal or a line of the audit shows.

    ``old`` and ``new`` are the item before and after the change (None: absent). ``owner`` is the key of the item that
    already owns the unique value, if that is the reason.
    """

    rule: str
    key: Item
    old: Item | None
    new: Item | None
    message: str
    owner: Item | None = None
