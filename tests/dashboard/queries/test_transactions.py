"""Counts, totals, pages and searches agree with a plain computation over the same attempts, to the cent."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, get_args

import pytest

from bursar.dashboard.formatting import eastern
from bursar.dashboard.queries import transactions
from bursar.dashboard.queries.filters import SORTS, Dated, TransactionFilter
from bursar.dashboard.queries.search import ID_PREFIX_CHARS_MIN, Search, read_search
from bursar.dashboard.queries.transactions import (
    NO_SEARCH,
    PAGE_ROWS,
    Cursor,
    Total,
    TransactionPage,
    every_transaction,
    transactions_page,
)
from bursar.dashboard.queries.url_reader import read_dollars
from bursar.dashboard.sign_in.accounts import Account
from bursar.payments import Attempt
from bursar.reports.sql.answer import Question, SqlAnswer
from tests.support.dashboard.office import HOSTILE, Office

TODAY = date(2026, 11, 22)
EVERYTHING = Account("ada", frozenset({"finance"}))
FEES = {"PETITION_FILING_FEE": "Petition filing fee", "COPY_FEE": "Copy fee"}
Matches = Callable[[Attempt], bool]


def started_on(attempt: Attempt) -> date:
    return eastern(attempt.created_at).date()


async def shown(
    office: Office,
    found: TransactionFilter,
    account: Account = EVERYTHING,
    text: str = "",
    cursor: Cursor | None = None,
) -> TransactionPage:
    search = read_search(text, TODAY, fee_names=FEES, with_metadata=True)
    return await transactions_page(office.reports, found, account, search, cursor)


def assert_totals(page: TransactionPage, attempts: list[Attempt]) -> None:
    assert page.total.count == len(attempts)
    assert page.total.amount == sum((attempt.amount for attempt in attempts), Decimal(0))


FILTERS: list[tuple[TransactionFilter, Matches]] = [
    (TransactionFilter(), lambda a: True),
    (TransactionFilter(statuses=("failed", "initiated")), lambda a: a.status in ("failed", "initiated")),
    (TransactionFilter(fees=("COPY_FEE",), clients=("exams",)), lambda a: (a.fee, a.client) == ("COPY_FEE", "exams")),
    (TransactionFilter(methods=("ACH", "PAYPAL")), lambda a: a.payment_method in ("ACH", "PAYPAL")),
    (TransactionFilter(code="40"), lambda a: (a.return_code or "").startswith("40")),
    (
        TransactionFilter(amount_min=Decimal("60"), amount_max=Decimal("250.00")),
        lambda a: Decimal(60) <= a.amount <= Decimal(250),
    ),
    (
        TransactionFilter(first=date(2026, 9, 1), last=date(2026, 9, 30)),
        lambda a: date(2026, 9, 1) <= started_on(a) <= date(2026, 9, 30),
    ),
    (
        TransactionFilter(dated="collected", first=date(2026, 10, 1)),
        lambda a: a.status == "processed" and eastern(a.settled_at or 0).date() >= date(2026, 10, 1),
    ),
]


@pytest.mark.parametrize(("found", "matches"), FILTERS, ids=[str(number) for number in range(len(FILTERS))])
async def test_a_filter_counts_and_totals_what_it_says(
    busy_office: Office, found: TransactionFilter, matches: Matches
) -> None:
    expected = [attempt for attempt in busy_office.attempts if matches(attempt)]
    assert expected
    page = await shown(busy_office, found)
    assert_totals(page, expected)
    ids = {attempt.agency_tracking_id for attempt in expected}
    assert {row["agency_tracking_id"] for row in page.rows} <= ids


SEARCHES: list[tuple[str, Matches, str]] = [
    ("$60.00", lambda a: a.amount == 60, "search.why.amount"),
    (">500", lambda a: a.amount > 500, "search.why.amount"),
    ("<= $60", lambda a: a.amount <= 60, "search.why.amount"),
    ("$100-$250", lambda a: Decimal(100) <= a.amount <= 250, "search.why.amount"),
    ("failed", lambda a: a.status == "failed", "search.why.status"),
    ("Fallido", lambda a: a.status == "failed", "search.why.status"),
    ("10/01/2026", lambda a: started_on(a) == date(2026, 10, 1), "search.why.started"),
    ("2026-10-01", lambda a: started_on(a) == date(2026, 10, 1), "search.why.started"),
    ("October 2026", lambda a: started_on(a).month == 10, "search.why.started"),
    ("last week", lambda a: date(2026, 11, 15) <= started_on(a) <= date(2026, 11, 21), "search.why.started"),
    ("la semana pasada", lambda a: date(2026, 11, 15) <= started_on(a) <= date(2026, 11, 21), "search.why.started"),
    ("4019", lambda a: a.return_code == "4019", "search.why.return_code"),
    ("exams", lambda a: a.client == "exams", "search.why.client"),
    ("copy", lambda a: a.fee == "COPY_FEE", "search.why.fee"),
    ("person5@example", lambda a: "person5@example" in str(a.metadata), "search.why.metadata"),
    ("pérson", lambda a: "Pérson" in str(a.metadata), "search.why.metadata"),
]


@pytest.mark.parametrize(("text", "matches", "why"), SEARCHES, ids=[text for text, _, _ in SEARCHES])
async def test_a_search_finds_what_it_says_and_why(busy_office: Office, text: str, matches: Matches, why: str) -> None:
    if text == "person5@example":
        await busy_office.start(
            "NONATTORNEY_EXAM_REGISTRATION_FEE", "250.00", email="person5@example.com", fullName="x", accessCode="y"
        )
    page = await shown(busy_office, TransactionFilter(), text=text)
    expected = [attempt for attempt in busy_office.attempts if matches(attempt)]
    assert expected
    assert_totals(page, expected)
    search = read_search(text, TODAY, fee_names=FEES, with_metadata=True)
    assert {reason.key for row in page.rows for reason in search.reasons(row)} == {why}


@pytest.mark.parametrize("field", ["agency_tracking_id", "paygov_tracking_id", "reference"])
async def test_an_id_is_found_by_its_beginning_in_any_case(busy_office: Office, field: str) -> None:
    wanted = next(attempt for attempt in busy_office.attempts if attempt.paygov_tracking_id)
    page = await shown(busy_office, TransactionFilter(), text=str(getattr(wanted, field)).upper())
    assert [row["agency_tracking_id"] for row in page.rows] == [wanted.agency_tracking_id]
    search = read_search(str(getattr(wanted, field)), TODAY, fee_names=FEES, with_metadata=True)
    assert [reason.key for reason in search.reasons(page.rows[0])] == [f"search.why.{field}"]


def matches_plainly(row: dict[str, Any], wanted: str) -> bool:
    """Return whether a transaction has the text: what the search box promises, without SQL."""
    ids = (row["agency_tracking_id"], row["paygov_tracking_id"] or "", row["reference"])
    values = json.loads(row["metadata"]).values()
    return (
        (len(wanted) >= ID_PREFIX_CHARS_MIN and any(each.lower().startswith(wanted) for each in ids))
        or wanted in ((row["return_code"] or "").lower(), row["client"])
        or any(wanted in name.lower() or wanted == key.lower() for key, name in FEES.items() if key == row["fee"])
        or row["amount"] == read_dollars(wanted)
        or any(wanted in (value if isinstance(value, str) else json.dumps(value)).lower() for value in values)
    )


def words_of(draw: random.Random, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield texts that a person may type: pieces of what the rows have, in any case, some with a wrong character."""
    for row in rows:
        values = [str(value) for value in json.loads(row["metadata"]).values()]
        whole = [row["agency_tracking_id"], row["paygov_tracking_id"] or "P000", row["reference"], str(row["amount"])]
        text = draw.choice([*whole, *whole, draw.choice(values), row["return_code"] or "4019", row["client"], "copy"])
        begin = draw.choice((0, 0, 0, 1)) if len(text) > 5 else 0
        text = text[begin : draw.choice((len(text), len(text), begin + 3, begin + 4, begin + 9))]
        if draw.random() < 0.2:
            place = draw.randrange(len(text))
            text = text[:place] + draw.choice("%_\\-z") + text[place + 1 :]
        yield draw.choice((text, text.upper(), text.lower())).replace('"', "")


async def test_a_search_is_a_plain_filter_of_the_rows(busy_office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "PAGE_ROWS", 20)
    [every] = await busy_office.reports.answers([every_transaction(TransactionFilter(), EVERYTHING, NO_SEARCH)])
    rows, draw = every.dicts(), random.Random(7)
    words = [word for word in words_of(draw, draw.sample(rows, 32)) if word.strip()]
    found_some = 0
    for number, word in enumerate(words):
        texts = [word, *(["petition filing"] if number % 5 == 0 else []), *([word[:5]] if number % 7 == 0 else [])]
        expected = [row for row in rows if all(matches_plainly(row, text.strip().lower()) for text in texts)]
        search = read_search(
            " ".join(f'"{text}"' for text in texts), TODAY, fee_names=FEES, with_metadata=True, clients=("exams",)
        )
        cursor = None
        for begin in (0, 20):
            page = await transactions_page(busy_office.reports, TransactionFilter(), EVERYTHING, search, cursor)
            assert [row["agency_tracking_id"] for row in page.rows] == [
                row["agency_tracking_id"] for row in expected[begin : begin + 20]
            ], texts
            assert (page.next is None) == (len(expected) <= begin + 20)
            assert page.total == Total(
                len(expected),
                sum((row["amount"] for row in expected), Decimal(0)),
                sum((row["reversed_amount"] for row in expected), Decimal(0)),
            )
            cursor = page.next
            if cursor is None:
                break
        found_some += bool(expected)
    assert found_some > len(words) // 4


async def test_all_parts_of_a_search_must_match(busy_office: Office) -> None:
    page = await shown(busy_office, TransactionFilter(), text='failed exams > $50 "petition filing"')
    expected = [
        attempt
        for attempt in busy_office.attempts
        if (attempt.status, attempt.client, attempt.fee) == ("failed", "exams", "PETITION_FILING_FEE")
    ]
    assert expected
    assert_totals(page, expected)


async def test_without_the_right_to_personal_data_metadata_are_not_searched(busy_office: Office) -> None:
    search = read_search("pérson", TODAY, fee_names=FEES, with_metadata=False)
    page = await transactions_page(busy_office.reports, TransactionFilter(), EVERYTHING, search, None)
    assert page.total.count == 0


@pytest.mark.parametrize("text", ["'; DROP TABLE payments --", "$s0", "%", "\\", '"', HOSTILE, "\x00"])
async def test_no_search_breaks_the_statement(busy_office: Office, text: str) -> None:
    assert (await shown(busy_office, TransactionFilter(), text=text)).total.count >= 0


async def test_an_account_with_limits_sees_no_more_than_its_clients_and_fees(busy_office: Office) -> None:
    limited = Account("ada", frozenset({"finance"}), clients=frozenset({"dawson"}), fees=frozenset({"COPY_FEE"}))
    expected = [each for each in busy_office.attempts if limited.may_see(each.client, each.fee)]
    page = await shown(busy_office, TransactionFilter(), limited)
    assert_totals(page, expected)
    assert len(expected) < len(busy_office.attempts)
    assert (await shown(busy_office, TransactionFilter(clients=("exams",)), limited)).total.count == 0
    nothing = Account("bob", frozenset({"finance"}), clients=frozenset())
    assert (await shown(busy_office, TransactionFilter(), nothing)).total.count == 0


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_show_every_row_once_in_order_and_lead_back(busy_office: Office, sort: str, order: Any) -> None:
    found = TransactionFilter(sort=sort, order=order)
    pages, cursor = [], None
    while True:
        page = await shown(busy_office, found, cursor=cursor)
        pages.append([row["agency_tracking_id"] for row in page.rows])
        if page.next is None:
            break
        cursor = page.next
    listed = [each for page in pages for each in page]
    assert sorted(listed) == sorted(attempt.agency_tracking_id for attempt in busy_office.attempts)
    answer = await busy_office.reports.answers([every_transaction(found, EVERYTHING, Search())])
    exported = [row["agency_tracking_id"] for row in answer[0].dicts()]
    assert exported == listed
    for expected in reversed(pages[:-1]):
        assert page.previous is not None
        page = await shown(busy_office, found, cursor=page.previous)
        assert [row["agency_tracking_id"] for row in page.rows] == expected
    assert page.previous is None


@pytest.mark.parametrize("sort", get_args(Dated))
async def test_a_page_that_is_found_within_near_days_is_the_page_of_all_days(
    busy_office: Office, sort: Dated, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answers = busy_office.reports.answers

    async def noted(questions: Sequence[Question]) -> list[SqlAnswer]:
        asked.append(questions[0].text)
        return await answers(questions)

    monkeypatch.setattr(busy_office.reports, "answers", noted)
    for found in (TransactionFilter(sort=sort, order="asc"), TransactionFilter(sort=sort, order="desc")):
        answer = await busy_office.reports.answers([every_transaction(found, EVERYTHING, NO_SEARCH)])
        ids = [row["agency_tracking_id"] for row in answer[0].dicts()]
        monkeypatch.setattr(transactions, "NEAR_DAYS", 60)
        asked.clear()
        first = await transactions_page(busy_office.reports, found, EVERYTHING, NO_SEARCH, None)
        assert [row["agency_tracking_id"] for row in first.rows] == ids[:PAGE_ROWS]
        assert (len(asked), "payment_days" in asked[0]) == (1, True)
        second = await transactions_page(busy_office.reports, found, EVERYTHING, NO_SEARCH, first.next)
        assert [row["agency_tracking_id"] for row in second.rows] == ids[PAGE_ROWS : 2 * PAGE_ROWS]
        back = await transactions_page(busy_office.reports, found, EVERYTHING, NO_SEARCH, second.previous)
        assert back.rows == first.rows
        assert len(asked) <= 4  # a page that is not found there is asked for again
        limited = replace(found, dated=sort, first=date(2026, 9, 1), last=date(2026, 9, 30))
        [every] = await busy_office.reports.answers([every_transaction(limited, EVERYTHING, NO_SEARCH)])
        few = await transactions_page(busy_office.reports, limited, EVERYTHING, NO_SEARCH, None)
        assert [row["agency_tracking_id"] for row in few.rows] == [row["agency_tracking_id"] for row in every.dicts()]


async def test_the_sums_by_day_have_the_money_that_went_back(busy_office: Office) -> None:
    reversed_ = sum((attempt.reversed_amount or Decimal(0) for attempt in busy_office.attempts), Decimal(0))
    assert reversed_ > 0
    for found in (TransactionFilter(), TransactionFilter(statuses=("processed",)), TransactionFilter(code="none")):
        assert (await shown(busy_office, found)).total.reversed == reversed_
    assert (await shown(busy_office, TransactionFilter(statuses=("failed",)))).total.reversed == 0
    of_exams = Account("eve", frozenset({"finance"}), clients=frozenset({"exams"}))
    assert 0 < (await shown(busy_office, TransactionFilter(), of_exams)).total.reversed < reversed_


async def test_a_page_does_not_shift_while_payments_arrive(busy_office: Office) -> None:
    first = await shown(busy_office, TransactionFilter())
    second = await shown(busy_office, TransactionFilter(), cursor=first.next)
    for _ in range(5):
        busy_office.wall.pass_s(1)
        await busy_office.start("PETITION_FILING_FEE", "60.00", docketNumber="new")
    again = await shown(busy_office, TransactionFilter(), cursor=first.next)
    assert again.rows == second.rows
    assert again.total.count == second.total.count + 5
