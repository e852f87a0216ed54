"""The statements for Athena are the translation of the reports, and have parameters only where Athena takes them."""

from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from bursar.reports.athena.statement import athena_statement, view_select
from bursar.reports.named_reports import named_report, named_reports
from bursar.reports.sql.views import VIEWS
from tools.athena_twins import FOLDER, twins


def test_the_files_are_the_translation() -> None:
    stored = {str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.sql")}
    assert stored == twins(), "run python -m tools.athena_twins"


@pytest.mark.parametrize("name", sorted(named_reports()))
def test_a_statement_has_its_parameters_only_in_where_clauses(name: str) -> None:
    report = named_report(name)
    required = {each.name: "*" for each in report.parameters if each.default is None}
    statement = athena_statement(report, report.bind(required, 0.0))
    tree: Any = sqlglot.parse_one(statement.text, read="athena")
    found = list(tree.find_all(exp.Placeholder, exp.Parameter))
    assert all(each.find_ancestor(exp.Where) is not None for each in found)
    assert len(found) == statement.text.count("?") == len(statement.parameters)
    assert set(statement.names) <= {parameter.name for parameter in report.parameters}
    assert not set("{}") & set(statement.text)


@pytest.mark.parametrize("name", [view.name for view in VIEWS])
def test_a_view_is_a_select_of_athena(name: str) -> None:
    assert isinstance(sqlglot.parse_one(view_select(name), read="athena"), exp.Select)
