"""Convert a record to its row: a tuple in the order of the table's columns.

Times are whole microseconds since the epoch, days are ``date``, money is ``Decimal`` with two decimals, metadata and
details are JSON text. :func:`arrow_table` converts rows to Arrow without a Python datetime for each time.
:mod:`bursar.reports.lake.fast_rows` makes the same rows from stored items.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from bursar.payments.catalogue.fees import COURT_ZONE
from bursar.payments.classified_amounts import classification_text
from bursar.payments.deposits import Deposit
from bursar.payments.records import Attempt, Event, canonical_json
from bursar.payments.reversals import Reversal
from bursar.payments.status import payment_status
from bursar.reports.lake.schema import DEPOSITS, PAYMENT_EVENTS, PAYMENTS, REVERSALS, Column, TableSchema, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

TableRow = tuple[Any, ...]
RowKey = tuple[Any, ...]

SECRET_DETAILS: Final = frozenset({"token"})
"""The details that are dropped. The ledger may write any detail, and a token must never reach the lake."""
_COURT: Final = ZoneInfo(COURT_ZONE)
_HOUR_S: Final = 3600


def micros(seconds: float) -> int:
    """Return the whole microseconds of a time with millisecond precision."""
    return int(seconds * 1000 + 0.5) * 1000


def court_day(seconds: float) -> date:
    """Return the day in New York. New York's offset from UTC is a whole number of hours and changes at a whole hour."""
    return _court_day_of_hour(int(seconds // _HOUR_S))


@lru_cache(maxsize=4096)
def _court_day_of_hour(hour: int) -> date:
    return datetime.fromtimestamp(hour * _HOUR_S, _COURT).date()


def public_detail(detail: dict[str, Any]) -> str:
    """Return an event's detail as JSON, without secrets."""
    return canonical_json({name: value for name, value in detail.items() if name not in SECRET_DETAILS})


def reported_day(text: str | None) -> date | None:
    """Return the day that a report names; None if it names no day, or an invalid one."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None  # one such record must not stop the answers about all others


def _optional(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _same(value: Any) -> Any:
    return value


# Columns that differ from their source attribute.
_DERIVED: Final[dict[str, Callable[[Any], Any]]] = {
    "payment_status": lambda status: payment_status((status,)),
    "metadata": canonical_json,
    "detail": public_detail,
    "effective_on": reported_day,
    "deposited_on": reported_day,
    "classification": lambda parts: None if parts is None else classification_text(parts),
}
_BY_TYPE: Final[dict[str, Callable[[Any], Any]]] = {"time": _optional(micros), "day": _optional(court_day)}


def _conversion(column: Column) -> tuple[str, Callable[[Any], Any]]:
    return column.source, _DERIVED.get(column.name, _BY_TYPE.get(column.type, _same))


_FINAL_ON: Final = PAYMENTS.position("final_on")
_ATTEMPT_CONVERSIONS: Final = tuple(_conversion(column) for column in PAYMENTS.columns)
_EVENT_CONVERSIONS: Final = tuple(_conversion(column) for column in PAYMENT_EVENTS.columns)
_REVERSAL_CONVERSIONS: Final = tuple(_conversion(column) for column in REVERSALS.columns)
_DEPOSIT_CONVERSIONS: Final = tuple(_conversion(column) for column in DEPOSITS.columns)


def attempt_row(attempt: Attempt) -> TableRow:
    """Return the attempt's row in ``payments``."""
    row = [convert(getattr(attempt, source)) for source, convert in _ATTEMPT_CONVERSIONS]
    if attempt.live:
        row[_FINAL_ON] = None
    return tuple(row)


def event_row(event: Event) -> TableRow:
    """Return the event's row in ``payment_events``."""
    return tuple(convert(getattr(event, source)) for source, convert in _EVENT_CONVERSIONS)


def reversal_row(reversal: Reversal) -> TableRow:
    """Return the reversal's row in ``reversals``."""
    return tuple(convert(getattr(reversal, source)) for source, convert in _REVERSAL_CONVERSIONS)


def deposit_row(deposit: Deposit) -> TableRow:
    """Return the deposit's row in ``deposits``."""
    return tuple(convert(getattr(deposit, source)) for source, convert in _DEPOSIT_CONVERSIONS)


def record_row(record: Attempt | Event | Reversal | Deposit) -> tuple[TableSchema, RowKey, TableRow]:
    """Return the record's table, its key in the table, and its row."""
    if isinstance(record, Attempt):
        schema, row = PAYMENTS, attempt_row(record)
    elif isinstance(record, Event):
        schema, row = PAYMENT_EVENTS, event_row(record)
    elif isinstance(record, Reversal):
        schema, row = REVERSALS, reversal_row(record)
    else:
        schema, row = DEPOSITS, deposit_row(record)
    return schema, schema.key_of(row), row


def arrow_table(table: TableSchema, rows: Iterable[TableRow]) -> "pa.Table":
    """Return the rows as Arrow, with the schema of :func:`bursar.reports.lake.schema.arrow_schema`."""
    import pyarrow as pa

    schema = arrow_schema(table)
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = []
    for field, values in zip(schema, columns, strict=True):
        if pa.types.is_timestamp(field.type):
            arrays.append(pa.array(values, pa.int64()).view(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def plain_rows(schema: TableSchema, batch: Any) -> Iterable[TableRow]:
    """Yield the rows of an Arrow batch or table of any column order, as the functions above make them."""
    import pyarrow as pa

    columns = []
    for name in schema.column_names:
        column = batch.column(batch.schema.get_field_index(name))
        columns.append(_whole_numbers(column) if pa.types.is_timestamp(column.type) else column.to_pylist())
    return zip(*columns, strict=True)


def _whole_numbers(times: Any) -> list[int | None]:
    # A view, because a cast loads Arrow's compute functions, and with them numpy: a tenth of a cold `bursar sql`.
    import pyarrow as pa

    chunks = times.chunks if isinstance(times, pa.ChunkedArray) else [times]
    return [value for chunk in chunks for value in chunk.view(pa.int64()).to_pylist()]
