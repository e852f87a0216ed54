"""Every fault that can be injected is listed, and one that never happened fails a run of enough seeds."""

from pathlib import Path

import pytest

from bursar.paygov.simulator import Misbehaviour
from bursar.payments.status import EDGES
from sim import __main__ as command
from sim.faults.paygov_faults import FAULTS as PAYGOV_FAULTS
from sim.proof.sometimes import EDGE_LINES, FAULTS, NOT_SIMULATED, SOMETIMES, TAKEN_IN_TESTS, never_happened, not_listed
from sim.run import simulate

ROOT = Path(__file__).parents[3]
SEEDS = range(1, 9)
ALL = dict.fromkeys((*FAULTS, *EDGE_LINES), 1)


def test_a_fault_or_an_edge_that_never_happened_is_named() -> None:
    assert never_happened(ALL, ALL) == []
    assert never_happened({**ALL, "deaths": 0}, {**ALL, EDGE_LINES[0]: 0}) == [
        "fault: deaths",
        "edge: new → received: started by the portal",
    ]
    assert len(never_happened({}, {})) == SOMETIMES


def test_every_edge_of_the_graph_must_happen_by_each_of_its_actors_but_those_of_imports() -> None:
    assert len(EDGE_LINES) == sum(len(step.actors) for step in EDGES if step.event not in NOT_SIMULATED)
    assert {"imported"} == NOT_SIMULATED


@pytest.mark.parametrize("line", TAKEN_IN_TESTS)
def test_a_step_that_is_too_rare_to_simulate_is_taken_in_a_test(line: str) -> None:
    path, _, test = TAKEN_IN_TESTS[line].partition("::")
    assert line in EDGE_LINES
    assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")


def test_every_fault_of_paygovs_plan_must_happen() -> None:
    planned = [Misbehaviour(**values) for values, _ in PAYGOV_FAULTS]
    names = {f"Pay.gov {each.kind}, {'done' if each.happens else 'not done'}" for each in planned}
    assert names <= set(FAULTS)


def test_every_fault_that_happens_is_listed() -> None:
    assert [(seed, found) for seed in SEEDS if (found := not_listed(simulate(seed).faults))] == []
    assert not_listed({"a new fault": 1}) == ["a new fault"]


@pytest.mark.parametrize(("enough", "code"), [(1, 1), (3, 0)], ids=["enough seeds", "too few seeds"])
def test_with_enough_seeds_the_run_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], enough: int, code: int
) -> None:
    monkeypatch.setattr(command, "ENOUGH_SEEDS", enough)
    monkeypatch.setattr("sys.argv", ["sim", "--seeds", "2", "--workers", "1"])
    assert command.main() == code
    assert "never happened" in capsys.readouterr().out
