"""PartiQL, as far as DynamoDB has it: SELECT, INSERT, UPDATE, DELETE and EXISTS, from text to a plan.

text → lexer → parser → statement (cached on the text) → with parameters → a plan over one table:

    SELECT   ranges of keys to read, a filter for what the ranges do not say, a projection
    INSERT   an item that must not be there
    UPDATE   a key, an update, a condition
    DELETE   a key, a condition
    EXISTS   a key, a condition (in transactions only)

Conditions and updates become the trees of :mod:`bursar.dynamo.expressions`, compiled and evaluated by the same code.
Every function raises ``DynamoError`` and nothing else. Source: Developer Guide, "PartiQL - a SQL-compatible query
language for Amazon DynamoDB"; the texts of errors are those of Amazon's DynamoDB Local.
"""

from bursar.dynamo.partiql.parser import parse_statement
from bursar.dynamo.partiql.syntax_tree import (
    DeleteStatement,
    ExistsStatement,
    InsertStatement,
    PartiqlStatement,
    SelectStatement,
    UpdateStatement,
)

__all__ = [
    "DeleteStatement",
    "ExistsStatement",
    "InsertStatement",
    "PartiqlStatement",
    "SelectStatement",
    "UpdateStatement",
    "parse_statement",
]
