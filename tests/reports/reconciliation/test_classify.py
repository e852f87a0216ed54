"""The class of each line of a group: one rule at a time. tests/reports/reconciliation/test_run.py mixes them."""

from typing import Any

import pytest

from bursar.reports.reconciliation.classify import GroupLine, classify
from bursar.reports.reconciliation.lines import ActivityLine
from bursar.reports.reconciliation.our_payments import PaymentRow, ReversalRow
from tests.support.reports.activity import DAY, payment

LINE = ActivityLine(
    0, 1, "charge", "processed", "a1", "P1", 6000, DAY, DAY, "Sale", "Success", "ACH", None, None, None, None
)
PENDING = LINE._replace(status="pending", status_word="Received")
FAILED = LINE._replace(status="failed", status_word="Failed")
RETIRED = LINE._replace(status="returned", status_word="Retired")
CHARGEBACK = LINE._replace(kind="charged_back", kind_word="Chargeback", cents=-2000)
PAID = payment(1)


def verdicts(*found: tuple[ActivityLine, PaymentRow | None], reversals: Any = ()) -> list[tuple[str, str]]:
    """Return (class, why) of each line, in the order of the lines."""
    group = [GroupLine(line._replace(line=number), ours) for number, (line, ours) in enumerate(found, start=1)]
    recorded = {each.agency_id: [r for r in reversals if r.agency_id == each.agency_id] for each in reversals}
    given = classify(group, recorded)
    assert len(given) == len(group), "each line has exactly one verdict"
    return [(each.line_class.name, each.why) for each in sorted(given, key=lambda each: each.found.line.line)]


def names(*found: tuple[ActivityLine, PaymentRow | None], reversals: Any = ()) -> list[str]:
    return [name for name, _ in verdicts(*found, reversals=reversals)]


@pytest.mark.parametrize(
    ("line", "status", "name"),
    [
        (LINE, "processed", "matched"),
        (LINE, "pending", "status_differs"),
        (LINE, "processing", "status_differs"),
        (LINE, "initiated", "status_differs"),
        (LINE, "failed", "status_differs"),
        (PENDING, "processed", "in_transit"),
        (PENDING, "pending", "in_transit"),
        (PENDING, "processing", "status_differs"),
        (PENDING, "failed", "status_differs"),
        (FAILED, "failed", "not_collected"),
        (FAILED, "processed", "status_differs"),
        (FAILED, "pending", "status_differs"),
        (RETIRED, "processed", "reversal_not_recorded"),
        (RETIRED, "failed", "not_collected"),
        (RETIRED, "pending", "status_differs"),
    ],
)
def test_statuses_agree_or_differ(line: ActivityLine, status: str, name: str) -> None:
    assert names((line, payment(1, status))) == [name]


def test_the_reason_names_both_sides() -> None:
    assert verdicts((LINE, payment(1, "processing"))) == [
        ("status_differs", "Success there, processing, outcome unknown here")
    ]
    assert verdicts((LINE._replace(cents=106_000), PAID)) == [("amount_differs", "1060.00 there, 60.00 here")]
    assert verdicts((LINE._replace(paygov_id="PX"), PAID)) == [("id_differs", "PX there, P1 here")]
    several = LINE._replace(cents=1, status="failed", status_word="Failed", day="2026-01-01")
    assert verdicts((several, PAID)) == [
        (
            "status_differs",
            f"Failed there, processed here; 0.01 there, 60.00 here; 2026-01-01 there, {DAY} to {DAY} here",
        )
    ]


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2026-11-25", "date_differs"),
        ("2026-11-26", "matched"),
        ("2026-11-30", "matched"),
        ("2026-12-01", "date_differs"),
        (None, "matched"),
    ],
)
def test_a_date_is_in_the_attempts_life_or_a_day_outside(day: str | None, name: str) -> None:
    assert names((LINE._replace(day=day), PAID._replace(final_on="2026-11-29"))) == [name]


def test_a_live_attempt_has_no_last_day() -> None:
    assert names((PENDING._replace(day="2026-12-20"), payment(1, "pending"))) == ["in_transit"]


def test_the_same_line_again_is_repeated() -> None:
    assert names((LINE, PAID), (LINE, PAID), (LINE, PAID)) == ["matched", "repeated", "repeated"]
    assert names((LINE, None), (LINE, None)) == ["missing_here", "repeated"]


def test_of_two_lines_for_one_state_the_better_one_counts() -> None:
    wrong = LINE._replace(cents=6100)
    for pair in ((LINE, wrong), (wrong, LINE)):
        found = dict(zip([line.cents for line in pair], names(*((line, PAID) for line in pair)), strict=True))
        assert found == {6000: "matched", 6100: "repeated"}


def test_an_earlier_state_of_a_collection_is_superseded() -> None:
    assert names((PENDING, PAID), (LINE, PAID)) == ["superseded", "matched"]
    submitted = PENDING._replace(status_word="Submitted")
    assert sorted(names((PENDING, PAID), (submitted, PAID))) == ["in_transit", "superseded"]


def test_lines_without_an_id_are_never_repeated() -> None:
    bare = LINE._replace(agency_id=None, paygov_id=None)
    assert (
        verdicts((bare, None), (bare, None))
        == [("unknown", "it has no tracking id, and no rule finds one payment")] * 2
    )


def test_a_second_collection_of_an_attempt_is_charged_twice() -> None:
    second = LINE._replace(paygov_id="PX")
    assert verdicts((second, PAID), (LINE, PAID)) == [("charged_twice", "besides P1"), ("matched", "")]


def test_a_failed_collection_beside_the_recorded_one_charged_no_payer() -> None:
    declined = FAILED._replace(paygov_id="PX")
    assert names((declined, PAID), (LINE, PAID)) == ["not_collected", "matched"]


def test_two_paid_attempts_at_one_obligation_are_charged_twice() -> None:
    other = payment(2, "failed")._replace(reference="r1", paygov_id=None)
    line = LINE._replace(agency_id="a2", paygov_id="P2")
    assert names((line, other), (LINE, PAID)) == ["charged_twice", "matched"]


def test_a_charge_that_went_back_is_no_second_charge() -> None:
    again = payment(2)._replace(reference="r1")
    line = LINE._replace(agency_id="a2", paygov_id="P2")
    returned = [ReversalRow("a1", "returned", 6000, None)]
    assert names((LINE, PAID), (line, again), reversals=returned) == ["matched", "matched"]
    assert names((LINE, PAID), (RETIRED, PAID), (line, again)) == ["matched", "reversal_not_recorded", "matched"]


def test_a_return_is_recorded_once_and_in_full() -> None:
    full = [ReversalRow("a1", "returned", 6000, "2026-12-24")]
    assert names((LINE, PAID), (RETIRED, PAID), reversals=full) == ["matched", "reversed"]
    part = [ReversalRow("a1", "returned", 5000, None)]
    assert verdicts((RETIRED, PAID), reversals=part) == [("amount_differs", "returned 60.00 there, 50.00 here")]


def test_each_recorded_chargeback_answers_one_line() -> None:
    recorded = [ReversalRow("a1", "charged_back", 2000, DAY)]
    later = CHARGEBACK._replace(day="2026-12-20", moment="2026-12-20")
    assert names((CHARGEBACK, PAID), (later, PAID), reversals=recorded) == ["reversed", "reversal_not_recorded"]
    assert names((CHARGEBACK, PAID), (CHARGEBACK, PAID), reversals=recorded) == ["reversed", "repeated"]
    undated = [ReversalRow("a1", "charged_back", 2000, None)]
    assert names((CHARGEBACK, PAID), reversals=undated) == ["reversed"]
    refunded = [ReversalRow("a1", "refunded", 2000, DAY)]
    assert verdicts((CHARGEBACK, PAID), reversals=refunded) == [("reversal_not_recorded", "charged_back 20.00")]


def test_money_cannot_go_back_from_a_payment_that_is_not_collected() -> None:
    assert verdicts((CHARGEBACK, payment(1, "failed"))) == [("status_differs", "charged_back there, failed here")]
    assert names((CHARGEBACK, None)) == ["missing_here"]


def test_words_without_a_meaning_are_unknown() -> None:
    assert verdicts((LINE._replace(status=None, status_word="Gone"), PAID)) == [
        ("unknown", "the status 'Gone': the mapping must say what it means")
    ]
    assert verdicts((LINE._replace(kind=None, kind_word="Gift"), PAID)) == [
        ("unknown", "the kind 'Gift': the mapping must say what it is")
    ]
    assert verdicts((LINE._replace(kind=None, cents=-1), PAID)) == [
        ("unknown", "a negative amount: the mapping must say what it is")
    ]


def test_a_line_that_a_rule_matched_says_so() -> None:
    found = classify([GroupLine(LINE._replace(agency_id=None), PAID, "same day")], {})
    assert [(each.line_class.name, each.why) for each in found] == [("matched", "by the rule 'same day'")]
