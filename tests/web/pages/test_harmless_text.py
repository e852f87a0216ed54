"""Hostile text is made harmless on pages and in spreadsheets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.web.pages.harmless_text import cell_text, harmless


def test_characters_that_change_the_direction_are_visible() -> None:
    assert harmless("abc\u202egnp.exe\u200b\x00") == "abc\\u202egnp.exe\\u200b\\u0000"
    assert harmless("Pérez 日本 שלום") == "Pérez 日本 שלום"


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "\r=1", "＝1"])
def test_no_cell_begins_as_a_formula(formula: str) -> None:
    assert cell_text(formula).startswith("'")


@given(st.text())
def test_no_text_is_a_formula_or_hides_characters(text: str) -> None:
    cell = cell_text(text)
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@"))
    assert not any(character in cell for character in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200b\x00")
