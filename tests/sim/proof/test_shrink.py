"""A failing seed is shrunk to the faults that it needs, and to the moment since which its failure was inevitable."""

from collections.abc import Collection

import pytest

from sim.faults.fault_switch import ALL_FAULTS, FaultPlan, FaultSwitch, Occurrence, Strike
from sim.proof.canaries import CANARIES, catch
from sim.proof.shrink import Shrunk, form, shrink
from sim.run import Verdict, simulate

FAULTS_MAX = 3
SHRINKABLE = "an unsent complete is judged as paid"
STRUCK: tuple[Occurrence, ...] = tuple((kind, number) for kind in ("drop", "death", "echo") for number in range(1, 9))
INEVITABLE_AT_S = 40.0
ENDED_AT_S = 100.0


def test_a_canary_is_shrunk_to_few_faults() -> None:
    caught = catch(CANARIES[SHRINKABLE])
    with caught.canary.plant():
        shrunk = shrink(caught.seed)
    assert shrunk.findings
    assert len(shrunk.faults) <= FAULTS_MAX < shrunk.struck
    assert shrunk.inevitable_at_s is not None
    assert any("inevitable since" in line for line in shrunk.lines())


def test_a_good_seed_has_nothing_to_shrink() -> None:
    assert shrink(1).lines() == ["seed 1: good, nothing to shrink"]


def needs(needed: Collection[Occurrence]) -> tuple[list[str], list[Strike], int]:
    """Shrink a run that fails if all these faults strike, and whose failure is inevitable from a moment on."""

    def run(seed: int, plan: FaultPlan) -> Verdict:
        struck = [Strike(float(at), each) for at, each in enumerate(STRUCK) if plan.allows(each)]
        fails = set(needed) <= {strike.occurrence for strike in struck}
        if plan.reseeded_at_s is not None and plan.reseeded_at_s < INEVITABLE_AT_S and plan.future > 1:
            fails = False
        return Verdict(seed, ["1 attempt was lost"] if fails else [], struck=struck, ended_at_s=ENDED_AT_S)

    shrunk = shrink(7, run)
    return shrunk.findings, shrunk.faults, round(shrunk.inevitable_at_s or -1)


@pytest.mark.parametrize(
    "needed",
    [(), (("death", 3),), (("drop", 2), ("echo", 8)), (("drop", 1), ("drop", 2), ("death", 5), ("echo", 4))],
    ids=len,
)
def test_only_the_needed_faults_are_left(needed: tuple[Occurrence, ...]) -> None:
    findings, faults, inevitable_at_s = needs(needed)
    assert findings == ["1 attempt was lost"]
    assert {strike.occurrence for strike in faults} == set(needed)
    assert inevitable_at_s == pytest.approx(INEVITABLE_AT_S, abs=1)


def test_the_report_ends_at_the_inevitable_moment_also_in_a_run_over_the_new_year() -> None:
    timeline = ["11-18T11:06:50.000Z paid", "11-18T11:07:50.000Z charged", "01-02T00:00:00.000Z erased"]
    shrunk = Shrunk(7, ["lost"], inevitable_at_s=20.0, timeline=timeline)
    assert shrunk.lines()[-1] == "    11-18T11:06:50.000Z paid"


def test_ids_times_and_numbers_do_not_change_the_form_of_a_finding() -> None:
    assert form("bkjyp027yjxpcm66pz1d1 was charged 61.00") == form("bfd73b0fx0w9trhbx21zb was charged 7.50")
    assert form("the payer was charged 2 times") != form("the payer is failed 2 times")


def test_a_plan_switches_kinds_and_single_faults_off() -> None:
    switch = FaultSwitch(FaultPlan(off=frozenset({"death"}), only=frozenset({("drop", 2)})), lambda: 5.0)
    assert [switch.strikes(kind) for kind in ("drop", "death", "drop", "drop")] == [False, False, True, False]
    assert switch.struck == [Strike(5.0, ("drop", 2))]


@pytest.mark.parametrize("seed", [1, 21], ids=["usual", "refused lookups"])
def test_without_faults_a_seed_is_a_calm_day(seed: int) -> None:
    verdict = simulate(seed, FaultPlan(only=frozenset()))
    assert (verdict.findings, verdict.struck) == ([], [])
    assert "Pay.gov outage" not in verdict.faults
    assert verdict.payments == simulate(seed, ALL_FAULTS).payments


def test_another_future_differs_only_after_its_moment() -> None:
    whole = simulate(3).timeline
    other = simulate(3, FaultPlan(reseeded_at_s=600.0, future=1)).timeline
    same = next(number for number, (one, two) in enumerate(zip(whole, other, strict=False)) if one != two)
    assert whole != other
    assert same > 10
