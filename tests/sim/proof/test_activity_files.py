"""The comparison at the end of a run notices a reconciliation that misses a difference or invents one."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bursar.reports.reconciliation.classes import AMOUNT_DIFFERS, MATCHED, LineClass
from bursar.reports.reconciliation.classify import ClassifiedLine, GroupLine
from sim.run import simulate

SEED = 5


@pytest.fixture(autouse=True)
def every_seed_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.proof.activity_files.COMPARED_SHARE", 1.0)


def test_a_run_has_planted_differences_and_no_findings() -> None:
    verdict = simulate(SEED)
    assert verdict.findings == []
    assert verdict.faults["differences planted in an activity file"] > 0


@pytest.mark.parametrize(("line_class", "finding"), [(MATCHED, "is not found"), (AMOUNT_DIFFERS, "is amount_differs")])
def test_a_wrong_reconciliation_is_noticed(
    monkeypatch: pytest.MonkeyPatch, line_class: LineClass, finding: str
) -> None:
    def classified(group: Sequence[GroupLine], _: Mapping[str, Any]) -> list[ClassifiedLine]:
        return [ClassifiedLine(each, line_class) for each in group]

    monkeypatch.setattr("bursar.reports.reconciliation.run.classify", classified)
    assert any(finding in line for line in simulate(SEED).findings)
