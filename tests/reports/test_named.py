"""Named reports: each answers its question and checks its parameters."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bursar.clock import from_iso_ms
from bursar.payments.status import Status
from bursar.reports.errors import BadParameter, NoSuchReport
from bursar.reports.named_reports import ReportChart, named_report, named_reports, parse_report
from bursar.reports.report_questions import KnownNames
from bursar.reports.reports import Reports
from tests.support.reports.book import DAY_S, START, Book

QUESTIONS_OF_DESIGN = {
    "fees_by_month",
    "failed_above",
    "status_by_client",
    "return_codes",
    "payments_of_fee",
    "ach_settlement",
    "monthly_finance",
    "trend",
    "sla",
    "unresolved",
    "in_transit",
    "deposited",
    "came_back",
    "statement",
}


def test_every_question_of_the_design_has_its_report() -> None:
    assert set(named_reports()) == QUESTIONS_OF_DESIGN


@pytest.mark.parametrize("name", sorted(QUESTIONS_OF_DESIGN - {"statement", "payments_of_fee"}))
async def test_each_report_runs_on_nothing_at_all(reports: Reports, name: str) -> None:
    assert (await reports.report(name)).rows == []


async def test_fees_by_month_counts_and_sums_in_the_courts_months(book: Book, reports: Reports) -> None:
    book.now = from_iso_ms("2026-05-01T03:59:59.000Z")  # still April in New York
    book.move(book.start(amount="60.00"), "processed")
    book.now = from_iso_ms("2026-05-01T04:00:00.000Z")
    book.move(book.start(amount="0.25", fee="COPY_FEE"), "processed")
    book.move(book.start(amount="0.50", fee="COPY_FEE"), "failed")
    book.start(amount="0.75", fee="COPY_FEE")
    answer = await reports.report("fees_by_month")
    assert answer.columns[:2] == ("month_started", "fee")
    assert answer.columns[2:] == ("attempts", "successful", "failed", "pending", "collected_of_started")
    assert answer.rows == [
        (date(2026, 4, 1), "PETITION_FILING_FEE", 1, 1, 0, 0, Decimal("60.00")),
        (date(2026, 5, 1), "COPY_FEE", 3, 1, 1, 1, Decimal("0.25")),
    ]
    april = await reports.report("fees_by_month", {"since": "2026-04-01", "until": "2026-04-30"})
    assert [row[0] for row in april.rows] == [date(2026, 4, 1)]


def test_a_day_is_the_courts_from_its_beginning_to_its_end() -> None:
    now = from_iso_ms("2026-11-22T03:00:00.000Z")  # still the 21st in New York
    bound = named_report("trend").bind({"since": "2026-03-08", "until": "2026-03-08"}, now)  # 23 hours long
    assert (bound["since"], bound["until"]) == ("2026-03-08 05:00:00.000+00:00", "2026-03-09 04:00:00.000+00:00")
    assert named_report("sla").bind({"since": "-1"}, now)["since"] == "2026-11-20 05:00:00.000+00:00"


async def test_failed_above_leaves_out_the_amount_itself(book: Book, reports: Reports) -> None:
    for amount in ("99.99", "100.00", "100.01", "250.00"):
        book.move(book.start(amount=amount), "failed", return_code="3001")
    book.move(book.start(amount="500.00"), "processed")
    answer = await reports.report("failed_above", {"above": "100"})
    assert sorted(row["amount"] for row in answer.dicts()) == [Decimal("100.01"), Decimal("250.00")]


async def test_status_by_client(book: Book, reports: Reports) -> None:
    book.start(client="exams", amount="1.00")
    book.move(book.start(client="dawson", amount="2.00"), "failed")
    book.move(book.start(client="dawson", amount="3.00"), "failed")
    answer = await reports.report("status_by_client")
    assert [row[:5] for row in answer.rows] == [
        ("dawson", "failed", "failed", 2, Decimal("5.00")),
        ("exams", "pending", "received", 1, Decimal("1.00")),
    ]


async def test_return_codes_begin_with_4_by_default(book: Book, reports: Reports) -> None:
    for code in ("4019", "4117", "5009", "14", None):
        book.move(book.start(), "failed", return_code=code)
    assert sorted(row["return_code"] for row in (await reports.report("return_codes")).dicts()) == ["4019", "4117"]
    answer = await reports.report("return_codes", {"code": "5009"})
    assert [row["return_code"] for row in answer.dicts()] == ["5009"]


async def test_payments_of_one_fee(book: Book, reports: Reports) -> None:
    book.start(fee="COPY_FEE", amount="7.00")
    book.start()
    answer = await reports.report("payments_of_fee", {"fee": "COPY_FEE"})
    assert [row["amount"] for row in answer.dicts()] == [Decimal("7.00")]


async def test_ach_settlement_is_from_acceptance_to_settlement(book: Book, reports: Reports) -> None:
    for hours in range(1, 21):  # 1 … 20 hours: the median is the 10th, the 95th percentile the 19th
        book.now = START + hours
        attempt = book.move(book.start(), "processing")
        attempt = book.move(attempt, "pending", payment_method="ACH")
        book.now += hours * 3600
        book.move(attempt, "processed")
    card = book.move(book.start(), "pending", payment_method="PLASTIC_CARD")
    book.now += 40 * DAY_S
    book.move(card, "processed")
    [row] = (await reports.report("ach_settlement")).dicts()
    assert row == {
        "month": date(2026, 3, 1),
        "settled": 20,
        "collected": Decimal("1200.00"),
        "average_hours": 10.5,
        "p50_hours": 10.0,
        "p95_hours": 19.0,
        "longest_hours": 20.0,
    }


async def test_monthly_finance_is_by_the_month_of_collection_and_the_federal_year(book: Book, reports: Reports) -> None:
    for moment in ("2026-09-30T12:00:00.000Z", "2026-10-01T12:00:00.000Z"):
        book.now = from_iso_ms(moment)
        book.move(book.start(), "processed", payment_method="PAYPAL")
    rows = [(row["fiscal_year"], row["month"], row["collected"]) for row in (await finance(reports))]
    assert rows == [(2026, date(2026, 9, 1), Decimal("60.00")), (2027, date(2026, 10, 1), Decimal("60.00"))]


async def finance(reports: Reports) -> list[dict[str, Any]]:
    return (await reports.report("monthly_finance")).dicts()


async def test_trend_has_a_failure_rate_of_the_day_and_of_seven_days(book: Book, reports: Reports) -> None:
    for day, (good, bad) in {0: (3, 1), 3: (0, 2), 7: (1, 0)}.items():
        book.now = START + day * DAY_S
        counts: list[tuple[Status, int]] = [("processed", good), ("failed", bad)]
        for status, count in counts:
            for _ in range(count):
                book.move(book.start(), status)
    book.start()
    rows = (await reports.report("trend")).dicts()
    assert [row["failure_rate"] for row in rows] == [0.25, 1.0, 0.0]
    assert [row["attempts_7_days"] for row in rows] == [4, 6, 4]
    assert [row["failure_rate_7_days"] for row in rows] == [0.25, 0.5, 0.6667]


async def test_trend_counts_seven_days_also_at_the_beginning_of_its_frame(book: Book, reports: Reports) -> None:
    for day in range(14):
        book.now = START + day * DAY_S
        for _ in range(day + 1):
            book.move(book.start(), "processed")
    whole = {row["day"]: row["attempts_7_days"] for row in (await reports.report("trend")).dicts()}
    since = sorted(whole)[9]
    cut = (await reports.report("trend", {"since": since.isoformat()})).dicts()
    assert [row["day"] for row in cut] == sorted(whole)[9:]
    assert {row["day"]: row["attempts_7_days"] for row in cut} == {day: whole[day] for day in whole if day >= since}


async def test_a_column_named_collected_is_by_the_day_of_collection(book: Book, reports: Reports) -> None:
    book.now = from_iso_ms("2026-03-31T12:00:00.000Z")
    attempt = book.start()
    book.now = from_iso_ms("2026-04-02T12:00:00.000Z")
    book.move(attempt, "processed")
    [finance_row] = await finance(reports)
    [fees_row] = (await reports.report("fees_by_month")).dicts()
    assert (finance_row["month"], finance_row["collected"]) == (date(2026, 4, 1), Decimal("60.00"))
    assert (fees_row["month_started"], fees_row["collected_of_started"]) == (date(2026, 3, 1), Decimal("60.00"))
    for name in named_reports():
        if "collected" in re.findall(r"\bAS (\w+)", named_report(name).sql):
            by_day = "final_on" if name != "statement" else "updated_at AS booked_at"
            assert by_day in named_report(name).sql, name


async def test_what_went_back_is_reversed_in_its_own_month_and_net_is_the_rest(book: Book, reports: Reports) -> None:
    book.now = from_iso_ms("2026-09-15T12:00:00.000Z")
    kept = book.move(book.start(amount="60.00"), "processed", payment_method="ACH")
    returned = book.move(book.start(amount="40.00"), "processed", payment_method="ACH")
    book.now = from_iso_ms("2026-10-02T12:00:00.000Z")
    book.reverse(returned, "40.00")
    book.reverse(kept, "10.00", "refunded")
    found = [
        (row["month"], row["payments"], row["collected"], row["reversed"], row["net"]) for row in await finance(reports)
    ]
    assert found == [
        (date(2026, 9, 1), 2, Decimal("100.00"), Decimal("0.00"), Decimal("100.00")),
        (date(2026, 10, 1), 0, Decimal("0.00"), Decimal("50.00"), Decimal("-50.00")),
    ]
    october = await reports.report("monthly_finance", {"since": "2026-10-01", "until": "2026-10-31"})
    assert [row["net"] for row in october.dicts()] == [Decimal("-50.00")]


async def test_a_statement_has_every_collection_and_every_reversal_of_a_client(book: Book, reports: Reports) -> None:
    paid = book.move(book.start(amount="60.00", client="exams"), "processed", payment_method="ACH")
    book.move(book.start(amount="70.00", client="dawson"), "processed")
    book.move(book.start(amount="80.00", client="exams"), "failed")
    book.now += DAY_S
    book.reverse(paid, "60.00", "charged_back")
    rows = (await reports.report("statement", {"client": "exams"})).dicts()
    assert [(row["entry"], row["collected"], row["reversed"], row["net"]) for row in rows] == [
        ("collected", Decimal("60.00"), Decimal("0.00"), Decimal("60.00")),
        ("charged_back", Decimal("0.00"), Decimal("60.00"), Decimal("-60.00")),
    ]
    with pytest.raises(BadParameter, match="client: is required by report statement"):
        await reports.report("statement")


async def test_sla_has_the_share_that_met_each_target(book: Book, reports: Reports) -> None:
    for seconds in (1.0, 2.0, 4.0, 5.0):
        attempt = book.start()
        book.now += seconds
        book.move(attempt, "initiated", "token_given", token_at=book.now)
    [row] = (await reports.report("sla")).dicts()
    assert (row["target_s"], row["met"]) == (3.0, 0.5)
    [row] = (await reports.report("sla", {"init_target_s": "4"})).dicts()
    assert (row["target_s"], row["met"]) == (4.0, 0.75)


async def test_unresolved_lists_unknown_outcomes_and_what_is_stuck(book: Book, reports: Reports) -> None:
    book.start()
    book.move(book.start(), "initiated")
    book.move(book.start(), "processing", outcome_unknown=True, unknown_reason="no answer")
    book.move(book.start(), "processing")
    book.move(book.start(), "pending", payment_method="ACH")
    book.move(book.start(), "processed")
    assert (await reports.report("unresolved")).rows == []
    book.now += 20 * 60
    found = (await reports.report("unresolved")).dicts()
    assert [row["finding"] for row in found] == ["lease expired", "no token", "outcome unknown"]
    assert found[2]["unknown_reason"] == "no answer"
    book.now += 6 * DAY_S
    found = (await reports.report("unresolved")).dicts()
    assert [(row["finding"], row["status"]) for row in found] == [
        ("lease expired", "processing"),
        ("no token", "received"),
        ("outcome unknown", "processing"),
        ("still settling", "pending"),
        ("token expired", "initiated"),
    ]
    assert found[0]["hours_unchanged"] == 144.33


async def test_sla_measures_each_stage_and_what_is_stuck(book: Book, reports: Reports) -> None:
    attempt = book.start()
    book.now += 0.25
    attempt = book.move(attempt, "initiated", "token_given", token_at=book.now)
    attempt = book.move(attempt, "processing", "claimed")
    book.now += 1.5
    book.move(attempt, "pending", "accepted", payment_method="ACH")
    assert [row["measure"][0] for row in (await reports.report("sla")).dicts()] == ["1", "2"]
    book.now += 5 * DAY_S
    rows = {row["measure"][0]: row for row in (await reports.report("sla")).dicts()}
    assert rows["1"]["p50_s"] == 0.25
    assert rows["2"]["p95_s"] == 1.5
    assert rows["4"]["longest_s"] == 5 * DAY_S + 1.75


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("failed_above", {"above": "lots"}, "above: must be an amount such as 60.00; got 'lots'"),
        ("failed_above", {"above": "NaN"}, "above: must be an amount"),
        ("fees_by_month", {"since": "01/02/2026"}, "since: must be a day as YYYY-MM-DD"),
        ("fees_by_month", {"until": "9999-12-31"}, "until: must be a day"),
        ("fees_by_month", {"app": "X"}, "there is no parameter app; the parameters are since, until, fee, client"),
        ("fees_by_month", {"fee": ""}, "fee: must be the key of a fee, or * for every fee"),
        ("payments_of_fee", {}, "fee: is required by report payments_of_fee: key of the fee"),
        ("sla", {"stuck_days": "1.5"}, "stuck_days: must be a whole number"),
        ("sla", {"now": "2026-01-01T00:00:00"}, "now: must be an ISO date-time with its offset"),
    ],
)
async def test_a_bad_parameter_is_named(reports: Reports, name: str, given: dict[str, str], message: str) -> None:
    with pytest.raises(BadParameter, match=re.escape(message)):
        await reports.report(name, given)


async def test_an_unknown_fee_or_client_is_an_error_that_lists_the_known_ones(book: Book, reports: Reports) -> None:
    book.start(fee="COPY_FEE", client="exams")
    book.start(fee="PETITION_FILING_FEE", client="dawson")
    with pytest.raises(BadParameter, match=r"fee: must be one of COPY_FEE, PETITION_FILING_FEE; got 'PETITION'"):
        await reports.report("fees_by_month", {"fee": "PETITION"})
    with pytest.raises(BadParameter, match=r"client: must be one of dawson, exams; got 'Dawson'"):
        await reports.report("payments_of_fee", {"fee": "COPY_FEE", "client": "Dawson"})


async def test_a_fee_of_the_catalogue_and_a_client_of_the_file_need_no_payment(book: Book, tmp_path: Path) -> None:
    def known() -> KnownNames:
        return KnownNames(("NEW_FEE",), ("newcomer",))

    reports = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock, known_names=known)
    assert (await reports.report("fees_by_month", {"fee": "NEW_FEE", "client": "newcomer"})).rows == []
    with pytest.raises(BadParameter, match="must be one of NEW_FEE; got 'OLD_FEE'"):
        await reports.report("fees_by_month", {"fee": "OLD_FEE"})
    await reports.close()


@pytest.mark.parametrize("name", sorted(QUESTIONS_OF_DESIGN))
async def test_a_report_can_be_narrowed_to_one_fee_and_one_client(book: Book, reports: Reports, name: str) -> None:
    book.pay(60)
    for number, attempt in enumerate([each for each in book.attempts.values() if each.status == "processed"]):
        book.now += 1
        if number % 2:
            book.deposit(attempt, f"ticket {number % 5}")
        if number % 3 == 0:
            book.reverse(attempt, "1.00", "refunded")
    book.now += 30 * DAY_S
    report = named_report(name)
    required = {
        each.name: {"fee": "COPY_FEE"}.get(each.name, "exams") for each in report.parameters if each.default is None
    }
    whole = await reports.report(name, required)
    parts = [
        await reports.report(name, {"fee": fee, "client": client})
        for fee in sorted({attempt.fee for attempt in book.attempts.values()})
        for client in ("dawson", "exams")
        if required.get("fee", fee) == fee
        if required.get("client", client) == client
    ]
    for column in report.columns:
        if column.is_total:
            place = whole.columns.index(column.name)
            of_parts = sum(row[place] for part in parts for row in part.rows)
            assert of_parts == sum(row[place] for row in whole.rows)
    assert whole.rows
    assert all(part.rows != whole.rows for part in parts)


@pytest.mark.parametrize("name", sorted(QUESTIONS_OF_DESIGN))
async def test_every_number_of_a_report_has_a_unit_and_every_unit_a_column(reports: Reports, name: str) -> None:
    report = named_report(name)
    given = {each.name: "*" for each in report.parameters if each.default is None}
    answer = await reports.report(name, given)
    numbers = ("DECIMAL", "BIGINT", "INTEGER", "DOUBLE", "HUGEINT")
    counted = {column for column, kind in zip(answer.columns, answer.types, strict=True) if kind.startswith(numbers)}
    assert counted - {"fiscal_year"} == {column.name for column in report.columns}
    if report.chart is not None:
        used = {report.chart.x, *report.chart.ys, *([report.chart.by] if report.chart.by else [])}
        assert used <= set(answer.columns)


def test_the_header_of_a_report_has_columns_with_units_and_a_chart() -> None:
    report = parse_report(
        "x", "-- So?\n-- paid [USD, total]: money\n-- rate [share]: of all\n-- chart bars: day; paid; fee\n\nSELECT 1"
    )
    assert [(each.name, each.unit, each.is_total) for each in report.columns] == [
        ("paid", "USD", True),
        ("rate", "share", False),
    ]
    assert report.chart == ReportChart("bars", "day", ("paid",), "fee")


async def test_an_unknown_report_lists_those_there_are(reports: Reports) -> None:
    with pytest.raises(NoSuchReport, match="no report 'weather'; the reports are ach_settlement, "):
        await reports.report("weather")


@pytest.mark.parametrize("content", ["SELECT 1", "-- no question\n\nSELECT 1", "-- So?\n-- $x FLOAT: y\n\nSELECT $x"])
def test_a_file_without_a_proper_header_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="x: "):
        parse_report("x", content)
