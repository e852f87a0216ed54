"""Crowds are kept one a line: a run that stops loses only the crowd in progress, and the next one continues."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from sim.run import Verdict
from sim.volume import line_of, read, run, seeds_for, total, verdict_of


def verdict(seed: int) -> Verdict:
    return Verdict(
        seed,
        [],
        payments=501,
        charges=400,
        can_rule_out=seed % 2 == 0,
        left=Counter({"so": seed}),
        resolutions=[("lost", 2.5), ("killed", 90.0)],
        shown_s=[1.25],
        returns=3,
        faults=Counter({"deaths": 2}),
        alerts=Counter({"attention": 1}),
        edges=Counter({"new → received: started by the portal": 501}),
        ended_at_s=50_000.0,
    )


def test_a_line_keeps_a_verdict() -> None:
    assert verdict_of(line_of(verdict(3), "abc")) == verdict(3)
    bad = replace(verdict(4), findings=["a finding"], timeline=["dropped"])
    assert verdict_of(line_of(bad, "abc")) == replace(bad, timeline=[])


def test_there_are_as_many_crowds_as_the_obligations_need() -> None:
    assert seeds_for(1, 7) == range(7, 8)
    assert seeds_for(1001, 7) == range(7, 10)


def test_a_run_that_was_killed_continues_with_the_crowds_that_are_missing(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    ran: list[int] = []
    interrupted_at = {3}

    def simulate(seed: int) -> Verdict:
        if seed in interrupted_at:
            interrupted_at.remove(seed)
            raise KeyboardInterrupt
        ran.append(seed)
        return verdict(seed)

    assert [each.seed for each in run(range(1, 5), kept, 1, simulate)] == [1, 2]
    with kept.open("a", encoding="utf-8") as file:
        file.write(line_of(verdict(3), "abc")[:40])  # killed while it wrote
    assert [each.seed for each in run(range(1, 5), kept, 1, simulate)] == [1, 2, 3, 4]
    assert ran == [1, 2, 3, 4]
    assert read([kept, kept]) == {seed: verdict(seed) for seed in range(1, 5)}


def test_several_processes_share_the_crowds(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    assert {each.seed for each in run(range(1, 4), kept, 2, verdict)} == {1, 2, 3}
    assert sorted(read([kept])) == [1, 2, 3]


def test_the_totals_of_several_files_count_a_crowd_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    one.write_text(f"{line_of(verdict(1), 'a')}\n{line_of(verdict(2), 'a')}\n")
    other.write_text(f"{line_of(verdict(2), 'a')}\n{line_of(replace(verdict(4), findings=['bad']), 'a')}\n")
    assert total([one]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1002 obligations, 800 charges, 0 charged twice")
    assert total([one, other, tmp_path / "absent.jsonl"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("seed 4 has findings")
    assert lines[-1].startswith("1503 obligations, 1200 charges")
