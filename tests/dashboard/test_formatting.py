"""Amounts, days and times as finance reads them."""

from datetime import date
from decimal import Decimal

import pytest

from bursar.clock import from_iso_ms
from bursar.dashboard.formatting import (
    day_text,
    dollars,
    duration_text,
    month_text,
    percent,
    time_text,
    zoned_time_text,
)
from bursar.dashboard.text.catalogue import text_in

EN, ES = text_in("en"), text_in("es")
SUMMER, WINTER = from_iso_ms("2026-07-04T16:05:09.000Z"), from_iso_ms("2026-12-01T04:59:59.999Z")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1234567.5", "$1,234,567.50"), ("0", "$0.00"), ("-60", "($60.00)"), ("-0.01", "($0.01)"), ("-0", "$0.00")],
)
def test_amounts_have_separators_and_negative_ones_parentheses(amount: str, shown: str) -> None:
    assert dollars(Decimal(amount)) == shown


def test_months_are_named_and_the_zone_is_eastern() -> None:
    assert day_text(EN, date(2026, 11, 9)) == "November 9, 2026"
    assert day_text(ES, date(2026, 11, 9)) == "9 de noviembre de 2026"
    assert month_text(EN, date(2026, 2, 1)) == "February 2026"
    assert time_text(EN, SUMMER) == "Jul 4, 2026, 12:05:09 p.m."
    assert zoned_time_text(EN, SUMMER).endswith("Eastern time (EDT)")
    assert zoned_time_text(EN, WINTER) == "Nov 30, 2026, 11:59:59 p.m. Eastern time (EST)"


def test_a_share_of_nothing_is_a_dash() -> None:
    assert percent(39, 40) == "97.5%"
    assert percent(0, 0) == "–"


def test_a_duration_has_its_two_largest_units() -> None:
    assert duration_text(EN, 2 * 86_400 + 3 * 3600 + 59) == "2 d 3 h"
    assert duration_text(EN, 0.4) == "0 s"
