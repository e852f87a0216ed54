"""Read the files that the transactions page exports: the amount and the id of each row, in the order of the file."""

import csv
import io
import re
import zipfile
from decimal import Decimal

import defusedxml.ElementTree
import pyarrow.parquet as pq


def rows_of_csv(body: bytes) -> list[tuple[Decimal, str]]:
    """Return the rows of a CSV file."""
    rows = csv.DictReader(io.StringIO(body.decode()))
    return [(Decimal(row["amount"]), row["agency_tracking_id"]) for row in rows]


def rows_of_parquet(body: bytes) -> list[tuple[Decimal, str]]:
    """Return the rows of a Parquet file."""
    rows = pq.read_table(io.BytesIO(body)).to_pylist()
    return [(row["amount"], row["agency_tracking_id"]) for row in rows]


def rows_of_workbook(body: bytes) -> list[tuple[Decimal, str]]:
    """Return the rows of a workbook."""
    with zipfile.ZipFile(io.BytesIO(body)) as book:
        sheet = defusedxml.ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    found = []
    for row in sheet.iter(f"{space}row"):
        cells = ["".join(cell.itertext()) for cell in row.iter(f"{space}c")]
        if len(cells) > 10 and re.fullmatch(r"[a-z0-9]{21}", cells[0]):
            found.append((Decimal(cells[4]).quantize(Decimal("0.01")), cells[0]))
    return found


READERS = {"csv": rows_of_csv, "parquet": rows_of_parquet, "xlsx": rows_of_workbook}
"""Form of an export → its reader."""
