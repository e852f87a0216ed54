"""The catalogue: versions by court day, metadata by schema, and errors that say where."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bursar.payments.catalogue.fees import FeeCatalogue, FeesError
from bursar.payments.rules import payment_rules

NOW = datetime(2026, 11, 22, 19, 30, tzinfo=UTC).timestamp()


def catalogue(text: str) -> FeeCatalogue:
    return FeeCatalogue.parse(text.encode(), source="fees.toml")


@pytest.mark.parametrize(
    ("key", "tcs_app_id", "amount"),
    [
        ("PETITION_FILING_FEE", "TCSUSTAXCOURTPETITION", Decimal("60.00")),
        ("NONATTORNEY_EXAM_REGISTRATION_FEE", "TCSUSTAXCOURTANAEF", Decimal("250.00")),
        ("COPY_FEE", "TCSUSTAXCOURTCOPY", None),
    ],
)
def test_the_fees_that_ship(key: str, tcs_app_id: str, amount: Decimal | None) -> None:
    fee = FeeCatalogue.default().fee(key, NOW)
    assert fee is not None
    assert (fee.tcs_app_id, fee.amount, fee.variable) == (tcs_app_id, amount, amount is None)
    assert amount is None or str(fee.amount) == str(amount)


def test_an_unknown_fee_is_none() -> None:
    assert FeeCatalogue.default().fee("NO_SUCH_FEE", NOW) is None
    assert FeeCatalogue.default().name("NO_SUCH_FEE") == "NO_SUCH_FEE"
    assert FeeCatalogue.default().versions("NO_SUCH_FEE") == ()


TWO_VERSIONS = """
[fees.F]
name = "F"
tcs_app_id = "APP"
versions = [
    { active_from = 2026-07-01, amount = 70 },
    { active_from = 2026-01-01, amount = 60.50 },
]
"""


@pytest.mark.parametrize(
    ("at", "amount"),
    [
        (datetime(2026, 1, 1, 4, 59, 59, tzinfo=UTC), None),  # still 31 December in New York
        (datetime(2026, 1, 1, 5, 0, tzinfo=UTC), "60.50"),
        (datetime(2026, 7, 1, 3, 59, 59, tzinfo=UTC), "60.50"),  # summer time: one hour earlier in UTC
        (datetime(2026, 7, 1, 4, 0, tzinfo=UTC), "70.00"),
        (datetime(2036, 7, 1, tzinfo=UTC), "70.00"),
    ],
)
def test_a_version_is_active_from_its_court_day(at: datetime, amount: str | None) -> None:
    fee = catalogue(TWO_VERSIONS).fee("F", at.timestamp())
    assert (None if fee is None else str(fee.amount)) == amount


RETIRED = TWO_VERSIONS.replace("[fees.F]", "[fees.F]\nretired_from = 2027-01-01")


@pytest.mark.parametrize(
    ("at", "amount"),
    [
        (datetime(2025, 1, 1, tzinfo=UTC), None),
        (datetime(2027, 1, 1, 4, 59, 59, tzinfo=UTC), "70.00"),  # still 31 December in New York
        (datetime(2027, 1, 1, 5, 0, tzinfo=UTC), None),
        (datetime(2036, 1, 1, tzinfo=UTC), None),
    ],
)
def test_a_retired_fee_is_as_one_unknown_from_its_court_day(at: datetime, amount: str | None) -> None:
    fee = catalogue(RETIRED).fee("F", at.timestamp())
    assert (None if fee is None else str(fee.amount)) == amount


def test_the_last_version_of_a_retired_fee_is_available_for_repeated_starts() -> None:
    fees = catalogue(RETIRED)
    before, after = datetime(2027, 1, 1, 4, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, 5, 0, tzinfo=UTC)
    assert fees.retired("F", before.timestamp()) is None
    last = fees.retired("F", after.timestamp())
    assert last is not None
    assert (last.amount, last.retired) == (Decimal("70.00"), True)
    assert fees.retired("nothing", after.timestamp()) is None
    assert catalogue(TWO_VERSIONS).retired("F", after.timestamp()) is None


def test_a_retired_fee_keeps_its_name_and_its_payments() -> None:
    fees = catalogue(RETIRED)
    assert fees.name("F") == "F"
    assert len(fees.versions("F")) == 2
    # The table's rules are the very same: what was started before stays valid.
    assert payment_rules(fees) == payment_rules(catalogue(TWO_VERSIONS))


@pytest.mark.parametrize(
    ("day", "problem"),
    [
        ("'2027-01-01'", "must be a date"),
        ("2027-01-01T00:00:00Z", "must be a date"),
        ("2026-07-01", "must be after 2026-07-01"),
    ],
)
def test_a_broken_retirement_names_the_place_of_the_problem(day: str, problem: str) -> None:
    with pytest.raises(FeesError) as caught:
        catalogue(RETIRED.replace("2027-01-01", day))
    assert str(caught.value).startswith(f"fees.toml: fees.F.retired_from: {problem}")


def test_a_version_is_called_by_its_day() -> None:
    fee = catalogue(TWO_VERSIONS).fee("F", NOW)
    assert fee is not None
    assert fee.version == "2026-07-01"
    assert catalogue(TWO_VERSIONS).active_since("F") == datetime(2026, 1, 1, 5, tzinfo=UTC).timestamp()


def test_all_metadata_problems_are_reported_at_once_and_without_the_values() -> None:
    fee = FeeCatalogue.default().fee("NONATTORNEY_EXAM_REGISTRATION_FEE", NOW)
    assert fee is not None
    problems = fee.metadata_problems({"email": "secret-not-an-address", "fullName": ""})
    assert [(p.path, p.code) for p in problems] == [
        (("accessCode",), "required"),
        (("email",), "format"),
        (("fullName",), "minLength"),
    ]
    assert [p.message for p in problems] == [
        "is required",
        "must be a valid email",
        "must have at least 1 characters",
    ]


def test_extra_metadata_is_allowed() -> None:
    fee = FeeCatalogue.default().fee("PETITION_FILING_FEE", NOW)
    assert fee is not None
    assert fee.metadata_problems({"docketNumber": "123-26", "more": [1]}) == ()


@pytest.mark.parametrize(
    ("metadata", "path", "code"),
    [
        ({"copyRequestId": 7, "numberOfPages": 1}, ("copyRequestId",), "type"),
        ({"copyRequestId": "c", "numberOfPages": 0}, ("numberOfPages",), "minimum"),
        ({"copyRequestId": "c", "numberOfPages": 1.5}, ("numberOfPages",), "type"),
        (["not", "an", "object"], (), "type"),
    ],
)
def test_metadata_problems(metadata: object, path: tuple[str, ...], code: str) -> None:
    fee = FeeCatalogue.default().fee("COPY_FEE", NOW)
    assert fee is not None
    assert [(p.path, p.code) for p in fee.metadata_problems(metadata)] == [(path, code)]


def test_a_schema_may_go_deep_and_the_path_follows() -> None:
    fee = catalogue(
        TWO_VERSIONS
        + """
[fees.F.metadata]
type = "object"
properties.items = { type = "array", items = { type = "object", required = ["id"], properties.id.enum = ["a", "b"] } }
"""
    ).fee("F", NOW)
    assert fee is not None
    problems = fee.metadata_problems({"items": [{"id": "a"}, {}, {"id": "c"}]})
    assert [(p.path, p.code) for p in problems] == [
        (("items", 1, "id"), "required"),
        (("items", 2, "id"), "enum"),
    ]


BROKEN = [
    ("fees =", "fees.toml: must be TOML: "),
    ("", "fees.toml: fees: must"),
    ("other = 1\n" + TWO_VERSIONS, "fees.toml: other: must be one of the known keys: fees"),
    ("fees.F = 1", "fees.toml: fees.F: must be a table"),
    ("[fees.F]\ntcs_app_id='A'\nversions=[{active_from=2026-01-01,amount=1}]", "fees.toml: fees.F.name: must"),
    ("[fees.F]\nname='F'\nversions=[{active_from=2026-01-01,amount=1}]", "fees.toml: fees.F.tcs_app_id: must"),
    (
        "[fees.F]\nname='F'\ntcs_app_id='A B'\nversions=[{active_from=2026-01-01,amount=1}]",
        "fees.toml: fees.F.tcs_app_id: must have only letters, digits and signs",
    ),
    (
        "[fees.F]\nname='F'\ntcs_app_id='\u00c9'\nversions=[{active_from=2026-01-01,amount=1}]",
        "fees.toml: fees.F.tcs_app_id: must have only letters, digits and signs",
    ),
    ("[fees.F]\nname='F'\ntcs_app_id='A'", "fees.toml: fees.F.versions: must"),
    ("[fees.F]\nprice=1", "fees.toml: fees.F.price: must be one of the known keys"),
]


@pytest.mark.parametrize(("text", "problem"), BROKEN)
def test_a_broken_file_names_the_place_of_the_problem(text: str, problem: str) -> None:
    with pytest.raises(FeesError) as caught:
        catalogue(text)
    assert any(line.startswith(problem) for line in str(caught.value).splitlines()), str(caught.value)


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("{ amount = 1 }", "[0].active_from: must be a date"),
        ("{ active_from = '2026-01-01', amount = 1 }", "[0].active_from: must be a date"),
        ("{ active_from = 2026-01-01 }", "[0]: must have either an amount or variable = true"),
        ("{ active_from = 2026-01-01, amount = 1, variable = true }", "[0]: must have either"),
        ("{ active_from = 2026-01-01, amount = 'abc' }", "[0].amount: must be an amount"),
        ("{ active_from = 2026-01-01, amount = 1.005 }", "[0].amount: an amount must have at most two decimals"),
        ("{ active_from = 2026-01-01, amount = -1 }", "[0].amount: an amount must be more than 0"),
        ("{ active_from = 2026-01-01, amount = true }", "[0].amount: must be an amount"),
        ("{ active_from = 2026-01-01, amount = 1, from = 2 }", "[0].from: must be one of the known keys"),
        ("7", "[0]: must be a table"),
        (
            "{ active_from = 2026-01-01, amount = 1 }, { active_from = 2026-01-01, amount = 2 }",
            ": must have a different active_from",
        ),
    ],
)
def test_a_broken_version_names_the_place_of_the_problem(version: str, problem: str) -> None:
    with pytest.raises(FeesError) as caught:
        catalogue(f"[fees.F]\nname = 'F'\ntcs_app_id = 'A'\nversions = [{version}]")
    assert str(caught.value).startswith(f"fees.toml: fees.F.versions{problem}")


def test_a_broken_schema_names_the_place_of_the_problem() -> None:
    with pytest.raises(FeesError, match=r"fees.toml: fees.F.metadata: must be a JSON Schema"):
        catalogue(TWO_VERSIONS + "[fees.F.metadata]\ntype = 'objekt'")


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(FeesError) as caught:
        catalogue("[fees.A]\nname = 'A'\n[fees.B]\nname = 'B'")
    assert len(str(caught.value).splitlines()) == 4


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="fees"):
        FeeCatalogue.load(tmp_path / "fees.toml")
