"""Reconcile activity files with the payments: read, match, classify, and add up.

    with await reconciled(paths, mapping, ours) as result:
        result.totals            day → class → number and cents
        result.differences()     one by one, from the working file
        result.run(…)            the run that the ledger keeps, with result.rows(…)

The files' total equals the sum of their classes, to the cent; :meth:`Reconciliation.check` proves it for each run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from bursar.payments.ledger.store_records.reconciliations import DIFFERENCES_KEPT_MAX, ReconciledFile, ReconciliationRun
from bursar.payments.records import whole_ms
from bursar.reports.errors import BadParameter
from bursar.reports.reconciliation.classes import BY_NAME, CLASSES, IN_TRANSIT, MATCHED, NOT_COLLECTED
from bursar.reports.reconciliation.classify import ClassifiedLine, GroupLine, classify
from bursar.reports.reconciliation.mapping import FileMapping, MatchRule
from bursar.reports.reconciliation.our_payments import OurPayments
from bursar.reports.reconciliation.reading import ReadFile, read_file
from bursar.reports.reconciliation.scratch import ROWS_AT_ONCE, Difference, Scratch

IDS_AT_ONCE: Final = 20_000
DAY_LINES_MIN: Final = 100
"""On a day with this many lines, the day's payments are read at once, instead of each by its id."""
FILES_MAX: Final = 400
AGREEING: Final = (MATCHED.name, IN_TRANSIT.name, NOT_COLLECTED.name)
DIFFERENT: Final = tuple(each.name for each in CLASSES if each.is_difference)


@dataclass(frozen=True, slots=True)
class FileDays:
    """The days in New York that the files cover, both included: ``2026-11-29``.

    A missing line counts only on these days.
    """

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class ClassTotal:
    """The number and the sum in cents of one class on one day (None: lines without a readable date)."""

    day: str | None
    class_name: str
    count: int
    cents: int


class Reconciliation:
    """The result of a run. It holds a temporary file until it is closed.

    ``checks_missing``: whether payments that no line names are listed. They are not listed if a file is broken, or if
    no day is known.
    """

    def __init__(
        self, files: Sequence[ReadFile], period: FileDays | None, scratch: Scratch, *, checks_missing: bool
    ) -> None:
        self.files = tuple(files)
        self.period = period
        self.checks_missing = checks_missing
        self._scratch = scratch
        self.totals = tuple(ClassTotal(day, name, count, cents) for name, day, count, cents in scratch.summary())
        self._check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scratch.__exit__(kind, error, trace)

    @property
    def file_cents(self) -> int:
        """The sum of all readable amounts of the files, in cents."""
        return sum(each.cents for each in self.files)

    @property
    def records(self) -> int:
        """The number of lines of money in the files, readable or not."""
        return sum(each.records for each in self.files)

    @property
    def agrees(self) -> bool:
        """Whether there is no difference."""
        return not any(BY_NAME[each.class_name].is_difference for each in self.totals)

    def of_class(self, name: str) -> tuple[int, int]:
        """Return the number and the cents of a class over all days."""
        found = [each for each in self.totals if each.class_name == name]
        return sum(each.count for each in found), sum(each.cents for each in found)

    def differences(self, class_names: Sequence[str] = DIFFERENT) -> Iterator[Difference]:
        """Yield the results of these classes, by day, class and place."""
        return self._scratch.differences(class_names)

    def run(self, *, run_id: str, at: float, by: str, applied: Mapping[str, int]) -> ReconciliationRun:
        """Return the run that the ledger keeps. ``applied``: the number of records that it made, by name."""
        totals = {name: self.of_class(name) for name in dict.fromkeys(each.class_name for each in self.totals)}
        differences = sum(count for name, (count, _) in totals.items() if BY_NAME[name].is_difference)
        return ReconciliationRun(
            run_id=run_id,
            at=whole_ms(at),
            by=by,
            files=tuple(
                ReconciledFile(each.name, each.sha256, each.size, each.records, each.cents, each.broken)
                for each in self.files
            ),
            totals=totals,
            differences=differences,
            kept=min(differences, DIFFERENCES_KEPT_MAX),
            first_day=self.period.first if self.period else None,
            last_day=self.period.last if self.period else None,
            checked_missing=self.checks_missing,
            applied=dict(applied),
        )

    def rows(self, *, kept: int) -> Iterator[Mapping[str, Any]]:
        """Yield the rows that the ledger keeps with the run: every total, then the first ``kept`` differences."""
        for each in self.totals:
            yield {
                "row": "total",
                "day": each.day,
                "class": each.class_name,
                "count": each.count,
                "cents": each.cents,
            }
        for found in islice(self.differences(), kept):
            known = found._asdict()
            yield {"row": "difference", "class": known.pop("line_class"), **known}

    def _check(self) -> None:
        """Raise ``AssertionError`` unless the classes add up to the files."""
        lines = [each for each in self.totals if not BY_NAME[each.class_name].of_payments]
        broken = sum(each.broken is not None for each in self.files)
        counted, summed = sum(each.count for each in lines) - broken, sum(each.cents for each in lines)
        if (counted, summed) != (self.records, self.file_cents):
            raise AssertionError(
                f"the classes add up to {counted} lines and {summed} cents; the files to {self.records} and "
                f"{self.file_cents}"
            )


async def reconciled(
    paths: Sequence[Path],
    mapping: FileMapping,
    ours: OurPayments,
    *,
    period: FileDays | None = None,
) -> Reconciliation:
    """Return the reconciliation of the files at ``paths``.

    ``period`` limits the check for payments that the files lack (default: the days of the lines that agree).

    Raises :class:`BadParameter` for files that cannot be opened, and the errors of the reports.
    """
    if len(paths) > FILES_MAX:
        raise BadParameter(f"the files: must be at most {FILES_MAX}; got {len(paths)}")
    scratch = Scratch()
    try:
        files = [_read(path, number, mapping, scratch) for number, path in enumerate(paths)]
        loaded = await _load(scratch, ours)
        scratch.match_by_ids()
        await _match_by_rules(scratch, ours, mapping.rules)
        scratch.group()
        for attempts in scratch.attempts_to_ask_reversals_of(ROWS_AT_ONCE):
            scratch.add_reversals(await ours.reversals(attempts))
        scratch.classify_plain()
        _classify(scratch)
        scratch.add_problems()
        checked = period or _period(scratch)
        complete = checked is not None and all(each.broken is None for each in files)
        if checked is not None and complete:
            await _load_days(scratch, ours, _days_of(checked) - loaded)
            scratch.add_missing_there(checked.first, checked.last)
        return Reconciliation(files, checked, scratch, checks_missing=complete)
    except BaseException:
        scratch.__exit__(None, None, None)
        raise


def _read(path: Path, number: int, mapping: FileMapping, scratch: Scratch) -> ReadFile:
    described, lines = read_file(path, number, mapping)
    scratch.add_lines(lines)
    return described


async def _load(scratch: Scratch, ours: OurPayments) -> set[str]:
    """Load the payments that ended on days with many lines, then those whose ids are in the lines.

    Return these days.
    """
    days = set(scratch.days(DAY_LINES_MIN))
    await _load_days(scratch, ours, days)
    scratch.index()
    for ids in scratch.unmatched_ids(IDS_AT_ONCE):
        agency_ids, paygov_ids = ([each for each in column if each] for column in zip(*ids, strict=True))
        scratch.add_payments(await ours.with_ids(agency_ids, paygov_ids))
    return days


async def _load_days(scratch: Scratch, ours: OurPayments, days: set[str]) -> None:
    for first, last in _ranges(days):
        async for rows in ours.ended_between(first, last):
            scratch.add_payments(rows)


async def _match_by_rules(scratch: Scratch, ours: OurPayments, rules: Sequence[MatchRule]) -> None:
    days = scratch.open_days() if rules else None
    if days is None:
        return
    most = max(rule.days for rule in rules)
    first, last = _shifted(days[0], -most), _shifted(days[1], most)
    for parts in (ours.live_between(first, last), ours.ended_between(first, last)):
        async for rows in parts:
            scratch.add_payments(rows)
    for rule in rules:
        scratch.match_by_rule(rule)


def _period(scratch: Scratch) -> FileDays | None:
    """Return the days from the first to the last line that agrees; None without any.

    Lines that do not agree are ignored, so a wrong date does not extend the period.
    """
    days = scratch.days_of_results(AGREEING)
    return None if days is None else FileDays(*days)


def _classify(scratch: Scratch) -> None:
    with_reversals = scratch.has_reversals()
    verdicts = _verdicts(scratch, with_reversals=with_reversals)
    while part := list(islice(verdicts, ROWS_AT_ONCE)):
        scratch.add_verdicts(part)


def _verdicts(scratch: Scratch, *, with_reversals: bool) -> Iterator[ClassifiedLine]:
    for group in scratch.groups():
        reversals = scratch.reversals_of(_attempts(group)) if with_reversals else {}
        yield from classify(group, reversals)


def _attempts(group: Sequence[GroupLine]) -> set[str]:
    return {found.ours.agency_id for found in group if found.ours is not None}


def _days_of(period: FileDays) -> set[str]:
    first, last = date.fromisoformat(period.first), date.fromisoformat(period.last)
    return {(first + timedelta(days)).isoformat() for days in range((last - first).days + 1)}


def _ranges(days: set[str]) -> list[tuple[str, str]]:
    """Return the ranges of consecutive days."""
    ranges: list[tuple[str, str]] = []
    for day in sorted(days):
        if ranges and _shifted(ranges[-1][1], 1) == day:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def _shifted(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days)).isoformat()
