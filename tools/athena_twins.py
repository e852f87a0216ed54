"""Translate the named reports and the views into Athena's SQL: ``python -m tools.athena_twins`` writes the files.

The files are in ``src/bursar/reports/named/athena``; a test compares them with this translation, and tests/cloud runs
them on Trino. Athena takes a parameter only in a WHERE clause. A parameter elsewhere becomes ``{name}``, which
:meth:`bursar.reports.named_reports.NamedReport.for_athena` replaces by the checked value as a literal. The name of a
view in braces represents its SELECT: a report needs no views in Athena's catalog.
"""

import re
from pathlib import Path
from typing import Any, Final

import sqlglot
from sqlglot import exp

from bursar.reports.named_reports import NamedReport, named_reports
from bursar.reports.sql.views import VIEWS

FOLDER: Final = Path(__file__).parents[1] / "src" / "bursar" / "reports" / "named" / "athena"
_HEADER: Final = """\
-- {question}
-- parameters: {parameters}
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

"""


def report_twin(report: NamedReport) -> str:
    """Return the report for Athena: its header names the parameters in the order of the question marks."""
    tree: Any = sqlglot.parse_one(report.sql, read="duckdb")
    for node in list(tree.find_all(exp.Parameter, exp.Placeholder)):
        if node.find_ancestor(exp.Where) is None:
            node.replace(exp.Var(this=f"{{{node.name}}}"))
    used = {table.name for table in tree.find_all(exp.Table)}
    for view in reversed([view for view in VIEWS if view.name in used]):
        tree = _with_first(tree, exp.CTE(this=exp.Var(this=f"{{{view.name}}}"), alias=exp.TableAlias(this=view.name)))
    text = tree.sql("athena", pretty=True)
    names = re.findall(r"[:@$]([a-z_]+)\b", text)
    header = _HEADER.format(question=report.question, parameters=", ".join(names))
    return header + re.sub(r"[:@$][a-z_]+\b", "?", text) + "\n"


def _with_first(tree: Any, expression: exp.CTE) -> Any:
    """Return the statement with ``expression`` before all other parts of its WITH."""
    known = tree.args.get("with_")
    tree.set("with_", exp.With(expressions=[expression, *(known.expressions if known else [])]))
    return tree


def view_twin(select: str) -> str:
    """Return the SELECT of a view for Athena."""
    return f"{sqlglot.parse_one(select, read='duckdb').sql('athena', pretty=True)}\n"


def twins() -> dict[str, str]:
    """Return the text of each file, by its path in the folder."""
    reports = {f"{name}.sql": report_twin(report) for name, report in named_reports().items()}
    return reports | {f"views/{view.name}.sql": view_twin(view.select) for view in VIEWS}


def main() -> None:
    """Write every file."""
    for name, text in twins().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
