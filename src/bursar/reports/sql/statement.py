"""Check a user's statement: one SELECT, or its EXPLAIN, that reads only the tables that queries may read.

DuckDB parses the text and returns its tree as JSON, which is checked here. This is the second protection. The first is
DuckDB's configuration: no file, no network, no extension, no setting (:mod:`bursar.reports.sql.session`).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.errors import BadSql
from bursar.reports.sql.fast_top_rows import TopRows, top_rows
from bursar.reports.sql.views import READABLE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STATEMENT_BYTES_MAX: Final = 64 * 1024
CHECKED_MAX: Final = 256
"""The most statements whose check is cached: pages repeat the same statements."""
_checked: Final[dict[str, "CheckedStatement"]] = {}
_EXPLAIN: Final = re.compile(r"\s*EXPLAIN\s+(?:ANALYZE\s+)?(?!EXPLAIN\b)", re.IGNORECASE)
# Table functions that read nothing. All others (read_csv, glob, duckdb_settings, query, …) are refused.
_TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})


@dataclass(frozen=True, slots=True)
class CheckedStatement:
    """One SELECT, or its EXPLAIN, without its closing semicolon. ``reads``: the tables that it reads.

    ``top``: the same statement over the first rows of each part of ``payments``, if it has such a form.
    """

    text: str
    reads: frozenset[str]
    is_explain: bool = False
    top: TopRows | None = None


def check_statement(connection: "DuckDBPyConnection", text: str) -> CheckedStatement:
    """Return the checked statement. Raise :class:`BadSql` if it is not one SELECT over the readable tables."""
    known = _checked.get(text)
    if known is None:
        known = _check(connection, text)
        if len(_checked) >= CHECKED_MAX:
            _checked.clear()
        _checked[text] = known
    return known


def _check(connection: "DuckDBPyConnection", text: str) -> CheckedStatement:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadSql("the statement: must be valid Unicode; got half of a surrogate pair") from None
    if size > STATEMENT_BYTES_MAX:
        raise BadSql(f"the statement: must be at most {STATEMENT_BYTES_MAX} bytes; got {size}")
    if not text.strip().strip(";"):
        raise BadSql("the statement: must not be empty")
    explained = _EXPLAIN.match(text)
    if explained is not None:
        checked = check_statement(connection, text[explained.end() :])
        return CheckedStatement(f"{explained[0]}{checked.text}", checked.reads, is_explain=True)
    found = connection.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [text]).fetchall()
    try:
        tree = json.loads(found[0][0])
    except RecursionError:
        raise BadSql("the statement: its expressions are nested too deeply") from None
    if tree.get("error"):
        raise BadSql(_message(tree))
    if len(tree["statements"]) != 1:
        raise BadSql("the statement: must be one statement; got several")
    statement = tree["statements"][0]
    reads = _checked_sources(statement)
    return CheckedStatement(text.strip().rstrip(";"), reads, top=top_rows(connection, text, statement))


def _message(tree: dict[str, Any]) -> str:
    if tree.get("error_type") == "not implemented":
        return "the statement: only a SELECT is allowed; the tables are read-only"
    return str(tree.get("error_message", "the statement: must be SQL"))


def _checked_sources(statement: Any) -> frozenset[str]:
    """Return the readable tables that the statement names. Raise :class:`BadSql` if it reads anything else.

    A common table expression is a table only where SQL makes it visible: in the query that defines it, after its own
    definition. Everywhere else its name is the name of a table of the database.
    """
    read = set()
    for node, visible in _nodes(statement):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            read.add(_checked_table(node, visible))
        elif kind == "SHOW_REF" and node.get("query") is None:
            _refuse(str(node.get("table_name", "")).strip('"'))
        elif kind == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", "")).lower()
            if name not in _TABLE_FUNCTIONS:
                raise BadSql(f"the table function {name} may not be used here")
    return frozenset(read.intersection(READABLE))


def _checked_table(node: dict[str, Any], visible: frozenset[str]) -> str:
    path = node.get("qualified_name", {}).get("path") or [node.get("table_name", "")]
    name = str(path[-1]).lower()
    is_qualified = len(path) > 1 or bool(node.get("schema_name")) or bool(node.get("catalog_name"))
    if is_qualified or name not in {*READABLE, *visible}:
        _refuse(".".join(map(str, path)))
    return name


def _refuse(name: str) -> None:
    raise BadSql(f"there is no table {name}; the tables are {', '.join(READABLE)}")


def _nodes(tree: Any) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Yield every JSON object in the tree with the common table expressions that are visible there, in lower case.

    It does not recurse, because a statement may be nested to any depth.
    """
    waiting: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
    while waiting:
        node, visible = waiting.pop()
        if isinstance(node, list):
            waiting.extend((each, visible) for each in node)
        elif isinstance(node, dict):
            for entry in node.get("cte_map", _NO_EXPRESSIONS)["map"]:
                waiting.append((entry["value"], visible))
                visible |= {entry["key"].lower()}
            if node.get("type") == "RECURSIVE_CTE_NODE":
                visible |= {str(node["cte_name"]).lower()}
            yield node, visible
            waiting.extend((value, visible) for name, value in node.items() if name != "cte_map")


_NO_EXPRESSIONS: Final[dict[str, list[Any]]] = {"map": []}
