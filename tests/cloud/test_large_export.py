"""An export of many rows takes no more memory than one of few: each form is written batch by batch."""

import subprocess
import sys

import pytest

FEW, MANY = 20_000, 200_000
GROWTH_BYTES_MAX = 64 * 1024**2


def growth_bytes(form: str, *options: str) -> int:
    """Return the growth of a process's peak from an export of FEW rows to one of MANY."""
    command = [sys.executable, "-m", "tests.support.dashboard.large_answers", form, str(FEW), str(MANY), *options]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    growth, size = map(int, answer.split())
    assert size > 1_000_000
    return growth


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
def test_the_memory_of_an_export_does_not_grow_with_its_rows(form: str) -> None:
    assert growth_bytes(form) < GROWTH_BYTES_MAX


def test_an_export_that_keeps_its_rows_would_be_noticed() -> None:
    assert growth_bytes("csv", "--keeps") > GROWTH_BYTES_MAX
