"""Runs of reconciliations are kept whole, never change, and are signed off once."""

import asyncio
from dataclasses import replace

import pytest

from bursar.payments import Ledger
from bursar.payments.ledger.store_records.reconciliations import PART_ROWS, ReconciledFile, ReconciliationRun
from bursar.rules import Contention, Delete, Put, RuleRefused, Update
from tests.support.payments.stage import Listening, Wall

FILE = ReconciledFile("a.xml", "00" * 32, 12, 3, 18_000, "line 3: broken")


def run_of(ledger: Ledger, at: float) -> ReconciliationRun:
    return ReconciliationRun(
        run_id=ledger.reconciliations.new_id(),
        at=at,
        by="Ada",
        files=(FILE, replace(FILE, name="b.xml", broken=None)),
        totals={"matched": (2, 12_000), "missing_here": (1, 6000)},
        differences=1,
        kept=1,
        first_day="2026-11-27",
        last_day="2026-11-28",
        checked_missing=True,
        applied={"reversals recorded": 2},
    )


async def test_a_run_is_found_again_with_its_rows(ledger: Ledger, wall: Wall) -> None:
    run = run_of(ledger, wall.now)
    rows = [{"row": "total", "n": number} for number in range(2 * PART_ROWS + 1)]
    await ledger.reconciliations.keep(run, rows)
    assert await ledger.reconciliations.find(run.run_id) == (run, None)
    assert [row async for row in ledger.reconciliations.rows(run.run_id)] == rows
    with pytest.raises(LookupError, match="must be a run; got none"):
        await ledger.reconciliations.find("nothing")


async def test_runs_are_listed_newest_first(ledger: Ledger, wall: Wall) -> None:
    runs = []
    for _ in range(3):
        wall.pass_s(60)
        runs.append(run_of(ledger, wall.now))
        await ledger.reconciliations.keep(runs[-1], [])
    signed = await ledger.reconciliations.sign_off(runs[1].run_id, by="Bob", reason="looked at")
    assert await ledger.reconciliations.runs() == [(runs[2], None), (runs[1], signed), (runs[0], None)]
    later = await ledger.reconciliations.sign_off(runs[0].run_id, by="Ada", reason="each run has its own")
    assert [await ledger.reconciliations.find(each.run_id) for each in runs[:2]] == [
        (runs[0], later),
        (runs[1], signed),
    ]


async def test_of_two_sign_offs_at_once_one_counts(ledger: Ledger, wall: Wall) -> None:
    run = run_of(ledger, wall.now)
    await ledger.reconciliations.keep(run, [])
    tries = [ledger.reconciliations.sign_off(run.run_id, by=name, reason="x") for name in ("Ada", "Bob")]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(each).__name__ for each in results) == ["SignOff", "ValueError"]
    with pytest.raises(ValueError, match="is signed off by"):
        await ledger.reconciliations.sign_off(run.run_id, by="Eve", reason="x")
    with pytest.raises(LookupError):
        await ledger.reconciliations.sign_off("nothing", by="Eve", reason="x")


async def test_nothing_of_a_run_is_ever_changed_or_removed(ledger: Ledger, store: Listening, wall: Wall) -> None:
    run = run_of(ledger, wall.now)
    await ledger.reconciliations.keep(run, [{"row": "total"}])
    await ledger.reconciliations.sign_off(run.run_id, by="Bob", reason="x")
    scanned = (await store.behind.call("Scan", {"TableName": "bursar-payments"}))["Items"]
    kept = [item for item in scanned if item["kind"]["S"].startswith("reconciliation-")]
    assert len(kept) == 3
    for item in kept:
        for write in (Delete(item), Update(item, {**item, "by": {"S": "Eve"}})):
            with pytest.raises(RuleRefused, match=r"append-only"):
                await ledger.reconciliations._ruled.write([write])
        with pytest.raises(Contention):
            await ledger.reconciliations._ruled.write([Put(item)])
