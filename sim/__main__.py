"""``python -m sim --seeds N`` runs N seeds and prints what was injected and found; ``--seed K`` replays one, told."""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from sim.run import Verdict, simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run, from --first on")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one seed and print its timeline")
    parser.add_argument("--workers", type=int, default=2, help="processes that share the work")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        verdict = simulate(arguments.seed)
        print(*verdict.timeline, sep="\n")
        _tell(verdict)
        return bool(verdict.findings)
    return _run_many(range(arguments.first, arguments.first + arguments.seeds), arguments.workers)


def _run_many(seeds: range, workers: int) -> int:
    began, bad = time.monotonic(), 0
    faults: Counter[str] = Counter()
    payments = charges = given_up = 0
    with ProcessPoolExecutor(workers) as pool:
        for verdict in pool.map(simulate, seeds, chunksize=4):
            faults.update(verdict.faults)
            payments, charges = payments + verdict.payments, charges + verdict.charges
            given_up += verdict.given_up
            if verdict.findings:
                bad += 1
                _tell(verdict)
    print(
        f"\n{len(seeds)} seeds in {time.monotonic() - began:.0f} s: {payments} obligations, {charges} charges, ", end=""
    )
    print(f"{given_up} left to a person (no query service), {bad} seeds with findings")
    for fault, count in sorted(faults.items()):
        print(f"  {count:7d}  {fault}")
    return bool(bad)


def _tell(verdict: Verdict) -> None:
    print(f"seed {verdict.seed}: {'; '.join(verdict.findings) or 'good'}")
    if verdict.findings:
        print(f"  replay: python -m sim --seed {verdict.seed}")


if __name__ == "__main__":
    sys.exit(main())
