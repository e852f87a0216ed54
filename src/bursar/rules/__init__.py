"""Rules of a table: declared once as data, enforced by our engine, compiled into transactions for any other store.

This package turns ``Rules`` into (1) a guard that the embedded engine runs before each commit, (2) conditional
transactions that enforce the rules on Amazon's DynamoDB, (3) an audit that finds items that break them. It knows
nothing of payments.
"""

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
