"""Runs of reconciliations in an office: real files, compared and kept as `bursar reconcile` does."""

from collections.abc import Iterable
from pathlib import Path

from bursar.dashboard.formatting import eastern
from bursar.payments import Attempt
from bursar.payments.ledger.store_records.reconciliations import ReconciliationRun
from bursar.reports.reconciliation.mapping import FileMapping
from bursar.reports.reconciliation.our_payments import ReportedPayments
from bursar.reports.reconciliation.run import reconciled
from tests.support.dashboard.office import HOSTILE, Office
from tests.support.reports.activity import Line, write_csv


def line_of_attempt(attempt: Attempt, amount: str = "") -> Line:
    """Return the line of a file that agrees with a processed attempt; with another ``amount`` it does not."""
    assert attempt.paygov_tracking_id is not None
    day = eastern(attempt.updated_at).date().isoformat()
    return Line(
        attempt.agency_tracking_id,
        attempt.paygov_tracking_id,
        amount or f"{attempt.amount:.2f}",
        date=f"{day}T12:00:00",
    )


def processed(office: Office) -> list[Attempt]:
    """Return the attempts of the office that Pay.gov collected, oldest first."""
    return [each for each in office.attempts if each.status == "processed"]


def stranger(number: int, day: str) -> Line:
    """Return a line with ids that no payment has."""
    return Line(f"zz{number}", f"3FPZ{number}", "245.00", "Success", f"{day}T12:00:00")


async def keep_run(office: Office, path: Path, lines: Iterable[Line], *, by: str = "Ada") -> ReconciliationRun:
    """Write a file with these lines, compare it with the office's payments, and keep the run."""
    office.wall.pass_s(60)
    write_csv(path, lines)
    with await reconciled([path], FileMapping(), ReportedPayments(office.reports)) as result:
        run = result.run(run_id=office.ledger.reconciliations.new_id(), at=office.wall(), by=by, applied={})
        await office.ledger.reconciliations.keep(run, result.rows(kept=run.kept))
    return run


async def keep_planted_run(office: Office, folder: Path) -> ReconciliationRun:
    """Keep a run with a line that agrees, another amount, a stranger, and a hostile word."""
    first, second = processed(office)[:2]
    day = eastern(first.updated_at).date().isoformat()
    hostile = Line("zz2", "3FPZ2", "10.00", HOSTILE, f"{day}T12:00:00")
    lines = [line_of_attempt(first), line_of_attempt(second, "59.99"), stranger(1, day), hostile]
    return await keep_run(office, folder / "activity=1.csv", lines)
