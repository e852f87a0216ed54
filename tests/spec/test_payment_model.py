"""The model of the protocol keeps every law, takes every edge of the status graph, and its mutants are caught."""

import os
from pathlib import Path

import pytest

from bursar.payments.status import EDGES
from tools.check_spec import END, START, compile_model, edges_of_the_table, missing, mutants, page_with, search
from tools.spec_edges import FILE, spec_edges

needs_spin = pytest.mark.skipif(
    missing() is not None and not os.environ.get("CI"), reason=missing() or "Spin and gcc are installed"
)


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_model(tmp_path_factory.mktemp("spec"))


def test_the_edges_of_the_model_are_current() -> None:
    assert FILE.read_text(encoding="utf-8") == spec_edges()


def test_an_edge_that_leaves_the_table_leaves_the_model() -> None:
    assert "settled" not in spec_edges(step for step in EDGES if step.event != "settled")


@needs_spin
def test_every_law_holds_in_every_state_and_every_edge_is_taken(verifier: Path) -> None:
    whole = search(verifier)
    assert whole.violated is None
    assert whole.edges == edges_of_the_table()


@needs_spin
@pytest.mark.parametrize("number", mutants(), ids=lambda number: mutants()[number].replace(" ", "-"))
def test_a_mutant_violates_a_law(verifier: Path, number: int) -> None:
    assert search(verifier, number).violated is not None


def test_figures_of_one_size_do_not_replace_those_of_another() -> None:
    page = f"# Page\n\n{START}\n{END}\nafter\n"
    page = page_with(page, "3 attempts", ["three"])
    page = page_with(page, "2 attempts", ["old"])
    page = page_with(page, "2 attempts", ["two"])
    assert page == f"# Page\n\n{START}\n### 2 attempts\n\ntwo\n\n### 3 attempts\n\nthree\n{END}\nafter\n"
