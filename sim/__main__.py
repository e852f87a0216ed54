"""Run the simulation: ``--seeds N`` runs N seeds and prints injected faults and findings; ``--seed K`` replays one.

With 1,000 seeds or more, a fault or an edge of the graph that never happened fails the run. ``--shrink K`` finds the
faults that a failing seed needs, and since when its failure was inevitable.

``--canaries`` plants every fault and writes to docs/simulation.md where the judge caught it. ``--matrix`` runs every
cell of the fault matrix and writes docs/faults.md. ``--transcript`` prints one lost reply from start to resolution.
"""

import argparse
import re
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from bursar.portal.use_cases.completion_outcomes import CONTRADICTIONS
from sim.proof.canaries import CANARIES, Catch, catch
from sim.proof.matrix import BEHAVIOURS, Cell, cells, play
from sim.proof.matrix_page import PAGE, key_of, render
from sim.proof.resolution_times import Cause, summary
from sim.proof.shrink import shrink
from sim.proof.sometimes import ENOUGH_SEEDS, SOMETIMES, never_happened, not_listed
from sim.run import Verdict, simulate

SHRUNK_MAX = 2
"""Failing seeds of one run that are shrunk at once; ``--shrink`` shrinks any other."""
SIMULATION_PAGE = Path(__file__).resolve().parent.parent / "docs" / "simulation.md"
_CANARIES_TABLE = re.compile(r"(?<=<!-- canaries -->\n).*?(?=<!-- /canaries -->)", re.DOTALL)
_IDS = ((re.compile(r"\bb[a-z0-9]{20}\b"), "attempt"), (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b"), "obligation"))
"""Ids, and what replaces them in the table: they differ in every version, and no reader needs them."""


def main() -> int:
    """Run the command line and return its exit code: 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run, from --first on")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one seed and print its timeline")
    parser.add_argument("--shrink", type=int, metavar="SEED", help="find the faults that a failing seed needs")
    parser.add_argument("--canary", help="with --shrink: plant this fault of the product first")
    parser.add_argument("--canaries", action="store_true", help="plant each fault and write docs/simulation.md")
    parser.add_argument("--matrix", action="store_true", help="run the fault matrix and write docs/faults.md")
    parser.add_argument("--transcript", action="store_true", help="print one lost reply from start to resolution")
    parser.add_argument("--workers", type=int, default=2, help="processes that share the work")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _replay(arguments.seed)
    if arguments.shrink is not None:
        return _shrink(arguments.shrink, arguments.canary)
    if arguments.canaries:
        return _catch_all(arguments.workers)
    if arguments.matrix:
        return _run_matrix(arguments.workers)
    if arguments.transcript:
        lost = next(each for each in BEHAVIOURS if each.name == "charges and never answers")
        print(*play(Cell(True, lost, None, "the sweeper alone")).timeline, sep="\n")
        return 0
    return _run_many(range(arguments.first, arguments.first + arguments.seeds), arguments.workers)


def _replay(seed: int) -> int:
    verdict = simulate(seed)
    print(*verdict.timeline, sep="\n")
    _print_verdict(verdict)
    return bool(verdict.findings)


def _shrink(seed: int, canary: str | None) -> int:
    with CANARIES[canary].plant() if canary else nullcontext():
        shrunk = shrink(seed)
    print(*shrunk.lines(), sep="\n")
    return bool(shrunk.findings)


def _run_many(seeds: range, workers: int) -> int:
    began, bad = time.monotonic(), 0
    faults: Counter[str] = Counter()
    alerts: Counter[str] = Counter()
    left: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    times_s: dict[bool, list[tuple[Cause, float]]] = {True: [], False: []}
    obligations = {True: 0, False: 0}
    charges = returns = 0
    edges: Counter[str] = Counter()
    failing: list[int] = []
    with ProcessPoolExecutor(workers) as pool:
        for verdict in pool.map(simulate, seeds, chunksize=4):
            faults.update(verdict.faults)
            alerts.update(verdict.alerts)
            charges, returns = charges + verdict.charges, returns + verdict.returns
            edges.update(verdict.edges)
            obligations[verdict.can_rule_out] += verdict.payments
            left[verdict.can_rule_out].update(verdict.left)
            times_s[verdict.can_rule_out] += verdict.resolutions
            if verdict.findings:
                bad += 1
                failing.append(verdict.seed)
                _print_verdict(verdict)
    print(
        f"\n{len(seeds)} seeds in {time.monotonic() - began:.0f} s: {sum(obligations.values())} obligations, ", end=""
    )
    print(f"{charges} charges, {returns} returned after settlement, {bad} seeds with findings")
    for can_rule_out, title in ((True, "with a lookup"), (False, "without a lookup")):
        print(f"{title}, {obligations[can_rule_out]} obligations")
        _print_resolution(left[can_rule_out], times_s[can_rule_out])
    for title, counts in (("injected", faults), ("alerts", alerts), ("edges", edges)):
        print(title)
        for name, count in sorted(counts.items()):
            print(f"  {count:7d}  {name}")
    for seed in failing[:SHRUNK_MAX]:
        print(*shrink(seed).lines(), sep="\n")
    never = never_happened(faults, edges)
    print(f"sometimes: {len(never)} of {SOMETIMES} never happened", *never, sep="\n  ")
    if unlisted := not_listed(faults):
        print(f"not in sim/proof/sometimes.py: {', '.join(unlisted)}")
    return bool(bad) or (bool(never) and len(seeds) >= ENOUGH_SEEDS)


def _print_resolution(left: Counter[str], times_s: list[tuple[Cause, float]]) -> None:
    """Print what was left to a person. A contradiction always is: Pay.gov's collection does not fit the attempt."""
    contradicted = {reason: count for reason, count in left.items() if reason in CONTRADICTIONS}
    unknown = {reason: count for reason, count in left.items() if reason not in CONTRADICTIONS}
    print(*(f"  {line}" for line in summary(times_s)), sep="\n")
    for kind, counts in (("unknown outcomes", unknown), ("contradictions", contradicted)):
        print(f"  {sum(counts.values()):7d}  {kind} left to a person")
        for reason, count in sorted(counts.items()):
            print(f"           {count:7d}  {reason}")


def _run_matrix(workers: int) -> int:
    every = list(cells())
    with ProcessPoolExecutor(workers) as pool:
        fates = dict(zip(map(key_of, every), pool.map(play, every, chunksize=20), strict=True))
    PAGE.write_text(render(fates))
    bad = {key: fate for key, fate in fates.items() if fate.findings}
    for key, fate in bad.items():
        print(*key, "; ".join(fate.findings), sep=" | ")
    print(f"{len(fates)} cells, {len(bad)} bad; written to {PAGE}")
    return bool(bad)


def _catch_all(workers: int) -> int:
    table = ["| planted fault | caught at seed | by |", "|---|---|---|"]
    print(*table, sep="\n")
    missed = 0
    with ProcessPoolExecutor(workers) as pool:
        for name, finding, seed in pool.map(_catch, CANARIES):
            missed += finding is None
            table.append(f"| {name} | {seed if finding else 'never'} | {_without_ids(finding or 'nothing')} |")
            print(table[-1], flush=True)
    written = "\n".join(table) + "\n"
    SIMULATION_PAGE.write_text(_CANARIES_TABLE.sub(lambda _: written, SIMULATION_PAGE.read_text()))
    print(f"{len(CANARIES)} canaries, {missed} not caught; written to {SIMULATION_PAGE}")
    return bool(missed)


def _without_ids(finding: str) -> str:
    for ids, replacement in _IDS:
        finding = ids.sub(replacement, finding)
    return finding


def _catch(name: str) -> tuple[str, str | None, int]:
    found: Catch = catch(CANARIES[name])
    return name, found.finding, found.seed


def _print_verdict(verdict: Verdict) -> None:
    print(f"seed {verdict.seed}: {'; '.join(verdict.findings) or 'good'}", flush=True)
    if verdict.findings:
        print(f"  replay: python -m sim --seed {verdict.seed}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
