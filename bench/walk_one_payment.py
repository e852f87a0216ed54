"""Walk one POST /process through the house: how many Python calls it makes, in how many files, with how many names.

    python -m bench.walk_one_payment            the totals by room
    python -m bench.walk_one_payment --calls    every function too, the most called first

The walk is from the ASGI application to the engine's commit and back, with Pay.gov's simulator in the same process and
the embedded store in a file. It counts calls of functions in ``src/bursar``; a coroutine that resumes is one more call.
The figure is a measure of how much a reader must follow, not of speed.
"""

import argparse
import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import bursar
from bursar.paygov.simulator import SimulatorSettings
from bursar.portal.api.authentication import without_signatures
from bursar.portal.doors.asgi import portal_app
from sim.loop import VirtualLoop, run_virtual
from tests.support.portal.asgi import ask
from tests.support.portal.stage import DAWSON, Stage
from tests.support.write_paths import SWAP

SOURCE = Path(bursar.__file__).parent
SIMULATOR = str(SOURCE / "paygov" / "simulator")
Calls = Counter[tuple[CodeType, bool]]
"""(function, whether the simulator runs it) → number of calls."""


def main() -> None:
    """Print the walk."""
    parser = argparse.ArgumentParser(description="Count the Python calls of one POST /process.")
    parser.add_argument("--calls", action="store_true", help="list every function too")
    arguments = parser.parse_args()
    logging.getLogger("bursar").setLevel(logging.CRITICAL)
    calls = walk()
    for line in summary(calls):
        print(line)
    if arguments.calls:
        for (code, in_simulator), count in calls.most_common():
            print(f"{count:5}  {'simulator: ' if in_simulator else ''}{file_of(code)}  {code.co_qualname}")


def walk() -> Calls:
    """Return how often each function of ``src/bursar`` is called by one POST /process of a paid payment."""
    with tempfile.TemporaryDirectory() as folder:
        return run_virtual(lambda loop: _walk(loop, f"{folder}/bursar.db"))


async def _walk(loop: VirtualLoop, path: str) -> Calls:
    store = SWAP.open(path, clock=loop.clock, randomness=random.Random(1))
    stage = Stage(loop, SWAP, store, lookups=("query",), confirmed=("query",), settings=SimulatorSettings())
    await SWAP.create_table(store)
    app = portal_app(stage.portal, without_signatures(DAWSON, listens_on=["127.0.0.1"]))
    calls: Calls = Counter()
    try:
        for counted in (Counter(), calls):  # the first payment fills caches
            token = await stage.paid()
            with counting(counted):
                answer = await ask(app, "POST", "/process", {"token": token})
            assert answer.status == 200, answer.body
            await stage.portal.drain()
    finally:
        await store.close()
    return calls


@contextmanager
def counting(calls: Calls) -> Iterator[None]:
    """Count calls of functions of ``src/bursar`` into ``calls``."""
    source = str(SOURCE)

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(source):
            calls[frame.f_code, _in_simulator(frame)] += 1

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


def _in_simulator(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(SIMULATOR):
            return True
        frame = frame.f_back
    return False


def summary(calls: Calls) -> list[str]:
    """Return the totals of the whole walk and of the portal's part, and the portal's calls by folder."""
    portal: Calls = Counter({each: count for each, count in calls.items() if not each[1]})
    by_folder: Counter[str] = Counter()
    for (code, _), count in portal.items():
        by_folder[_folder_of(code)] += count
    return [
        _totals("the whole walk", calls),
        _totals("the portal's part, without the simulator", portal),
        *(f"{count:5}  {folder}" for folder, count in sorted(by_folder.items())),
    ]


def _totals(name: str, calls: Calls) -> str:
    files = {code.co_filename for code, _ in calls}
    names = {code.co_name for code, _ in calls}
    return f"{name}: {calls.total()} calls, {len(files)} files, {len(names)} names"


def file_of(code: CodeType) -> str:
    """Return the path below ``src/bursar``."""
    return str(Path(code.co_filename).relative_to(SOURCE))


def _folder_of(code: CodeType) -> str:
    parent = Path(file_of(code)).parent
    return "." if not parent.parts else str(Path(*parent.parts[:2]))


if __name__ == "__main__":
    main()
