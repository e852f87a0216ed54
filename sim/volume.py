"""Simulate crowds until there are so many obligations. Each crowd is kept in one line, so a run can stop and continue.

    python -m sim --obligations 1000000 --kept million.jsonl    run the crowds that the file does not have yet
    python -m sim --totals million.jsonl                        print the totals of the crowds that it has

A run that is killed loses the crowds that were in progress, at most one for each of its processes.
"""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final

from sim.run import CROWD, Verdict, simulate_crowd
from sim.totals import Totals

ROOT: Final = Path(__file__).resolve().parent.parent
COUNTERS: Final = ("left", "faults", "alerts", "edges")
PLAIN: Final = ("seed", "findings", "payments", "charges", "returns", "can_rule_out", "shown_s", "ended_at_s")
DECIMALS: Final = 3
"""Times are kept to the millisecond."""


def seeds_for(obligations: int, first: int) -> range:
    """Return the seeds of so many crowds that they have at least ``obligations``."""
    return range(first, first + -(-obligations // CROWD))


def line_of(verdict: Verdict, commit: str) -> str:
    """Return the line that keeps the verdict of a crowd, without its timeline: the seed gives that again."""
    kept: dict[str, Any] = {name: getattr(verdict, name) for name in (*PLAIN, *COUNTERS)}
    kept["shown_s"] = [round(seconds, DECIMALS) for seconds in verdict.shown_s]
    kept["resolutions"] = [(cause, round(seconds, DECIMALS)) for cause, seconds in verdict.resolutions]
    return json.dumps({"commit": commit, **kept})


def verdict_of(line: str) -> Verdict:
    """Return the verdict that a line keeps. Raises ``ValueError`` for a line that was not written to its end."""
    kept: dict[str, Any] = json.loads(line)
    del kept["commit"]
    for name in COUNTERS:
        kept[name] = Counter(kept[name])
    kept["resolutions"] = [(cause, seconds) for cause, seconds in kept["resolutions"]]
    return Verdict(**kept)


def read(files: Iterable[Path]) -> dict[int, Verdict]:
    """Return the verdicts in ``files`` by seed. The last line of a run that was killed may be cut: it is left out."""
    found: dict[int, Verdict] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                verdict = verdict_of(line)
            except ValueError:
                continue
            found[verdict.seed] = verdict
    return found


def run(
    seeds: Iterable[int], kept: Path | None, workers: int, simulate: Callable[[int], Verdict] = simulate_crowd
) -> Iterator[Verdict]:
    """Yield the verdicts of ``seeds`` as they end; first those that the file ``kept`` has, without running them.

    The others are appended to the file. An interrupt (SIGINT) ends the iteration early.
    """
    wanted = list(seeds)
    known = read([kept] if kept else [])
    yield from (known[seed] for seed in wanted if seed in known)
    commit = _commit()
    for verdict in _simulated([seed for seed in wanted if seed not in known], workers, simulate):
        if kept is not None:
            _append(kept, line_of(verdict, commit))
        yield verdict


def _simulated(seeds: list[int], workers: int, simulate: Callable[[int], Verdict]) -> Iterator[Verdict]:
    """Yield the verdicts of ``seeds`` as they end. One worker is this process: nothing is left when it is killed."""
    try:
        if workers == 1:
            yield from map(simulate, seeds)
            return
        with ProcessPoolExecutor(workers) as pool:
            try:
                for each in as_completed([pool.submit(simulate, seed) for seed in seeds]):
                    yield each.result()
            finally:
                pool.shutdown(cancel_futures=True)
    except KeyboardInterrupt:
        return


def print_totals(totals: Totals) -> None:
    """Print what a run in volume says at its end."""
    print(*totals.lines(), totals.short(), sep="\n")


def run_volume(obligations: int, first: int, workers: int, kept: Path | None) -> int:
    """Simulate crowds until there are ``obligations``; print the totals so far after each, and all at the end.

    Returns the exit code: 1 if anything was found, or if the run was interrupted.
    """
    began, totals, seeds = time.monotonic(), Totals(), seeds_for(obligations, first)
    for verdict in run(seeds, kept, workers):
        totals.add(verdict)
        if verdict.findings:
            print(f"seed {verdict.seed}: {'; '.join(verdict.findings)}")
            print(f"  replay: python -m sim --seed {verdict.seed} --obligations {CROWD}")
        print(totals.head(time.monotonic() - began), flush=True)
    if totals.seeds < len(seeds):
        print(f"interrupted after {totals.seeds} of {len(seeds)} seeds", flush=True)
    print_totals(totals)
    return bool(totals.failing) or totals.seeds < len(seeds)


def total(files: Iterable[Path]) -> int:
    """Print the totals of the crowds in ``files``; a seed counts once. Returns 1 if anything was found."""
    totals = Totals()
    for verdict in read(files).values():
        totals.add(verdict)
    for seed in totals.failing:
        print(f"seed {seed} has findings; replay: python -m sim --seed {seed} --obligations {CROWD}")
    print_totals(totals)
    return bool(totals.failing)


def _append(file: Path, line: str) -> None:
    with file.open("ab+") as appended:
        if appended.tell() > 0:
            appended.seek(-1, os.SEEK_END)
            if appended.read(1) != b"\n":  # the run before was killed while it wrote
                appended.write(b"\n")
        appended.write(f"{line}\n".encode())


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
