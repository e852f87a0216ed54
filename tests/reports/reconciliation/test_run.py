"""A whole reconciliation: planted differences are all found, none is invented, and totals tie to the cent."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.reports.errors import BadParameter
from bursar.reports.reconciliation import classes
from bursar.reports.reconciliation.mapping import FileMapping, MatchRule
from bursar.reports.reconciliation.our_payments import PaymentRow, ReversalRow
from bursar.reports.reconciliation.run import DAY_LINES_MIN, FILES_MAX, FileDays, Reconciliation, reconciled
from bursar.reports.reconciliation.scratch import Scratch
from tests.support.reports.activity import DAY, Line, ListedPayments, changed, line_of, payment, write_csv, write_xml

PLANTS: dict[str, tuple[str, Callable[[Line], list[Line]]]] = {
    # class: (our status, the lines instead of the one that agrees)
    "missing_here": ("absent", lambda line: [line]),
    "missing_there": ("processed", lambda line: []),
    "status_differs": ("failed", lambda line: [changed(line, status="Settled")]),
    "amount_differs": ("processed", lambda line: [changed(line, amount="60.01")]),
    "date_differs": ("processed", lambda line: [changed(line, date="2026-12-25")]),
    "id_differs": ("processed", lambda line: [changed(line, paygov_id=f"X{line.paygov_id}")]),
    "repeated": ("processed", lambda line: [line, line]),
    "charged_twice": ("processed", lambda line: [line, changed(line, paygov_id=f"X{line.paygov_id}")]),
    "reversal_not_recorded": ("processed", lambda line: [line, changed(line, status="Retired")]),
    "unknown": ("processed", lambda line: [line, changed(line, kind="Gift")]),
    "malformed": ("processed", lambda line: [line, changed(line, amount="60.005")]),
}
AGREEING = ("processed", "processed", "processed", "pending", "failed", "returned")


def run(
    paths: Sequence[Path], ours: ListedPayments, mapping: FileMapping | None = None, period: FileDays | None = None
) -> Reconciliation:
    return asyncio.run(reconciled(paths, mapping or FileMapping(), ours, period=period))


def found(result: Reconciliation) -> Counter[tuple[str, str | None]]:
    return Counter((each.line_class, each.agency_id) for each in result.differences())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_planted_difference_is_found_and_none_is_invented(tmp_path: Path, data: st.DataObject) -> None:
    ours: list[PaymentRow] = []
    reversals: list[ReversalRow] = []
    lines: list[Line] = []
    planted: Counter[tuple[str, str | None]] = Counter()
    cents = data.draw(st.lists(st.integers(1, 99_999_999), min_size=1, max_size=12))
    for number, amount in enumerate(cents):
        kind = data.draw(st.sampled_from([*AGREEING, *PLANTS]))
        if kind in PLANTS:
            status, plant = PLANTS[kind]
            row = payment(number, "processed" if status == "absent" else status)
            line = line_of(row)
            ours += [] if status == "absent" else [row]
            lines += plant(line)
            planted[kind, row.agency_id] += 1
        else:
            row = payment(number, "processed" if kind == "returned" else kind, cents=amount)
            ours.append(row)
            lines.append(line_of(row))
            if kind == "returned":
                lines.append(changed(line_of(row), status="Retired", date="2026-12-20"))
                reversals.append(ReversalRow(row.agency_id, "returned", amount, None))
    chance = random.Random(data.draw(st.integers(0, 1 << 32)))
    outcomes = []
    for form in (write_csv, write_xml):
        chance.shuffle(lines)
        chance.shuffle(ours)
        if form is write_xml:  # XML has no column for the kind
            planted -= Counter({key: count for key, count in planted.items() if key[0] == "unknown"})
        sent = [line for line in lines if form is write_csv or line.kind == "Sale"]
        half = len(sent) // 2
        paths = [form(tmp_path / "one", sent[:half]), form(tmp_path / "two", sent[half:])]
        with run(paths, ListedPayments(ours, reversals), period=FileDays(DAY, DAY)) as result:
            assert found(result) == planted
            assert result.agrees == (not planted)
            in_files = [each for each in result.totals if not classes.BY_NAME[each.class_name].of_payments]
            assert sum(each.cents for each in in_files) == result.file_cents
            assert sum(each.count for each in in_files) == len(sent)
            readable = [line for line in sent if line.amount != "60.005"]
            assert result.file_cents == sum(Decimal(line.amount) for line in readable) * 100
            outcomes.append(found(result))
    assert len(outcomes) == 2


def test_totals_are_by_day_and_class(tmp_path: Path) -> None:
    ours = [payment(1), payment(2, day="2026-11-28"), payment(3, day="2026-11-28")]
    lines = [line_of(row) for row in ours]
    with run([write_xml(tmp_path / "a.xml", lines)], ListedPayments(ours)) as result:
        assert [(each.day, each.class_name, each.count, each.cents) for each in result.totals] == [
            ("2026-11-27", "matched", 1, 6000),
            ("2026-11-28", "matched", 2, 12_000),
        ]
        assert result.of_class("matched") == (3, 18_000)
        assert (result.agrees, result.records, result.file_cents) == (True, 3, 18_000)
        assert result.period == FileDays("2026-11-27", "2026-11-28")


def test_a_payment_may_be_missing_only_on_the_days_of_the_files(tmp_path: Path) -> None:
    ours = [
        payment(1),
        payment(2),  # not in the file
        payment(3, day="2026-11-26"),  # before
        payment(4)._replace(created_on="2026-11-25"),  # its line may be in an earlier file
        payment(5, "pending"),
    ]
    with run([write_csv(tmp_path / "a", [line_of(ours[0])])], ListedPayments(ours)) as result:
        assert found(result) == {("missing_there", "a2"): 1}
        assert result.of_class("at_the_edge") == (1, 6000)
    with run([write_csv(tmp_path / "a", [])], ListedPayments(ours), period=FileDays("2026-11-26", DAY)) as result:
        assert found(result) == {("missing_there", f"a{number}"): 1 for number in (1, 2, 3)}


def test_a_wrong_date_does_not_widen_the_days(tmp_path: Path) -> None:
    ours = [payment(1), payment(2), payment(3, day="2026-01-15")]
    lines = [line_of(ours[0]), changed(line_of(ours[1]), date="2026-01-01")]
    with run([write_csv(tmp_path / "a", lines)], ListedPayments(ours)) as result:
        assert found(result) == {("date_differs", "a2"): 1}


def test_nothing_is_missing_in_a_file_that_is_broken(tmp_path: Path) -> None:
    ours = [payment(1), payment(2)]
    path = write_xml(tmp_path / "a.xml", [line_of(ours[0])])
    path.write_text(path.read_text()[:-5])
    with run([path], ListedPayments(ours)) as result:
        assert [each.line_class for each in result.differences()] == ["malformed"]
        assert (result.checks_missing, result.agrees) == (False, False)


def test_a_payment_whose_line_cannot_be_read_is_not_missing(tmp_path: Path) -> None:
    ours = [payment(1), payment(2)]
    lines = [line_of(ours[0]), changed(line_of(ours[1]), amount="NaN")]
    with run([write_csv(tmp_path / "a", lines)], ListedPayments(ours)) as result:
        assert found(result) == {("malformed", "a2"): 1}


def test_a_day_of_many_lines_is_read_at_once(tmp_path: Path) -> None:
    ours = ListedPayments([payment(number) for number in range(DAY_LINES_MIN)])
    with run([write_csv(tmp_path / "a", map(line_of, ours.rows))], ours) as result:
        assert result.agrees
    assert ours.asked == [(DAY, DAY)]


@pytest.mark.parametrize(
    ("days", "when", "matches"), [(0, DAY, True), (0, "2026-11-28", False), (1, "2026-11-28", True)]
)
def test_a_rule_matches_by_amount_and_date(tmp_path: Path, days: int, when: str, matches: bool) -> None:
    lines = [Line("", "PX", "12.34", date=when)]
    ours = ListedPayments(
        [payment(1, cents=1234)._replace(paygov_id=None), payment(2, cents=1235)._replace(paygov_id=None)]
    )
    mapping = FileMapping(rules=(MatchRule("near", days),))
    with run([write_csv(tmp_path / "a", lines)], ours, mapping) as result:
        assert result.of_class("matched")[0] == int(matches)
        assert result.of_class("missing_here")[0] == int(not matches)


def test_a_rule_decides_nothing_if_there_are_two_candidates(tmp_path: Path) -> None:
    one, two = (payment(number, cents=1234)._replace(paygov_id=None) for number in (1, 2))
    line = Line("", "PX", "12.34", date=DAY)
    with run([write_csv(tmp_path / "a", [line])], ListedPayments([one, two])) as result:
        assert result.of_class("missing_here") == (1, 1234)
    lines = [line, changed(line, paygov_id="PY")]
    with run([write_csv(tmp_path / "a", lines)], ListedPayments([one])) as result:
        assert result.of_class("missing_here") == (2, 2468)


def test_a_rule_never_matches_a_payment_with_another_id_or_a_line_of_another_attempt(tmp_path: Path) -> None:
    with_id, unknown = payment(1, cents=1234), payment(2, "processing", cents=1234)
    with run([write_csv(tmp_path / "a", [Line("", "PX", "12.34", date=DAY)])], ListedPayments([with_id])) as result:
        assert result.of_class("missing_here") == (1, 1234)
    ours = ListedPayments([with_id, unknown])
    with run([write_csv(tmp_path / "a", [Line("", "PX", "12.34", date=DAY)])], ours) as result:
        assert found(result) == {("status_differs", "a2"): 1}
    with run([write_csv(tmp_path / "a", [Line("zz", "PX", "12.34", date=DAY)])], ours) as result:
        assert result.of_class("missing_here") == (1, 1234)


def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match=f"must be at most {FILES_MAX}"):
        run([tmp_path / "a"] * (FILES_MAX + 1), ListedPayments([]))


def test_the_working_files_are_gone_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(BadParameter, match="cannot be read"):
        run([tmp_path / "absent"], ListedPayments([]))
    with run([write_csv(tmp_path / "a.csv", [])], ListedPayments([])):
        assert len(list(tmp_path.iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_failed_collection_beside_it_does_not_hide_a_missing_one(tmp_path: Path) -> None:
    ours = [payment(1), payment(2)]
    declined = changed(line_of(ours[1]), paygov_id="PX", status="Failed")
    with run([write_csv(tmp_path / "a", [line_of(ours[0]), declined])], ListedPayments(ours)) as result:
        assert found(result) == {("missing_there", "a2"): 1}


def test_lines_that_are_classified_in_sql_get_the_class_that_python_gives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours: list[PaymentRow] = []
    lines: list[Line] = []
    for status in ("processed", "pending", "failed"):
        for word in ("Settled", "Success", "Submitted", "Failed", "Retired", "Gone"):
            for change in ({}, {"amount": "60.01"}, {"paygov_id": ""}, {"paygov_id": "other"}, {"agency_id": ""}):
                for date in (DAY, "2026-11-26", "2026-11-28", "2026-12-25"):
                    row = payment(len(ours), status)
                    ours.append(row)
                    lines.append(changed(line_of(row), status=word, date=date, **change))
    lines += lines[:20]
    write_csv(tmp_path / "a.csv", lines)

    def results() -> tuple[object, ...]:
        with run([tmp_path / "a.csv"], ListedPayments(ours, [])) as result:
            return result.totals, sorted(map(repr, result.differences([each.name for each in classes.CLASSES])))

    in_sql = results()
    monkeypatch.setattr(Scratch, "classify_plain", lambda scratch: None)
    assert in_sql == results()
