"""Reversals in SQL: in the next answer, in the lake, in the payment's amounts; verified and rebuilt like payments."""

from decimal import Decimal

import pytest

from bursar.reports.reports import Reports
from tests.support.reports.book import DAY_S, Book

AMOUNTS = "SELECT amount, reversed_amount, net_amount, settled_at IS NOT NULL FROM payments ORDER BY agency_tracking_id"


@pytest.mark.parametrize("has_twin", [False, True])
async def test_a_reversal_is_in_the_next_answer_and_in_the_lake(
    book: Book, reports: Reports, monkeypatch: pytest.MonkeyPatch, has_twin: bool
) -> None:
    monkeypatch.setattr("bursar.reports.lake.twin.NEW_ROWS_MIN", 0 if has_twin else 1_000)
    paid = book.move(book.start(), "processed")
    book.move(book.start(), "failed")
    book.start()
    await reports.write_lake()
    book.now += 40 * DAY_S
    paid = book.reverse(paid, "25.00", "charged_back", reason_code="4837", effective_on="2026-05-08")
    book.reverse(paid, "10.50", "refunded", requested_by="Ada", approved_by="Grace", deposit_ticket="000123")
    facts = "SELECT reversal, kind, amount, reason_code, effective_on, deposit_ticket, requested_by, approved_by "
    rows = [
        (1, "charged_back", Decimal("25.00"), "4837", "2026-05-08", None, None, None),
        (2, "refunded", Decimal("10.50"), None, None, "000123", "Ada", "Grace"),
    ]
    zero = Decimal("0.00")
    sixty = Decimal("60.00")
    for _ in range(3):
        found = (await reports.sql(f"{facts} FROM reversals ORDER BY reversal")).rows
        assert [(*row[:4], row[4] and row[4].isoformat(), *row[5:]) for row in found] == rows
        assert (await reports.sql(AMOUNTS)).rows == [
            (sixty, Decimal("35.50"), Decimal("24.50"), True),
            (sixty, zero, zero, False),
            (sixty, zero, zero, False),
        ]
        book.now += 3600
        await reports.write_lake()
    verification = await reports.verify_lake()
    assert verification.equal
    assert [check.lake.rows for check in verification.months if check.table == "reversals"] == [2]


async def test_a_reversal_leaves_the_row_of_its_payment_in_the_lake(book: Book, reports: Reports) -> None:
    """Append the reversal: a final attempt is not written again, because its stored columns have not changed."""
    paid = book.move(book.start(), "processed")
    book.now += 3600
    await reports.write_lake()
    before = (await reports.lake_state())["payments"].files
    book.now += 3600
    book.reverse(paid, "60.00")
    await reports.write_lake()
    assert (await reports.lake_state())["payments"].files == before


async def test_a_reversal_that_the_lake_lost_is_found_and_its_month_rebuilt(book: Book, reports: Reports) -> None:
    paid = book.move(book.start(), "processed")
    await reports.write_lake()
    book.now += DAY_S
    hidden = book.reverse(paid, "60.00")
    [reversal] = book.reversals
    book.reversals.clear()
    book.now += DAY_S
    book.start()
    book.now += 3600
    await reports.write_lake()
    book.reversals.append(reversal)
    assert not (await reports.verify_lake()).equal
    assert (await reports.sql("SELECT sum(amount) FROM reversals")).rows == [(hidden.reversed_amount,)]
    assert (await reports.verify_lake()).equal


async def test_a_date_that_is_no_date_stops_no_answer(book: Book, reports: Reports) -> None:
    book.reverse(book.move(book.start(), "processed"), "1.00", effective_on="last Tuesday")
    assert (await reports.sql("SELECT amount, effective_on FROM reversals")).rows == [(1, None)]
