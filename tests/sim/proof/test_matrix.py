"""The page has every cell of the fault matrix, and a share of the cells, run again, give what the page states."""

import pytest

from sim.proof.matrix import BEHAVIOURS, PHASES, SEQUELS, Cell, cells, play
from sim.proof.matrix_page import PAGE, key_of, read

EVERY = 19
"""This test runs one cell of this many; ``python -m sim --matrix`` runs all and writes the page."""


@pytest.fixture(scope="module")
def every_cell() -> list[Cell]:
    return list(cells())


def test_the_page_holds_every_cell(every_cell: list[Cell]) -> None:
    assert {key_of(cell) for cell in every_cell} == set(read(PAGE.read_text()))


def test_no_cell_on_the_page_is_bad_or_charges_twice() -> None:
    fates = read(PAGE.read_text()).values()
    assert all("1 charge;" in fate or "no charge;" in fate for fate in fates)
    assert not any("BAD" in fate for fate in fates)


def test_cells_run_again_have_no_findings_and_give_what_the_page_states(every_cell: list[Cell]) -> None:
    written = read(PAGE.read_text())
    chosen = every_cell[::EVERY]
    assert {cell.sequel for cell in chosen} == set(SEQUELS)
    assert {cell.behaviour for cell in chosen} == set(BEHAVIOURS)
    assert {cell.death.phase for cell in chosen if cell.death} == set(PHASES)
    for cell in chosen:
        fate = play(cell)
        assert fate.findings == ()
        assert str(fate) == written[key_of(cell)]
