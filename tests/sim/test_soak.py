"""A soak runs new seeds, keeps its totals as lines, and its page sums them up by week."""

from pathlib import Path

import pytest

from sim.run import Verdict
from sim.soak import END, PAGE, SEEDS_AT_ONCE, START, Totals, append, read, soak, table, with_table

MONDAY = Totals("2026-11-23", "abc", 100, seeds=50, obligations=200, charges=150, faults=900, seconds=1800.0)
SUNDAY = Totals("2026-11-29", "def", 150, seeds=50, obligations=100, charges=50, faults=100, seconds=1800.0, bad=[170])
NEXT = Totals("2026-11-30", "fed", 200, seeds=1, seconds=360.0)


def test_the_table_has_a_row_for_each_week_newest_first() -> None:
    assert table([MONDAY, SUNDAY, NEXT]).splitlines()[2:] == [
        "| 2026-W49 | 0.1 | 1 | 0 | 0 | 0 | none |",
        "| 2026-W48 | 1.0 | 100 | 300 | 200 | 1,000 | 170 (def) |",
    ]


def test_lines_are_read_as_they_were_written(tmp_path: Path) -> None:
    lines = tmp_path / "soak.jsonl"
    assert read(lines) == []
    append(MONDAY, lines)
    append(SUNDAY, lines)
    assert read(lines) == [MONDAY, SUNDAY]


def test_the_page_holds_the_table_of_the_lines() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, read()) == page
    assert with_table(f"a\n{START}\nold\n{END}\nb", [NEXT]) == f"a\n{START}\n{table([NEXT])}{END}\nb"
    with pytest.raises(ValueError, match="must have the lines"):
        with_table("# Page\n", [])


def test_a_soak_counts_its_seeds_and_returns_those_with_findings() -> None:
    kept: list[Totals] = []

    def run(seeds: list[int]) -> list[Verdict]:
        return [Verdict(seed, ["bad"] if seed == 1003 else [], payments=2, charges=1) for seed in seeds]

    assert soak(0.0, 1000, "abc", run=run, keep=kept.append) == [1003]
    assert [(each.first_seed, each.seeds, each.obligations, each.charges, each.bad) for each in kept] == [
        (1000, SEEDS_AT_ONCE, 2 * SEEDS_AT_ONCE, SEEDS_AT_ONCE, [1003])
    ]
