"""The page of ``bench_reports``."""

import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.reports_bench.data_set import TAIL_ROWS, DataSet
from bench.reports_bench.measuring import PAYMENTS_PER_S, Measured, Times
from bench.reports_bench.questions import GOALS, OVERVIEW_GOAL_MS

OUT: Final = Path(__file__).parents[2] / "docs" / "benchmarks" / "reports.md"
SIZE_GOAL_BYTES: Final = 100_000_000


def render(data: DataSet, measured: Measured, named: Sequence[tuple[str, float]], about: Sequence[str]) -> str:
    """Return the page: what was measured, the comparison, the overview, the named reports."""
    overview_ms = statistics.median(measured.overview) * 1e3
    per_million = data.lake_bytes / data.payments * 1_000_000
    lines = [
        "# Reports: time to answer",
        "",
        f"- {data.payments:,} payments over two years in the lake, {TAIL_ROWS:,} live attempts in the tail; "
        f"{PAYMENTS_PER_S} payments a second arrive, and the lake was written {measured.writes} times meanwhile.",
        f"- {data.lake_bytes / 1e6:.0f} MB of Parquet with all events: {per_million / 1e6:.0f} MB for a million "
        f"payments (goal {SIZE_GOAL_BYTES / 1e6:.0f}: {_verdict(per_million <= SIZE_GOAL_BYTES)}).",
        "- Ours: `bursar portal` with its reports process; SQL over its socket, endpoints over HTTP.",
        "- Theirs: PostgreSQL 15 with its defaults and the closest portal's indexes, by psql; or that portal's "
        "endpoint over HTTP.",
        *(f"- {line}" for line in about),
        f"- {_processor()}, Python {platform.python_version()}; medians.",
        "",
        "| question | ours, ms | theirs, ms | beside | theirs ÷ ours | goal | |",
        "|---|---:|---:|---|---:|---:|---|",
        *map(_line, measured.times),
        "",
        f"The dashboard's overview, from the sums by day: {overview_ms:.1f} ms "
        f"(goal {OVERVIEW_GOAL_MS:.0f}: {_verdict(overview_ms < OVERVIEW_GOAL_MS)}).",
        "",
        "| named report | ms |",
        "|---|---:|",
        *(f"| {name} | {seconds * 1e3:.0f} |" for name, seconds in named),
        "",
    ]
    return "\n".join(lines)


def _line(times: Times) -> str:
    ours, goal, ratio = statistics.median(times.ours), GOALS[times.row.kind], times.ratio
    if ratio is None:
        return f"| {times.row.name} | {ours * 1e3:.1f} | | | | {goal:g} | not compared |"
    theirs = statistics.median(times.theirs)
    verdict = _verdict(ratio >= goal)
    return (
        f"| {times.row.name} | {ours * 1e3:.1f} | {theirs * 1e3:.1f} | {times.beside} | {ratio:.1f} | {goal:g} "
        f"| {verdict} |"
    )


def _verdict(reached: bool) -> str:
    return "reached" if reached else "missed"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
