"""A Pay.gov activity file: columns by name, amounts as money, an error for every unreadable line."""

from decimal import Decimal

import pytest

from bursar.reports.errors import BadParameter
from bursar.reports.paygov_activity_file import read_activity_file

HEADER = "Agency Tracking ID,Pay.gov Tracking ID,Transaction Amount,Transaction Status\n"


def test_columns_are_found_by_name_in_any_order() -> None:
    content = "\ufeffSTATUS,other,amount,PAYGOV TRACKING ID,agency_tracking_id\nSuccess,x,$1,P1,A1\n\n"
    assert read_activity_file(content.encode()).to_pylist() == [
        {
            "agency_tracking_id": "A1",
            "paygov_tracking_id": "P1",
            "amount": Decimal("1.00"),
            "transaction_status": "Success",
        }
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column for the agency tracking id"),
        (b"Agency Tracking ID,Amount\n", "no column for the paygov tracking id"),
        ((HEADER + "A,P,lots,Success\n").encode(), "line 2 of the activity file: cannot be read"),
        ((HEADER + "A,P,1.00,Success\nA,P\n").encode(), "line 3 of the activity file: cannot be read"),
        ((HEADER + ",P,1.00,Success\n").encode(), "line 2 of the activity file: has no agency tracking id"),
        (b"\xff\xfe\x00", "must be CSV in UTF-8"),
        ((HEADER + '"A,P\n').encode(), "must be CSV"),
    ],
)
def test_an_unreadable_line_is_named(content: bytes, message: str) -> None:
    with pytest.raises(BadParameter, match=message):
        read_activity_file(content)
