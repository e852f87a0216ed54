"""The table of return and reason codes: whole, in each language, without a code that means two things."""

from pathlib import Path

import pytest

from bursar.dashboard.text.catalogue import LANGUAGES
from bursar.dashboard.text.reason_codes import REVERSAL_CODES, code_groups, codes_of, meaning_of
from bursar.paygov.protocol import FAULT_NO_SUCH_APPLICATION, FAULT_TOKEN_UNUSABLE
from bursar.payments.status import TOKEN_EXPIRED_CODE
from tools.pages.return_codes_page import return_codes_page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "return-codes.md"


def test_a_code_has_a_meaning_in_each_language_and_is_in_one_group() -> None:
    codes = [code for group in code_groups().values() for code in group.codes]
    assert sorted(set(codes)) == sorted(codes)
    for group in code_groups().values():
        assert {tuple(each) for each in group.codes.values()} == {LANGUAGES}
        assert [
            text for each in group.codes.values() for text in each.values() if text != text.strip() or not text
        ] == []
        assert group.source


@pytest.mark.parametrize("code", [TOKEN_EXPIRED_CODE, FAULT_NO_SUCH_APPLICATION, FAULT_TOKEN_UNUSABLE, "R01", " r10 "])
def test_codes_that_bursar_itself_names_have_a_meaning(code: str) -> None:
    assert {bool(meaning_of(code, language)) for language in LANGUAGES} == {True}


@pytest.mark.parametrize("code", ["", "4902", "R99", "=1+1", None])
def test_an_unknown_code_has_no_meaning(code: str | None) -> None:
    assert meaning_of(code, "en") == ""


def test_codes_of_reversals_are_those_of_banks_and_chargebacks() -> None:
    found = codes_of(REVERSAL_CODES, "es")
    assert (found["R01"], "10.4" in found, "4117" in found) == ("Fondos insuficientes", True, False)


def test_the_page_of_the_codes_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == return_codes_page(), "run `python -m tools.generate_docs`"
