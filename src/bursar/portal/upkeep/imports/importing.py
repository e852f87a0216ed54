"""Import rows of another portal: obligation by obligation, each obligation's attempts in the order of their creation.

    rows ─► working file, sorted by obligation and creation ─► plan of an obligation ─► a transaction for each attempt

If the payer of a row may have been charged, the row is imported as an attempt in doubt: the sweeper asks Pay.gov about
it, and until then it blocks. This needs an obligation without another blocking attempt and without a later attempt.
Otherwise it is imported as failed, and listed for a person to compare with Pay.gov's reports.
"""

import asyncio
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.errors import ImportRefused, LedgerBusy
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import partition_key
from bursar.payments.status import BLOCKING, FAILED, PROCESSING
from bursar.portal.upkeep.imports.rows import ImportRow, RowProblem, row_from_json, row_to_json

OBLIGATIONS_AT_ONCE: Final = 32
ROWS_AT_ONCE: Final = 5_000


@dataclass(slots=True)
class ImportReport:
    """The result of an import: the number of attempts by status and of known ones, and lines for people.

    ``problems`` has a line for each row that was not imported. ``compare`` has a line for each row that was imported as
    failed although its payer may have been charged.
    """

    rows: int = 0
    imported: Counter[str] = field(default_factory=Counter)
    known: int = 0
    problems: list[str] = field(default_factory=list)
    compare: list[str] = field(default_factory=list)


async def import_rows(
    ledger: Ledger,
    rows: Iterable[ImportRow | RowProblem],
    fees: FeeCatalogue,
    *,
    by: str,
    dry_run: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
) -> ImportReport:
    """Import ``rows`` in the name of ``by``; with ``dry_run``, only report what would be imported.

    ``fees`` is the catalogue with which the rows were read.

    A row that is imported already is not changed. Raises the store's errors; a run that was stopped continues when it
    is started again.
    """
    report = ImportReport()
    with _sorted(rows, fees, report) as obligations:
        while part := list(islice(obligations, OBLIGATIONS_AT_ONCE)):
            await asyncio.gather(*(_import(ledger, each, report, by, dry_run=dry_run) for each in part))
            on_progress(sum(map(len, part)))
    return report


async def _import(ledger: Ledger, rows: Sequence[ImportRow], report: ImportReport, by: str, *, dry_run: bool) -> None:
    planned = _planned(rows)
    blocking: str | None = None
    for row in planned:
        record = row.record
        try:
            if dry_run:
                is_new = await _check(ledger, row, blocking)
            else:
                _, is_new = await ledger.imports.record(record, by=by, source=row.place)
        except (ImportRefused, LedgerBusy) as refused:
            report.problems.append(f"{row.place}: {refused}")
            continue
        if record.status in BLOCKING:
            blocking = record.agency_tracking_id
        if not is_new:
            report.known += 1
            continue
        report.imported[record.status] += 1
        if row.in_doubt is not None and record.status == FAILED:
            report.compare.append(f"{row.place}: {record.agency_tracking_id}: {row.in_doubt}")


async def _check(ledger: Ledger, row: ImportRow, blocking: str | None) -> bool:
    """Return whether the row would be new.

    Raises :class:`ImportRefused` for a refusal that can be found without writing.
    """
    record, name = row.record, row.record.agency_tracking_id
    known = await ledger.imports.check(record)
    if known is not None:
        return False
    if blocking is not None and record.status in BLOCKING:
        raise ImportRefused(f"{name}: another attempt at the obligation is in the files, {blocking}")
    if await ledger.attempt_by_agency_id(name) is not None:
        raise ImportRefused(f"{name}: belongs to an attempt at another obligation")
    paygov_id = record.paygov_tracking_id
    if paygov_id is not None and await ledger.attempt_by_paygov_id(paygov_id) is not None:
        raise ImportRefused(f"{name}: its Pay.gov tracking id belongs to another attempt")
    return True


def _planned(rows: Sequence[ImportRow]) -> list[ImportRow]:
    """Return the rows of one obligation. The last one is in doubt if it may be charged and no attempt blocks it."""
    *before, last = rows
    if last.in_doubt is None or any(row.record.status in BLOCKING for row in before):
        return list(rows)
    doubted = replace(last.record, status=PROCESSING, unknown_reason=last.in_doubt, return_code=None)
    return [*before, replace(last, record=doubted)]


@contextmanager
def _sorted(
    rows: Iterable[ImportRow | RowProblem], fees: FeeCatalogue, report: ImportReport
) -> Iterator[Iterator[list[ImportRow]]]:
    """Yield the rows of each obligation by creation, through a temporary file; note the problems in ``report``."""
    with tempfile.TemporaryDirectory(prefix="bursar-import-") as folder:  # of mode 700: rows have personal data
        file = sqlite3.connect(Path(folder) / "rows.db", isolation_level=None)
        try:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
                file.execute(f"PRAGMA {pragma}")
            file.execute(f"PRAGMA temp_store_directory = '{folder}'")
            file.execute(
                "CREATE TABLE rows (id TEXT PRIMARY KEY, obligation TEXT, created REAL, row TEXT) WITHOUT ROWID"
            )
            _fill(file, rows, report)
            found = file.execute("SELECT obligation, row FROM rows ORDER BY obligation, created, id")
            groups = groupby(found, key=lambda each: each[0])
            yield ([row_from_json(row, fees) for _, row in group] for _, group in groups)
        finally:
            file.close()


def _fill(file: sqlite3.Connection, rows: Iterable[ImportRow | RowProblem], report: ImportReport) -> None:
    left = iter(rows)
    while part := list(islice(left, ROWS_AT_ONCE)):
        file.execute("BEGIN")
        for each in part:
            report.rows += 1
            if isinstance(each, RowProblem):
                report.problems.append(f"{each.place}: {each.problem}")
                continue
            record = each.record
            values = (record.agency_tracking_id, partition_key(record.client, record.reference), record.created_at)
            added = file.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?)", (*values, row_to_json(each)))
            if added.rowcount == 0:
                report.problems.append(f"{each.place}: {record.agency_tracking_id}: is in the files twice")
        file.execute("COMMIT")
