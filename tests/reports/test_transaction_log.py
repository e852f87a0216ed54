"""The transaction log: newest attempts, pages, counts and totals, as the API of the existing portal has them."""

import asyncio
from decimal import Decimal

import pytest

from bursar.reports.log_sorts import LOG_SORTS
from bursar.reports.reports import Reports
from bursar.reports.transaction_log import LogCounts, SqlTransactionLog
from tests.support.reports.book import DAY_S, START, Book

NAMES = {"PETITION_FILING_FEE": "Petition Filing Fee"}
FOREVER = (0.0, START + 1000 * DAY_S)


@pytest.fixture
def log(reports: Reports) -> SqlTransactionLog:
    return SqlTransactionLog(reports, lambda: NAMES)


async def test_an_entry_has_the_apis_names_and_no_token(book: Book, log: SqlTransactionLog) -> None:
    book.start(token="t" * 32)
    [entry] = await log.recent()
    assert entry == {
        "agencyTrackingId": "atid000000",
        "paygovTrackingId": None,
        "feeName": "Petition Filing Fee",
        "fee": "PETITION_FILING_FEE",
        "transactionAmount": Decimal("60.00"),
        "clientName": "dawson",
        "transactionReferenceId": "00000000-0000-4000-8000-000000000000",
        "paymentStatus": "pending",
        "transactionStatus": "received",
        "paymentMethod": None,
        "metadata": {"docketNumber": "0-26"},
        "createdAt": "2026-03-30T12:00:00.000Z",
        "lastUpdatedAt": "2026-03-30T12:00:00.000Z",
        "returnCode": None,
        "returnDetail": None,
    }


async def test_recent_is_the_newest_hundred_of_one_status_or_of_all(book: Book, log: SqlTransactionLog) -> None:
    for number in range(120):
        book.now += 1
        attempt = book.start()
        if number % 2:
            book.move(attempt, "failed")
    newest = await log.recent()
    assert len(newest) == 100
    assert newest[0]["agencyTrackingId"] == "atid000119"
    failed = await log.recent("failed")
    assert [entry["paymentStatus"] for entry in failed] == ["failed"] * 60


async def test_pages_tile_the_log_whatever_the_sort(book: Book, reports: Reports, log: SqlTransactionLog) -> None:
    book.pay(40)
    await reports.write_lake()
    everything = {attempt.agency_tracking_id for attempt in book.attempts.values()}
    for sort in LOG_SORTS:
        for order in ("asc", "desc"):
            answers = [await log.page(*FOREVER, sort=sort, order=order, limit=15, offset=at) for at in (0, 15, 30, 45)]
            pages = [answer.entries for answer in answers]
            listed = [entry for page in pages for entry in page]
            assert [len(page) for page in pages] == [15, 15, 10, 0]
            assert {entry["agencyTrackingId"] for entry in listed} == everything
            values = [entry[sort] for entry in listed]
            known = [value for value in values if value is not None]
            assert values[: len(known)] == sorted(known, reverse=order == "desc")


async def test_ties_are_in_the_order_of_agency_tracking_id(book: Book, log: SqlTransactionLog) -> None:
    for _ in range(5):
        book.start()
    for order in ("asc", "desc"):
        page = await log.page(*FOREVER, sort="clientName", order=order, limit=5, offset=0)
        assert [entry["agencyTrackingId"] for entry in page.entries] == [f"atid{n:06d}" for n in range(5)]


async def test_the_frame_takes_its_start_and_leaves_its_end(book: Book, log: SqlTransactionLog) -> None:
    for second in range(3):
        book.now = START + second
        book.start()
    page = await log.page(START, START + 2, sort="createdAt", order="asc", limit=10, offset=0)
    assert [entry["agencyTrackingId"] for entry in page.entries] == ["atid000000", "atid000001"]
    assert page.counts == LogCounts(success=0, failed=0, pending=2)


async def test_counts_are_by_status_and_add_up(book: Book, log: SqlTransactionLog) -> None:
    assert (await log.counts()).total == 0
    book.start()
    book.move(book.start(), "failed")
    book.move(book.start(), "processed")
    assert await log.counts() == LogCounts(success=1, failed=1, pending=1)


async def test_totals_sum_the_successful_amounts_of_each_period(book: Book, log: SqlTransactionLog) -> None:
    book.move(book.start(amount="60.00"), "processed")
    book.move(book.start(amount="1.00"), "failed")
    book.now += DAY_S
    book.move(book.start(amount="250.10"), "processed")
    periods = {"day": (book.now - 60, book.now + 60), "week": (START, book.now + 60), "none": (0.0, START)}
    page = await log.page(*FOREVER, limit=1, offset=0, periods=periods)
    assert page.totals == {
        "day": Decimal("250.10"),
        "week": Decimal("310.10"),
        "none": Decimal("0.00"),
    }


async def test_payment_methods_are_sorted_as_they_are_shown(book: Book, reports: Reports) -> None:
    for method in ("PLASTIC_CARD", "PAYPAL", "ACH", "WAMPUM", None):
        book.start(payment_method=method)
    log = SqlTransactionLog(reports, lambda: NAMES, {"PLASTIC_CARD": "Credit/Debit Card", "ACH": "Debit"})
    listed = await log.page(*FOREVER, sort="paymentMethod", order="asc", limit=5, offset=0)
    assert [entry["paymentMethod"] for entry in listed.entries] == ["PLASTIC_CARD", "ACH", "PAYPAL", "WAMPUM", None]


async def test_a_sort_that_is_no_column_is_refused(log: SqlTransactionLog) -> None:
    with pytest.raises(ValueError, match="sort: must be one of"):
        await log.page(*FOREVER, sort="token", limit=1, offset=0)


async def test_rows_counts_and_totals_of_one_answer_agree_while_payments_arrive(
    book: Book, log: SqlTransactionLog
) -> None:
    over = False

    async def pay() -> None:
        while not over:
            book.move(book.start(amount="1.00"), "processed")
            await asyncio.sleep(0.001)

    paying = asyncio.create_task(pay())
    sizes = set()
    for _ in range(15):
        page = await log.page(*FOREVER, limit=5000, offset=0, periods={"all": FOREVER})
        assert page.counts is not None
        assert len(page.entries) == page.counts.total
        assert page.totals["all"] == page.counts.success
        sizes.add(page.counts.total)
    over = True
    await paying
    assert len(sizes) > 1
