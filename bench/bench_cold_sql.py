"""Measure the CPU time of a cold ``bursar sql``: a new process each time, beside nothing else of Bursar's.

    python -m bench.bench_cold_sql [--data DIR] [--runs 5]

``--data``: a data folder with a store and a lake; without it, one with a small generated history is made and removed.
CPU time is user and system time of the process; the smallest is the least disturbed by the rest of the machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

PAYMENTS: Final = 2_000
QUESTION: Final = "SELECT fee, count(*), sum(amount) FROM payments GROUP BY fee ORDER BY fee"
CPU_MAX_S: Final = 0.5


def bursar(data: Path, *arguments: str) -> float:
    """Run the command in a new process, and return the seconds of CPU time that it took."""
    before = os.times()
    # An installed command has the bytecode of its modules: to compile them is a third of the time of a cold start.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = inherited | {"BURSAR_DATA": str(data)}
    command = [str(Path(sys.executable).with_name("bursar")), *arguments]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def measure(data: Path, runs: int) -> str:
    """Return a line with the smallest and the largest time."""
    bursar(data, "sql", QUESTION)
    spent = sorted(bursar(data, "sql", QUESTION) for _ in range(runs))
    verdict = "reached" if spent[0] <= CPU_MAX_S else "missed"
    return f"cold `bursar sql`, {runs} runs: {spent[0]:.2f} to {spent[-1]:.2f} CPU s (goal {CPU_MAX_S}: {verdict})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if options.data is not None:
        print(measure(options.data, options.runs))
        return
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        bursar(data, "generate", "--payments", str(PAYMENTS), "--months", "3", "--data", str(data))
        bursar(data, "lake", "write")
        print(measure(data, options.runs))


if __name__ == "__main__":
    main()
