"""The values of a line: exact cents, real days in New York, printable ids. Anything else is refused by its field."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.payments.records import AMOUNT_MAX
from bursar.reports.reconciliation.lines import CENTS_MAX, cents_of, checked_id, checked_text, day_of


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("60.00", 6000), ("60", 6000), ("60.5", 6050), ("$1,060.00", 106_000), ("-60.00", -6000), ("-$60.00", -6000),
        ("$-60.00", -6000), ("(60.00)", -6000), ("0.00", 0), ("999999999.99", CENTS_MAX), ("1,234,567.89", 123_456_789),
    ],
)  # fmt: skip
def test_an_amount_is_exact_cents(text: str, cents: int) -> None:
    assert cents_of(text) == cents


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "60.005", "NaN", "Infinity", "1e3", "60,00", "1,06.00", "$", "--60", "(60", "60)", "60.", ".50",
        "12345678901234567890", "1000000000.00", "0x10", "６０.00", "60.00\n",
    ],
)  # fmt: skip
def test_another_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^amount: must be dollars such as 60\.00, with at most two decimals"):
        cents_of(text)


@given(st.integers(-CENTS_MAX, CENTS_MAX))
def test_every_amount_is_read_as_it_is_written(cents: int) -> None:
    assert cents_of(f"{Decimal(cents).scaleb(-2):.2f}") == cents
    assert cents_of(f"{Decimal(cents).scaleb(-2):,.2f}") == cents


def test_the_largest_amount_is_the_records() -> None:
    assert Decimal(CENTS_MAX).scaleb(-2) == AMOUNT_MAX


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-29", "2026-11-29"),
        ("2026-11-29T23:59:59", "2026-11-29"),  # without an offset: New York's
        ("2026-11-30T04:59:59Z", "2026-11-29"),
        ("2026-11-30T05:00:00+00:00", "2026-11-30"),
    ],
)
def test_a_date_is_a_day_in_new_york(text: str, day: str) -> None:
    assert day_of(text, ()) == day


def test_other_forms_of_dates_are_named_by_the_mapping() -> None:
    assert day_of("11/29/2026", ("%m/%d/%Y", "%d.%m.%Y")) == "2026-11-29"
    assert day_of("29.11.2026", ("%m/%d/%Y", "%d.%m.%Y")) == "2026-11-29"
    with pytest.raises(ValueError, match=r"^date: must be like %m/%d/%Y, from 1990 to 2199; got '2026-11-29'"):
        day_of("2026-11-29", ("%m/%d/%Y",))


@pytest.mark.parametrize(
    "text", ["", "2026-02-30", "2026-13-01", "29/11/2026", "0001-01-01T00:00:00+14:00", "9999-12-31", "yesterday"]
)
def test_another_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^date: must be an ISO date or date-time, from 1990 to 2199; got "):
        day_of(text, ())


def test_ids_and_texts_are_printable_and_bounded() -> None:
    assert checked_id("id", "3FP A1") == "3FP A1"
    assert checked_id("id", "") is None
    assert checked_text("status", None) is None
    assert checked_text("status", "Réglé") == "Réglé"
    for text in ("a\x00b", "é", "a" * 256, "\udcff"):
        with pytest.raises(ValueError, match=r"^id: must be at most 255 printable characters"):
            checked_id("id", text)
    for text in ("a\nb", "a" * 256, "\udcff"):
        with pytest.raises(ValueError, match=r"^status: must be at most 255 printable characters"):
            checked_text("status", text)
