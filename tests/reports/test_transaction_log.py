"""The transaction log: newest attempts, pages, counts and totals, as the API of the existing portal has them."""

import asyncio
import random
import tempfile
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.reports.log_sorts import LOG_SORTS
from bursar.reports.reports import Reports
from bursar.reports.transaction_log import LogAnswer, LogCounts, SqlTransactionLog
from tests.support.hypothesis_profiles import examples
from tests.support.reports.book import DAY_S, FEES, START, Book

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
            long = await log.page(*FOREVER, sort=sort, order=order, limit=5_000, offset=0, counted=False)
            assert long.entries == listed


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


@examples(12)
@given(
    seed=st.integers(0, 999),
    limit=st.integers(4, 12),
    sort=st.sampled_from(LOG_SORTS),
    order=st.sampled_from(["asc", "desc"]),
    status=st.sampled_from([None, "pending", "success"]),
    writes=st.integers(0, 5),
)
def test_pages_of_one_instant_are_the_list_of_that_instant_while_payments_arrive(
    seed: int, limit: int, sort: str, order: str, status: str | None, writes: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_page_while_payments_arrive(folder, random.Random(seed), limit, sort, order, status, writes))


async def _page_while_payments_arrive(
    folder: str, draw: random.Random, limit: int, sort: str, order: str, status: str | None, writes: int
) -> None:
    """Ask page by page; the lake is written after the page number ``writes``."""
    book = Book()
    reports = Reports(book.source, f"file:{folder}/lake", book.clock)
    log = SqlTransactionLog(reports, lambda: NAMES)
    periods = {"all": FOREVER, "day": (START, START + DAY_S)}

    async def page(offset: int, limit: int, as_of: float | None) -> LogAnswer:
        asked_at = book.now
        return await log.page(
            *FOREVER, status=status, sort=sort, order=order, limit=limit, offset=offset, periods=periods,
            as_of=as_of, asked_at=asked_at,
        )  # fmt: skip

    try:
        book.pay(20, seed=draw.randrange(99))
        whole = await page(0, 5000, None)
        pages = [await page(0, limit, None)]
        assert pages[0].as_of == whole.as_of
        while pages[-1].entries:
            for _ in range(draw.randrange(1, 4)):
                book.now += draw.choice((0.001, 1.0, DAY_S))
                # The events of this book do not say the payment method, which pending attempts have.
                unpaid = ("received", "initiated", "processing")
                live = [each for each in book.attempts.values() if each.status in unpaid]
                book.start(fee=draw.choice(FEES), client=draw.choice(("dawson", "exams")))
                if live:
                    book.move(draw.choice(live), draw.choice(("processed", "failed")), "settled")
            if len(pages) == writes:
                await reports.write_lake()
            pages.append(await page(limit * len(pages), limit, pages[0].as_of))
        assert [entry for each in pages for entry in each.entries] == whole.entries
        for each in pages:
            assert (each.counts, each.totals, each.as_of) == (whole.counts, whole.totals, whole.as_of)
        assert len(pages) == 1 or (await page(0, 5000, None)).counts != whole.counts
    finally:
        await reports.close()


async def test_the_instant_of_a_page_is_not_before_the_newest_change_that_it_shows(
    book: Book, log: SqlTransactionLog
) -> None:
    asked_at = book.now
    book.start()
    assert (await log.page(*FOREVER, limit=9, offset=0, asked_at=asked_at)).as_of == asked_at
    book.now += 5.0  # a machine whose clock is ahead
    book.start()
    book.now -= 5.0
    page = await log.page(*FOREVER, limit=9, offset=0, asked_at=asked_at)
    assert (len(page.entries), page.as_of) == (2, asked_at + 5.0)


async def test_the_state_of_an_instant_to_come_is_the_present_one_so_far(book: Book, log: SqlTransactionLog) -> None:
    book.start()
    at = book.now + 5.0
    page = await log.page(*FOREVER, limit=9, offset=0, as_of=at, asked_at=book.now)
    assert (len(page.entries), page.counts, page.as_of) == (1, LogCounts(0, 0, 1), at)
