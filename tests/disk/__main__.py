"""Crash the engine on a disk that fails and lies: ``python -m tests.disk --crashes 10000``.

It compiles lying_disk.c with gcc, starts itself with that library preloaded, and prints the totals; ``--json`` prints
them for a program. The exit code is 1 if an acknowledged write was lost, or a store damaged, although no sync and no
write had lied, or if the engine ended in an error.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.disk.crash import Fate, crash, is_preloaded, new_store

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = Path(__file__).with_name("lying_disk.c")
CRASHES_OF_ONE_STORE: Final = 25
STAMPS_OF_ONE_CRASH: Final = 1_000
EXAMPLES_MAX: Final = 5


def compile_library(folder: Path) -> Path:
    """Compile the library in ``folder`` and return its path. Raises ``CalledProcessError``."""
    library = folder / "lying_disk.so"
    command = ("gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl")
    subprocess.run(command, check=True)
    return library


def run(crashes: int, first: int, folder: Path, *, lying: bool | None = None) -> dict[str, Any]:
    """Crash ``crashes`` times, from seed ``first`` on, and return the totals."""
    totals: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    examples: list[str] = []
    store, number_on_store = folder / "store-0", 0
    new_store(store)
    for seed in range(first, first + crashes):
        fate = crash(store, folder, seed, number_on_store * STAMPS_OF_ONE_CRASH, lying=lying)
        _count(fate, totals)
        faults.update(fate.faults)
        if (fate.problems and not fate.disk_lied) or fate.engine_failures:
            examples.append(f"seed {seed}: {'; '.join([*fate.problems, *fate.engine_failures])}")
        number_on_store += 1
        # A store that a lie may have damaged proves nothing about the crashes after it.
        if fate.problems or fate.disk_lied or number_on_store == CRASHES_OF_ONE_STORE:
            store, number_on_store = folder / f"store-{seed + 1}", 0
            new_store(store)
    return {**totals, "faults": dict(sorted(faults.items())), "examples": examples[:EXAMPLES_MAX]}


def _count(fate: Fate, totals: Counter[str]) -> None:
    totals["crashes"] += 1
    totals["power losses"] += fate.power_loss
    totals["acknowledged writes"] += fate.acknowledged_writes
    totals["crashes of a disk that lied"] += fate.disk_lied
    totals["lost or damaged after a lie"] += bool(fate.problems) and fate.disk_lied
    totals["lost or damaged without a lie"] += bool(fate.problems) and not fate.disk_lied
    totals["engine ended in an error"] += bool(fate.engine_failures)


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.disk", description=__doc__)
    parser.add_argument("--crashes", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--lying", choices=("sometimes", "always", "never"), default="sometimes")
    parser.add_argument("--json", action="store_true", help="print the totals as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not is_preloaded():
            environment = {**os.environ, "LD_PRELOAD": str(compile_library(Path(folder)))}
            command = (sys.executable, "-m", "tests.disk", *sys.argv[1:])
            return subprocess.run(command, env=environment, check=False).returncode
        logging.disable(logging.CRITICAL)  # the engine logs each failure of the disk
        began = time.monotonic()
        lying = {"sometimes": None, "always": True, "never": False}[arguments.lying]
        totals = run(arguments.crashes, arguments.first, Path(folder), lying=lying)
    if arguments.json:
        print(json.dumps(totals))
    else:
        print(f"{arguments.crashes} crashes in {time.monotonic() - began:.0f} s")
        for name, count in {**totals, **totals["faults"]}.items():
            if isinstance(count, int):
                print(f"  {count:9,d}  {name}")
        print(*totals["examples"], sep="\n")
    return 1 if totals["lost or damaged without a lie"] or totals["engine ended in an error"] else 0


if __name__ == "__main__":
    sys.exit(main())
