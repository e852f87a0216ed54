"""Read only the first rows of each part of ``payments`` for a statement that asks for the first rows of all.

    SELECT * FROM payments WHERE … ORDER BY updated_at DESC LIMIT 100

    twin.payments ─ its first 100 ┐
    newer files   ─ their first   ├─ UNION ALL ─► derived columns ─► the first 100
    the tail      ─ its first     ┘

The parts are disjoint, so the first rows of all are among the first rows of each. DuckDB reads only the columns of the
order to find the first rows of one table, and reads the other columns only of these rows; over a UNION ALL it reads
every column of every row. The plain twin is the statement itself; tests/reports/sql/test_fast_top_rows.py holds the
answers equal. Gain: two thirds of the CPU time of a statement for the newest rows.
"""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.lake.schema import PAYMENTS
from bursar.reports.sql.views import DERIVED_COLUMNS, with_derived_columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TOP_ROWS_MAX: Final = 1_000
"""For more rows, reading every column of all rows is as fast."""
# Expressions of one row. Other functions may be aggregates or return rows, and a subquery may read the whole table.
_FUNCTIONS: Final = frozenset({"strftime"})
_OF_A_ROW: Final = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "OPERATOR",
        "PARAMETER",
        "STAR",
        "TYPE",
    }
)
_STORED: Final = frozenset(PAYMENTS.column_names)
_DERIVED: Final = frozenset(column.name for column in DERIVED_COLUMNS)
_PART: Final = "bursar_part"
_TOP: Final = "bursar_top"


@dataclass(frozen=True, slots=True)
class TopRows:
    """A statement over the first rows of each part. ``has_derived``: it may read a derived column."""

    part: str
    outer: str
    has_derived: bool

    def over(self, parts: Sequence[str], reversals: str) -> str:
        """Return the statement over the tables ``parts``, which together are ``payments``."""
        top = " UNION ALL ".join(f"SELECT * FROM ({self.part.replace(_PART, part)})" for part in parts)
        if self.has_derived:
            top = with_derived_columns(f"({top})", reversals)
        return f"WITH {_TOP} AS ({top}) {self.outer}"


def top_rows(connection: "DuckDBPyConnection", text: str, statement: Any) -> TopRows | None:
    """Return the statement over the first rows of each part; None if the statement is of another kind.

    ``statement`` is DuckDB's tree of ``text``. Raises DuckDB's errors.
    """
    node = statement["node"]
    if _PART in text or _TOP in text or not _is_simple(node) or not 0 < _rows_of(node) <= TOP_ROWS_MAX:
        return None
    shown = set(_names(node["select_list"]))
    has_derived = bool(shown & _DERIVED) or _has_star(node["select_list"])
    wanted = _STORED if has_derived else shown | set(_names(node["modifiers"]))
    part, outer = deepcopy(statement), deepcopy(statement)
    part["node"]["select_list"] = [_column(name) for name in PAYMENTS.column_names if name in wanted]
    limit = _limit(part["node"])
    limit["limit"]["literal"], limit["offset"] = {"kind": "INTEGER", "text": str(_rows_of(node))}, None
    outer["node"]["where_clause"] = None
    return TopRows(_text(connection, part, _PART), _text(connection, outer, _TOP), has_derived)


def _is_simple(node: dict[str, Any]) -> bool:
    """Return whether a query selects and sorts single rows of ``payments`` by stored columns."""
    if node["type"] != "SELECT_NODE" or node["cte_map"]["map"] or node["aggregate_handling"] != "STANDARD_HANDLING":
        return False
    if node["group_expressions"] or any(node[name] is not None for name in ("having", "qualify", "sample")):
        return False
    source = node["from_table"]
    if source["type"] != "BASE_TABLE" or source["table_name"].lower() != PAYMENTS.name:
        return False
    if source["sample"] is not None or source["at_clause"] is not None or source["column_name_alias"]:
        return False
    if [each["type"] for each in node["modifiers"]] != ["ORDER_MODIFIER", "LIMIT_MODIFIER"]:
        return False
    chosen, shown = [node["where_clause"], node["modifiers"]], node["select_list"]
    if not all(map(_is_of_a_row, _expressions([chosen, shown]))) or _has_star(chosen):
        return False
    if any(order["expression"]["class"] == "CONSTANT" for order in node["modifiers"][0]["orders"]):
        return False  # the number of a column of the answer
    names = set(_names(chosen))
    return names <= _STORED and not names & set(_new_names(shown)) and set(_names(shown)) <= _STORED | _DERIVED


def _is_of_a_row(expression: dict[str, Any]) -> bool:
    if expression["class"] == "FUNCTION":
        return expression["function_name"].lower() in _FUNCTIONS
    return expression["class"] in _OF_A_ROW


def _limit(node: dict[str, Any]) -> dict[str, Any]:
    limit: dict[str, Any] = node["modifiers"][1]
    return limit


def _rows_of(node: dict[str, Any]) -> int:
    """Return LIMIT plus OFFSET of the statement; 0 for a part that it does not have."""
    limit = _limit(node)
    counts = [limit["limit"], *([limit["offset"]] if limit["offset"] is not None else [])]
    if limit["limit_type"] != "ROW_COUNT" or any(each.get("literal", {}).get("kind") != "INTEGER" for each in counts):
        return 0
    return sum(int(each["literal"]["text"]) for each in counts)


def _expressions(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "class" in node:
                yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _names(tree: Any) -> Iterator[str]:
    """Yield the names of the columns in lower case; a name with dots is unchanged, because it may be a field."""
    for node in _expressions(tree):
        if node["class"] == "COLUMN_REF":
            yield ".".join(node["column_names"]).lower()


def _new_names(select_list: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the names, in lower case, that the statement gives to an expression other than the column of this name."""
    for node in select_list:
        name = node["alias"].lower()
        if name and not (node["class"] == "COLUMN_REF" and node["column_names"][-1].lower() == name):
            yield name


def _has_star(tree: Any) -> bool:
    return any(node["class"] == "STAR" for node in _expressions(tree))


def _column(name: str) -> dict[str, Any]:
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": [name]}


def _text(connection: "DuckDBPyConnection", statement: dict[str, Any], source: str) -> str:
    """Return the text of a statement that reads ``source`` instead of ``payments``."""
    table = statement["node"]["from_table"]
    table["alias"] = table["alias"] or PAYMENTS.name
    table["table_name"], table["qualified_name"] = source, {"path": [source]}
    tree = json.dumps({"error": False, "statements": [statement]})
    [(text,)] = connection.execute("SELECT json_deserialize_sql(CAST(? AS JSON))", [tree]).fetchall()
    return str(text)
