"""The values of a result of Athena, which are text, as typed Arrow batches.

Source: Athena API reference, "GetQueryResults": a value without VarCharValue is null.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.errors import AthenaFailed

if TYPE_CHECKING:
    import pyarrow as pa

_MOMENT: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d) (?P<clock>\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,6})\d*)? ?(?P<zone>UTC|[+-]\d\d:\d\d)"
)


def _moment(text: str) -> datetime:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"no time with a zone: {text!r}")
    micros = int((found["fraction"] or "0").ljust(6, "0"))
    moment = datetime.fromisoformat(f"{found['day']} {found['clock']}").replace(microsecond=micros)
    if found["zone"] == "UTC":
        return moment.replace(tzinfo=UTC)
    hours, minutes = int(found["zone"][1:3]), int(found["zone"][4:])
    sign = -1 if found["zone"][0] == "-" else 1
    return moment.replace(tzinfo=timezone(sign * timedelta(hours=hours, minutes=minutes))).astimezone(UTC)


_READERS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "varchar": ("VARCHAR", str),
    "char": ("VARCHAR", str),
    "boolean": ("BOOLEAN", lambda text: text == "true"),
    "tinyint": ("BIGINT", int),
    "smallint": ("BIGINT", int),
    "integer": ("BIGINT", int),
    "bigint": ("BIGINT", int),
    "double": ("DOUBLE", float),
    "float": ("DOUBLE", float),
    "decimal": ("DECIMAL", Decimal),
    "date": ("DATE", date.fromisoformat),
    "timestamp with time zone": ("TIMESTAMP WITH TIME ZONE", _moment),
}
"""Athena's type → DuckDB's name for it, which the output forms know, and the function that reads its text."""


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column: its name, DuckDB's name for its type, and for a decimal its digits and decimals."""

    name: str
    type: str
    athena_type: str
    precision: int
    scale: int

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "ResultColumn":
        """Return the column of an entry of ``ColumnInfo``. Raise :class:`AthenaFailed` for a type without a reader."""
        kind = str(described["Type"])
        if kind not in _READERS:
            raise AthenaFailed(f"the column {described['Name']} has the type {kind}, which cannot be read")
        name, _ = _READERS[kind]
        precision, scale = int(described.get("Precision", 0)), int(described.get("Scale", 0))
        shown = f"{name}({precision},{scale})" if name == "DECIMAL" else name
        return cls(str(described["Name"]), shown, kind, precision, scale)

    def values(self, texts: Sequence[str | None]) -> list[Any]:
        """Return the values. Raise :class:`AthenaFailed` for a text that is not of the column's type."""
        _, read = _READERS[self.athena_type]
        try:
            return [None if text is None else read(text) for text in texts]
        except (ValueError, ArithmeticError) as error:
            raise AthenaFailed(f"a {self.athena_type} of the column {self.name} cannot be read: {error}") from error


def batch_of(columns: Sequence[ResultColumn], rows: Sequence[Mapping[str, Any]]) -> "pa.RecordBatch":
    """Return rows of ``GetQueryResults`` as an Arrow batch."""
    import pyarrow as pa

    texts = [[datum.get("VarCharValue") for datum in row["Data"]] for row in rows]
    arrays = [
        pa.array(column.values([row[place] for row in texts]), type=_arrow_type(column))
        for place, column in enumerate(columns)
    ]
    schema = pa.schema([pa.field(column.name, _arrow_type(column)) for column in columns])
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _arrow_type(column: ResultColumn) -> Any:
    import pyarrow as pa

    if column.athena_type == "decimal":
        return pa.decimal128(column.precision, column.scale)
    return {
        "VARCHAR": pa.string(),
        "BOOLEAN": pa.bool_(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "DATE": pa.date32(),
        "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
    }[column.type]
