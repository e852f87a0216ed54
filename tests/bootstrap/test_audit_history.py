"""``bursar audit --chain`` and ``--root`` on a store with payments."""

import asyncio
import json
import random
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bursar.bootstrap.composition import Composition
from bursar.cli import bursar
from bursar.dashboard.upkeep_notes import UpkeepNotes
from bursar.dynamo import AsyncEngine
from bursar.payments import Attempt
from bursar.payments.audit.root_copies import FileCopies
from bursar.payments.ledger.store_records.daily_roots import day_of
from bursar.settings import Settings
from tests.support.payments.stage import STARTED
from tests.support.payments.tampering import items_of, put

TODAY = day_of(STARTED)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BURSAR_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BURSAR_AUDIT_ROOTS", str(tmp_path / "roots.jsonl"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def make(folder: Path, *, alter: bool = False) -> Attempt:
    """Start an attempt, give it a token, and seal that day and the one before."""
    settings = Settings(data=str(folder / "data"))
    async with Composition(settings, clock=lambda: STARTED, randomness=random.Random(1)) as parts:
        ledger = await parts.ledger()
        fee = parts.fees.fee("PETITION_FILING_FEE", STARTED)
        assert fee is not None
        urls = ("https://app.example/success", "https://app.example/cancel")
        attempt = await ledger.start_attempt("dawson", "r-1", fee, Decimal("60.00"), {"docketNumber": "123-26"}, *urls)
        attempt = await ledger.record_token(attempt, "t" * 32)
        first = await ledger.daily_roots.seal(TODAY - timedelta(days=1), None)
        second = await ledger.daily_roots.seal(TODAY, first.root)
        await FileCopies(folder / "roots.jsonl").add([first, second])
        store = await parts.store()
        assert isinstance(store, AsyncEngine)
        if alter:
            events = [item for item in await items_of(store, "dawson", "r-1") if item["kind"] == {"S": "event"}]
            await put(store, events[0] | {"actor": {"S": "operator"}})
        return attempt


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(bursar, ["audit", *arguments])


def test_an_untouched_store_is_clean(folder: Path) -> None:
    asyncio.run(make(folder))
    result = audit("--chain")
    assert (result.exit_code, result.stdout) == (
        0,
        "1 obligations, 1 attempts, 2 events, 0 written before the chain, 2 daily roots, 0 findings\n",
    )


def test_an_altered_event_is_named_and_its_day(folder: Path) -> None:
    attempt = asyncio.run(make(folder, alter=True))
    result = audit("--chain")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"altered: dawson/r-1, attempt {attempt.agency_tracking_id}, event 1: "
        "its hash is not the previousHash that event 2 holds",
        f"root: {TODAY}: its events do not give the stored root (2 events when it was stored, 2 now)",
        "1 obligations, 1 attempts, 2 events, 0 written before the chain, 2 daily roots, 2 findings",
    ]
    kept = UpkeepNotes(folder / "data").read("chain_audit")
    assert kept is not None
    assert (kept.findings, list(kept.lines)) == (2, result.stdout.splitlines()[:2])


def test_the_pages_get_the_result_of_an_audit_of_the_payments_table_alone(folder: Path) -> None:
    asyncio.run(make(folder))
    notes = UpkeepNotes(folder / "data")
    assert audit("--table", "another").exit_code == 2
    rules = folder / "rules.toml"
    rules.write_text("")
    audit("--rules", str(rules))
    assert notes.all() == []
    assert audit().exit_code == 0
    kept = notes.read("audit")
    assert kept is not None
    assert (kept.findings, kept.lines) == (0, ())


def test_findings_are_json_for_machines(folder: Path) -> None:
    attempt = asyncio.run(make(folder, alter=True))
    first, _, totals = map(json.loads, audit("--chain", "--format", "json").stdout.splitlines())
    assert {name: first[name] for name in ("kind", "client", "reference", "attempt", "seq")} == {
        "kind": "altered",
        "client": "dawson",
        "reference": "r-1",
        "attempt": attempt.agency_tracking_id,
        "seq": 1,
    }
    assert totals["findings"] == 2


def test_a_root_outside_of_the_store_is_compared(folder: Path) -> None:
    asyncio.run(make(folder))
    copies = folder / "roots.jsonl"
    copies.write_text(copies.read_text().replace('"root":"', '"root":"x'))
    result = audit("--chain")
    assert result.exit_code == 1
    assert result.stdout.count("the root outside of the table is another one than the stored root") == 2


def test_copies_that_cannot_be_read_end_the_audit(folder: Path) -> None:
    asyncio.run(make(folder))
    (folder / "roots.jsonl").write_text("no JSON\n")
    result = audit("--chain")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"bursar: {folder / 'roots.jsonl'}, line 1: must be")


def test_the_root_of_a_day_is_computed_and_compared(folder: Path) -> None:
    asyncio.run(make(folder, alter=True))
    today = audit("--root", TODAY.isoformat())
    assert today.exit_code == 0
    assert today.stdout.startswith(f"date {TODAY}  root ")
    assert today.stdout.endswith("  events 2  stored another one\n")
    before = json.loads(audit("--root", (TODAY - timedelta(days=1)).isoformat(), "--format", "json").stdout)
    assert (before["events"], before["stored"]) == (0, "equal")
    assert audit("--root").stdout.endswith("  events 0  stored absent\n")  # yesterday, by the system's clock


def test_a_root_of_no_date_is_refused(folder: Path) -> None:
    asyncio.run(make(folder))
    result = audit("--root", "2026-13-01")
    assert (result.exit_code, result.stderr) == (
        2,
        "bursar: --root: must be a date such as 2026-11-28; got 2026-13-01\n",
    )


@pytest.mark.parametrize("other", ["--repair", "--adopt", "--native", "--root"])
def test_a_history_is_audited_alone(folder: Path, other: str) -> None:
    result = audit("--chain", other)
    assert result.exit_code == 2
    assert "--chain, --root: must be given without other kinds of audit" in result.stderr
