"""The two tables of every query, ``payments`` and ``payment_events``, as data.

:data:`TABLES` is the only place that names a column. The Arrow schema of the tail, the Iceberg schema of the lake, the
twin, the rows and docs/reports.md are derived from it. Neither table has the token of a payment, which is as powerful
as a session.

A final attempt and an event never change, so their rows are written once. Leases, the sweeper's due time and the time
of the last poll change without an event, so they are not here. A day is a day in New York: it is stored, because
deriving it from a time is half of the cost of a monthly sum. Columns are only added, at the end and nullable, so
earlier files stay readable.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema

ColumnType = Literal["text", "money", "time", "day", "whole", "boolean"]

MONEY_DIGITS: Final = 18
MONEY_DECIMALS: Final = 2
_PARTITION_FIELD_ID: Final = 1000  # Iceberg numbers partition fields from 1000

SQL_TYPES: Final[dict[ColumnType, str]] = {
    "text": "VARCHAR",
    "money": f"DECIMAL({MONEY_DIGITS},{MONEY_DECIMALS})",
    "time": "TIMESTAMP WITH TIME ZONE",
    "day": "DATE",
    "whole": "BIGINT",
    "boolean": "BOOLEAN",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in SQL, its type, the attribute of the record that it comes from, and its meaning."""

    name: str
    type: ColumnType
    source: str
    meaning: str
    required: bool = True

    @property
    def sql_type(self) -> str:
        """The column's type in DuckDB's SQL."""
        return SQL_TYPES[self.type]


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table: its columns, its key, the day whose month partitions it, and the time of a row's last change.

    A row whose partition day is null is live: it is in the partition that each commit replaces.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    partition_day: str
    change_time: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of all columns, in the order of a row."""
        return tuple(column.name for column in self.columns)

    def position(self, name: str) -> int:
        """Return the position of the column ``name`` in a row. Raise ``ValueError`` for an unknown name."""
        return self.column_names.index(name)


def _optional(name: str, kind: ColumnType, source: str, meaning: str) -> Column:
    return Column(name, kind, source, meaning, required=False)


PAYMENTS: Final = TableSchema(
    name="payments",
    meaning="one row per attempt at a payment, in its present state",
    key=("agency_tracking_id",),
    partition_day="final_on",
    change_time="updated_at",
    columns=(
        Column("agency_tracking_id", "text", "agency_tracking_id", "the attempt's id, unique"),
        Column("client", "text", "client", "the application that requested the payment"),
        Column("reference", "text", "reference", "the client's name for what is owed, lower case"),
        Column("fee", "text", "fee", "key of the fee in the catalogue"),
        Column("fee_version", "text", "fee_version", "version of the fee when the attempt started"),
        Column("tcs_app_id", "text", "tcs_app_id", "Pay.gov's name for the fee's application"),
        Column("amount", "money", "amount", "US dollars"),
        Column(
            "status",
            "text",
            "status",
            "of the attempt: received, initiated, processing, pending, processed or failed",
        ),
        Column("payment_status", "text", "status", "the status in three words: success, failed or pending"),
        _optional(
            "payment_method",
            "text",
            "payment_method",
            "in Pay.gov's words: PLASTIC_CARD, ACH, PAYPAL; others are possible",
        ),
        _optional("transaction_status", "text", "transaction_status", "Pay.gov's word for the status"),
        _optional("paygov_tracking_id", "text", "paygov_tracking_id", "Pay.gov's id of the collection"),
        _optional("return_code", "text", "return_code", "the reason of a failure: Pay.gov's code"),
        _optional("return_detail", "text", "return_detail", "the reason of a failure: Pay.gov's text"),
        Column(
            "outcome_unknown", "boolean", "outcome_unknown", "Pay.gov may have charged; the outcome is not known yet"
        ),
        Column("metadata", "text", "metadata", "data that the fee requires of the payer, as JSON; personal data"),
        Column("created_at", "time", "created_at", "when the attempt started"),
        Column("updated_at", "time", "updated_at", "when its state last changed"),
        _optional("token_at", "time", "token_at", "when Pay.gov gave it a token"),
        _optional("unknown_reason", "text", "unknown_reason", "the reason why the outcome is not known"),
        Column("created_on", "day", "created_at", "the day in New York on which the attempt started"),
        _optional(
            "final_on",
            "day",
            "updated_at",
            "the day in New York when Bursar learned its final status; null while live",
        ),
    ),
)

PAYMENT_EVENTS: Final = TableSchema(
    name="payment_events",
    meaning="one row per event of an attempt's history; rows are only added",
    key=("agency_tracking_id", "seq"),
    partition_day="occurred_on",
    change_time="occurred_at",
    columns=(
        Column("agency_tracking_id", "text", "agency_tracking_id", "the attempt whose history this is"),
        Column("seq", "whole", "seq", "the event's number in that history"),
        Column("client", "text", "client", "the application that requested the payment"),
        Column("reference", "text", "reference", "the client's name for what is owed, lower case"),
        Column("occurred_at", "time", "at", "when the event happened"),
        Column("event", "text", "name", "the name of the transition"),
        Column("actor", "text", "actor", "the actor: portal, sweeper or operator"),
        _optional("from_status", "text", "from_status", "the attempt's status before; null at its start"),
        Column("to_status", "text", "to_status", "the attempt's status after"),
        Column("detail", "text", "detail", "further facts about the event, as JSON"),
        Column("occurred_on", "day", "at", "the day in New York on which the event happened"),
    ),
)

TABLES: Final[tuple[TableSchema, ...]] = (PAYMENTS, PAYMENT_EVENTS)


@cache
def arrow_schema(table: TableSchema) -> "pa.Schema":
    """Return the table's Arrow schema: times as ``timestamp[us, UTC]``, days as ``date32``, money as decimals."""
    import pyarrow as pa

    types: dict[ColumnType, Any] = {
        "text": pa.string(),
        "money": pa.decimal128(MONEY_DIGITS, MONEY_DECIMALS),
        "time": pa.timestamp("us", tz="UTC"),
        "day": pa.date32(),
        "whole": pa.int64(),
        "boolean": pa.bool_(),
    }
    return pa.schema(
        [pa.field(column.name, types[column.type], nullable=not column.required) for column in table.columns]
    )


def iceberg_schema(table: TableSchema) -> "Schema":
    """Return the table's Iceberg schema. Field ids are the positions of the columns, from 1."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import BooleanType, DateType, DecimalType, LongType, NestedField, StringType, TimestamptzType

    types: dict[ColumnType, Any] = {
        "text": StringType(),
        "money": DecimalType(MONEY_DIGITS, MONEY_DECIMALS),
        "time": TimestamptzType(),
        "day": DateType(),
        "whole": LongType(),
        "boolean": BooleanType(),
    }
    return Schema(
        *(
            NestedField(place, column.name, types[column.type], required=column.required, doc=column.meaning)
            for place, column in enumerate(table.columns, start=1)
        )
    )


def iceberg_partitions(table: TableSchema) -> "PartitionSpec":
    """Return the partitioning by the month of the partition day."""
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.transforms import MonthTransform

    return PartitionSpec(
        PartitionField(
            source_id=table.position(table.partition_day) + 1,
            field_id=_PARTITION_FIELD_ID,
            transform=MonthTransform(),
            name=f"{table.partition_day}_month",
        )
    )
