"""A mapping file names the fields of a file; every mistake in it is named."""

from pathlib import Path

import pytest

from bursar.reports.errors import BadParameter
from bursar.reports.reconciliation.mapping import FileMapping, MatchRule, letters, load_mapping

EXTRACT = """
encoding = "latin-1"
delimiter = ";"
date_formats = ["%m/%d/%Y"]

[columns]
amount = "Transaction Amt"
status = ["Status", "State"]
date = "Effective Date"
kind = "Voucher Type"
paygov_tracking_id = "Item ID"

[statuses]
Posted = "processed"

[kinds]
"SF-215" = "charge"
"SF-5515" = "charged_back"

[[rules]]
name = "a day apart"
days = 1
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mapping.toml"
    path.write_text(text)
    return path


def test_a_mapping_names_columns_words_and_rules(tmp_path: Path) -> None:
    mapping = load_mapping(written(tmp_path, EXTRACT))
    assert (mapping.encoding, mapping.delimiter, mapping.date_formats) == ("latin-1", ";", ("%m/%d/%Y",))
    assert mapping.columns["status"] == ("status", "state")
    assert mapping.field_of_name()["itemid"] == "paygov_tracking_id"
    assert mapping.statuses["posted"] == "processed"
    assert mapping.statuses["retired"] == "returned"
    assert (mapping.kinds["sf-5515"], mapping.kinds["sale"]) == ("charged_back", "charge")
    assert mapping.rules == (MatchRule("a day apart", 1),)


def test_an_empty_mapping_is_the_default(tmp_path: Path) -> None:
    assert load_mapping(written(tmp_path, "")) == FileMapping()
    assert load_mapping(written(tmp_path, "rules = []")).rules == ()


def test_spelling_does_not_matter() -> None:
    assert letters("Agency Tracking-ID ") == letters("agency_tracking_id")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "must be a mapping in TOML"),
        ("colums = 1", "colums: must be one of columns, "),
        ("[columns]\namount = 'a'", "columns.status: must be named"),
        ("[columns]\namount = 'a'\nstatus = 'A'", "columns: must use each name once; got 'a' twice"),
        ("[columns]\namount = 'a'\nstatus = 's'\nfee = 'f'", "columns.fee: must be one of agency_tracking_id, "),
        ("[columns]\namount = 3\nstatus = 's'", "columns.amount: must be a list of texts; got 3"),
        ("columns = 3", "columns: must be a table; got 3"),
        ("[statuses]\nGone = 'lost'", "statuses.Gone: must be one of processed, pending, failed, returned; got 'lost'"),
        ("[kinds]\nX = 'gift'", "kinds.X: must be one of charge, returned, charged_back, refunded; got 'gift'"),
        ("encoding = 'klingon'", "encoding: must be an encoding that Python knows; got 'klingon'"),
        ("delimiter = ',,'", "delimiter: must be one character; got ',,'"),
        ("[[rules]]\nname = 'x'\ndays = 99", "rules[0].days: must be a whole number from 0 to 31; got 99"),
        ("[[rules]]\ndays = 1", "rules[0].name: must be text; got None"),
        ("record = ''", "record: must be text; got ''"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(BadParameter) as refused:
        load_mapping(written(tmp_path, text))
    assert f"mapping.toml: {problem}" in str(refused.value)


def test_a_mapping_is_bounded_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="must have at most 262144 bytes"):
        load_mapping(written(tmp_path, "#" * 300_000))
    with pytest.raises(BadParameter, match="must be a mapping in TOML"):
        load_mapping(tmp_path / "absent.toml")
