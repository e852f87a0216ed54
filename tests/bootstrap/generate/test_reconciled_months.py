"""A demo has reconciliations: months that agree, are deposited and signed off, and a week with differences."""

import asyncio
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.generate.demo_history import MADE_UP_CLIENTS
from bursar.bootstrap.generate.history import HistoryPlan
from bursar.bootstrap.generate.new_store import generate_store
from bursar.bootstrap.generate.reconciled_months import DIFFERENCES, add_reconciliations, whole_months
from bursar.payments.ledger.store_records.reconciliations import ReconciliationRun, SignOff
from bursar.settings import Settings

UNTIL = date(2026, 11, 18)


def plan_of(payments: int = 90, months: int = 2, until: date = UNTIL) -> HistoryPlan:
    return HistoryPlan(payments, months, 7, until, None, MADE_UP_CLIENTS)


async def kept(settings: Settings) -> tuple[list[tuple[ReconciliationRun, SignOff | None]], Counter[str], list[Any]]:
    """Return the runs, oldest first, the classes of the newest run's differences, and the months of the deposits."""
    async with Composition(settings, creates_store=False) as parts:
        ledger = await parts.ledger()
        runs = list(reversed(await ledger.reconciliations.runs()))
        rows = [row async for row in ledger.reconciliations.rows(runs[-1][0].run_id)]
        months = "SELECT DISTINCT CAST(date_trunc('month', p.final_on) AS DATE) FROM deposits JOIN payments AS p "
        answer = await (await parts.reports()).sql(f"{months} USING (agency_tracking_id) ORDER BY 1")
        return runs, Counter(row["class"] for row in rows if row["row"] == "difference"), list(answer.rows)


def test_months_agree_and_are_signed_off_and_the_last_week_differs(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path / "data"), development_client=True)
    plan = plan_of()
    generate_store(plan, settings, lambda _: None, processes=1)
    asyncio.run(add_reconciliations(plan, settings))
    runs, differences, months = asyncio.run(kept(settings))
    assert [(run.first_day, run.last_day, run.differences > 0) for run, _ in runs] == [
        ("2026-09-19", "2026-09-30", False), ("2026-10-01", "2026-10-31", False), ("2026-11-10", "2026-11-16", True),
    ]  # fmt: skip
    assert [(run.by, signed and signed.by) for run, signed in runs] == [
        ("clerk.adams", "clerk.baker"), ("clerk.adams", "clerk.baker"), ("clerk.adams", None),
    ]  # fmt: skip
    assert [run.applied.get("deposits recorded", 0) > 0 for run, _ in runs] == [True, True, False]
    assert months == [(date(2026, 9, 1),), (date(2026, 10, 1),)]
    assert differences == Counter(DIFFERENCES)


@pytest.mark.parametrize(
    ("until", "months", "expected"),
    [
        (date(2026, 11, 30), 14, [(8, 1, 31), (9, 1, 30), (10, 1, 31)]),
        (date(2026, 11, 1), 2, [(9, 2, 30)]),
        (date(2026, 11, 2), 2, [(9, 3, 30), (10, 1, 31)]),
    ],
)
def test_months_end_two_days_before_the_history(until: date, months: int, expected: list[tuple[int, int, int]]) -> None:
    found = whole_months(plan_of(months=months, until=until))
    assert [(first.month, first.day, last.day) for first, last in found] == expected


def test_a_history_without_a_payment_in_these_days_has_no_run(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path / "data"), development_client=True)
    plan = plan_of(payments=1, months=12)
    generate_store(plan, settings, lambda _: None, processes=1)
    asyncio.run(add_reconciliations(plan, settings))

    async def runs() -> list[Any]:
        async with Composition(settings, creates_store=False) as parts:
            return list(await (await parts.ledger()).reconciliations.runs())

    assert asyncio.run(runs()) == []
