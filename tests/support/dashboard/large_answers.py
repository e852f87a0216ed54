"""Answers of any length, made batch by batch, and the memory that their export takes.

    python -m tests.support.dashboard.large_answers FORM FEW MANY [--keeps]

prints the bytes by which the peak of the process's memory grew from an export of FEW rows to one of MANY. With
``--keeps`` the export keeps all batches first: the fault that such a figure must show.
"""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from bursar.dashboard.exports.downloads import export
from bursar.reports.output.head import Subject
from bursar.reports.port import PaymentReports
from bursar.reports.sql.answer import AnswerStream, Question

BATCH_ROWS = 2_048
_COLUMNS = {
    "agency_tracking_id": ("VARCHAR", pa.string()),
    "reference": ("VARCHAR", pa.string()),
    "amount": ("DECIMAL(18,2)", pa.decimal128(18, 2)),
    "created_at": ("TIMESTAMP WITH TIME ZONE", pa.timestamp("us", "UTC")),
    "final_on": ("DATE", pa.date32()),
    "metadata": ("VARCHAR", pa.string()),
}


class LargeReports:
    """Reports that answer every question with ``rows`` rows, of which no two are equal."""

    def __init__(self, rows: int, *, keeps: bool = False) -> None:
        self._rows = rows
        self._keeps = keeps

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[AnswerStream]:
        """Open an answer."""
        types = tuple(kind for kind, _ in _COLUMNS.values())
        yield AnswerStream(tuple(_COLUMNS), types, 0.0, self._batches())

    async def _batches(self) -> AsyncIterator[pa.RecordBatch]:
        places = range(0, self._rows, BATCH_ROWS)
        made: Any = (_batch(first, min(first + BATCH_ROWS, self._rows)) for first in places)
        for batch in list(made) if self._keeps else made:
            yield batch


def _batch(first: int, last: int) -> pa.RecordBatch:
    numbers = range(first, last)
    values = (
        [f"b{number:020d}" for number in numbers],
        [f"00000000-0000-4000-8000-{number:012d}" for number in numbers],
        [Decimal(number % 100_000) / 100 for number in numbers],
        [datetime(2026, 11, 22, 12, 0, number % 60, number % 1_000_000, tzinfo=UTC) for number in numbers],
        [date(2026, 11, 1 + number % 28) for number in numbers],
        [f'{{"docketNumber": "{number}-26", "text": "{"x" * 200}"}}' for number in numbers],
    )
    kinds = [kind for _, kind in _COLUMNS.values()]
    return pa.RecordBatch.from_arrays([pa.array(*pair) for pair in zip(values, kinds, strict=True)], names=[*_COLUMNS])


async def exported_bytes(form: str, rows: int, *, keeps: bool = False) -> int:
    """Export ``rows`` rows, and return the bytes of the file."""
    reports = cast("PaymentReports", LargeReports(rows, keeps=keeps))
    response = export(reports, Question("SELECT 1", rows_max=None), form, "answer", Subject("Transactions"))
    total = 0
    async for chunk in response.body_iterator:
        total += len(chunk)
    return total


def _peak_bytes() -> int:
    """Return the peak of this program's memory.

    On Linux, ``ru_maxrss`` would also count the memory of the process that started this one, until the exec.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    """Print the growth of the peak, and the bytes of the larger file."""
    form, few, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    asyncio.run(exported_bytes(form, few))
    before = _peak_bytes()
    size = asyncio.run(exported_bytes(form, many, keeps="--keeps" in sys.argv))
    print(_peak_bytes() - before, size)


if __name__ == "__main__":
    main()
