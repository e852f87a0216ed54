"""Double entry: every entry adds up to 0 at every instant, equals a plain loop over the history, and ties out."""

import asyncio
import tempfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from bursar.payments.catalogue.classification import Share, split
from bursar.payments.records import ZERO
from bursar.reports.named_reports import named_report
from bursar.reports.reports import Reports
from bursar.reports.sql.answer import Question
from bursar.reports.sql.postings import ACCOUNTS
from tests.support.hypothesis_profiles import examples
from tests.support.reports.book import DAY_S, FEES, Book
from tests.support.reports.postings_model import balances, postings

LINES = "SELECT agency_tracking_id, entry, account, classification_id, deposit_ticket, amount FROM payment_postings"
UNBALANCED = "SELECT agency_tracking_id, entry FROM payment_postings GROUP BY 1, 2 HAVING sum(amount) <> 0"
IN_TRANSIT = """
WITH held AS (
    SELECT
        client,
        fee,
        sum(CASE WHEN account = 'in_transit' THEN amount ELSE 0 END) AS in_transit,
        sum(CASE WHEN account = 'unsettled' THEN -amount ELSE 0 END) AS unsettled,
        min(CASE WHEN account = 'in_transit' THEN posted_on END) AS since
    FROM payment_postings
    WHERE account IN ('in_transit', 'unsettled')
    GROUP BY client, fee, agency_tracking_id
)
SELECT client, fee, count(*), sum(in_transit), sum(unsettled), min(since)
FROM held WHERE in_transit <> 0 GROUP BY client, fee ORDER BY client, fee
"""
"""The plain twin of the report ``in_transit``, which does not read the lines."""
SHARES = (Share("1", percent=Decimal("33.3")), Share("2", percent=Decimal("66.7")))
WAYS: dict[str, tuple[str, ...]] = {
    "paid": ("initiated", "processing", "processed"),
    "settled": ("initiated", "processing", "pending", "processed"),
    "bounced": ("initiated", "processing", "pending", "failed"),
    "settling": ("initiated", "processing", "pending"),
    "refused": ("initiated", "processing", "failed"),
    "unknown": ("initiated", "processing"),
}

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("pay"),
            st.sampled_from(sorted(WAYS)),
            st.integers(1, 99_999),
            st.booleans(),
            st.sampled_from(FEES),
            st.sampled_from((1, 50_000)),
        ),
        st.tuples(st.just("reverse"), st.integers(0, 9), st.sampled_from(("returned", "charged_back", "refunded"))),
        st.tuples(st.just("deposit"), st.integers(0, 9), st.sampled_from(("T1", "T2"))),
        st.tuples(st.just("write")),
    ),
    min_size=3,
    max_size=14,
)


def pay(book: Book, way: str, cents: int, classified: bool, fee: str = FEES[0], step_s: float = 1) -> None:
    amount = Decimal(cents) / 100
    attempt = book.start(f"{amount:.2f}", fee, classification=split(amount, SHARES) if classified else None)
    for status in WAYS[way]:
        book.now += step_s
        attempt = book.move(attempt, status)  # type: ignore[arg-type] # one of the statuses


def reverse(book: Book, which: int, kind: Any) -> None:
    paid = [attempt for attempt in book.attempts.values() if attempt.net_amount > ZERO]
    if paid:
        attempt = paid[which % len(paid)]
        book.now += 1
        book.reverse(attempt, f"{max(Decimal('0.01'), (attempt.net_amount / 2).quantize(Decimal('0.01')))}", kind)


def deposit(book: Book, which: int, ticket: str) -> None:
    held = {deposit.agency_tracking_id for deposit in book.deposits}
    paid = [each for each in book.attempts.values() if each.status == "processed"]
    paid = [each for each in paid if each.agency_tracking_id not in held]
    if paid:
        book.now += 1
        book.deposit(paid[which % len(paid)], ticket)


ACTS: dict[str, Callable[..., None]] = {"pay": pay, "reverse": reverse, "deposit": deposit}


async def run(history: list[tuple[Any, ...]], folder: str) -> None:
    book = Book()
    reports = Reports(book.source, f"file:{folder}/lake", book.clock)
    try:
        for name, *arguments in history:
            if name == "write":
                book.now += 3600
                await reports.write_lake()
            else:
                ACTS[name](book, *arguments)
        report = named_report("in_transit").sql
        lines, unbalanced, plain, found = await reports.answers(
            [Question(LINES), Question(UNBALANCED), Question(IN_TRANSIT), Question(report, {"fee": "*", "client": "*"})]
        )
        assert unbalanced.rows == []
        assert found.rows == plain.rows
        assert sorted(lines.rows, key=repr) == postings(book)
        instants = {each.at for each in book.events} | {each.at for each in book.reversals}
        for instant in instants | {each.at for each in book.deposits}:
            assert sum(balances(postings(book, instant)).values()) == 0
    finally:
        await reports.close()


@examples(12, suppress_health_check=list(HealthCheck))
@given(steps)
def test_the_postings_of_any_history_balance_and_equal_the_model(history: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(history, folder))


async def test_the_three_books_questions_tie_out_by_ticket(book: Book, reports: Reports) -> None:
    for way, cents in (("paid", 6000), ("settled", 2500), ("settling", 1000), ("bounced", 700), ("refused", 500)):
        pay(book, way, cents, classified=True)
    paid, settled, *_ = book.attempts.values()
    settled = book.reverse(settled, "5.00", "charged_back", debit_voucher="V1")
    book.now += DAY_S
    book.deposit(paid, "T1")
    book.deposit(settled, "T1")
    pay(book, "paid", 4200, classified=False)
    book.now += DAY_S
    book.reverse(paid, "60.00", "returned", debit_voucher="V2")
    await reports.write_lake()
    in_transit = (await reports.report("in_transit")).dicts()
    assert [(row["payments"], row["in_transit"], row["not_settled"]) for row in in_transit] == [
        (2, Decimal("52.00"), Decimal("10.00"))
    ]
    [ticket] = (await reports.report("deposited")).dicts()
    assert (ticket["deposit_ticket"], ticket["payments"]) == ("T1", 2)
    assert (ticket["deposited"], ticket["came_back"], ticket["left_on_ticket"]) == (85, 65, 20)
    back = (await reports.report("came_back")).dicts()
    assert [(row["kind"], row["debit_voucher"], row["came_back"]) for row in back] == [
        ("charged_back", "V1", 5),
        ("returned", "V2", 60),
    ]
    found = dict((await reports.sql("SELECT account, sum(amount) FROM payment_postings GROUP BY 1")).rows)
    assert set(found) <= set(ACCOUNTS)
    assert found == balances(postings(book))
    collected = (await reports.sql("SELECT sum(net_amount) FROM payments")).rows[0][0]
    assert found["in_transit"] - -found["unsettled"] + found["deposited"] == collected


async def test_money_is_in_transit_from_its_acceptance_or_without_one_from_its_settlement(
    book: Book, reports: Reports
) -> None:
    pay(book, "settled", 2500, classified=False, step_s=DAY_S)  # accepted on 2 April, settled on 3 April
    pay(book, "paid", 6000, classified=False, fee=FEES[1], step_s=DAY_S)  # completed on 6 April
    pay(book, "settling", 1000, classified=False, fee=FEES[2], step_s=DAY_S)  # accepted on 9 April
    rows = (await reports.report("in_transit")).dicts()
    assert {row["fee"]: row["oldest_on"] for row in rows} == {
        FEES[0]: date(2026, 4, 2),
        FEES[1]: date(2026, 4, 6),
        FEES[2]: date(2026, 4, 9),
    }
