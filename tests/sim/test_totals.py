"""The totals of many runs add up, and what was left to a person is printed by reason."""

from collections import Counter

from bursar.portal.use_cases.completion_outcomes import OUTCOMES
from sim.faults.weather import pays_late
from sim.run import Verdict
from sim.totals import Totals

LATE_SEED = next(seed for seed in range(100) if pays_late(seed))
AMOUNT = OUTCOMES["another amount"].reason


def test_totals_add_up_with_and_without_a_lookup() -> None:
    totals = Totals()
    totals.add(
        Verdict(1, [], payments=3, charges=2, left=Counter({AMOUNT: 1}), resolutions=[("lost", 2.0)] * 2, shown_s=[1.0])
    )
    totals.add(
        Verdict(
            2,
            ["so: the payer was charged 2 times"],
            payments=4,
            charges=1,
            returns=1,
            can_rule_out=False,
            left=Counter({"so": 2}),
        )
    )
    assert totals.head(5.0) == (
        "2 seeds in 5 s: 7 obligations, 3 charges, 1 returned after settlement, 1 seeds with findings"
    )
    assert totals.failing == [2]
    assert totals.short() == (
        "7 obligations, 3 charges, 1 charged twice, unknown left 0 with and 2 without a lookup, median 2 s, "
        "1 seeds with findings"
    )
    totals.add(Verdict(LATE_SEED, [], resolutions=[("lost", 40.0), ("lost", 60.0), ("lost", 80.0)]))
    lines = list(totals.lines())
    without = lines.index("without a lookup, 4 obligations")
    assert lines[0] == "with a lookup, 3 obligations"
    assert "        5  lost replies, resolved, median 40 s, 95th percentile 76 s" in lines[:without]
    on_time = "        2  of the lost replies were of days without late completes, resolved, median 2 s"
    assert on_time in lines[:without]
    shown = "        1  of the lost replies were of a charge, resolved, median 1 s after a lookup could show it"
    assert shown in lines[:without]
    assert "        0  unknown outcomes left to a person" in lines[:without]
    assert lines[lines.index("        1  contradictions left to a person") + 1] == f"                 1  {AMOUNT}"
    assert "        2  unknown outcomes left to a person" in lines[without:]
