"""The daily roots, computed again: a chain that was rewritten consistently is found, with its day."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta

import pytest

from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.payments import Attempt, Ledger
from bursar.payments.audit.chain_audit import ChainReport, audit_chains
from bursar.payments.audit.root_audit import audit_roots
from bursar.payments.event_chain import event_hash
from bursar.payments.ledger.store_records.daily_roots import PARTITION
from bursar.payments.ledger.table import TABLE_NAME
from tests.support.payments.stage import PAID, Listening, Wall, processing
from tests.support.payments.tampering import items_of, put, remove, without_rules

Start = Callable[..., Awaitable[Attempt]]
DAY = date(2026, 11, 22)


@pytest.fixture
def engine(store: Listening) -> AsyncEngine:
    assert isinstance(store.behind, AsyncEngine)
    return store.behind


@pytest.fixture
async def paid(ledger: Ledger, start: Start, wall: Wall) -> Attempt:
    """Pay one obligation on the first of three days, and seal all three."""
    attempt = await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal")
    wall.pass_s(24 * 3600)
    await start(reference="on the second day")
    previous = None
    for number in range(3):
        previous = (await ledger.daily_roots.seal(DAY + timedelta(days=number), previous)).root
    return attempt


async def copies_of(ledger: Ledger) -> dict[str, str]:
    return {root.date: root.root for root in await ledger.daily_roots.stored()}


async def audited(ledger: Ledger, copies: dict[str, str] | None = None) -> ChainReport:
    report = ChainReport()
    await audit_roots(ledger.daily_roots, copies, report)
    return report


async def forge(engine: AsyncEngine, attempt: Attempt) -> None:
    """Alter the last event of ``attempt`` and rewrite the attempt's hash, so that the chain fits."""
    items = await items_of(engine, attempt.client, attempt.reference)
    last = next(item for item in items if item["sk"]["S"].endswith("#0004"))
    stored = next(item for item in items if item["kind"] == {"S": "attempt"})
    forged = last | {"detail": {"S": "{}"}}
    await put(engine, forged)
    await put(engine, stored | {"eventHash": {"S": event_hash(forged)}})


async def test_sealed_days_have_no_findings(ledger: Ledger, paid: Attempt) -> None:
    report = await audited(ledger, await copies_of(ledger))
    assert (report.count, report.roots) == (0, 3)


async def test_a_consistently_rewritten_chain_is_found_in_its_day_only(
    ledger: Ledger, paid: Attempt, engine: AsyncEngine
) -> None:
    await forge(engine, paid)
    assert (await audit_chains(engine, TABLE_NAME)).count == 0
    assert [line for line, _ in (await audited(ledger)).lines()] == [
        "root: 2026-11-22: its events do not give the stored root (4 events when it was stored, 4 now)"
    ]


async def test_a_rewritten_root_is_found_by_its_copy(ledger: Ledger, paid: Attempt, engine: AsyncEngine) -> None:
    copies = await copies_of(ledger)
    await forge(engine, paid)
    previous = None
    for number, root in enumerate(await ledger.daily_roots.stored()):
        computed = await ledger.daily_roots.compute(DAY + timedelta(days=number), previous)
        previous = computed.root
        (item,) = [i for i in await ledger._ruled.partition({"S": PARTITION}) if i["sk"]["S"] == root.date]
        with without_rules(engine):
            await engine.call("PutItem", {"TableName": TABLE_NAME, "Item": item | {"root": {"S": computed.root}}})
    assert (await audited(ledger)).count == 0
    report = await audited(ledger, copies)
    assert [finding.place for finding in report.findings] == ["2026-11-22", "2026-11-23", "2026-11-24"]


async def test_a_removed_obligation_is_found_in_its_day(ledger: Ledger, paid: Attempt, engine: AsyncEngine) -> None:
    engine.engine.put_rules_document(TABLE_NAME, None)  # with the sentinels left alone, the rules would find it
    for item in await items_of(engine, paid.client, paid.reference):
        await remove(engine, item)
    assert (await audit_chains(engine, TABLE_NAME)).count == 0
    (finding,) = (await audited(ledger)).findings
    assert (finding.place, finding.check.split("(")[1]) == ("2026-11-22", "4 events when it was stored, 0 now)")


async def test_a_removed_root_is_found(ledger: Ledger, paid: Attempt, engine: AsyncEngine) -> None:
    copies = await copies_of(ledger)
    (item,) = [i for i in await ledger._ruled.partition({"S": PARTITION}) if i["sk"]["S"] == "2026-11-23"]
    await remove(engine, item)
    checks = {finding.place: finding.check for finding in (await audited(ledger, copies)).findings}
    assert checks["2026-11-22"] == "no root is stored between it and 2026-11-24"
    assert checks["2026-11-23"].startswith("its root is outside of the table but not in it")
