"""Another portal's attempts keep their ids, times and state, are chained, and are imported once."""

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bursar.payments import Fee, Ledger, ObligationTaken
from bursar.payments.audit.chain_audit import audit_chains
from bursar.payments.audit.chain_check import check_obligation
from bursar.payments.due import DAY_S
from bursar.payments.errors import ImportRefused
from bursar.payments.ledger.imports import ImportRecord
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.records import RETURNS_SHARD
from bursar.payments.reversals import ReversalReport
from bursar.rules.audit.table_audit import audit_table
from tests.support.payments.stage import REFERENCE, STARTED, Listening, Wall

OLD = STARTED - 100 * DAY_S
Make = Callable[..., ImportRecord]


@pytest.fixture
def make(fee: Fee) -> Make:
    def made(name: str = "old-1", **values: Any) -> ImportRecord:
        usual: dict[str, Any] = {
            "client": "dawson",
            "reference": REFERENCE.upper(),
            "fee": fee,
            "amount": Decimal("60"),
            "metadata": {"docketNumber": "123-26"},
            "status": "processed",
            "created_at": OLD,
            "updated_at": OLD + 60,
            "paygov_tracking_id": f"P-{name}",
            "payment_method": "PLASTIC_CARD",
        }
        return ImportRecord(agency_tracking_id=name, **{**usual, **values})

    return made


async def imported(ledger: Ledger, record: ImportRecord) -> Any:
    return (await ledger.imports.record(record, by="Ada", source="old.csv:2"))[0]


async def findings(store: Listening, ledger: Ledger) -> list[str]:
    chains = await audit_chains(store, TABLE_NAME)
    report = await audit_table(store, TABLE_NAME, ledger.rules, randomness=random.Random(1))
    return [line for line, _ in chains.lines()] + [finding.message for finding in report.findings]


async def test_an_attempt_keeps_its_id_its_times_and_its_state(ledger: Ledger, make: Make, wall: Wall) -> None:
    attempt, is_new = await ledger.imports.record(make(), by="Ada", source="old.csv:2")
    assert is_new
    assert await ledger.attempt_by_agency_id("old-1") == attempt
    assert await ledger.attempt_by_paygov_id("P-old-1") == attempt
    assert (attempt.status, attempt.reference, attempt.amount) == ("processed", REFERENCE, Decimal("60.00"))
    assert (attempt.created_at, attempt.updated_at, attempt.settled_at) == (OLD, OLD + 60, OLD + 60)
    assert (attempt.imported_at, attempt.due_at, attempt.token) == (wall.now, None, None)
    view = await ledger.obligation("dawson", REFERENCE)
    assert view is not None
    assert view.obligation.created_at == OLD
    (event,) = view.events
    assert (event.name, event.actor, event.from_status, event.to_status) == ("imported", "operator", None, "processed")
    assert event.at == wall.now, "the events of past days stay as they are"
    assert (event.detail["by"], event.detail["source"], event.detail["paygov_tracking_id"]) == (
        "Ada",
        "old.csv:2",
        "P-old-1",
    )


async def test_the_same_record_again_changes_nothing(ledger: Ledger, make: Make, store: Listening) -> None:
    first = await imported(ledger, make())
    store.clear()
    assert await ledger.imports.record(make(), by="Bob", source="again.csv:9") == (first, False)
    assert await ledger.imports.check(make()) == first
    assert set(store.operations) <= {"Query", "GetItem"}
    for other in ({"amount": Decimal("61")}, {"paygov_tracking_id": "other"}):
        with pytest.raises(ImportRefused, match="old-1: is recorded with other facts"):
            await ledger.imports.record(make(**other), by="Ada", source="x")


async def test_a_paid_obligation_is_not_started_again(ledger: Ledger, make: Make, start: Any) -> None:
    attempt = await imported(ledger, make())
    with pytest.raises(ObligationTaken) as taken:
        await start()
    assert taken.value.attempt == attempt


async def test_after_failed_attempts_the_obligation_goes_on_here(
    ledger: Ledger, make: Make, start: Any, store: Listening
) -> None:
    for number in range(2):
        await imported(ledger, make(f"old-{number}", status="failed", return_code="2000", paygov_tracking_id=None))
    started = await start()
    view = await ledger.obligation("dawson", REFERENCE)
    assert view is not None
    assert [each.agency_tracking_id for each in view.attempts] == ["old-0", "old-1", started.agency_tracking_id]
    assert view.attempts[1].created_at > view.attempts[0].created_at, "no two attempts share a millisecond"
    assert await findings(store, ledger) == []


@pytest.mark.parametrize(
    ("status", "unknown"), [("processed", False), ("failed", False), ("pending", False), ("processing", True)]
)
async def test_the_chain_and_the_rules_hold_in_every_status(
    ledger: Ledger, make: Make, store: Listening, wall: Wall, status: Any, unknown: bool
) -> None:
    attempt = await imported(ledger, make(status=status, unknown_reason="the answer was lost"))
    assert (attempt.outcome_unknown, attempt.unknown_reason is not None) == (unknown, unknown)
    assert [each.agency_tracking_id for each in await ledger.due(wall.now, 9)] == (
        ["old-1"] if status in ("pending", "processing") else []
    )
    assert await findings(store, ledger) == []


async def test_what_comes_later_is_chained_to_the_import(
    ledger: Ledger, make: Make, store: Listening, wall: Wall
) -> None:
    attempt = await imported(ledger, make(payment_method="ACH"))
    wall.pass_s(60)
    report = ReversalReport("returned", attempt.amount, "operator", by="Ada", reason="the voucher")
    changed, _ = await ledger.reversals.record(attempt, report, actor="operator")
    assert changed.net_amount == 0
    assert await findings(store, ledger) == []


async def test_an_altered_import_is_found(ledger: Ledger, make: Make, store: Listening) -> None:
    attempt = await imported(ledger, make())
    view = await ledger._ruled.partition(attempt.stored_item["pk"])
    assert check_obligation(view)[0] == []
    for name, value in (("lastUpdatedAt", "2026-01-01T00:00:00.000Z"), ("amount", None)):
        altered = [
            {**item, name: {"S": value} if value else {"N": "61"}} if item["kind"]["S"] == "attempt" else item
            for item in view
        ]
        assert [finding.kind for finding in check_obligation(altered)[0]] == ["disagrees"]


async def test_a_recent_debit_is_watched_for_a_return(ledger: Ledger, make: Make, wall: Wall) -> None:
    recent = make(payment_method="ACH", created_at=wall.now - 10 * DAY_S, updated_at=wall.now - 8 * DAY_S)
    attempt = await imported(ledger, recent)
    assert attempt.due_at is not None
    assert attempt.due_at > wall.now
    assert attempt.stored_item["dueShard"] == {"S": RETURNS_SHARD}
    old = replace(recent, agency_tracking_id="old-2", reference=REFERENCE[:-1] + "2", paygov_tracking_id="P2")
    assert (await imported(ledger, replace(old, created_at=OLD, updated_at=OLD))).due_at is None


async def test_a_record_that_does_not_fit_is_refused(ledger: Ledger, make: Make, fee: Fee) -> None:
    await imported(ledger, make())
    refused = {
        "another attempt at the obligation is recorded, old-1 .processed.: the payer was charged twice": make(
            "old-2", created_at=OLD + 1
        ),
        "another attempt at the obligation is recorded, old-1 .processed.$": make(
            "old-2", created_at=OLD + 1, status="pending"
        ),
        "an attempt that began later is recorded: old-1": make("old-0", created_at=OLD - 1, status="failed"),
        "metadata must be as in the obligation's first attempt": make("old-2", metadata={"docketNumber": "9"}),
        "old-2: fee and metadata must be as in": make("old-2", fee=replace(fee, key="OTHER"), metadata={}),
        "old-1: .*agency-tracking-id": make(reference=REFERENCE[:-1] + "2", paygov_tracking_id="P2"),
        "old-2: .*paygov-tracking-id": make("old-2", reference=REFERENCE[:-1] + "2", paygov_tracking_id="P-old-1"),
        "old-2: .*fee-active": make("old-2", reference=REFERENCE[:-1] + "2", paygov_tracking_id="P2", created_at=0.0),
    }
    for reason, record in refused.items():
        with pytest.raises(ImportRefused, match=reason):
            await ledger.imports.record(record, by="Ada", source="x")


async def test_an_import_after_a_start_here_is_refused(ledger: Ledger, make: Make, start: Any) -> None:
    await start()
    with pytest.raises(ImportRefused, match="an attempt that began later is recorded"):
        await imported(ledger, make())
