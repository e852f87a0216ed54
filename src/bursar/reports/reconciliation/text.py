"""A reconciliation as text for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from bursar.payments.ledger.store_records.reconciliations import ReconciledFile, ReconciliationRun, SignOff
from bursar.reports.reconciliation.classes import BY_NAME, CLASSES

LISTED_MAX: Final = 200
"""The differences that a terminal shows; ``--format json`` shows all that are stored."""
NO_DAY: Final = "no date"
_ORDER: Final = {each.name: place for place, each in enumerate(CLASSES)}


def dollars(cents: int) -> str:
    """Return cents as dollars: ``1,060.00``."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def run_lines(run: ReconciliationRun, signed: SignOff | None, rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a run as lines for people: files, totals by day, the tie-out, and the differences."""
    yield from _head(run, signed)
    totals: list[Mapping[str, Any]] = []
    shown = 0
    for row in rows:
        if row["row"] == "total":
            totals.append(row)
            continue
        if totals:
            yield from _total_lines(totals, run)
            totals = []
            yield ""
        if shown < LISTED_MAX:
            yield difference_line(row, run.files)
            shown += 1
    if totals:
        yield from _total_lines(totals, run)
    if run.differences > shown:
        yield f"… and {run.differences - shown:,} more differences: --format json lists {run.kept:,}"


def _head(run: ReconciliationRun, signed: SignOff | None) -> Iterator[str]:
    for each in run.files:
        yield f"{each.name}: {each.records:,} lines, {dollars(each.cents)} USD, SHA-256 {each.sha256}"
        if each.broken:
            yield f"  BROKEN: {each.broken}"
    days = f"{run.first_day} to {run.last_day}" if run.first_day else "no days"
    yield f"{days}, New York"
    if not run.checked_missing:
        yield "Payments that the files lack were not looked for: a file is broken, or no day is known."
    for name, count in run.applied.items():
        yield f"applied: {count} {name}"
    if signed is not None:
        yield f"signed off by {signed.by}: {signed.reason}"
    yield ""


def _total_lines(totals: Sequence[Mapping[str, Any]], run: ReconciliationRun) -> Iterator[str]:
    yield f"{'day':<12}{'class':<34}{'number':>12}{'USD':>20}"
    for row in sorted(totals, key=lambda each: (each["day"] or "", _ORDER[each["class"]])):
        mark = "!" if BY_NAME[row["class"]].is_difference else " "
        title = BY_NAME[row["class"]].title
        yield f"{row['day'] or NO_DAY:<12}{mark} {title:<32}{row['count']:>12,}{dollars(row['cents']):>20}"
    lines = {name: found for name, found in run.totals.items() if not BY_NAME[name].of_payments}
    count, cents = (sum(column) for column in zip(*lines.values(), strict=True)) if lines else (0, 0)
    broken = sum(each.broken is not None for each in run.files)
    yield f"{'':<12}{'  all classes of lines':<34}{count - broken:>12,}{dollars(cents):>20}"
    records, whole = sum(each.records for each in run.files), sum(each.cents for each in run.files)
    yield f"{'':<12}{'  the files':<34}{records:>12,}{dollars(whole):>20}"


def difference_line(row: Mapping[str, Any], files: Sequence[ReconciledFile]) -> str:
    """Return a difference as one line for a person."""
    place = "" if row["file"] is None else f"{files[row['file']].name}:{row['line']}"
    ids = " ".join(each for each in (row["agency_id"], row["paygov_id"]) if each)
    owed = f"{row['client']}/{row['reference']}" if row["client"] else ""
    cents = row["our_cents"] if row["their_cents"] is None else row["their_cents"]
    amount = "" if cents is None else f"{dollars(cents)} USD"
    parts = (row["day"] or NO_DAY, BY_NAME[row["class"]].title, place, ids, owed, amount, row["why"])
    return "  ".join(part for part in parts if part)
