"""Each row of the table of completion outcomes has a test."""

from dataclasses import replace
from decimal import Decimal

import pytest

from bursar.paygov import ArgumentRefused, Collection, Fault, Lost, Nonsense, NotSent, QueryUnavailable, TimedOut
from bursar.payments import Attempt
from bursar.portal.state.observer import OutcomeName
from bursar.portal.use_cases.completion_outcomes import OTHERS_MAX, OUTCOMES, judge_collections, judge_completion

ATTEMPT = Attempt(
    agency_tracking_id="588234832626439493e92",
    client="dawson",
    reference="0b5c6f6e-0000-4000-8000-000000000001",
    fee="PETITION_FILING_FEE",
    fee_version="2020-01-01",
    tcs_app_id="TCSUSTAXCOURTPETITION",
    amount=Decimal("60.00"),
    metadata={},
    url_success="https://client.example/",
    url_cancel="https://client.example/",
    created_at=0.0,
    updated_at=0.0,
    status="processing",
)
PAID = Collection(
    paygov_tracking_id="3FOR8CGH",
    agency_tracking_id="588234832626439493e92",
    transaction_amount=Decimal("60"),
    transaction_status="Success",
    payment_type="PLASTIC_CARD",
)

FIRST: list[tuple[OutcomeName, Collection | BaseException]] = [
    ("paid", PAID),
    ("paid", replace(PAID, transaction_status="Settled")),
    ("settling", replace(PAID, transaction_status="Pending")),
    ("settling", replace(PAID, transaction_status="Received")),
    ("settling", replace(PAID, transaction_status="Waiting")),
    ("settling", replace(PAID, transaction_status="Submitted")),
    ("refused", replace(PAID, transaction_status="Failed")),
    ("refused", replace(PAID, transaction_status="Cancelled")),
    ("refused", replace(PAID, transaction_status="Retired")),
    ("fault", Fault("4019", "no such application")),
    ("fault", Fault("5009", "token expired")),
    ("token unusable", Fault("4117", "token does not exist, has been acted upon already, or is too old")),
    ("fault, no code", Fault("", "internal error")),
    ("not sent", NotSent("refused")),
    ("not sent", ArgumentRefused("token")),
    ("not sent", QueryUnavailable("none")),
    ("timed out", TimedOut("20 s")),
    ("lost", Lost("reset")),
    ("nonsense", Nonsense("garbage", status=502)),
    ("another id", replace(PAID, agency_tracking_id="588234832626439493e93")),
    ("another id", replace(PAID, agency_tracking_id="588234832626439493E92")),
    ("another amount", replace(PAID, transaction_amount=Decimal("60.01"))),
    ("unknown status", replace(PAID, transaction_status="Perhaps")),
    ("unknown status", replace(PAID, transaction_status=None)),
    ("unidentified", replace(PAID, agency_tracking_id=None)),
    ("unidentified", replace(PAID, paygov_tracking_id=None)),
    ("unidentified", replace(PAID, transaction_amount=None)),
    ("unforeseen", ZeroDivisionError()),
]
OTHER = replace(PAID, paygov_tracking_id="3FOTHER")
CHARGED_TWICE = [
    [PAID, OTHER],
    [PAID, replace(OTHER, transaction_status="Settled")],
    [replace(PAID, transaction_status="Received"), OTHER],
    [replace(PAID, transaction_status="Received"), replace(OTHER, transaction_status="Pending")],
    [replace(PAID, transaction_status="Failed"), OTHER, replace(PAID, paygov_tracking_id="3FTHIRD")],
]
# The ledger decides these after the judgement: tests/portal/use_cases/test_completion.py.
DECIDED_BY_THE_LEDGER = {"id taken", "contradiction"}


@pytest.mark.parametrize(("row", "said"), FIRST)
def test_the_first_complete(row: str, said: Collection | BaseException) -> None:
    assert judge_completion(ATTEMPT, said, first=True).row.name == row


@pytest.mark.parametrize("code", ["4117", "4019", ""])
def test_a_fault_after_doubt_proves_nothing(code: str) -> None:
    judgement = judge_completion(ATTEMPT, Fault(code, "no"), first=False)
    assert (judgement.row.name, judgement.known) == ("fault after doubt", "unknown")


def test_every_row_has_a_test() -> None:
    assert {row for row, _ in FIRST} | {"fault after doubt", "charged twice"} | DECIDED_BY_THE_LEDGER == set(OUTCOMES)


@pytest.mark.parametrize("row", OUTCOMES.values(), ids=lambda row: row.name)
def test_only_a_definite_outcome_is_recorded_and_only_an_indefinite_one_is_an_error(row: object) -> None:
    outcome = next((judge_completion(ATTEMPT, said, first=True) for name, said in FIRST if OUTCOMES[name] is row), None)
    if outcome is not None:
        assert (outcome.outcome is not None) == (outcome.known == "definite") == (outcome.row.error is None)


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("not sent", 504, "Nothing was charged"),
        ("timed out", 504, "ask details"),
        ("nonsense", 502, "does not say whether the payment was made"),
        ("token unusable", 504, "may not have paid yet"),
        ("unforeseen", 500, "unexpected"),
    ],
)
def test_each_indefinite_outcome_has_its_error(name: str, status: int, says: str) -> None:
    said = next(said for row, said in FIRST if row == name)
    error = judge_completion(ATTEMPT, said, first=True).error()
    assert error.status == status
    assert says in error.message


def test_the_outcome_keeps_ids_as_text_and_paygovs_own_words() -> None:
    outcome = judge_completion(ATTEMPT, PAID, first=True).outcome
    assert outcome is not None
    assert (outcome.status, outcome.paygov_tracking_id) == ("processed", "3FOR8CGH")
    assert (outcome.transaction_status, outcome.payment_method) == ("Success", "PLASTIC_CARD")


def test_a_fault_keeps_its_code_and_detail() -> None:
    outcome = judge_completion(ATTEMPT, Fault("4019", "no such application"), first=True).outcome
    assert outcome is not None
    assert (outcome.status, outcome.return_code, outcome.return_detail) == ("failed", "4019", "no such application")


def test_of_several_collections_the_one_nearest_to_a_charge_counts() -> None:
    found = [replace(PAID, transaction_status=word) for word in ("Failed", "Success", "Received")]
    assert judge_collections(ATTEMPT, found).row.name == "paid"


@pytest.mark.parametrize("found", CHARGED_TWICE)
def test_two_collections_that_take_money_charge_the_payer_twice(found: list[Collection]) -> None:
    judgement = judge_collections(ATTEMPT, found)
    assert (judgement.row.name, judgement.known, judgement.row.alerts) == ("charged twice", "definite", True)
    assert len(judgement.others) == 1


@pytest.mark.parametrize("found", CHARGED_TWICE)
def test_whichever_comes_first_the_same_one_is_recorded(found: list[Collection]) -> None:
    assert judge_collections(ATTEMPT, found) == judge_collections(ATTEMPT, found[::-1])


def test_of_a_payer_charged_twice_the_paid_one_is_recorded_and_the_other_handed_on() -> None:
    judgement = judge_collections(ATTEMPT, [replace(PAID, transaction_status="Received"), OTHER])
    assert judgement.outcome is not None
    assert (judgement.outcome.status, judgement.outcome.paygov_tracking_id) == ("processed", "3FOTHER")
    assert [(each.status, each.paygov_tracking_id) for each in judgement.others] == [("pending", "3FOR8CGH")]
    assert judgement.reason.endswith(": 3FOTHER (Success), 3FOR8CGH (Received)")


def test_how_many_further_collections_are_named_is_bounded() -> None:
    found = [replace(PAID, paygov_tracking_id=f"3F{number}") for number in range(100)]
    assert len(judge_collections(ATTEMPT, found).others) == OTHERS_MAX


@pytest.mark.parametrize("words", [("Success", "Success"), ("Received", "Success"), ("Failed", "Success")])
def test_a_collection_listed_twice_counts_once(words: tuple[str, str]) -> None:
    judgement = judge_collections(ATTEMPT, [replace(PAID, transaction_status=word) for word in words])
    assert (judgement.row.name, judgement.others) == ("paid", ())


@pytest.mark.parametrize("words", [("Success", "Received"), ("Received", "Success")])
def test_of_a_collection_listed_twice_beside_another_one_the_paid_listing_is_recorded(words: tuple[str, str]) -> None:
    judgement = judge_collections(ATTEMPT, [*(replace(PAID, transaction_status=word) for word in words), OTHER])
    assert judgement.reason.endswith(": 3FOR8CGH (Success), 3FOTHER (Success)")
    assert judgement.outcome is not None
    assert judgement.outcome.status == "processed"


@pytest.mark.parametrize("word", ["Failed", "Cancelled", "Retired"])
def test_a_failed_collection_beside_a_paid_one_raises_no_alert(word: str) -> None:
    judgement = judge_collections(ATTEMPT, [replace(OTHER, transaction_status=word), PAID])
    assert (judgement.row.name, judgement.others) == ("paid", ())


def test_one_collection_that_does_not_fit_makes_the_answer_unknown() -> None:
    found = [PAID, replace(PAID, transaction_amount=Decimal("1.00"))]
    assert judge_collections(ATTEMPT, found).row.name == "another amount"


def test_an_answer_to_our_own_id_need_not_repeat_it_but_must_not_contradict() -> None:
    pending = replace(ATTEMPT, status="pending", paygov_tracking_id="3FOR8CGH")
    bare = Collection(transaction_status="Success")
    assert judge_collections(pending, [bare]).row.name == "paid"
    assert judge_collections(pending, [replace(bare, paygov_tracking_id="OTHER")]).row.name == "another id"
    assert judge_collections(ATTEMPT, [replace(PAID, agency_tracking_id=None)]).row.name == "paid"
    assert judge_collections(ATTEMPT, [replace(PAID, transaction_amount=None)]).row.name == "unidentified"
