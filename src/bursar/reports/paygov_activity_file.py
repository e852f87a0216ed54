"""Read a Pay.gov activity file as the table ``paygov_activity``, which the reconciliation compares with our payments.

The file is CSV with a header line. Columns are found by name in any case, spacing and order; other columns are ignored.
Amounts may have a dollar sign and thousands separators. A line that cannot be read is an error that names the line,
because a reconciliation that skips lines proves nothing.
"""

import csv
import io
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from bursar.reports.errors import BadParameter

if TYPE_CHECKING:
    import pyarrow as pa

ACTIVITY_TABLE: Final = "paygov_activity"
ACTIVITY_FILE_BYTES_MAX: Final = 64 * 1024 * 1024

# Our column → its names in a header, letters only.
_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "agency_tracking_id": ("agencytrackingid",),
    "paygov_tracking_id": ("paygovtrackingid",),
    "amount": ("transactionamount", "amount"),
    "transaction_status": ("transactionstatus", "status"),
}


def read_activity_file(content: bytes) -> "pa.Table":
    """Return the file as Arrow. Raise :class:`BadParameter` with the unreadable line or the missing column."""
    import pyarrow as pa

    from bursar.reports.lake.schema import MONEY_DECIMALS, MONEY_DIGITS

    if len(content) > ACTIVITY_FILE_BYTES_MAX:
        raise BadParameter(f"the activity file: must have at most {ACTIVITY_FILE_BYTES_MAX} bytes; got {len(content)}")
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        columns = _columns(next(lines, []))
        rows = [_row(line, columns, lines.line_num) for line in lines if any(cell.strip() for cell in line)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadParameter(f"the activity file: must be CSV in UTF-8: {error}") from error
    fields = [(name, pa.string()) for name in _HEADERS]
    fields[list(_HEADERS).index("amount")] = ("amount", pa.decimal128(MONEY_DIGITS, MONEY_DECIMALS))
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def _columns(header: list[str]) -> dict[str, int]:
    letters = [re.sub(r"[^a-z]", "", name.lower()) for name in header]
    found: dict[str, int] = {}
    for column, names in _HEADERS.items():
        place = next((letters.index(name) for name in names if name in letters), None)
        if place is None:
            raise BadParameter(f"the activity file: has no column for the {column.replace('_', ' ')}")
        found[column] = place
    return found


def _row(line: list[str], columns: dict[str, int], number: int) -> dict[str, object]:
    try:
        cells = {column: line[place].strip() for column, place in columns.items()}
        amount = Decimal(re.sub(r"[$,]", "", cells["amount"])).quantize(Decimal("0.01"))
    except (IndexError, InvalidOperation) as error:
        raise BadParameter(f"line {number} of the activity file: cannot be read") from error
    if not cells["agency_tracking_id"]:
        raise BadParameter(f"line {number} of the activity file: has no agency tracking id")
    return {**cells, "amount": amount}
