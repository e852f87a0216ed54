"""Rules of a table: declared once as data, enforced by our engine, compiled into transactions for any other store.

This package turns ``Rules`` into (1) a guard that the embedded engine runs before each commit, (2) conditional
transactions that enforce the rules on Amazon's DynamoDB, (3) an audit that finds items that break them. It knows
nothing of payments.

A name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from bursar.lazy_names import lazy_names

if TYPE_CHECKING:
    from bursar.rules.errors import Contention, RuleRefused, RulesError, StoreBusy, TransactionTooLarge
    from bursar.rules.language.named_rule import Kind, RulesInvalid
    from bursar.rules.language.predicates import Where, one_of
    from bursar.rules.language.ruleset import Rules
    from bursar.rules.language.vocabulary import (
        Agrees,
        AppendOnly,
        BoundedSum,
        Check,
        Immutable,
        References,
        Transitions,
        TwoActors,
        Unique,
        UniqueWhile,
        WriteOnce,
    )
    from bursar.rules.language.writes import Delete, Put, Update
    from bursar.rules.table import RuledTable

__all__ = [
    "Agrees",
    "AppendOnly",
    "BoundedSum",
    "Check",
    "Contention",
    "Delete",
    "Immutable",
    "Kind",
    "Put",
    "References",
    "RuleRefused",
    "RuledTable",
    "Rules",
    "RulesError",
    "RulesInvalid",
    "StoreBusy",
    "TransactionTooLarge",
    "Transitions",
    "TwoActors",
    "Unique",
    "UniqueWhile",
    "Update",
    "Where",
    "WriteOnce",
    "one_of",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Agrees": "language.vocabulary",
        "AppendOnly": "language.vocabulary",
        "BoundedSum": "language.vocabulary",
        "Check": "language.vocabulary",
        "Contention": "errors",
        "Delete": "language.writes",
        "Immutable": "language.vocabulary",
        "Kind": "language.named_rule",
        "Put": "language.writes",
        "References": "language.vocabulary",
        "RuleRefused": "errors",
        "RuledTable": "table",
        "Rules": "language.ruleset",
        "RulesError": "errors",
        "RulesInvalid": "language.named_rule",
        "StoreBusy": "errors",
        "TransactionTooLarge": "errors",
        "Transitions": "language.vocabulary",
        "TwoActors": "language.vocabulary",
        "Unique": "language.vocabulary",
        "UniqueWhile": "language.vocabulary",
        "Update": "language.writes",
        "Where": "language.predicates",
        "WriteOnce": "language.vocabulary",
        "one_of": "language.predicates",
    },
)
