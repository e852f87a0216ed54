"""The audit of all chains in a table: what it counts, what it finds, and that concurrent writers do not mislead it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.payments import Attempt, Ledger
from bursar.payments.audit import chain_audit
from bursar.payments.audit.chain_audit import FINDINGS_MAX, ChainReport, audit_chains
from bursar.payments.audit.chain_check import ChainFinding
from bursar.payments.ledger.table import TABLE_NAME
from tests.support.payments.stage import PAID, Listening, processing
from tests.support.payments.tampering import items_of, put, remove, take_chain_away

Start = Callable[..., Awaitable[Attempt]]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_audit, "CONFIRM_PAUSE_S", 0.0)


@pytest.fixture
def engine(store: Listening) -> AsyncEngine:
    assert isinstance(store.behind, AsyncEngine)
    return store.behind


@pytest.fixture
async def paid(ledger: Ledger, start: Start) -> Attempt:
    """Store three obligations; the last is paid."""
    await start(reference="first")
    await ledger.fail(
        await start(reference="second"), event="start_failed", actor="portal", return_code=None, return_detail="no"
    )
    await start(reference="second")
    return await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal")


@pytest.mark.parametrize("segments", [1, 3])
async def test_an_untouched_table_has_no_findings(engine: AsyncEngine, paid: Attempt, segments: int) -> None:
    reads: list[int] = []
    report = await audit_chains(engine, TABLE_NAME, segments=segments, on_progress=reads.append)
    assert (report.count, report.findings) == (0, [])
    assert report.totals == {
        "obligations": 3,
        "attempts": 4,
        "events": 8,
        "written before the chain": 0,
        "daily roots": 0,
        "findings": 0,
    }
    assert len(reads) == 3


async def test_an_altered_event_is_named(engine: AsyncEngine, paid: Attempt) -> None:
    events = [item for item in await items_of(engine, paid.client, paid.reference) if item["kind"] == {"S": "event"}]
    await put(engine, events[1] | {"actor": {"S": "operator"}})
    report = await audit_chains(engine, TABLE_NAME)
    name = f"{paid.client}/{paid.reference}, attempt {paid.agency_tracking_id}, event 2"
    assert [line for line, _ in report.lines()] == [
        f"altered: {name}: its hash is not the previousHash that event 3 holds"
    ]
    assert report.count == 1


async def test_an_altered_amount_of_an_attempt_is_named(engine: AsyncEngine, paid: Attempt) -> None:
    attempt = next(i for i in await items_of(engine, paid.client, paid.reference) if i["kind"] == {"S": "attempt"})
    engine.engine.put_rules_document(TABLE_NAME, None)  # the sentinel of Pay.gov's id would not fit
    await put(engine, attempt | {"amount": {"N": "6"}, "payGovTrackingId": {"S": "another"}})
    assert [finding.check for finding in (await audit_chains(engine, TABLE_NAME)).findings] == [
        "amount of the attempt is not amount of event 1",
        "payGovTrackingId of the attempt is not paygov_tracking_id of event 4",
    ]


async def test_a_removed_event_is_named(engine: AsyncEngine, paid: Attempt) -> None:
    items = await items_of(engine, paid.client, paid.reference)
    await remove(engine, next(item for item in items if item["sk"]["S"].endswith("#0003")))
    (finding,) = [each for each in (await audit_chains(engine, TABLE_NAME)).findings if each.kind == "removed"]
    assert (finding.attempt, finding.seq, finding.check) == (paid.agency_tracking_id, 3, "event 3 of 4 is missing")


async def test_a_store_from_before_the_chain_has_no_findings(engine: AsyncEngine, paid: Attempt) -> None:
    await take_chain_away(engine, paid.client, paid.reference)
    report = await audit_chains(engine, TABLE_NAME)
    assert (report.count, report.totals["written before the chain"]) == (0, 4)


class Changing:
    """A store whose scan misses the ``stale`` items, as if they were written after it."""

    def __init__(self, behind: AsyncEngine, stale: Callable[[Mapping[str, Any]], bool]) -> None:
        self.behind, self.stale = behind, stale
        self.queries = 0

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        reply = await self.behind.call(operation, request)
        if operation == "Scan":
            reply["Items"] = [item for item in reply["Items"] if not self.stale(item)]
        self.queries += operation == "Query" and ":shards" not in request["ExpressionAttributeValues"]
        return reply

    async def close(self) -> None:
        await self.behind.close()


async def test_a_payment_that_changes_during_the_scan_is_no_finding(engine: AsyncEngine, paid: Attempt) -> None:
    changing = Changing(engine, lambda item: item["sk"]["S"].endswith("#0004"))
    report = await audit_chains(changing, TABLE_NAME)
    assert (report.count, report.totals["events"], changing.queries) == (0, 8, 1)


async def test_a_finding_is_confirmed_by_two_reads_that_agree(engine: AsyncEngine, paid: Attempt) -> None:
    items = await items_of(engine, paid.client, paid.reference)
    await remove(engine, next(item for item in items if item["sk"]["S"].endswith("#0003")))
    changing = Changing(engine, lambda item: item["sk"]["S"].endswith("#0004"))
    assert (await audit_chains(changing, TABLE_NAME)).count
    assert changing.queries == 2


async def test_a_partition_in_two_parts_is_checked_as_one(engine: AsyncEngine, paid: Attempt) -> None:
    class Apart(Changing):
        async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            reply = await self.behind.call(operation, request)
            if operation == "Scan":
                reply["Items"].sort(key=lambda item: item["sk"]["S"])
            return reply

    report = await audit_chains(Apart(engine, lambda item: False), TABLE_NAME, segments=1)
    assert report.count == 0


def test_a_report_lists_a_bounded_number_of_findings() -> None:
    report = ChainReport()
    for _ in range(FINDINGS_MAX + 1):
        report.add(ChainFinding("altered", "somewhere", "something"))
    assert (report.count, len(report.findings)) == (FINDINGS_MAX + 1, FINDINGS_MAX)
