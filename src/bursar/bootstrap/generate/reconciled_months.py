"""The reconciliations of a demo: activity files of its payments, compared and kept as `bursar reconcile` does.

whole months     the files agree; their deposits are recorded, and a second person signs the run off
the last week    the file differs in some lines, and the run is not signed off yet
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.generate.calendar import end_of, history_days
from bursar.bootstrap.generate.history import HistoryPlan
from bursar.bootstrap.generate.stories import StoryClock
from bursar.clock import Clock
from bursar.paygov.simulator.activity_file import ActivityRecord, as_xml, deposit_ticket, local_time, planted
from bursar.paygov.simulator.books import FAILED, SUCCESS
from bursar.payments.catalogue.clients import Clients
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.ledger.store_records.reconciliations import ReconciliationRun
from bursar.payments.status import PROCESSED
from bursar.reports.port import PaymentReports
from bursar.reports.reconciliation.applying import Applied, apply
from bursar.reports.reconciliation.mapping import FileMapping
from bursar.reports.reconciliation.our_payments import ReportedPayments
from bursar.reports.reconciliation.run import FileDays, reconciled
from bursar.settings import Settings

MONTHS_RECONCILED: Final = 3
LAST_DAYS: Final = 7
HOUR_S: Final = 3600.0
HOURS_AFTER: Final = 33
"""The hours from the end of a file's last day to its run, which is in the morning two days later."""
HOURS_TO_SIGN_OFF: Final = 5
DIFFERENCES: Final = ("missing_here", "amount_differs", "missing_there", "reversal_not_recorded", "status_differs")
CLERK: Final = "clerk.adams"
SUPERVISOR: Final = "clerk.baker"
_COLLECTED: Final = """
SELECT agency_tracking_id, paygov_tracking_id, status, payment_method, updated_at, amount FROM payments
WHERE paygov_tracking_id IS NOT NULL AND payment_method IS NOT NULL
    AND final_on BETWEEN CAST($first AS DATE) AND CAST($last AS DATE)
ORDER BY updated_at, agency_tracking_id
"""
"""The SELECT of the lines in Pay.gov's file of some days: collections, and refused ones."""


async def add_reconciliations(plan: HistoryPlan, settings: Settings) -> None:
    """Add the runs to the generated store of ``settings``.

    Raises :class:`bursar.startup.CannotStart`, and what the store raises.
    """
    clock = StoryClock(end_of(plan.until))
    clock.set(end_of(plan.until))
    draw = random.Random(plan.seed)
    async with Composition(settings, clock=clock, randomness=draw) as parts:
        office = Office(await parts.reports(), await parts.ledger(), parts.clients, clock)
        for days in whole_months(plan):
            clock.set(end_of(days[1]) + HOURS_AFTER * HOUR_S)
            run = await office.reconcile(days, await office.file_of(days), applies=True)
            if run is not None and not run.differences:
                clock.wait(HOURS_TO_SIGN_OFF * HOUR_S)
                await office.sign_off(run)
        week = plan.until - timedelta(days=LAST_DAYS + 1), plan.until - timedelta(days=2)
        clock.set(end_of(week[1]) + HOURS_AFTER * HOUR_S)
        lines = await office.file_of(week)
        paid = sum(each.transaction_status == SUCCESS for each in lines)
        await office.reconcile(week, planted(lines, DIFFERENCES[:paid], draw)[0])


def whole_months(plan: HistoryPlan) -> list[tuple[date, date]]:
    """Return the first and the last day of the last calendar months that ended two days before the history's end."""
    begin = history_days(plan.payments, plan.months, plan.until)[0].day
    last = (plan.until - timedelta(days=1)).replace(day=1) - timedelta(days=1)
    found: list[tuple[date, date]] = []
    while last >= begin and len(found) < MONTHS_RECONCILED:
        first = last.replace(day=1)
        found.insert(0, (max(first, begin), last))
        last = first - timedelta(days=1)
    return found


@dataclass(frozen=True)
class Office:
    """The people who reconcile, and the parts that they use."""

    reports: PaymentReports
    ledger: Ledger
    clients: Clients
    clock: Clock

    async def file_of(self, days: tuple[date, date]) -> list[ActivityRecord]:
        """Return the lines of Pay.gov's activity file of these days, which agree with the payments."""
        first, last = (day.isoformat() for day in days)
        answer = await self.reports.sql(_COLLECTED, {"first": first, "last": last}, rows_max=None)
        return [
            ActivityRecord(
                payment_type=method,
                agency_tracking_id=agency_id,
                paygov_tracking_id=paygov_id,
                transaction_status=SUCCESS if status == PROCESSED else FAILED,
                at=local_time(ended.timestamp()),
                amount=f"{amount:.2f}",
                ticket=deposit_ticket(ended.timestamp(), method),
            )
            for agency_id, paygov_id, status, method, ended, amount in answer.rows
        ]

    async def reconcile(
        self, days: tuple[date, date], lines: Sequence[ActivityRecord], *, applies: bool = False
    ) -> ReconciliationRun | None:
        """Compare a file of these lines with the payments, and keep the run; None for a file without a line."""
        if not lines:
            return None
        period = FileDays(days[0].isoformat(), days[1].isoformat())
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"activity-{period.first}-{period.last}.xml"
            path.write_text(as_xml(lines), encoding="utf-8")
            with await reconciled([path], FileMapping(), ReportedPayments(self.reports), period=period) as result:
                applied = await apply(result, self.ledger, self.clients, by=CLERK) if applies else Applied()
                run_id = self.ledger.reconciliations.new_id()
                run = result.run(run_id=run_id, at=self.clock(), by=CLERK, applied=applied.counts)
                await self.ledger.reconciliations.keep(run, result.rows(kept=run.kept))
        return run

    async def sign_off(self, run: ReconciliationRun) -> None:
        """Sign a run off, as a second person."""
        reason = "the file agrees with the payments and with the bank (generated)"
        await self.ledger.reconciliations.sign_off(run.run_id, by=SUPERVISOR, reason=reason)
