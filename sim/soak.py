"""Simulate for hours, from seeds that were never run before, and keep the totals: ``python -m sim.soak --hours 8``.

Each run appends lines to docs/soak.jsonl, at most one an hour, and writes the page docs/soak.md from all lines, week by
week. The exit code is 1 if a seed had findings.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sim.run import Verdict, simulate

ROOT: Final = Path(__file__).resolve().parent.parent
LINES: Final = ROOT / "docs" / "soak.jsonl"
PAGE: Final = ROOT / "docs" / "soak.md"
START, END = "<!-- weeks -->", "<!-- end of weeks -->"
FIRST_SEED: Final = 1_000_000_000
"""Far from the seeds of tests, of ``make sim`` and of ``make nightly``."""
SEEDS_AT_ONCE: Final = 40
LINE_S: Final = 3600.0
HOUR_S: Final = 3600.0
WORKERS: Final = 2


@dataclass
class Totals:
    """The totals of consecutive seeds. ``bad`` are the seeds with findings."""

    date: str
    commit: str
    first_seed: int
    seeds: int = 0
    obligations: int = 0
    charges: int = 0
    faults: int = 0
    seconds: float = 0.0
    bad: list[int] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Add one run."""
        self.seeds += 1
        self.obligations += verdict.payments
        self.charges += verdict.charges
        self.faults += len(verdict.struck)
        if verdict.findings:
            self.bad.append(verdict.seed)

    @property
    def week(self) -> str:
        """The ISO week of the run, such as 2026-W48."""
        year, week, _ = datetime.fromisoformat(self.date).isocalendar()
        return f"{year}-W{week:02d}"


def read(lines: Path = LINES) -> list[Totals]:
    """Return what earlier runs have written; nothing if there is no file."""
    if not lines.exists():
        return []
    return [Totals(**json.loads(line)) for line in lines.read_text(encoding="utf-8").splitlines() if line]


def append(totals: Totals, lines: Path = LINES) -> None:
    """Append one line."""
    with lines.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(totals)) + "\n")


def table(runs: Iterable[Totals]) -> str:
    """Return the totals of each week as a table, newest first."""
    weeks: dict[str, list[Totals]] = defaultdict(list)
    for each in runs:
        weeks[each.week].append(each)
    rows = [
        "| week | hours | seeds | obligations | charges | faults | seeds with findings |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for week, of_week in sorted(weeks.items(), reverse=True):
        hours = sum(each.seconds for each in of_week) / HOUR_S
        sums = [sum(getattr(each, name) for each in of_week) for name in ("seeds", "obligations", "charges", "faults")]
        bad = [f"{seed} ({each.commit})" for each in of_week for seed in each.bad]
        rows.append(
            f"| {week} | {hours:.1f} | {' | '.join(f'{each:,}' for each in sums)} | {', '.join(bad) or 'none'} |"
        )
    return "\n".join(rows) + "\n"


def with_table(page: str, runs: Iterable[Totals]) -> str:
    """Return the page with the table between its marks. Raises ``ValueError`` for a page without them."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{PAGE.name}: must have the lines {START} and {END}; got a page without")
    return f"{before}{START}\n{table(runs)}{END}{after}"


def soak(
    seconds: float,
    first: int,
    commit: str,
    *,
    run: Callable[[list[int]], list[Verdict]],
    keep: Callable[[Totals], None],
) -> list[int]:
    """Simulate seeds from ``first`` on until the time is used up, and return those with findings.

    ``run`` simulates seeds; ``keep`` gets the totals, at least once an hour.
    """
    began, seed, bad = time.monotonic(), first, list[int]()
    while time.monotonic() - began < seconds or seed == first:
        line_began = time.monotonic()
        totals = Totals(str(datetime.now(UTC).date()), commit, seed)
        while totals.seeds == 0 or (time.monotonic() - line_began < LINE_S and time.monotonic() - began < seconds):
            for verdict in run(list(range(seed, seed + SEEDS_AT_ONCE))):
                totals.add(verdict)
            seed += SEEDS_AT_ONCE
        totals.seconds = round(time.monotonic() - line_began, 1)
        keep(totals)
        bad += totals.bad
    return bad


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sim.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    arguments = parser.parse_args()
    first = max((each.first_seed + each.seeds for each in read()), default=FIRST_SEED)
    named = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    )

    def keep(totals: Totals) -> None:
        append(totals)
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), read()), encoding="utf-8")
        print(f"{totals.seeds} seeds from {totals.first_seed}, with findings: {totals.bad or 'none'}", flush=True)

    with ProcessPoolExecutor(WORKERS) as pool:
        bad = soak(
            arguments.hours * HOUR_S,
            first,
            named.stdout.strip(),
            run=lambda seeds: list(pool.map(simulate, seeds, chunksize=4)),
            keep=keep,
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
