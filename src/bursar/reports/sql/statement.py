"""Check a user's statement: one SELECT that reads only ``payments`` and ``payment_events``.

DuckDB parses the text and returns its tree as JSON, which is checked here. This is the second protection. The first is
DuckDB's configuration: no file, no network, no extension, no setting (:mod:`bursar.reports.sql.session`).
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.errors import BadSql
from bursar.reports.lake.schema import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STATEMENT_BYTES_MAX: Final = 64 * 1024
READABLE: Final = tuple(schema.name for schema in TABLES)
# Table functions that read nothing. All others (read_csv, glob, duckdb_settings, query, …) are refused.
_TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})


@dataclass(frozen=True, slots=True)
class CheckedStatement:
    """One SELECT without its closing semicolon, and the names of the tables that it reads, in lower case."""

    text: str
    tables: frozenset[str]


def check_statement(
    connection: "DuckDBPyConnection", text: str, extra_tables: Collection[str] = ()
) -> CheckedStatement:
    """Return the checked statement. Raise :class:`BadSql` if it is not one SELECT over the readable tables.

    ``extra_tables``: names of tables that may be read in addition to the two.
    """
    if len(text.encode()) > STATEMENT_BYTES_MAX:
        raise BadSql(f"the statement: must be at most {STATEMENT_BYTES_MAX} bytes; got {len(text.encode())}")
    if not text.strip().strip(";"):
        raise BadSql("the statement: must not be empty")
    found = connection.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [text]).fetchall()
    tree = json.loads(found[0][0])
    if tree.get("error"):
        raise BadSql(_message(tree))
    if len(tree["statements"]) != 1:
        raise BadSql("the statement: must be one statement; got several")
    tables = _check_sources(tree["statements"][0], {*READABLE, *extra_tables})
    return CheckedStatement(text.strip().rstrip(";"), frozenset(tables))


def _message(tree: dict[str, Any]) -> str:
    if tree.get("error_type") == "not implemented":
        return "the statement: only a SELECT is allowed; the tables are read-only"
    return str(tree.get("error_message", "the statement: must be SQL"))


def _check_sources(statement: Any, readable: set[str]) -> set[str]:
    """Return the names of the tables that the statement reads, including its common table expressions."""
    nodes = list(_nodes(statement))
    named = readable | {
        entry["key"].lower()
        for node in nodes
        for entry in node.get("cte_map", {}).get("map", ())
        if isinstance(entry, dict)
    }
    found: set[str] = set()
    for node in nodes:
        kind = node.get("type")
        if kind == "BASE_TABLE":
            found.add(_checked_table(node, named))
        elif kind == "SHOW_REF" and node.get("query") is None:
            _refuse(str(node.get("table_name", "")).strip('"'))
        elif kind == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", "")).lower()
            if name not in _TABLE_FUNCTIONS:
                raise BadSql(f"the table function {name} may not be used here")
    return found


def _checked_table(node: dict[str, Any], named: set[str]) -> str:
    path = node.get("qualified_name", {}).get("path") or [node.get("table_name", "")]
    name = str(path[-1])
    if len(path) > 1 or node.get("schema_name") or name.lower() not in named:
        _refuse(".".join(map(str, path)))
    return name.lower()


def _refuse(name: str) -> None:
    raise BadSql(f"there is no table {name}; the tables are {' and '.join(READABLE)}")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in the tree, without recursion: a statement may be nested to any depth."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
