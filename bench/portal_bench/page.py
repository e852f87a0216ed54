"""The page docs/benchmarks/portal.md of one run."""

import os
import platform
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

PEER: Final = "the peer"
CLOSEST: Final = {1: 57.0, 8: 145.0, 32: 134.0}
"""Flows/s of the closest existing portal (Node 24, PostgreSQL 15, built, logging silent) on two shared cores."""
CLOSEST_P50_MS: Final = {"init": 6.0, "process": 8.0}
"""With one client."""
CLOSEST_STORED: Final = {1: 2.4, 8: 3.9, 32: 4.7}
"""Its flows/s with a million payments stored."""
RATIO_MIN: Final = 4.0
RATIO_CLIENTS: Final = (8, 32)
P50_SHARE_MAX: Final = 0.5
P50_CLIENTS: Final = 1
STORED_SHARE_MIN: Final = 0.75
"""The required share of the rate without stored payments."""
PORTAL_PACKAGES: Final = (
    "apsw",
    "click",
    "httptools",
    "jsonschema-rs",
    "orjson",
    "prometheus-client",
    "uvicorn",
    "uvloop",
)
"""The packages that the portal needs at run time. The load uses uvloop and httptools of these."""
SIMULATOR_PACKAGES: Final = ("uvicorn",)
"""The packages that serve the simulator."""


@dataclass(frozen=True)
class Row:
    """One number of clients on one portal."""

    name: str
    stored: int
    clients: int
    seen: dict[str, Any]
    portal_cpu_ms: float | None = None
    paygov_cpu_ms: float | None = None
    rss_mb: float | None = None
    load_1m: float = 0.0

    @property
    def per_s(self) -> float:
        return float(self.seen["per_s"])

    @property
    def ours(self) -> bool:
        return self.name != PEER

    @property
    def title(self) -> str:
        return f"{self.name}, {self.stored:,} payments stored" if self.stored else self.name

    def p50_ms(self, request: str) -> float:
        return float(self.seen[request]["p50_ms"])


@dataclass
class Report:
    """A run and its results so far."""

    command: str
    seconds: float
    rounds: int
    rows: list[Row] = field(default_factory=list)
    stored: int = 0
    storing_s: float = 0.0
    store_bytes: int = 0
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    load_after: float = 0.0

    def finish(self) -> None:
        """Add the facts that are known only at the end."""
        self.load_after = os.getloadavg()[0]

    def text(self) -> str:
        """Return the page."""
        parts = [self._head(), "", _HEADER, *map(_line, self.rows), "", *self._against(), "", *self._failures()]
        return "\n".join(parts).rstrip() + "\n"

    def _head(self) -> str:
        stored = ""
        if self.stored:
            taken = f", made in {self.storing_s:.0f} s" if self.storing_s else ""
            stored = (
                f"\n\nThe store of {self.stored:,} payments has {self.store_bytes / 1e9:.2f} GB{taken}.\n"
                "It was read once before the run, so it is in the machine's memory, like the "
                "peer's database after it was filled."
            )
        return f"""# Full payments per second

*The command below wrote this page on {time.strftime("%Y-%m-%d", time.gmtime())}; do not edit it.*

```
{self.command}
```

One flow is `POST /init`, the payer's payment on Pay.gov's page, `POST /process` and `GET /details`.
It has 4 requests of the client, 2 calls of the portal to Pay.gov and 4 transactions on the file store.
Each transaction is fsynced before its answer; concurrent writes share one fsync.
Load, simulator and portal share the machine.
Every portal is warmed up, then all are measured in turn in rounds of {self.seconds:g} s.
The median of {self.rounds} rounds counts.
Signatures are not checked, requests are not logged, the lake is not written.
The load is Python on uvloop with httptools.
Its cost and the simulator's are shown beside the cost of the portals, which includes a database in other processes.

- Machine: {os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.release()}.
- Load average: {self.load_before:.1f} before and {self.load_after:.1f} after.
  The load before should be near 0; with more, other work had a part of the machine.
- Python: {platform.python_version()} ({_home()}).
- Portal: {_versions(PORTAL_PACKAGES)}.
- Simulator: {_versions(SIMULATOR_PACKAGES)}.{stored}"""

    def _against(self) -> list[str]:
        beside = any(not row.ours for row in self.rows)
        lines = ["Compared with the peer of the table, in the same run:"] if beside else [_OTHER_DAY]
        lines.append("")
        for row in self.rows:
            lines += self._beside(row) if row.ours else []
        lines += [compared for row in self.rows for compared in self._beside_empty(row)]
        return lines

    def _beside(self, row: Row) -> list[str]:
        """Return the ratio of one of our rows to the other portal's row."""
        peer = self._row(PEER, row.stored, row.clients)
        if peer is not None:
            rate, p50_ms = peer.per_s, {name: peer.p50_ms(name) for name in CLOSEST_P50_MS}
        elif not any(not each.ours for each in self.rows):
            rate, p50_ms = (CLOSEST_STORED if row.stored else CLOSEST)[row.clients], CLOSEST_P50_MS
        else:
            return []
        ratio = row.per_s / rate if rate else float("inf")
        compared = [f"{ratio:.1f} times its {rate:.1f} flows/s"]
        if row.clients in RATIO_CLIENTS:
            compared[0] += f" (target: {RATIO_MIN:g}; {_verdict(ratio >= RATIO_MIN)})"
        if peer is not None or (row.clients == P50_CLIENTS and not row.stored):
            for name, theirs in p50_ms.items():
                share = row.p50_ms(name) / theirs if theirs else float("inf")
                target = f"; target: {P50_SHARE_MAX:g}; {_verdict(share <= P50_SHARE_MAX)}"
                compared.append(
                    f"{name} p50 {row.p50_ms(name):.1f} ms to its {theirs:.1f} ms "
                    f"({share:.2f} of it{target if row.clients == P50_CLIENTS else ''})"
                )
        return [f"- {_who(row)}: {compared[0]}", *(f"  - {each}" for each in compared[1:])]

    def _beside_empty(self, row: Row) -> list[str]:
        """Return the ratio of a row with stored payments to the same portal's row without them."""
        empty = self._row(row.name, 0, row.clients)
        if not row.stored or empty is None or not empty.per_s:
            return []
        share = row.per_s / empty.per_s
        target = f" (target: {STORED_SHARE_MIN:.0%}; {_verdict(share >= STORED_SHARE_MIN)})" if row.ours else ""
        return [f"- {_who(row)}: {share:.0%} of its rate without stored payments{target}"]

    def _row(self, name: str, stored: int, clients: int) -> Row | None:
        target = (name, stored, clients)
        return next((row for row in self.rows if (row.name, row.stored, row.clients) == target), None)

    def _failures(self) -> list[str]:
        failed = [f"- {_who(row)}: {error}" for row in self.rows for error in row.seen["failures"]]
        return ["Failed:", "", *failed] if failed else ["No flow failed."]


_OTHER_DAY = (
    "Compared with the closest existing portal, which this run did not measure; its figures are of another day, on two "
    "shared cores of another machine:"
)
_HEADER = """| portal | clients | flows/s | init p50 / p99, ms | process p50 / p99, ms | details p50 / p99, ms | \
portal CPU, ms/flow | simulator CPU, ms/flow | load CPU, ms/flow | portal RSS, MB | load average |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


def _line(row: Row) -> str:
    times = [
        f"{row.seen[name]['p50_ms']:.1f} / {row.seen[name]['p99_ms']:.1f}" for name in ("init", "process", "details")
    ]
    load_ms = row.seen["cpu_s"] / max(1, row.seen["flows"]) * 1000
    cpu = [_number(row.portal_cpu_ms, 2), _number(row.paygov_cpu_ms, 2), f"{load_ms:.2f}", _number(row.rss_mb, 0)]
    cells = [row.title, str(row.clients), f"{row.per_s:.0f}", *times, *cpu, f"{row.load_1m:.1f}"]
    return "| " + " | ".join(cells) + " |"


def _versions(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {version(name)}" for name in packages)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _who(row: Row) -> str:
    return f"{row.title}, {row.clients} client{'s' if row.clients > 1 else ''}"


def _verdict(met: bool) -> str:
    return "met" if met else "missed"


def _home() -> str:
    """Return where this Python is installed. Builds of one version differ in speed by half."""
    return sys.base_prefix


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
