"""Classifications: shares of a fee over accounts of the Treasury, which add up to the amount to the cent."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.payments import FeeCatalogue, FeesError
from bursar.payments.catalogue.classification import Share, split
from bursar.payments.classified_amounts import ClassifiedAmount

FEE = """
[fees.F]
name = "A fee"
tcs_app_id = "APP"
versions = [{{ active_from = 2020-01-01, {amount}, classification = [{rows}] }}]
"""
HALVES = '{ id = "A", share = "50%" }, { id = "B", share = "50%" }'


def fee(rows: str, amount: str = 'amount = "60.00"') -> Any:
    found = FeeCatalogue.parse(FEE.format(rows=rows, amount=amount).encode(), source="fees").fee("F", 1.7e9)
    assert found is not None
    return found


def parts(**amounts: str) -> tuple[ClassifiedAmount, ...]:
    return tuple(ClassifiedAmount(name, Decimal(amount)) for name, amount in amounts.items())


def test_a_fixed_fee_is_split_by_amounts_or_percentages() -> None:
    sixty = Decimal("60.00")
    assert fee('{ id = "A", share = "24.00" }, { id = "B", share = "36" }').classified(sixty) == parts(
        A="24.00", B="36"
    )
    assert fee(HALVES).classified(sixty) == parts(A="30.00", B="30.00")
    assert fee("").classified(sixty) is None


def test_the_last_part_takes_the_rest_and_a_part_of_nothing_is_left_out() -> None:
    variable = fee(HALVES, "variable = true")
    assert variable.classified(Decimal("0.03")) == parts(A="0.01", B="0.02")
    assert variable.classified(Decimal("0.01")) == parts(B="0.01")


@given(
    st.decimals("0.01", "999999999.99", places=2),
    st.lists(st.integers(1, 1_000_000), min_size=1, max_size=20),
)
def test_parts_add_up_to_the_amount_exactly(amount: Decimal, weights: list[int]) -> None:
    """Let percentages with four decimals be as uneven as they like; the last one completes them to 100."""
    percents = [Decimal(weight * 99_0000 // sum(weights)) / 10_000 for weight in weights]
    percents[-1] += 100 - sum(percents)
    found = split(amount, [Share(f"S{number}", percent=percent) for number, percent in enumerate(percents)])
    assert sum(part.amount for part in found) == amount
    assert all(part.amount > 0 and part.amount == part.amount.quantize(Decimal("0.01")) for part in found)


PROBLEMS = {
    '{ id = "A", share = "50%" }': "classification: must have shares that add up to 100%; got 50%",
    '{ id = "A", share = "24.00" }': "classification: must add up to the amount, 60.00; got 24.00",
    '{ id = "A", share = "30.00" }, { id = "B", share = "50%" }': "must have amounts only, or percentages only",
    '{ id = "A", share = "50%" }, { id = "A", share = "50%" }': "must have a different id for each share; got A, A",
    '{ id = "A", share = "0%" }': 'classification[0]: must have a share above 0, such as "24.00" or "40%"; got \'0%\'',
    '{ id = "A", share = 60 }': "classification[0]: must have a share above 0",
    '{ id = "", share = "100%" }': "classification[0]: must have an id of 1 to 100 characters",
    '{ id = "A" }': "classification[0]: must be a table of id and share",
    "1": "classification[0]: must be a table of id and share",
    ", ".join(f'{{ id = "{number}", share = "4%" }}' for number in range(25)): "must be a list of at most 20",
}


@pytest.mark.parametrize("rows", PROBLEMS, ids=list(PROBLEMS.values()))
def test_a_bad_classification_is_named(rows: str) -> None:
    with pytest.raises(FeesError) as refused:
        fee(rows)
    assert PROBLEMS[rows] in str(refused.value)


def test_a_variable_fee_needs_percentages() -> None:
    with pytest.raises(FeesError, match="must have percentages, because the caller chooses the amount"):
        fee('{ id = "A", share = "60.00" }', "variable = true")
