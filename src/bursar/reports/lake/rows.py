"""Convert a record to its row: a tuple in the order of the table's columns.

Times are whole microseconds since the epoch, money is ``Decimal`` with two decimals, metadata and details are JSON
text. :func:`arrow_table` converts rows to Arrow without a Python datetime for each time.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from bursar.payments.records import Attempt, Event, canonical_json
from bursar.payments.status import payment_status
from bursar.reports.lake.schema import PAYMENT_EVENTS, PAYMENTS, Column, TableSchema, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

TableRow = tuple[Any, ...]
RowKey = tuple[Any, ...]

# The ledger writes details freely. If one ever contains a token, it is dropped here.
_SECRET_DETAILS: Final = frozenset({"token"})


def micros(seconds: float) -> int:
    """Return the whole microseconds of a time with millisecond precision."""
    return int(seconds * 1000 + 0.5) * 1000


def _time(value: float | None) -> int | None:
    return None if value is None else micros(value)


def _same(value: Any) -> Any:
    return value


def _public_detail(detail: dict[str, Any]) -> str:
    return canonical_json({name: value for name, value in detail.items() if name not in _SECRET_DETAILS})


# Columns that differ from their source attribute.
_DERIVED: Final[dict[str, Callable[[Any], Any]]] = {
    "payment_status": lambda status: payment_status((status,)),
    "metadata": canonical_json,
    "detail": _public_detail,
}


def _conversion(column: Column) -> tuple[str, Callable[[Any], Any]]:
    return column.source, _DERIVED.get(column.name, _time if column.type == "time" else _same)


_ATTEMPT_CONVERSIONS: Final = tuple(_conversion(column) for column in PAYMENTS.columns)
_EVENT_CONVERSIONS: Final = tuple(_conversion(column) for column in PAYMENT_EVENTS.columns)


def attempt_row(attempt: Attempt) -> TableRow:
    """Return the attempt's row in ``payments``."""
    return tuple(convert(getattr(attempt, source)) for source, convert in _ATTEMPT_CONVERSIONS)


def event_row(event: Event) -> TableRow:
    """Return the event's row in ``payment_events``."""
    return tuple(convert(getattr(event, source)) for source, convert in _EVENT_CONVERSIONS)


def record_row(record: Attempt | Event) -> tuple[TableSchema, RowKey, TableRow]:
    """Return the record's table, its key in the table, and its row."""
    if isinstance(record, Attempt):
        return PAYMENTS, (record.agency_tracking_id,), attempt_row(record)
    return PAYMENT_EVENTS, (record.agency_tracking_id, record.seq), event_row(record)


def changed_at(record: Attempt | Event) -> float:
    """Return when the record changed, epoch seconds: the time by which ``changes`` orders it."""
    return record.updated_at if isinstance(record, Attempt) else record.at


def arrow_table(table: TableSchema, rows: Iterable[TableRow]) -> "pa.Table":
    """Return the rows as Arrow, with the schema of :func:`bursar.reports.lake.schema.arrow_schema`."""
    import pyarrow as pa

    schema = arrow_schema(table)
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = []
    for field, values in zip(schema, columns, strict=True):
        if pa.types.is_timestamp(field.type):
            arrays.append(pa.array(values, pa.int64()).cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
