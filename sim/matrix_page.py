"""docs/faults.md: the fault matrix as tables, generated from its run and read by its test."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from sim.matrix import BEHAVIOURS, SEQUELS, Cell, Fate

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "faults.md"
NOBODY_DIES: Final = "nobody dies"
_QUERY: Final = {True: "Pay.gov's query service is available", False: "No query service"}
_NEW_LINE: Final = "<br>"

_HEAD: Final = """\
# The fault matrix

Written by `.venv/bin/python -m sim --matrix`; do not edit. Every cell of {{where the process dies}} × {{what Pay.gov
did}} × {{what comes next}} was run in the simulated world (docs/simulation.md) and judged: at most one charge, books
and ledger agree, every rule holds, nothing is left unresolved, nobody heard what is not so.

One payment by one process: init, the payer pays, process, and (where the process lives on) one sweep 100 s later. The
process dies before the first request of a phase, or after one of its requests to the store or to Pay.gov, which is the
same as before the next. A write is named by the event that it records (docs/payments.md); start, complete, details and
query are Pay.gov's. Another process takes its place; then comes what the column says; then the sweeper, for as long as
it takes. What only a person can settle is listed by `bursar attention` and settled with `bursar resolve`, by Pay.gov's
books.

A cell reads: the status of each attempt, oldest first; how often the payer was charged; the event that settled the
last attempt, and who took it. The statuses are final in every cell.

{count} cells, {bad} of them bad. At most {most} charge in any cell.

| settled by | cells |
|---|---|
{settled}
"""

Key = tuple[bool, str, str, str]
"""(query service, behaviour, death, sequel)."""


def key_of(cell: Cell) -> Key:
    """Return the place of ``cell`` on the page."""
    return cell.query, cell.behaviour.name, str(cell.death or NOBODY_DIES), cell.sequel


def render(fates: Mapping[Key, Fate]) -> str:
    """Return the whole page."""
    settled = Counter(fate.resolved_by for fate in fates.values())
    head = _HEAD.format(
        count=len(fates),
        bad=sum(bool(fate.findings) for fate in fates.values()),
        most=max(fate.charges for fate in fates.values()),
        settled="\n".join(f"| {how} | {count} |" for how, count in settled.most_common()),
    )
    parts = [head]
    for query, title in _QUERY.items():
        parts.append(f"\n## {title}\n")
        parts += [f"\n### Pay.gov {each.name}\n\n{_table(fates, query, each.name)}" for each in BEHAVIOURS]
    return "".join(parts)


def read(page: str) -> dict[Key, str]:
    """Return every cell of a rendered page, with its text."""
    cells: dict[Key, str] = {}
    query, behaviour, columns = False, "", []
    titles = {f"## {title}": value for value, title in _QUERY.items()}
    for line in page.splitlines():
        query = titles.get(line, query)
        if line.startswith("### Pay.gov "):
            behaviour = line.removeprefix("### Pay.gov ")
        elif line.startswith("| the process dies |"):
            columns = _split(line)[1:]
        elif line.startswith("| ") and behaviour:
            deaths, *fates = _split(line)
            for death in deaths.split(_NEW_LINE):
                cells |= {(query, behaviour, death, sequel): fate for sequel, fate in zip(columns, fates, strict=True)}
    return cells


def _table(fates: Mapping[Key, Fate], query: bool, behaviour: str) -> str:
    """Return the table of one behaviour; deaths with the same fates share a row."""
    deaths = dict.fromkeys(key[2] for key in fates if key[:2] == (query, behaviour))
    rows: dict[tuple[str, ...], list[str]] = {}
    for death in deaths:
        row = tuple(str(fates[query, behaviour, death, sequel]) for sequel in SEQUELS)
        rows.setdefault(row, []).append(death)
    lines = [_line(["the process dies", *SEQUELS]), _line(["---"] * (len(SEQUELS) + 1)).replace(" ", "")]
    lines += [_line([_NEW_LINE.join(names), *row]) for row, names in rows.items()]
    return "\n".join(lines) + "\n"


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _split(line: str) -> list[str]:
    return [text.strip() for text in line.strip("| ").split(" | ")]
