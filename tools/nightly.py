"""Run what takes too long for every commit, and write the results to docs/nightly.md.

    python tools/nightly.py [--steps simulation,mutants,properties,oracles,conformance,…]

    step          runs                                                                  setting
    simulation    `python -m sim` from new seeds until the time is used up              NIGHTLY_SIM_S (3600)
    volume        crowds of payers until there are so many obligations                  NIGHTLY_OBLIGATIONS (1000000),
                                                                                        NIGHTLY_KEPT (none)
    sometimes     seeds, in which every fault and every edge must happen                NIGHTLY_SEEDS (1000)
    canaries      every planted fault; the judge must find each
    matrix        every cell of the fault matrix
    model         every state of the protocol's larger model (spec/)
    disk          crashes on a disk that fails and lies (tests/disk)                    NIGHTLY_CRASHES (10000)
    past          restores to random instants after kill -9                             NIGHTLY_INSTANTS (1000)
    visible       pairs of a write and a later question, while SIGKILL ends processes    NIGHTLY_PAIRS (100000)
    histories     the same in one process, with kills at each commit and clock steps    NIGHTLY_HISTORY_PAIRS (100000)
    weather       the tests of the use cases in storms of DynamoDB                      NIGHTLY_STORMS (4)
    mutants       every planted fault; the tests of its place must fail                 NIGHTLY_MUTANTS (all)
    properties    every property test, with 20 times as many examples                   NIGHTLY_PROPERTY_TESTS (tests)
    oracles       the tests that compare with other implementations of DynamoDB         NIGHTLY_ORACLE_TESTS (tests)
    conformance   the public conformance suite, if NIGHTLY_SUITE is its checkout        NIGHTLY_SUITE (none)

Each step replaces its row of the page; a step that did not run keeps its last result. The exit code is 1 when a step
failed. A step without what it needs is `not run`, which is no failure.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "nightly.md"
START, END = "<!-- last results -->", "<!-- end of last results -->"
HEADER: Final = "| step | date | commit | outcome | figure | seconds |\n|---|---|---|---|---|---:|"
SIMULATION_S: Final = 3600.0
SEEDS_AT_ONCE: Final = 100
OBLIGATIONS: Final = 1_000_000
CRASHES: Final = 10_000
INSTANTS: Final = 1_000
PAST_WRITES: Final = 6_000
SEEDS_A_DAY: Final = 1_000_000
"""The seeds of two days do not overlap: a day's first seed is its ordinal number times this."""
VOLUME_SEED: Final = 2_000_000_000
"""The first seed of the crowds that NIGHTLY_KEPT keeps: the same every night, so that a run can continue."""
PROPERTY_TIMEOUT_S: Final = 3600
PAIRS: Final = 100_000
HISTORY_PAIRS: Final = 100_000
HISTORY_QUESTIONS: Final = 4
"""Questions at once after each write of `histories`: they share one read of the store, which is most of their cost."""
VISIBLE_TIMEOUT_S: Final = 8 * 3600
VISIBLE: Final = re.compile(r"(\d+) pairs, (\d+) kills, (\d+) refused, 0 stale, 0 doubled, 0 disagreeing")
STORMS: Final = 4
SEEDS: Final = 1_000
FIGURE_CHARACTERS_MAX: Final = 200
PASSED, FAILED, NOT_RUN = "passed", "**failed**", "not run"

SIMULATED: Final = re.compile(
    r"(?P<seeds>\d+) seeds in .*: (?P<payments>\d+) obligations, (?P<charges>\d+) charges.*, (?P<bad>\d+) seeds with"
)


@dataclass(frozen=True, slots=True)
class Result:
    """How a step ended: ``outcome`` is PASSED, FAILED or NOT_RUN; ``figure`` is what it counted."""

    outcome: str
    figure: str


Environment = Mapping[str, str]


def run(*command: str, cwd: Path = ROOT, environment: Environment | None = None) -> tuple[int, str]:
    """Run a command and return its exit code and its output, which is printed too."""
    print("$", *command, flush=True)
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    return process.wait(), "".join(lines)


def simulation(settings: Environment) -> Result:
    """Simulate new seeds until NIGHTLY_SIM_S seconds are used up; every seed must be without findings."""
    limit_s = float(settings.get("NIGHTLY_SIM_S", SIMULATION_S))
    first = datetime.now(UTC).date().toordinal() * SEEDS_A_DAY
    until, seed, payments, charges, bad = time.monotonic() + limit_s, first, 0, 0, 0
    while time.monotonic() < until:
        code, output = run(sys.executable, "-m", "sim", "--first", str(seed), "--seeds", str(SEEDS_AT_ONCE))
        counted = SIMULATED.search(output)
        if counted is None:
            return Result(FAILED, f"the simulation from seed {seed} ended with code {code}")
        payments, charges = payments + int(counted["payments"]), charges + int(counted["charges"])
        bad += int(counted["bad"])
        seed += SEEDS_AT_ONCE
    figure = f"{seed - first} seeds from {first}: {payments} obligations, {charges} charges, {bad} seeds with findings"
    return Result(FAILED if bad else PASSED, figure)


def volume(settings: Environment) -> Result:
    """Simulate NIGHTLY_OBLIGATIONS obligations in crowds; the figure is the last line that the simulation prints.

    With NIGHTLY_KEPT, the crowds that this file has are not run again, and it keeps the others.
    """
    count = settings.get("NIGHTLY_OBLIGATIONS", str(OBLIGATIONS))
    kept = settings.get("NIGHTLY_KEPT")
    first = VOLUME_SEED if kept else datetime.now(UTC).date().toordinal() * SEEDS_A_DAY
    command = (sys.executable, "-m", "sim", "--first", str(first), "--obligations", count)
    return _last_line(*command, *(("--kept", kept) if kept else ()))


def sometimes(settings: Environment) -> Result:
    """Simulate enough seeds for every fault and every edge to happen; one that never does fails the step."""
    code, output = run(sys.executable, "-m", "sim", "--seeds", settings.get("NIGHTLY_SEEDS", str(SEEDS)))
    line = next((line for line in output.splitlines() if line.startswith("sometimes: ")), f"ended with code {code}")
    return Result(FAILED if code else PASSED, line)


def _last_line(*command: str, environment: Environment | None = None) -> Result:
    code, output = run(*command, environment=environment)
    lines = [line.strip("= ") for line in output.splitlines() if line.strip("= ")]
    return Result(FAILED if code else PASSED, lines[-1] if lines else f"exit code {code}")


def canaries(_settings: Environment) -> Result:
    """Plant every fault in the simulation; this writes docs/simulation.md."""
    return _last_line(sys.executable, "-m", "sim", "--canaries")


def model(_settings: Environment) -> Result:
    """Search the larger model of the protocol; this writes spec/README.md."""
    if shutil.which("spin") is None or shutil.which("gcc") is None:
        return Result(NOT_RUN, "Spin or gcc is not installed (tools/install-spin)")
    return _last_line(sys.executable, "-m", "tools.check_spec", "--large", "--write")


def disk(settings: Environment) -> Result:
    """Crash the engine on a disk that fails and lies; only a lie may lose an acknowledged write."""
    if shutil.which("gcc") is None or sys.platform != "linux":
        return Result(NOT_RUN, "the library of the disk needs Linux and gcc (tools/install-spin)")
    count = settings.get("NIGHTLY_CRASHES", str(CRASHES))
    first = datetime.now(UTC).date().toordinal() * SEEDS_A_DAY
    code, output = run(sys.executable, "-m", "tests.disk", "--json", "--crashes", count, "--first", str(first))
    try:
        totals = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return Result(FAILED, f"the crashes from seed {first} ended with code {code}")
    names = ("crashes", "acknowledged writes", "lost or damaged without a lie", "lost or damaged after a lie")
    return Result(FAILED if code else PASSED, ", ".join(f"{totals[name]} {name}" for name in names))


def past(settings: Environment) -> Result:
    """Restore a table to random instants after kill -9 under load; none may differ from the acknowledged writes."""
    count = settings.get("NIGHTLY_INSTANTS", str(INSTANTS))
    code, output = run(
        *(sys.executable, "-m", "pytest", "-q", "-s", "--timeout", str(PROPERTY_TIMEOUT_S)),
        "tests/dynamo/durability/test_past.py",
        environment={"PAST_INSTANTS": count, "PAST_WRITES": str(PAST_WRITES)},
    )
    figure = next((line for line in output.splitlines() if "0 differences" in line), f"pytest ended with code {code}")
    return Result(FAILED if code else PASSED, figure)


def visible(settings: Environment) -> Result:
    """Ask after each acknowledged write, over processes that are killed.

    No answer may lack a write, have one twice, or disagree with itself.
    """
    return _pairs("tests/cloud/test_visible.py", "VISIBLE", settings.get("NIGHTLY_PAIRS", str(PAIRS)))


def histories(settings: Environment) -> Result:
    """Ask after each acknowledged write, in one process: kills at each commit, clocks that step, two machines.

    100,000 pairs take less than an hour of two idle cores.
    """
    pairs = settings.get("NIGHTLY_HISTORY_PAIRS", str(HISTORY_PAIRS))
    questions = {"VISIBILITY_QUESTIONS": str(HISTORY_QUESTIONS)}
    return _pairs("tests/reports/test_visibility.py", "VISIBILITY", pairs, "-n", "2", more=questions)


def _pairs(tests: str, variables: str, pairs: str, *flags: str, more: Environment | None = None) -> Result:
    first = datetime.now(UTC).date().toordinal() * SEEDS_A_DAY
    code, output = run(
        *(sys.executable, "-m", "pytest", "-q", "-rP", "--timeout", str(VISIBLE_TIMEOUT_S)),
        *(tests, "-k", "each_acknowledged or every_acknowledged", *flags),
        environment={f"{variables}_PAIRS": pairs, f"{variables}_SEED": str(first), **(more or {})},
    )
    found = [tuple(map(int, each)) for each in VISIBLE.findall(output)]
    if code or not found:
        return Result(FAILED, f"the histories from seed {first} ended with code {code}")
    asked, kills, refused = (sum(column) for column in zip(*found, strict=True))
    return Result(PASSED, f"{asked} pairs, {kills} kills, {refused} refused, 0 stale, 0 doubled, 0 disagreeing")


def weather(settings: Environment) -> Result:
    """Run the tests of the portal's use cases in storms (tests/support/storms.py)."""
    storms = int(settings.get("NIGHTLY_STORMS", STORMS))
    result = Result(NOT_RUN, "NIGHTLY_STORMS is 0")
    for seed in range(1, storms + 1):
        command = ("-m", "pytest", "-q", "-n", "2", "tests/portal/use_cases")
        result = _last_line(sys.executable, *command, environment={"STORM_SEED": str(seed)})
        if result.outcome != PASSED:
            return Result(FAILED, f"seed {seed}: {result.figure}")
    return Result(result.outcome, f"{storms} storms; the last one: {result.figure}")


def matrix(_settings: Environment) -> Result:
    """Run every cell of the fault matrix; this writes docs/faults.md."""
    return _last_line(sys.executable, "-m", "sim", "--matrix")


def mutants(settings: Environment) -> Result:
    """Plant every fault of tests/mutants in turn; the tests of its place must fail."""
    return _last_line(sys.executable, "-m", "tests.mutants", *settings.get("NIGHTLY_MUTANTS", "").split())


def properties(settings: Environment) -> Result:
    """Run every property test with the profile `nightly` of tests/support/hypothesis_profiles.py."""
    tests = settings.get("NIGHTLY_PROPERTY_TESTS", "tests").split()
    environment = {
        "HYPOTHESIS_PROFILE": "nightly",
        "EQUIVALENCE_EXAMPLES": settings.get("EQUIVALENCE_EXAMPLES", "2000"),
    }
    command = ("-m", "pytest", "-q", "--timeout", str(PROPERTY_TIMEOUT_S), "-m", "hypothesis and not oracle", *tests)
    return _last_line(sys.executable, *command, environment=environment)


def oracles(settings: Environment) -> Result:
    """Run every test that compares with another implementation of DynamoDB."""
    tests = settings.get("NIGHTLY_ORACLE_TESTS", "tests").split()
    return _last_line(sys.executable, "-m", "pytest", "-q", "-m", "oracle", *tests)


def conformance(settings: Environment) -> Result:
    """Run the public conformance suite against `bursar dynamo`; this writes its figures to docs/compatibility.md."""
    suite = Path(settings.get("NIGHTLY_SUITE", ""))
    if not settings.get("NIGHTLY_SUITE") or not (suite / "node_modules").is_dir():
        return Result(NOT_RUN, "NIGHTLY_SUITE is not a checkout with its packages installed")
    return _last_line(sys.executable, "tools/conformance.py", str(suite))


STEPS: Final[Mapping[str, Callable[[Environment], Result]]] = {
    each.__name__: each
    for each in (
        simulation,
        volume,
        sometimes,
        canaries,
        matrix,
        model,
        disk,
        past,
        visible,
        histories,
        weather,
        mutants,
        properties,
        oracles,
        conformance,
    )
}

NEEDS: Final[Mapping[str, str]] = {
    model.__name__: ".tools/.spin",
    disk.__name__: ".tools/.spin",
    oracles.__name__: ".tools/.oracles",
}
"""The target of the Makefile that installs what a step needs. A step that then lacks it reports so itself."""


def commit() -> str:
    """Return the short name of the commit, with `+` when the working tree has other changes."""
    name = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True)
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, check=True, capture_output=True, text=True)
    return name.stdout.strip() + ("+" if changed.stdout.strip() else "")


def row(step: str, result: Result, *, date: str, at_commit: str, seconds: float) -> str:
    """Return the row of a step in the page's table."""
    figure = result.figure.replace("|", "\\|")[:FIGURE_CHARACTERS_MAX]
    return f"| {step} | {date} | {at_commit} | {result.outcome} | {figure} | {seconds:.0f} |"


def with_rows(page: str, rows: Mapping[str, str]) -> str:
    """Return the page with the given rows in place of the old ones, in the order of STEPS.

    Raises ValueError for a page without the marks.
    """
    before, start, rest = page.partition(START)
    table, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{PAGE.name}: must have the lines {START} and {END}; got a page without")
    kept = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    merged = {**kept, **rows}
    lines = [HEADER, *(merged[step] for step in STEPS if step in merged)]
    return f"{before}{START}\n" + "\n".join(lines) + f"\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default=",".join(STEPS), help="the steps to run, separated by commas")
    chosen = parser.parse_args(arguments).steps.split(",")
    if unknown := [step for step in chosen if step not in STEPS]:
        parser.error(f"--steps: must be of {', '.join(STEPS)}; got {', '.join(unknown)}")
    at_commit, failed = commit(), False
    for step in chosen:
        if step in NEEDS:
            run("make", NEEDS[step])
        began = time.monotonic()
        result = STEPS[step](os.environ)
        failed = failed or result.outcome == FAILED
        seconds = time.monotonic() - began
        made = row(step, result, date=str(datetime.now(UTC).date()), at_commit=at_commit, seconds=seconds)
        print(made, flush=True)
        PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8"), {step: made}), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
