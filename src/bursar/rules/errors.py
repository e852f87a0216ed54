"""The errors of a write under rules.

    RulesError
    ├── RuleRefused           final: a rule refuses; names the rule, the item and both states
    ├── Contention            the item changed since it was read: read again and decide
    │   └── StoreBusy         conflicts or throttling outlasted every retry; nothing was written
    └── TransactionTooLarge   before sending: more actions or bytes than one transaction may have

A write also raises, from the store: ``StoreOutcomeUnknown`` (only when neither the request token nor reading could
settle the outcome), ``StoreUnreachable``, and any ``DynamoError`` that is neither a refusal nor contention.
:class:`~bursar.rules.language.vocabulary.RulesInvalid` is about the rules themselves, not about a write.
"""

from bursar.dynamo.items.attribute_values import Item
from bursar.rules.judging.violation import Violation


class RulesError(Exception):
    """The base class of the errors of a write under rules."""


class RuleRefused(RulesError):
    """A rule refuses the write. The same write against the same state will be refused again.

    ``rule`` is the rule's name (``kind`` and ``kept`` exist in every table with kinds). ``item_key`` is the refused
    item's key. ``old`` and ``new`` are its states before and after (None: absent). ``owner`` is the key of the item
    that already owns a unique value, when that is the reason.
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
        """Return the refusal for a violation."""
        return cls(
            found.message,
            rule=found.rule,
            item_key=found.key,
            old=found.old,
            new=found.new,
            owner=found.owner,
        )


class Contention(RulesError):
    """The item has changed since the caller read it, and the rules may allow the write now.

    ``actual`` is the item's present state (None: absent).
    """

    def __init__(self, message: str, *, item_key: Item | None = None, actual: Item | None = None) -> None:
        super().__init__(message)
        self.item_key = item_key
        self.actual = actual


class StoreBusy(Contention):
    """Transaction conflicts or throttling outlasted the bounded retries; nothing was written."""


class TransactionTooLarge(RulesError):
    """The write needs more actions or bytes than one transaction may have: the caller must split it.

    Raised before anything is sent.
    """
