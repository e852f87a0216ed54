"""Convert a batch of an answer from Arrow to rows of Python values.

DuckDB's own Python values need another time zone library, so answers come through Arrow.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.errors import BadSql

if TYPE_CHECKING:
    import pyarrow as pa


_TIME: Final = "TIMESTAMP WITH TIME ZONE"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def rows_of(batch: "pa.RecordBatch", types: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    """Return the rows of ``batch``, whose columns have these SQL types.

    Raises :class:`BadSql` for a value that Python cannot hold, such as a day before the year 1.
    """
    return zip(*map(_values, batch.columns, types), strict=True)


def _values(column: Any, kind: str) -> list[Any]:
    try:
        values: list[Any] = _times(column) if kind == _TIME else column.to_pylist()
    except (ValueError, OverflowError) as error:  # Python's calendar has the years 1 to 9999
        raise BadSql(f"a {kind} of the answer cannot be shown: {error}; cast it to VARCHAR") from error
    if kind == "HUGEINT":
        return _integers(values)
    return [_interval(value) for value in values] if kind == "INTERVAL" else values


def _times(column: Any) -> list[datetime | None]:
    """Return the times in UTC.

    Arrow would call a time zone library for each, which would take most of the time of a long answer.
    """
    import pyarrow as pa

    micros = column.view(pa.int64()).to_pylist()
    return [None if value is None else _EPOCH + value * _MICROSECOND for value in micros]


def _integers(values: list[Decimal | None]) -> list[int | None]:
    """Convert sums of whole numbers, which Arrow returns as decimals of scale 0, to integers."""
    return [None if value is None else int(value) for value in values]


def _interval(value: Any) -> str | None:
    """Return an interval as DuckDB prints it: ``1 year 2 months 3 days 04:05:06.5``."""
    if value is None:
        return None
    months, days, nanoseconds = value
    years, months = int(months / 12), months - 12 * int(months / 12)
    parts = [
        f"{number} {unit}{'' if abs(number) == 1 else 's'}"
        for number, unit in ((years, "year"), (months, "month"), (days, "day"))
        if number
    ]
    if nanoseconds or not parts:
        parts.append(_clock_time(nanoseconds // 1000 if nanoseconds >= 0 else -(-nanoseconds // 1000)))
    return " ".join(parts)


def _clock_time(micros: int) -> str:
    seconds, fraction = divmod(abs(micros), 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if fraction:
        text += f".{fraction:06d}".rstrip("0")
    return f"-{text}" if micros < 0 else text
