"""The page docs/benchmarks/portal.md, made of one run."""

import os
import platform
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

CLOSEST: Final = {1: 57, 8: 145, 32: 134}
"""Flows/s of the closest existing portal (Node 24, PostgreSQL 15, built, logging silent) on two shared cores."""
CLOSEST_P50_MS: Final = {"init": 6.0, "process": 8.0}
RATIO_MIN: Final = {8: 4.0, 32: 4.0}
PACKAGES: Final = ("apsw", "orjson", "uvloop", "uvicorn", "httptools", "aiohttp")


@dataclass(frozen=True)
class Row:
    """One number of clients on one portal."""

    name: str
    clients: int
    seen: dict[str, Any]
    portal_cpu_ms: float | None = None
    paygov_cpu_ms: float | None = None
    rss_mb: float | None = None
    load_1m: float = 0.0

    @property
    def per_s(self) -> float:
        return float(self.seen["per_s"])


@dataclass
class Report:
    """A run, as it fills."""

    command: str
    seconds: float
    rounds: int
    workers: int
    rows: list[Row] = field(default_factory=list)
    stored: int = 0
    storing_s: float = 0.0
    store_bytes: int = 0
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    load_after: float = 0.0

    def finish(self) -> None:
        """Notes what is known at the end only."""
        self.load_after = os.getloadavg()[0]

    def text(self) -> str:
        """The page."""
        parts = [self._head(), "", _HEADER, *map(_line, self.rows), "", self._against(), self._failures()]
        return "\n".join(part for part in parts if part is not None).rstrip() + "\n"

    def _head(self) -> str:
        packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        stored = (
            f"\nThe store of the last rows: {self.stored:,} payments, {self.store_bytes / 1e9:.2f} GB"
            + (f", written in {self.storing_s:.0f} s." if self.storing_s else ".")
            if self.stored
            else ""
        )
        return f"""# Full payments per second

*Written by `{self.command}` on {time.strftime("%Y-%m-%d", time.gmtime())}; do not edit.*

One flow is `POST /init`, the payer's payment on Pay.gov's page, `POST /process` and `GET /details`: 4 requests of the
client, 2 calls of the portal to Pay.gov, 4 transactions on the file store, each fsynced before its answer (writes that
wait at the same time share one fsync). Load, simulator and portal share the machine. Rounds of {self.seconds:g} s, the
median of {self.rounds} counts; {self.workers} portal processes; signatures not checked, nothing logged per request,
the lake's writer idle. The load is Python on uvloop with httptools and is counted in a column of its own.

Machine: {os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.release()}; load average
{self.load_before:.1f} before and {self.load_after:.1f} after. Before, it should be near 0:
what is above is other work on the same cores, and the rates below are then those of a fraction of the machine.
Python {platform.python_version()}, {packages}.
{stored}"""

    def _against(self) -> str:
        lines = ["Against the closest existing portal, as it was measured on two shared cores of another day:", ""]
        for row in self.rows:
            if row.name == "peer":
                continue
            ratio = row.per_s / CLOSEST[row.clients]
            least = RATIO_MIN.get(row.clients)
            if least is None:
                said = "; ".join(
                    f"{name} p50 {row.seen[name]['p50_ms']:.1f} ms against {most:.0f}, {_met(most / 2, row, name)}"
                    for name, most in CLOSEST_P50_MS.items()
                )
                lines.append(f"- {row.name}, {row.clients} client: {ratio:.1f} times its flows; {said}")
            else:
                verdict = "met" if ratio >= least else f"missed by {least / ratio:.1f}×"
                lines.append(
                    f"- {row.name}, {row.clients} clients: {ratio:.1f} times its {CLOSEST[row.clients]} flows/s "
                    f"(wanted: {least:.0f}; {verdict})"
                )
        return "\n".join(lines)

    def _failures(self) -> str | None:
        failed = [(row, error) for row in self.rows for error in row.seen["failures"]]
        if not failed:
            return "\nNo flow failed."
        return "\nFailed:\n\n" + "\n".join(f"- {row.name}, {row.clients} clients: {error}" for row, error in failed)


_HEADER = """| portal | clients | flows/s | init p50 / p99, ms | process p50 / p99, ms | details p50 / p99, ms | \
portal CPU, ms/flow | simulator CPU, ms/flow | load CPU, ms/flow | portal RSS, MB | load average |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


def _line(row: Row) -> str:
    times = [
        f"{row.seen[name]['p50_ms']:.1f} / {row.seen[name]['p99_ms']:.1f}" for name in ("init", "process", "details")
    ]
    load_ms = row.seen["cpu_s"] / max(1, row.seen["flows"]) * 1000
    cpu = [_number(row.portal_cpu_ms, 2), _number(row.paygov_cpu_ms, 2), f"{load_ms:.2f}", _number(row.rss_mb, 0)]
    cells = [row.name, str(row.clients), f"{row.per_s:.0f}", *times, *cpu, f"{row.load_1m:.1f}"]
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _met(most_ms: float, row: Row, name: str) -> str:
    return f"half of it {'met' if row.seen[name]['p50_ms'] <= most_ms else 'missed'}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
