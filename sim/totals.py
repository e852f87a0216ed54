"""The totals of many runs, and the lines that the command line prints from them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from bursar.portal.use_cases.completion_outcomes import CONTRADICTIONS
from sim.faults.weather import pays_late
from sim.proof.judge import CHARGED_TWICE
from sim.proof.resolution_times import Cause, summary
from sim.run import Verdict


@dataclass
class LookupTotals:
    """The obligations of the days with a lookup that can say "none", or of the days without one.

    ``on_time_s``: the times of the lost replies of the days on which completes do not arrive late.
    """

    obligations: int = 0
    left: Counter[str] = field(default_factory=Counter)
    times_s: list[tuple[Cause, float]] = field(default_factory=list)
    shown_s: list[float] = field(default_factory=list)
    on_time_s: list[float] = field(default_factory=list)

    @property
    def unknown(self) -> dict[str, int]:
        """The unknown outcomes that were left. A contradiction is none: Pay.gov says what it has, and repeats it."""
        return {reason: count for reason, count in self.left.items() if reason not in CONTRADICTIONS}

    def lines(self) -> Iterator[str]:
        """Yield how long lost replies took, and what was left to a person."""
        unknown = self.unknown
        contradicted = {reason: count for reason, count in self.left.items() if reason not in unknown}
        yield from (f"  {line}" for line in summary(self.times_s))
        yield f"  {len(self.shown_s):7d}  of the lost replies were of a charge, resolved{_after_shown(self.shown_s)}"
        on_time = f", median {median(self.on_time_s):.0f} s" if self.on_time_s else ""
        yield f"  {len(self.on_time_s):7d}  of the lost replies were of days without late completes, resolved{on_time}"
        for kind, counts in (("unknown outcomes", unknown), ("contradictions", contradicted)):
            yield f"  {sum(counts.values()):7d}  {kind} left to a person"
            yield from (f"           {count:7d}  {reason}" for reason, count in sorted(counts.items()))


def _after_shown(shown_s: list[float]) -> str:
    return f", median {median(shown_s):.0f} s after a lookup could show it" if shown_s else ""


@dataclass
class Totals:
    """The totals of the runs that were added.

    ``charged_twice``: the findings that a payer was charged more than once. ``failing``: the seeds with findings.
    """

    seeds: int = 0
    charges: int = 0
    returns: int = 0
    charged_twice: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    edges: Counter[str] = field(default_factory=Counter)
    failing: list[int] = field(default_factory=list)
    by_lookup: dict[bool, LookupTotals] = field(default_factory=lambda: {True: LookupTotals(), False: LookupTotals()})

    def add(self, verdict: Verdict) -> None:
        """Add one run."""
        self.seeds += 1
        self.charges += verdict.charges
        self.returns += verdict.returns
        self.charged_twice += sum(CHARGED_TWICE in finding for finding in verdict.findings)
        self.faults.update(verdict.faults)
        self.alerts.update(verdict.alerts)
        self.edges.update(verdict.edges)
        if verdict.findings:
            self.failing.append(verdict.seed)
        days = self.by_lookup[verdict.can_rule_out]
        days.obligations += verdict.payments
        days.left.update(verdict.left)
        days.times_s += verdict.resolutions
        days.shown_s += verdict.shown_s
        if not pays_late(verdict.seed):
            days.on_time_s += [seconds for cause, seconds in verdict.resolutions if cause == "lost"]

    @property
    def obligations(self) -> int:
        """The obligations of all runs."""
        return sum(days.obligations for days in self.by_lookup.values())

    def head(self, seconds: float) -> str:
        """Return the line of counts; ``seconds``: how long the runs took."""
        return (
            f"{self.seeds} seeds in {seconds:.0f} s: {self.obligations} obligations, {self.charges} charges, "
            f"{self.returns} returned after settlement, {len(self.failing)} seeds with findings"
        )

    def short(self) -> str:
        """Return the figures by which a run in volume is known, in one line."""
        known = self.by_lookup[True]
        lost_s = [seconds for cause, seconds in known.times_s if cause == "lost"]
        return (
            f"{self.obligations} obligations, {self.charges} charges, {self.charged_twice} charged twice, "
            f"unknown left {sum(known.unknown.values())} with and {sum(self.by_lookup[False].unknown.values())} "
            f"without a lookup, median {median(lost_s or [0.0]):.0f} s, {len(self.failing)} seeds with findings"
        )

    def lines(self) -> Iterator[str]:
        """Yield the resolutions with and without a lookup, the injected faults, the alerts and the edges."""
        for can_rule_out, title in ((True, "with a lookup"), (False, "without a lookup")):
            yield f"{title}, {self.by_lookup[can_rule_out].obligations} obligations"
            yield from self.by_lookup[can_rule_out].lines()
        for title, counts in (("injected", self.faults), ("alerts", self.alerts), ("edges", self.edges)):
            yield title
            yield from (f"  {count:7d}  {name}" for name, count in sorted(counts.items()))
