"""Search every state of the model in spec/ with Spin, then plant its mutants: ``python -m tools.check_spec``.

    --large    search the larger model, of two sweepers and three attempts, without a restore (make nightly)
    --write    write the figures to spec/README.md

The exit code is 1 when a law does not hold, when a mutant is not caught, or when an edge is never taken.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bursar.payments.status import EDGES
from tools.spec_edges import edge_name

ROOT: Final = Path(__file__).resolve().parent.parent
SPEC: Final = ROOT / "spec"
MODEL: Final = SPEC / "payment.pml"
README: Final = SPEC / "README.md"
START, END = "<!-- figures -->", "<!-- end of figures -->"
DEPTH_MAX: Final = 1_000_000
MEMORY_MAX_MB: Final = 12_000
COMPILE: Final = ("gcc", "-Og", "-w", "-DSAFETY", "-DNOREDUCE", f"-DMEMLIM={MEMORY_MAX_MB}")
"""Only assertions are checked. Nearly every step touches shared data, so partial-order reduction only costs time."""

NOT_MODELLED: Final[Mapping[str, str]] = {
    "metadata_erased": "it changes no status and no money",
    "charged_back": "it follows a final attempt, as `returned` does",
    "refund_requested": "money that the agency sends back follows a final attempt",
    "refund_approved": "the same",
    "refund_rejected": "the same",
    "imported": "an attempt of another portal begins with it; from then on it is as any other in its status",
}
"""Event → the reason why the model leaves it out."""

AFTER_A_RESTORE: Final = frozenset(
    edge_name(step, actor)
    for step in EDGES
    for actor in step.actors
    if step.event == "outcome_unknown" and step.source != "processing"
)
"""The edges that only a restored store takes."""

_MUTANT: Final = re.compile(r"#define MUTANT_\w+ +(?P<number>\d+)  /\* (?P<meaning>.*) \*/")
_STATES: Final = re.compile(r"^ *(?P<states>[\d.e+]+) states, stored", re.MULTILINE)
_DEPTH: Final = re.compile(r"depth reached (?P<depth>\d+), errors: (?P<errors>\d+)")


@dataclass(frozen=True, slots=True)
class Size:
    """The size of the model."""

    sweepers: int
    attempts: int
    restore: bool

    @property
    def title(self) -> str:
        """The size in words."""
        sweepers = "1 sweeper" if self.sweepers == 1 else f"{self.sweepers} sweepers"
        return f"2 portals, {sweepers}, {self.attempts} attempts, {'a' if self.restore else 'no'} restore"

    @property
    def options(self) -> tuple[str, ...]:
        """The size as options of Spin."""
        sizes = (f"-DSWEEPERS={self.sweepers}", f"-DATTEMPTS={self.attempts}")
        return sizes if self.restore else (*sizes, "-DNO_RESTORE")


SMALL: Final = Size(sweepers=1, attempts=2, restore=True)
LARGE: Final = Size(sweepers=2, attempts=3, restore=False)


@dataclass(frozen=True, slots=True)
class Search:
    """One search: ``violated`` is the law that does not hold, None if every law holds in every state."""

    violated: str | None
    states: int
    depth: int
    seconds: float
    edges: frozenset[str]


def missing() -> str | None:
    """Return what is missing to check the model; None if it can be checked."""
    absent = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    return f"not installed: {' and '.join(absent)} (tools/install-spin)" if absent else None


def mutants() -> Mapping[int, str]:
    """Return the number and the meaning of each mutant in the model."""
    return {int(found["number"]): found["meaning"] for found in _MUTANT.finditer(MODEL.read_text(encoding="utf-8"))}


def compile_model(folder: Path, size: Size = SMALL) -> Path:
    """Compile the model's verifier in ``folder`` and return its path. Raises ``CalledProcessError``."""
    for source in SPEC.glob("*.pml"):
        shutil.copy(source, folder)
    for command in (("spin", "-a", *size.options, MODEL.name), (*COMPILE, "-o", "pan", "pan.c")):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "pan"


def search(verifier: Path, mutant: int = 0) -> Search:
    """Search every state, with ``mutant`` planted (0: none). Raises ``ValueError`` if the search does not end."""
    began = time.monotonic()
    command = (str(verifier), f"-m{DEPTH_MAX}", "-w24")
    environment = {**os.environ, "MUTANT": str(mutant)}
    ran = subprocess.run(command, cwd=verifier.parent, env=environment, capture_output=True, text=True, check=False)
    counted, ended = _STATES.search(ran.stdout), _DEPTH.search(ran.stdout)
    is_whole = ended is not None and (ended["errors"] != "0" or "Search not completed" not in ran.stdout)
    if counted is None or ended is None or not is_whole or "max search depth too small" in ran.stdout:
        raise ValueError(f"the search did not end: {ran.stdout[-500:]}{ran.stderr[-500:]}")
    found = [line.partition(": ")[2] for line in ran.stdout.splitlines() if line.startswith("law: ")]
    return Search(
        violated=(found or ["no invalid end state"])[0] if ended["errors"] != "0" else None,
        states=int(float(counted["states"])),
        depth=int(ended["depth"]),
        seconds=time.monotonic() - began,
        edges=frozenset(line[6:] for line in ran.stdout.splitlines() if line.startswith("edge: ")),
    )


def edges_of_the_table(size: Size = SMALL) -> frozenset[str]:
    """Return every edge of payments/status.py with each of its actors, without those that the size cannot take."""
    never = frozenset() if size.restore else AFTER_A_RESTORE
    modelled = [step for step in EDGES if step.event not in NOT_MODELLED]
    return frozenset(edge_name(step, actor) for step in modelled for actor in step.actors) - never


def page_with(page: str, title: str, lines: list[str]) -> str:
    """Return the page with ``lines`` as the block ``title`` between its marks; other blocks stay."""
    before, _, rest = page.partition(START)
    figures, _, after = rest.partition(END)
    blocks = {block.partition("\n")[0]: block for block in re.split(r"(?=^### )", figures.strip(), flags=re.M) if block}
    blocks[f"### {title}"] = "\n".join([f"### {title}", "", *lines, ""])
    ordered = "\n".join(blocks[name].strip() + "\n" for name in sorted(blocks))
    return f"{before}{START}\n{ordered}{END}{after}"


def check(verifier: Path, size: Size) -> tuple[bool, list[str]]:
    """Search the model, and the mutants of the small one; return whether all is good, and the figures as Markdown."""
    whole = search(verifier)
    expected = edges_of_the_table(size)
    untaken, unknown = expected - whole.edges, whole.edges - expected
    good = whole.violated is None and not untaken and not unknown
    lines = [
        "| states | depth | seconds | edges taken | law that does not hold |",
        "|---:|---:|---:|---:|---|",
        f"| {whole.states:,} | {whole.depth} | {whole.seconds:.0f} | {len(whole.edges)} of "
        f"{len(expected)} | {whole.violated or 'none'} |",
    ]
    lines += [f"\nNot taken: {', '.join(sorted(untaken))}."] if untaken else []
    if size == SMALL:
        lines += ["", "| mutant | caught by | states until then |", "|---|---|---:|"]
        for number, meaning in mutants().items():
            caught = search(verifier, number)
            good = good and caught.violated is not None
            lines.append(f"| {meaning} | {caught.violated or '**nothing**'} | {caught.states:,} |")
    return good, lines


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="search the larger model")
    parser.add_argument("--write", action="store_true", help="write the figures to spec/README.md")
    arguments = parser.parse_args()
    if (absent := missing()) is not None:
        print(absent)
        return 1
    size, began = LARGE if arguments.large else SMALL, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        verifier = compile_model(Path(folder), size)
        good, lines = check(verifier, size)
    print(*lines, sep="\n")
    print(f"{size.title}: {'good' if good else 'NOT GOOD'}, {time.monotonic() - began:.0f} s with the compilation")
    if arguments.write:
        README.write_text(page_with(README.read_text(encoding="utf-8"), size.title, lines), encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
