"""What a write that keeps rules can raise.

    RulesError
    ├── RuleRefused           final: a rule says no; names the rule, the item and both states
    ├── Contention            the item moved since it was read: read again and decide
    │   └── StoreBusy         conflicts or throttling outlasted every retry; nothing was written
    └── TransactionTooLarge   before sending: more actions or bytes than one transaction may have

Beside these a write lets through, from the store: ``StoreOutcomeUnknown`` (only when neither the request token nor
reading could settle it), ``StoreUnreachable`` and any ``DynamoError`` that is neither a refusal nor contention.
:class:`~bursar.rules.language.vocabulary.RulesInvalid` is about the rules themselves, not about a write.
"""

from bursar.dynamo.items.attribute_values import Item
from bursar.rules.judging.violation import Violation


class RulesError(Exception):
    """The root of what a ruled write raises."""


class RuleRefused(RulesError):
    """A rule says no, finally: the same write against the same state will be refused again.

    ``rule`` is the rule's name (``kind`` and ``kept`` are the two that every table with kinds has), ``item_key`` the
    refused item's key, ``old`` and ``new`` its states before and after (None: not there), ``owner`` the key of the
    item that holds a unique value already, when that is the reason.
    """

    def __init__(
        self,
        message: str,
        *,
        rule: str,
        item_key: Item,
        old: Item | None,
        new: Item | None,
        owner: Item | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.rule = rule
        self.item_key = item_key
        self.old = old
        self.new = new
        self.owner = owner

    @classmethod
    def by(cls, found: Violation) -> "RuleRefused":
        """The refusal that a violation stands for."""
        return cls(
            found.message,
            rule=found.rule,
            item_key=found.key,
            old=found.old,
            new=found.new,
            owner=found.owner,
        )


class Contention(RulesError):
    """The item is not as the caller read it, and the write might be legal now. ``actual`` is it now (None: gone)."""

    def __init__(self, message: str, *, item_key: Item | None = None, actual: Item | None = None) -> None:
        super().__init__(message)
        self.item_key = item_key
        self.actual = actual


class StoreBusy(Contention):
    """Transaction conflicts or throttling outlasted the bounded retries; nothing was written."""


class TransactionTooLarge(RulesError):
    """More actions or bytes than one transaction may have, found before sending: the caller must split the write."""
