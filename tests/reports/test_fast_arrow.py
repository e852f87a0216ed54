"""Arrow without numpy gives the answers of Arrow with it."""

import subprocess
import sys

PROGRAM = """
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from bursar.reports.fast_arrow import import_arrow
if "plain" not in sys.argv:
    import_arrow()
import duckdb
import pyarrow as pa

from bursar.reports.lake.rows import arrow_table, plain_rows
from bursar.reports.lake.schema import DEPOSITS
from bursar.reports.sql.values import rows_of

values = {"text": "x", "money": Decimal("12.50"), "time": 1_700_000_000_123_000, "day": date(2026, 11, 1), "whole": 7}
row = tuple(values[column.type] for column in DEPOSITS.columns)
table = arrow_table(DEPOSITS, [row, row])
print(list(plain_rows(DEPOSITS, table)), list(plain_rows(DEPOSITS, table.to_batches()[0])))
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.register("deposits", table)
relation = connection.sql("SELECT *, sum(amount) OVER (), INTERVAL 3 DAY, 1::HUGEINT FROM deposits")
types = [str(kind) for kind in relation.types]
print([row for batch in relation.to_arrow_reader(10) for row in rows_of(batch, types)])
print("numpy", "numpy" in sys.modules, file=sys.stderr)
import numpy
"""


def test_answers_are_the_same_without_numpy() -> None:
    fast, plain = (_run(), _run("plain"))
    assert fast.stdout == plain.stdout != ""
    assert (fast.stderr, plain.stderr) == ("numpy False\n", "numpy True\n")


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
