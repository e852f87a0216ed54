"""The bill: lines that add up, prices with a date and a source, and a command that prints them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bursar.bootstrap.bill.bill import Prices, bill, free_usd
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


def test_what_is_free_in_every_month_counts_once_and_at_most_as_often_as_it_is_used() -> None:
    few, many = (
        bill(payments, ach_share=0.3, stored_payments=12 * payments, prices=PRICES) for payments in (8_333, 100_000_000)
    )
    usd = {line.what: line.usd for line in few}
    assert free_usd(few, PRICES) == pytest.approx(sum(usd[what] for what in ("logs", "metrics", "alarms", "schedules")))
    logged = free_usd(many, PRICES) - free_usd(few, PRICES) + usd["logs"]
    assert logged == pytest.approx(PRICES.free["log_gb"] * PRICES.prices["log_gb"].usd)


@pytest.mark.parametrize(
    ("payments", "proofs"), [(8_333, "weekly"), (8_333, "daily"), (1_000_000, "weekly"), (1_000_000, "daily")]
)
def test_the_page_has_the_totals_that_the_command_prints(payments: int, proofs: str) -> None:
    options = ["--payments-per-month", str(payments), "--sources"]
    if proofs == "daily":
        options += ["--proofs-per-month", "30"]
    printed = CliRunner().invoke(cost, options).output
    total, after_free = (line.split()[-2] for line in printed.splitlines() if line.startswith("Total"))
    assert f"| {payments:,} | {12 * payments:,} | 30 % | {proofs} | ${total} | ${after_free} |" in PAGE
    assert "point-in-time recovery" in printed
    assert PRICES.prices["write_unit"].source in printed
