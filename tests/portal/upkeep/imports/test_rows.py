"""Rows of another portal: each is a checked record, or a problem with its file and line; nothing is lost."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.clock import from_iso_ms
from bursar.payments.catalogue.clients import Client, Clients
from bursar.portal.upkeep.imports.rows import (
    MAY_HIDE_A_CHARGE,
    ImportRow,
    RowProblem,
    RowReader,
    row_from_json,
    row_to_json,
)
from tests.support.portal.old_rows import old_row, write_rows
from tests.support.write_paths import shipped_fees

NOW = from_iso_ms("2026-11-27T17:00:00.000Z")
DAWSON = Client("dawson", "arn:aws:iam::123456789012:role/dawson", frozenset({"*"}), ())
READER = RowReader(shipped_fees(), Clients([DAWSON]), {"Local Development": "dawson"}, NOW, NOW - 11_700)


def read(path: Path) -> list[ImportRow | RowProblem]:
    return list(READER.rows(path))


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_row_is_read_as_the_page_maps_it(tmp_path: Path, name: str) -> None:
    row = old_row(
        client_name="Local Development", transaction_reference_id=old_row()["transaction_reference_id"].upper()
    )
    if name.endswith("jsonl"):
        row |= {"transaction_amount": 60.0, "metadata": {"docketNumber": "123-26"}, "return_code": None}
    (found,) = read(write_rows(tmp_path / name, [row]))
    assert isinstance(found, ImportRow)
    record = found.record
    assert found.place == f"{name}:{2 if name == 'rows.csv' else 1}"
    assert (record.agency_tracking_id, record.paygov_tracking_id, record.client) == ("old1", "3FPA1", "dawson")
    assert record.reference == old_row()["transaction_reference_id"]
    assert (record.fee.key, record.fee.version) == ("PETITION_FILING_FEE", "2020-01-01")
    assert (record.amount, record.status, record.payment_method) == (Decimal("60.00"), "processed", "PLASTIC_CARD")
    assert (record.metadata, record.return_code, record.return_detail) == ({"docketNumber": "123-26"}, None, None)
    assert (record.created_at, record.updated_at) == (1787313600.123456, 1787313660.5)
    assert row_from_json(row_to_json(found), READER.fees) == found


@pytest.mark.parametrize(
    ("values", "status", "doubt"),
    [
        ({}, "processed", None),
        ({"transaction_status": "failed", "return_code": "2000", "return_detail": "Declined"}, "failed", None),
        ({"transaction_status": "pending"}, "pending", None),
        *(({"transaction_status": "failed", "return_detail": text}, "failed", text) for text in MAY_HIDE_A_CHARGE),
        ({"transaction_status": "pending", "paygov_tracking_id": ""}, "failed", "without a Pay.gov tracking id"),
        ({"transaction_status": "initiated"}, "failed", "imported as initiated"),
        ({"transaction_status": ""}, "failed", "imported as received"),
    ],
)
def test_a_row_that_may_hide_a_charge_is_in_doubt(
    tmp_path: Path, values: dict[str, Any], status: str, doubt: str | None
) -> None:
    (found,) = read(write_rows(tmp_path / "rows.csv", [old_row(**values)]))
    assert isinstance(found, ImportRow)
    assert found.record.status == status
    assert (found.in_doubt is None) == (doubt is None)
    assert (doubt or "") in (found.in_doubt or "")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"agency_tracking_id": ""}, "agency_tracking_id: must be given; got nothing"),
        (
            {"agency_tracking_id": "x" * 22},
            "agency_tracking_id: must be at most 21 printable ASCII characters without a space; got",
        ),
        ({"paygov_tracking_id": " \x07"}, "paygov_tracking_id: must be at most 1000 printable characters"),
        ({"paygov_tracking_id": "é"}, "paygov_tracking_id: must be at most 255 printable ASCII characters without a s"),
        ({"client_name": "nobody"}, "client_name: must be a client of the clients' file, or be named by --client"),
        ({"transaction_reference_id": "17"}, "transaction_reference_id: must be a UUID v4; got '17'"),
        ({"fee": "NO_FEE"}, "fee: must be in the catalogue and active when the row was created; got 'NO_FEE'"),
        ({"created_at": "1999-01-01 00:00:00+00"}, "fee: must be in the catalogue and active when the row was created"),
        ({"transaction_amount": "60.005"}, "transaction_amount: an amount must have at most two decimals; got 60.005"),
        ({"transaction_amount": "NaN"}, "transaction_amount: an amount must be more than 0 and at most"),
        ({"transaction_amount": "sixty"}, "transaction_amount: must be dollars such as 60.00; got 'sixty'"),
        ({"transaction_status": "lost"}, "transaction_status: must be one of received, initiated, processed, "),
        ({"created_at": "2026-08-21 12:00:00"}, "created_at: must be an ISO date-time with an offset"),
        ({"created_at": "soon"}, "created_at: must be an ISO date-time with an offset; got 'soon'"),
        ({"last_updated_at": "2027-01-01T00:00:00Z"}, "last_updated_at: must not be in the future"),
        ({"last_updated_at": "2026-08-01T00:00:00Z"}, "last_updated_at: must not be before created_at"),
        (
            {"transaction_status": "initiated", "last_updated_at": "2026-11-27T16:00:00Z"},
            "transaction_status: must not be live; got initiated: import it once its token has expired",
        ),
        *(
            ({"metadata": text}, "metadata: must be a JSON object of at most 65536 bytes, as init takes it; it cannot")
            for text in (
                "{",
                '{"a": NaN}',
                '{"a": 1e999}',
                '{"a": "\\ud800"}',
                '{"a": 1, "a": 2}',
                f'{{"a": {"[" * 100}{"]" * 100}}}',
            )
        ),
        ({"metadata": "[1]"}, "metadata: must be a JSON object; got another value"),
    ],
)
def test_a_row_that_cannot_be_imported_is_named_and_stops_no_other(
    tmp_path: Path, values: dict[str, Any], problem: str
) -> None:
    wrong, right = read(write_rows(tmp_path / "rows.csv", [old_row(**values), old_row(2)]))
    assert isinstance(wrong, RowProblem)
    assert (wrong.place, wrong.problem.startswith(problem)) == ("rows.csv:2", True), wrong.problem
    assert isinstance(right, ImportRow)


def test_no_message_has_metadata(tmp_path: Path) -> None:
    (found,) = read(write_rows(tmp_path / "rows.csv", [old_row(metadata='{"fullName": "Grace Hopper"')]))
    assert "Grace" not in str(found)
    (found,) = read(write_rows(tmp_path / "rows.csv", [old_row()]))
    assert "123-26" not in repr(found)


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        ("", "file:1", "the file: must begin with a line that names the columns; got nothing"),
        ("a,b\n1,2\n", "file:1", "the columns: must have agency_tracking_id, client_name, "),
        ("{nonsense}\n", "file:1", "the line: must be a JSON object: "),
        ('{"a": [1', "file:1", "the line: must be a JSON object: "),
        ("{}\n[1]\n", "file:1", "agency_tracking_id: must be given; got nothing"),
        ("x" * 70_000, "file:1", "the line: must have at most 65536 characters; nothing after it was read"),
    ],
)
def test_another_file_is_named(tmp_path: Path, content: str, place: str, problem: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    first = read(path)[0]
    assert isinstance(first, RowProblem)
    assert (first.place, first.problem.startswith(problem)) == (place, True), first


def test_a_line_with_other_values_than_columns_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", [old_row(), old_row(2)])
    path.write_text(path.read_text() + "1,2\n" + '"open\n' + "x,y\n" * 30)
    *_, short, unclosed = read(path)
    assert isinstance(short, RowProblem)
    assert short.problem == "the line: must have 14 values, as the line with the columns; got 2"
    assert isinstance(unclosed, RowProblem)
    assert unclosed.problem.startswith("a record: must have at most 20 lines; is a quote unclosed?")


def test_a_line_that_is_no_csv_is_named_and_stops_no_other(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", [old_row(), old_row(2)])
    header, first, second = path.read_text().splitlines()
    path.write_text("\n".join([header, first, '"old3"x,3FPA3', second]))
    before, broken, after = read(path)
    assert isinstance(before, ImportRow)
    assert isinstance(broken, RowProblem)
    assert (broken.place, broken.problem.startswith("the line: must be CSV: ")) == ("rows.csv:3", True)
    assert isinstance(after, ImportRow)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from([b"", b"{", b"agency_tracking_id,client_name\n"]))
def test_any_bytes_are_read_to_the_end_without_an_error(tmp_path: Path, content: bytes, begin: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(begin + content)
    found: list[Any] = read(path)
    assert all(isinstance(each, RowProblem) for each in found)
