"""An import: obligations in order, doubts asked about at Pay.gov, and nothing imported twice."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from bursar.payments.audit.chain_audit import audit_chains
from bursar.payments.ledger.table import TABLE_NAME
from bursar.portal.contract.errors import Conflict
from bursar.portal.upkeep.attention import attention
from bursar.portal.upkeep.imports.importing import ImportReport, import_rows
from bursar.portal.upkeep.imports.rows import MAY_HIDE_A_CHARGE, RowReader
from bursar.portal.upkeep.sweep import sweep
from bursar.rules.audit.table_audit import audit_table
from tests.support.portal.old_rows import old_row, write_rows
from tests.support.portal.stage import Stage, on_stage
from tests.support.write_paths import WritePath

HIDDEN = {"transaction_status": "failed", "return_detail": MAY_HIDE_A_CHARGE[0], "paygov_tracking_id": ""}
FAILED = {"transaction_status": "failed", "return_code": "2000", "paygov_tracking_id": ""}


async def run(stage: Stage, folder: Path, *rows: dict[str, Any], dry_run: bool = False) -> ImportReport:
    path = write_rows(folder / "old.csv", rows)
    now = stage.loop.clock()
    reader = RowReader(stage.fees, stage.clients, {}, now, now - 11_700)
    return await import_rows(stage.ledger, reader.rows(path), stage.fees, by="Ada", dry_run=dry_run)


async def statuses(stage: Stage, number: int = 1) -> list[tuple[str, str]]:
    view = await stage.ledger.obligation("dawson", old_row(number)["transaction_reference_id"])
    return [] if view is None else [(each.agency_tracking_id, each.status) for each in view.attempts]


async def findings(stage: Stage) -> list[str]:
    chains = await audit_chains(stage.store, TABLE_NAME)
    report = await audit_table(stage.store, TABLE_NAME, stage.ledger.rules, randomness=random.Random(1))
    return [line for line, _ in chains.lines()] + [finding.message for finding in report.findings]


def of_one(first: dict[str, Any], *later: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows of one obligation, a minute apart."""
    rows = [first]
    for number, row in enumerate(later, start=1):
        moment = f"2026-08-21 12:{number:02d}:00+00"
        rows.append(
            row
            | {"transaction_reference_id": first["transaction_reference_id"]}
            | {"created_at": moment, "last_updated_at": moment}
        )
    return rows


def test_a_paid_reference_is_answered_as_paid(write_path: WritePath, tmp_path: Path) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        report = await run(stage, tmp_path, old_row(), old_row(2, **FAILED))
        assert (report.rows, report.imported, report.problems) == (2, {"processed": 1, "failed": 1}, [])
        with pytest.raises(Conflict) as refused:
            await stage.init(old_row()["transaction_reference_id"])
        assert refused.value.code.code == "already_paid"
        assert await stage.init(old_row(2)["transaction_reference_id"])
        assert await findings(stage) == []

    scene(write_path)


def test_rows_in_any_order_are_imported_by_creation(write_path: WritePath, tmp_path: Path) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        rows = of_one(old_row(1, **FAILED), old_row(2, **FAILED), old_row(3))
        report = await run(stage, tmp_path, *reversed(rows))
        assert report.problems == []
        assert await statuses(stage) == [("old1", "failed"), ("old2", "failed"), ("old3", "processed")]
        assert await findings(stage) == []
        again = await run(stage, tmp_path, *rows)
        assert (again.known, again.imported, again.problems) == (3, {}, [])

    scene(write_path)


def test_a_doubt_is_asked_about_at_pay_gov(write_path: WritePath, tmp_path: Path) -> None:
    @on_stage(lookups=("query",))
    async def scene(stage: Stage) -> None:
        charged = stage.simulator.start(
            {
                "tcs_app_id": "TCSUSTAXCOURTPETITION",
                "agency_tracking_id": "old1",
                "transaction_type": "Sale",
                "transaction_amount": "60.00",
                "language": "en",
                "url_success": "https://a.example/",
                "url_cancel": "https://a.example/",
            }
        )
        stage.simulator.pay(charged, "PLASTIC_CARD", "Success")
        stage.simulator.complete("TCSUSTAXCOURTPETITION", charged)
        report = await run(stage, tmp_path, old_row(1, **HIDDEN), old_row(2, **HIDDEN))
        assert (report.imported, report.compare) == ({"processing": 2}, [])
        with pytest.raises(Conflict) as refused:
            await stage.init(old_row()["transaction_reference_id"])
        assert refused.value.code.code == "in_process"
        await sweep(stage.portal)
        assert await statuses(stage, 1) == [("old1", "processed")]
        assert await statuses(stage, 2) == [("old2", "failed")]
        assert await findings(stage) == []

    scene(write_path)


def test_without_a_lookup_a_doubt_waits_for_a_person(write_path: WritePath, tmp_path: Path) -> None:
    @on_stage(query=False)
    async def scene(stage: Stage) -> None:
        await run(stage, tmp_path, old_row(1, **HIDDEN))
        await sweep(stage.portal)
        assert await statuses(stage) == [("old1", "processing")]
        (item,) = await attention(stage.portal)
        assert "imported as failed by 'Error communicating with Pay.gov'" in item.reason

    scene(write_path)


def test_a_doubt_that_cannot_block_is_listed_to_compare(write_path: WritePath, tmp_path: Path) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        report = await run(stage, tmp_path, *of_one(old_row(1, **HIDDEN), old_row(2)))
        assert await statuses(stage) == [("old1", "failed"), ("old2", "processed")]
        assert len(report.compare) == 1
        assert report.compare[0].startswith("old.csv:2: old1: imported as failed by 'Error communicating")

    scene(write_path)


def test_a_doubt_after_a_payment_is_listed_to_compare(write_path: WritePath, tmp_path: Path) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        report = await run(stage, tmp_path, *of_one(old_row(1), old_row(2, **HIDDEN)))
        assert await statuses(stage) == [("old1", "processed"), ("old2", "failed")]
        assert (report.imported, report.problems, len(report.compare)) == ({"processed": 1, "failed": 1}, [], 1)

    scene(write_path)


def test_what_cannot_be_imported_is_named_and_stops_nothing(write_path: WritePath, tmp_path: Path) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        twice = of_one(old_row(1), old_row(2))
        rows = [*twice, old_row(3, fee="NO_FEE"), old_row(4), old_row(4), old_row(5)]
        for dry_run in (True, False):
            report = await run(stage, tmp_path, *rows, dry_run=dry_run)
            assert report.imported == {"processed": 3}
            assert sorted(each.split(": ")[0] for each in report.problems) == ["old.csv:3", "old.csv:4", "old.csv:6"]
            assert (await statuses(stage) == []) == dry_run
        assert await statuses(stage) == [("old1", "processed")]
        stranger = old_row(6, agency_tracking_id="old1"), old_row(7, paygov_tracking_id="3FPA5")
        for dry_run in (True, False):
            report = await run(stage, tmp_path, *stranger, dry_run=dry_run)
            assert (report.imported, len(report.problems)) == ({}, 2)

    scene(write_path)


def test_a_settling_payment_is_followed(write_path: WritePath, tmp_path: Path) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        start = {"tcs_app_id": "TCSUSTAXCOURTPETITION", "agency_tracking_id": "old1", "transaction_type": "Sale"}
        start |= {"transaction_amount": "60.00", "language": "en"}
        token = stage.simulator.start(start | {"url_success": "https://a.example/", "url_cancel": "https://a.example/"})
        stage.simulator.pay(token, "ACH", "Success")
        paygov_id = stage.simulator.complete("TCSUSTAXCOURTPETITION", token).paygov_tracking_id
        row = old_row(transaction_status="pending", paygov_tracking_id=paygov_id, payment_method="ach")
        await run(stage, tmp_path, row)
        await asyncio.sleep(60)
        await sweep(stage.portal)
        assert await statuses(stage) == [("old1", "processed")]
        assert await findings(stage) == []

    scene(write_path)
