"""The catalogue is the only place of codes, each error takes one of its rows, and docs/errors.md lists them all."""

import ast
import re
from pathlib import Path

import pytest

from bursar.portal.contract import error_catalogue
from bursar.portal.contract.error_catalogue import ALREADY_PAID, CATALOGUE, ErrorCode
from bursar.portal.contract.errors import Conflict, Gone, PortalError
from tools.pages.errors_page import errors_page

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "src" / "bursar").rglob("*.py"))
ERRORS = {each.__name__ for each in PortalError.__subclasses__()}


def test_every_row_of_the_module_is_in_the_catalogue_and_its_codes_are_names() -> None:
    rows = [value for value in vars(error_catalogue).values() if isinstance(value, ErrorCode)]
    assert {row.code for row in rows} == set(CATALOGUE)
    assert all(CATALOGUE[row.code].statuses == row.statuses for row in rows)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in CATALOGUE)
    statuses = [row.statuses[0] for row in CATALOGUE.values()]
    assert statuses == sorted(statuses)


def test_every_status_of_an_error_has_codes_and_every_code_an_error() -> None:
    statuses = {each.status for each in PortalError.__subclasses__()}
    assert statuses == {status for row in CATALOGUE.values() for status in row.statuses}


def test_an_error_takes_a_row_of_its_status_alone() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        Gone(ALREADY_PAID)
    error = Conflict(ALREADY_PAID.saying("Paid on Monday"))
    assert error.body() == {"message": "Paid on Monday", "code": "already_paid", "errors": []}


def _called(path: Path) -> list[tuple[str, ast.Call]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [(n.func.id, n) for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]


def test_codes_are_made_in_the_catalogue_alone() -> None:
    makers = {path.name for path in SOURCES for name, _ in _called(path) if name == "ErrorCode"}
    assert makers == {"error_catalogue.py"}


def test_no_error_is_raised_with_a_text_instead_of_a_code() -> None:
    """Demand a row of the catalogue, or its ``saying``, as the first argument of every error of the portal."""
    texts = [
        f"{path.name}:{call.lineno}"
        for path in SOURCES
        if path.is_relative_to(ROOT / "src" / "bursar" / "portal")
        for name, call in _called(path)
        if name in ERRORS and call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert texts == []


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page == errors_page(), "run `python -m tools.generate_docs`"
