"""The accessibility report is current, has OpenACR's form, and every test that it names exists."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.pages.acr_page import PAGE, adherence, criteria, page

ROOT = Path(__file__).parents[3]
LEVELS = {"supports", "partially-supports", "does-not-support", "not-applicable", "not-evaluated"}
COMPONENTS = {"web", "electronic-docs", "software", "authoring-tool", "none"}
CHAPTERS = {
    # chapter: how many criteria GSA's catalogue has; None if the report leaves it out
    "success_criteria_level_a": 32,
    "success_criteria_level_aa": 24,
    "success_criteria_level_aaa": None,
    "functional_performance_criteria": 9,
    "hardware": None,
    "software": None,
    "support_documentation_and_services": 5,
}
TEXTS = {"title", "report_date", "notes", "evaluation_methods_used", "license", "catalog"}
NAMED = sorted({name for rows in criteria().values() for row in rows.values() for name in row.get("tests", ())})


def test_the_page_is_the_one_that_the_table_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make docs writes it again"


def test_the_report_has_the_form_of_openacr() -> None:
    report: dict[str, Any] = yaml.safe_load(PAGE.read_text(encoding="utf-8"))
    assert set(report) == TEXTS | {"product", "author", "version", "chapters"}
    assert all(isinstance(report[name], str) and report[name] for name in TEXTS)
    assert isinstance(report["version"], int)
    assert isinstance(report["product"]["name"], str)
    assert isinstance(report["author"]["email"], str)
    assert set(report["chapters"]) == set(CHAPTERS)
    for name, count in CHAPTERS.items():
        chapter = report["chapters"][name]
        if count is None:
            assert (chapter["disabled"], isinstance(chapter["notes"], str)) == (True, True)
            continue
        numbers = [each["num"] for each in chapter["criteria"]]
        assert (len(numbers), len(set(numbers))) == (count, count)
        for each in chapter["criteria"]:
            assert isinstance(each["num"], str)
            [component] = each["components"]
            assert component["name"] in COMPONENTS
            assert component["adherence"]["level"] in LEVELS
            assert component["adherence"]["notes"]


@pytest.mark.parametrize("chapter", ["success_criteria_level_a", "success_criteria_level_aa"])
def test_numbers_are_those_of_wcag_in_their_order(chapter: str) -> None:
    order = [tuple(map(int, number.split("."))) for number in criteria()[chapter]]
    assert order == sorted(order)


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_the_report_names_exists(name: str) -> None:
    path, _, function = name.partition("::")
    assert function in functions_in(path)


def test_nothing_is_claimed_without_a_test() -> None:
    for rows in criteria().values():
        for number, row in rows.items():
            assert row.keys() <= {"name", "tests", "person", "absent", "always"}, number
            assert row.keys() & {"tests", "person", "absent", "always"}, number
            if adherence(row)["level"] == "supports":
                assert row.get("tests") or number == "4.1.1"
