"""A lake that months of commits, merges and verifications have made, from payments of every kind."""

import random
from decimal import Decimal

from bursar.payments.classified_amounts import ClassifiedAmount
from bursar.reports.reports import Reports
from tests.support.reports.book import DAY_S, Book

COMMITS_A_MONTH = 9
LATE_S = 3 * 3600.0
"""Longer than the overlap of the index of changes, so that the lake holds everything."""
CLASSIFICATION = (ClassifiedAmount("TREASURY-1", Decimal("0.20")), ClassifiedAmount("TREASURY-2", Decimal("0.30")))


async def months_of_commits(book: Book, reports: Reports, months: int, payments: int, seed: int = 7) -> None:
    """Pay ``payments`` times a month for ``months``, with a write of the lake each few days and a verification each."""
    draw = random.Random(seed)
    for month in range(months):
        for commit in range(COMMITS_A_MONTH):
            pay(book, draw, payments // COMMITS_A_MONTH)
            await reports.write_lake()
            if commit == 0:
                assert (await reports.verify_lake()).equal, month
    book.now += LATE_S
    await reports.write_lake()


def pay(book: Book, draw: random.Random, count: int) -> None:
    """Add payments of three days; some of the money that was collected is deposited, and some comes back."""
    spacing_s = 30 * DAY_S / COMMITS_A_MONTH / count
    known = set(book.attempts)
    book.pay(count, seed=draw.randrange(1 << 30), spacing_s=spacing_s)
    for key in book.attempts.keys() - known:
        attempt = book.attempts[key]
        if attempt.status != "processed":
            continue
        book.now += 1
        chance = draw.random()
        if chance < 0.1:
            attempt = book.reverse(attempt, "60.00", "returned", reason="R01: no funds", debit_voucher="DV1")
        elif chance < 0.2:
            attempt = book.reverse(attempt, "12.34", draw.choice(("refunded", "charged_back")), debit_voucher=None)
        if draw.random() < 0.5:
            book.deposit(attempt, f"{draw.randrange(100):06d}")
        if chance < 0.05:
            book.move(book.start("0.50", classification=CLASSIFICATION), "processed", payment_method=None)
    book.move(book.move(book.start(), "processing"), "pending", "accepted", payment_method="ACH")
    unknown = book.move(book.start("999.99", fee="it's a fee"), "processing", outcome_unknown=True)
    book.move(unknown, "processing", "outcome_unknown", unknown_reason="no answer; é ' \" ?")
