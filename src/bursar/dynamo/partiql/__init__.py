"""Parse and plan PartiQL as DynamoDB supports it: SELECT, INSERT, UPDATE, DELETE and EXISTS.

text → lexer → parser → statement (cached by text) → with parameters → a plan over one table:

    SELECT   ranges of keys to read, a filter for the conditions that the ranges do not cover, a projection
    INSERT   an item that must not exist
    UPDATE   a key, an update, a condition
    DELETE   a key, a condition
    EXISTS   a key, a condition (in transactions only)

Conditions and updates become trees of :mod:`bursar.dynamo.expressions`, which are compiled and evaluated as those of
expressions. Every function raises ``DynamoError`` and no other exception. Sources: Developer Guide, "PartiQL - a
SQL-compatible query language for Amazon DynamoDB"; the texts of errors are those of Amazon's DynamoDB Local.
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
