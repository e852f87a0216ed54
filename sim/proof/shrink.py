"""Shrink a failing seed: find the faults that it needs, and the moment since which its failure was inevitable.

    every fault that struck ─► kinds switched off, one by one ─► one fault that is enough alone
                            ─► or else: faults taken away, half by half (delta debugging)
                            ─► the earliest moment after which every other future fails too

A run with fewer faults is another run, so each step is accepted only if the run still has a finding of a form that the
seed had.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Final

from bursar.clock import iso_ms
from sim.faults.fault_switch import ALL_FAULTS, FaultPlan, Occurrence, Strike
from sim.loop import EPOCH_S
from sim.run import Verdict, simulate

RUNS_MAX: Final = 400
ALONE_MAX: Final = 60
"""Faults that are tried alone before parts are taken away."""
FUTURES: Final = 4
"""Other futures that must all fail for a failure to count as inevitable."""
MOMENT_PRECISION_S: Final = 1.0
_DETAILS: Final = re.compile(r"\bb[a-z0-9]{20}\b|\b[0-9a-f]{8}(-[0-9a-f-]{27}|…)|\d[\d.:TZ-]*|P\w{8,}")
"""The ids, times and numbers in a finding."""


@dataclass
class Shrunk:
    """The result. ``faults`` are those that the seed needs; ``inevitable_at_s`` is None if other futures are good."""

    seed: int
    findings: list[str]
    struck: int = 0
    faults: list[Strike] = field(default_factory=list)
    inevitable_at_s: float | None = None
    timeline: list[str] = field(default_factory=list)
    runs: int = 0

    def lines(self) -> list[str]:
        """Return the report."""
        if not self.findings:
            return [f"seed {self.seed}: good, nothing to shrink"]
        kinds = [f"  {_moment(strike.at_s)}  {strike.occurrence[0]}" for strike in self.faults]
        since = "  not inevitable before its end: other futures are good"
        if self.inevitable_at_s is not None:
            since = f"  inevitable since {_moment(self.inevitable_at_s)}, after:"
        until = _moment(self.inevitable_at_s or 0)
        # The timeline is ordered, and its lines name no year: read it only up to the first line after that moment.
        last = [*takewhile(lambda line: line[: len(until)] <= until, self.timeline)][-3:]
        return [
            f"seed {self.seed}: {self.findings[0]}",
            f"needs {len(self.faults)} of {self.struck} faults ({self.runs} runs):",
            *(kinds or ["  none: it fails without any fault"]),
            since,
            *(f"    {line}" for line in last if self.inevitable_at_s is not None),
        ]


def shrink(seed: int, run: Callable[[int, FaultPlan], Verdict] = simulate) -> Shrunk:
    """Return the faults that ``seed`` needs for one of its findings."""
    return _Shrinker(seed, run).shrink()


class _Shrinker:
    def __init__(self, seed: int, run: Callable[[int, FaultPlan], Verdict]) -> None:
        self._seed = seed
        self._run = run
        self._runs = 0
        self._forms: frozenset[str] = frozenset()

    def shrink(self) -> Shrunk:
        whole = self._run(self._seed, ALL_FAULTS)
        if not whole.findings:
            return Shrunk(self._seed, [])
        self._forms = frozenset(map(form, whole.findings))
        plan = self._without_kinds(whole)
        struck = [strike.occurrence for strike in self._run(self._seed, plan).struck]
        needed = self._without_single_faults(struck)
        plan = FaultPlan(only=frozenset(needed))
        final = self._run(self._seed, plan)
        return Shrunk(
            self._seed,
            final.findings,
            struck=len(whole.struck),
            faults=final.struck,
            inevitable_at_s=self._inevitable_at_s(plan, final),
            timeline=final.timeline,
            runs=self._runs,
        )

    def _fails(self, plan: FaultPlan) -> bool:
        """Return whether the run still has such a finding with this plan; False when RUNS_MAX runs are used up."""
        if self._runs >= RUNS_MAX:
            return False
        self._runs += 1
        return any(form(finding) in self._forms for finding in self._run(self._seed, plan).findings)

    def _without_kinds(self, whole: Verdict) -> FaultPlan:
        """Return a plan with every kind switched off that the finding does not need."""
        plan = ALL_FAULTS
        for kind in dict.fromkeys(strike.occurrence[0] for strike in whole.struck):
            fewer = replace(plan, off=plan.off | {kind})
            if self._fails(fewer):
                plan = fewer
        return plan

    def _without_single_faults(self, struck: Sequence[Occurrence]) -> list[Occurrence]:
        """Return a part of ``struck`` of which no part of a size that was tried can be left out (ddmin)."""
        needed, parts = list(struck), 2
        if self._fails(FaultPlan(only=frozenset())):
            return []
        for alone in struck[:ALONE_MAX]:
            if self._fails(FaultPlan(only=frozenset((alone,)))):
                return [alone]
        while len(needed) > 1:
            size = -(-len(needed) // parts)
            for start in range(0, len(needed), size):
                fewer = needed[:start] + needed[start + size :]
                if self._fails(FaultPlan(only=frozenset(fewer))):
                    needed, parts = fewer, max(parts - 1, 2)
                    break
            else:
                if size == 1:
                    break
                parts = min(len(needed), parts * 2)
        return needed

    def _inevitable_at_s(self, plan: FaultPlan, final: Verdict) -> float | None:
        """Return the earliest moment after which all other futures fail too, in seconds of virtual time."""
        if not self._every_future_fails(plan, final.ended_at_s):
            return None
        early, late = 0.0, final.ended_at_s
        while late - early > MOMENT_PRECISION_S:
            middle = (early + late) / 2
            early, late = (early, middle) if self._every_future_fails(plan, middle) else (middle, late)
        return late

    def _every_future_fails(self, plan: FaultPlan, at_s: float) -> bool:
        futures = (replace(plan, reseeded_at_s=at_s, future=number) for number in range(1, FUTURES + 1))
        return all(self._fails(each) for each in futures)


def form(finding: str) -> str:
    """Return the finding without ids, times and numbers, which differ from run to run."""
    return _DETAILS.sub("…", finding)


def _moment(at_s: float) -> str:
    return iso_ms(EPOCH_S + at_s)[5:]
