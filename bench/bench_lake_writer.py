"""Measure the lake's writer: how fast it catches up, its memory, and what a year of commits leaves.

    python -m bench.bench_lake_writer --data DIR [--payments 150000]      catch up with a generated store
    python -m bench.bench_lake_writer --year [--payments 100000] [--commits-a-day 2]

The first form generates the store in ``--data``, if the folder has none, and builds a new lake from it in a separate
process. A change is an event: an entry of the index of changes, with the state of its attempt that it leads to. The
second form writes the payments of a year in commits at equal intervals,
each followed by what the writer does after a commit, and prints the data files and the bytes of metadata that remain.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.reports_bench.history import SPAN_S, batch_of, payment_rows
from bursar.bootstrap.composition import Composition
from bursar.clock import system_clock
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.vacuum import READER_GRACE_S
from bursar.reports.lake.writer import writing
from bursar.settings import Settings

CHANGES_PER_CPU_S_MIN: Final = 40_000
MEMORY_MB_MAX: Final = 400
FILES_MAX: Final = 30
METADATA_BYTES_MAX: Final = 1_000_000
BYTES_PER_MILLION_MAX: Final = 100_000_000
LAST_COMMITS: Final = 22
"""Commits at the end of the year, so that every kept version of the metadata is of a lake that has been tidied."""


def generate(folder: Path, payments: int) -> None:
    """Make the store of ``folder``, unless it has one."""
    if not (folder / "bursar.db").exists():
        bursar = str(Path(sys.executable).with_name("bursar"))
        subprocess.run([bursar, "generate", "--payments", str(payments), "--data", str(folder)], check=True)


async def catch_up(folder: Path) -> list[str]:
    """Found a new lake from the store, and return lines about it."""
    shutil.rmtree(folder / "lake", ignore_errors=True)
    async with Composition(Settings(data=str(folder)), creates_store=False) as parts:
        reports = await parts.reports(answers=False)
        wall, cpu = time.perf_counter(), time.process_time()
        await reports.write_lake()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        state = await reports.lake_state()
    rows, changes = sum(table.row_count for table in state.values()), state["payment_events"].row_count
    attempts, size = state["payments"].row_count, _bytes_of(state)
    rate, peak_mb = changes / cpu, _peak_mb()
    per_million = size / attempts * 1e6
    return [
        f"{changes:,} changes in {wall:.1f} s and {cpu:.1f} CPU s: {rate:,.0f} a CPU second "
        f"(goal {CHANGES_PER_CPU_S_MIN:,}: {_verdict(rate >= CHANGES_PER_CPU_S_MIN)}); "
        f"{rows:,} rows of tables: {rows / cpu:,.0f}",
        f"peak memory {peak_mb:.0f} MB (goal {MEMORY_MB_MAX}: {_verdict(peak_mb < MEMORY_MB_MAX)})",
        f"{per_million / 1e6:.0f} MB for a million attempts with their events "
        f"(goal {BYTES_PER_MILLION_MAX / 1e6:.0f}: {_verdict(per_million <= BYTES_PER_MILLION_MAX)})",
    ]


def year(folder: Path, payments: int, commits_a_day: int) -> list[str]:
    """Write a year of payments commit by commit, and return lines about what remains."""
    now, cpu, commits, made = system_clock(), time.process_time(), 365 * commits_a_day, 0
    share = max(payments // commits, 1)
    # The generated history has two years: its second half is the year.
    for number, rows in enumerate(payment_rows(2 * payments, now, share, first=payments)):
        with writing(Lake.at(f"file:{folder}/lake")) as writer:
            writer.commit(batch_of(*rows), None, now - SPAN_S / 2 + number * 86_400 / commits_a_day)
            if writer.needs_merge():
                writer.merge()
            writer.tidy()
        made = number + 1
    cpu = time.process_time() - cpu
    # A year's commits are hours apart: all but the last are older than the grace for readers.
    time.sleep(READER_GRACE_S + 1)
    for _ in range(LAST_COMMITS):
        with writing(Lake.at(f"file:{folder}/lake")) as writer:
            writer.commit(batch_of([], []), None, now)
            writer.tidy()
    state = Lake.at(f"file:{folder}/lake").state()
    files = {name: len(table.files) + len(table.live_files) for name, table in state.items()}
    metadata = [path for path in (folder / "lake").rglob("*") if path.parent.name == "metadata"]
    size = sum(path.stat().st_size for path in metadata)
    most = max(files.values())
    return [
        f"{made:,} commits of {payments:,} payments: {cpu / made:.2f} CPU s each",
        f"data files: {', '.join(f'{name} {count}' for name, count in files.items())} "
        f"(goal {FILES_MAX}: {_verdict(most <= FILES_MAX)})",
        f"metadata: {len(metadata)} files, {size / 1e6:.2f} MB (goal {METADATA_BYTES_MAX / 1e6:.0f}: "
        f"{_verdict(size <= METADATA_BYTES_MAX)})",
    ]


def _bytes_of(state: LakeState) -> int:
    files = [file for table in state.values() for file in (*table.files, *table.live_files)]
    return sum(Path(file.removeprefix("file://")).stat().st_size for file in files)


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _verdict(reached: bool) -> str:
    return "reached" if reached else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--payments", type=int)
    parser.add_argument("--year", action="store_true")
    parser.add_argument("--commits-a-day", type=int, default=2)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(*asyncio.run(catch_up(options.data)), sep="\n")
    elif options.year:
        with tempfile.TemporaryDirectory() as name:
            print(*year(Path(name), options.payments or 100_000, options.commits_a_day), sep="\n")
    elif options.data is not None:
        generate(options.data, options.payments or 150_000)
        command = [sys.executable, "-m", "bench.bench_lake_writer", "--measure", "--data", str(options.data)]
        sys.exit(subprocess.run(command, check=False).returncode)
    else:
        parser.error("--data or --year: must be given")


if __name__ == "__main__":
    main()
