"""The bill: lines that add up, prices with a date and a source, and a command that prints them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bursar.bootstrap.bill.bill import Prices, bill
from bursar.bootstrap.bill.commands import cost
from bursar.bootstrap.bill.units import UNITS

PRICES = Prices.load()
PAGE = (Path(__file__).parents[3] / "docs" / "cost.md").read_text()


def lines(payments: float, ach_share: float = 0.3) -> dict[str, float]:
    found = bill(payments, ach_share=ach_share, stored_payments=12 * payments, prices=PRICES)
    return {f"{line.part} {line.what}": line.usd for line in found}


def test_every_price_has_a_source_and_is_used() -> None:
    found = bill(1, ach_share=0.5, stored_payments=1, prices=PRICES)
    assert {line.price for line in found} == PRICES.prices.keys()
    assert all(price.source and price.usd > 0 for price in PRICES.prices.values())
    assert PRICES.collected.startswith("20")


def test_what_payments_cost_grows_with_them_and_the_rest_does_not() -> None:
    small, large = lines(1_000), lines(10_000)
    assert large["DynamoDB card payments"] == pytest.approx(10 * small["DynamoDB card payments"])
    assert large["DynamoDB sweeps"] == small["DynamoDB sweeps"]
    million_units = 1_000_000 * (UNITS.init_write_units + UNITS.process_write_units)
    assert lines(1_000_000, ach_share=0)["DynamoDB card payments"] == pytest.approx(million_units * 0.625e-6)
    assert lines(1_000_000, ach_share=0)["DynamoDB ACH payments, 72 h"] == 0


@pytest.mark.parametrize("payments", [8_333, 1_000_000])
def test_the_page_has_the_totals_that_the_command_prints(payments: int) -> None:
    printed = CliRunner().invoke(cost, ["--payments-per-month", str(payments), "--sources"]).output
    total = next(line for line in printed.splitlines() if line.startswith("Total")).split()[1]
    assert f"| {payments:,} |" in PAGE
    assert f"${total}" in PAGE
    assert "point-in-time recovery" in printed
    assert PRICES.prices["write_unit"].source in printed
