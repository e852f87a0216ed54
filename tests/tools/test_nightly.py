"""The nightly run writes each step's result to its page, and fails when a step fails."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import nightly
from tools.nightly import END, FAILED, HEADER, NOT_RUN, PASSED, START, STEPS, Result, conformance, row, with_rows

PAGE = f"# Page\n\n{START}\n{END}\nafter\n"


def made(step: str, figure: str) -> dict[str, str]:
    return {step: row(step, Result(PASSED, figure), date="2026-11-29", at_commit="abc", seconds=1.6)}


def test_a_row_has_date_commit_outcome_figure_and_seconds() -> None:
    assert made("mutants", "2 | 0")["mutants"] == "| mutants | 2026-11-29 | abc | passed | 2 \\| 0 | 2 |"


def test_a_step_replaces_its_own_row_and_rows_keep_their_order() -> None:
    page = with_rows(PAGE, made("mutants", "old"))
    page = with_rows(page, made("simulation", "new"))
    page = with_rows(page, made("mutants", "new"))
    rows = [*made("simulation", "new").values(), *made("mutants", "new").values()]
    assert page == f"# Page\n\n{START}\n{HEADER}\n" + "\n".join(rows) + f"\n{END}\nafter\n"


def test_a_page_without_its_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="must have the lines"):
        with_rows("# Page\n", {})


def test_the_page_names_every_step() -> None:
    page = nightly.PAGE.read_text(encoding="utf-8")
    assert [step for step in STEPS if f"| {step} |" not in page] == []


@pytest.mark.parametrize(("outcome", "code"), [(PASSED, 0), (NOT_RUN, 0), (FAILED, 1)])
def test_the_exit_code_says_whether_a_step_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str, code: int
) -> None:
    page = tmp_path / "nightly.md"
    page.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(nightly, "PAGE", page)
    monkeypatch.setattr(nightly, "commit", lambda: "abc")
    monkeypatch.setattr(nightly, "STEPS", {"mutants": lambda _: Result(outcome, "2 runs")})
    assert nightly.main(["--steps", "mutants"]) == code
    assert f"| abc | {outcome} | 2 runs |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("step", "installed"),
    [("matrix", []), ("model", [("make", ".tools/.spin")]), ("oracles", [("make", ".tools/.oracles")])],
)
def test_a_step_installs_only_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, installed: list[tuple[str, ...]]
) -> None:
    page = tmp_path / "nightly.md"
    page.write_text(PAGE, encoding="utf-8")
    ran: list[tuple[str, ...]] = []

    def run(*command: str) -> tuple[int, str]:
        ran.append(command)
        return 0, ""

    monkeypatch.setattr(nightly, "PAGE", page)
    monkeypatch.setattr(nightly, "commit", lambda: "abc")
    monkeypatch.setattr(nightly, "run", run)
    monkeypatch.setattr(nightly, "STEPS", {step: lambda _: Result(PASSED, "done")})
    assert nightly.main(["--steps", step]) == 0
    assert ran == installed
    makefile = (nightly.ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\nnightly: .venv/.synced ##" in makefile
    assert all(f"\n{target}:" in makefile for target in nightly.NEEDS.values())


def test_a_run_in_volume_continues_from_the_crowds_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []

    def run(*command: str, environment: object = None) -> tuple[int, str]:
        ran.append(command[3:])
        return 0, "1 obligations\n"

    monkeypatch.setattr(nightly, "run", run)
    assert nightly.volume({"NIGHTLY_OBLIGATIONS": "7", "NIGHTLY_KEPT": "kept.jsonl"}) == Result(PASSED, "1 obligations")
    assert ran == [("--first", str(nightly.VOLUME_SEED), "--obligations", "7", "--kept", "kept.jsonl")]


def test_no_storm_is_no_result() -> None:
    assert nightly.weather({"NIGHTLY_STORMS": "0"}).outcome == NOT_RUN


def test_the_suite_does_not_run_without_its_checkout(tmp_path: Path) -> None:
    assert conformance({}).outcome == NOT_RUN
    assert conformance({"NIGHTLY_SUITE": str(tmp_path)}).outcome == NOT_RUN


def test_the_simulation_counts_seeds_and_fails_on_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "\n100 seeds in 3 s: 40 obligations, 30 charges, "
        "2 attempts left to a person and settled by one, {} seeds with findings\n"
    )
    commands = []

    def run(*command: str) -> tuple[int, str]:
        commands.append(command)
        return 0, said.format(len(commands) // 2)

    clock = iter([0.0, 0.0, 30.0, 61.0])
    monkeypatch.setattr(nightly, "run", run)
    monkeypatch.setattr(nightly, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    result = nightly.simulation({"NIGHTLY_SIM_S": "60"})
    assert result.outcome == FAILED
    assert result.figure.startswith("200 seeds from ")
    assert result.figure.endswith(": 80 obligations, 60 charges, 1 seeds with findings")


def test_a_simulation_that_crashes_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly, "run", lambda *_: (1, "Traceback"))
    assert nightly.simulation({"NIGHTLY_SIM_S": "60"}).outcome == FAILED


def test_the_crashes_are_counted_and_a_loss_without_a_lie_fails_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = '{"crashes": 3, "acknowledged writes": 9, "lost or damaged after a lie": 1, '
    totals = counted + '"lost or damaged without a lie": %d}'
    monkeypatch.setattr(nightly, "shutil", SimpleNamespace(which=lambda _: "/usr/bin/gcc"))
    monkeypatch.setattr(nightly, "sys", SimpleNamespace(platform="linux", executable="python"))
    monkeypatch.setattr(nightly, "run", lambda *_: (0, totals % 0))
    assert nightly.disk({}) == Result(
        PASSED, "3 crashes, 9 acknowledged writes, 0 lost or damaged without a lie, 1 lost or damaged after a lie"
    )
    monkeypatch.setattr(nightly, "run", lambda *_: (1, totals % 1))
    assert nightly.disk({}).outcome == FAILED
    monkeypatch.setattr(nightly, "run", lambda *_: (1, "Traceback"))
    assert nightly.disk({}).outcome == FAILED
