"""The tables of every query, ``payments``, ``payment_events``, ``reversals`` and ``deposits``, as data.

:data:`TABLES` has one table for each kind of record, and is the only place that names a stored column. The Arrow schema
of the tail, the Iceberg schema of the lake, the twin, the rows and docs/reports.md are derived from it. No table has
the token of a payment, which is as powerful as a session.

Final attempts, events, reversals and deposits never change, so their rows are written once. Leases, the sweeper's due
time and the time of the last poll change without an event, so they are not here. A day is a day in New York: it is
stored, because deriving it from a time is half of the cost of a monthly sum. Columns are only added, at the end and
nullable, so earlier files stay readable.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from bursar.payments.deposits import DEPOSIT
from bursar.payments.records import ATTEMPT, EVENT
from bursar.payments.reversals import REVERSAL

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


@dataclass(frozen=True)
class TableSchema:
    """One table: the kind of its records, its columns, its key, and the day whose month partitions it.

    ``change_time`` is the time of a row's last change, and ``start_time`` is a time that never changes. A row whose
    partition day is null is live: it is in the partition that each commit replaces.
    """

    name: str
    kind: str
    meaning: str
    key: tuple[str, ...]
    partition_day: str
    start_time: str
    change_time: str
    columns: tuple[Column, ...]

    # Cached, because a build asks for them for each row.
    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The names of all columns, in the order of a row."""
        return tuple(column.name for column in self.columns)

    def position(self, name: str) -> int:
        """Return the position of the column ``name`` in a row. Raise ``ValueError`` for an unknown name."""
        return self.column_names.index(name)

    def key_of(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the key of a row."""
        return tuple(row[self.position(name)] for name in self.key)

    @cached_property
    def has_live_rows(self) -> bool:
        """Whether rows may be live. Otherwise every row is final when it is written."""
        return not self.columns[self._partition_position].required

    def is_live(self, row: tuple[Any, ...]) -> bool:
        """Return whether a row may still change."""
        return row[self._partition_position] is None

    @cached_property
    def _partition_position(self) -> int:
        return self.position(self.partition_day)


def _optional(name: str, kind: ColumnType, source: str, meaning: str) -> Column:
    return Column(name, kind, source, meaning, required=False)


PAYMENTS: Final = TableSchema(
    name="payments",
    kind=ATTEMPT,
    meaning="one row per attempt at a payment, in its present state",
    key=("agency_tracking_id",),
    partition_day="final_on",
    start_time="created_at",
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
        _optional(
            "classification",
            "text",
            "classification",
            'the split of the amount over accounts of the Treasury, as JSON: [["id", "dollars"], …]',
        ),
    ),
)

PAYMENT_EVENTS: Final = TableSchema(
    name="payment_events",
    kind=EVENT,
    meaning="one row per event of an attempt's history; rows are only added",
    key=("agency_tracking_id", "seq"),
    partition_day="occurred_on",
    start_time="occurred_at",
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

REVERSALS: Final = TableSchema(
    name="reversals",
    kind=REVERSAL,
    meaning="one row per recorded reversal: money that went back after settlement; rows are only added",
    key=("agency_tracking_id", "reversal"),
    partition_day="recorded_on",
    start_time="recorded_at",
    change_time="recorded_at",
    columns=(
        Column("agency_tracking_id", "text", "agency_tracking_id", "the attempt whose money went back"),
        Column("reversal", "whole", "seq", "the reversal's number among those of the attempt"),
        Column("client", "text", "client", "the application that requested the payment"),
        Column("reference", "text", "reference", "the client's name for what was owed, lower case"),
        Column("kind", "text", "kind", "returned (by the payer's bank), charged_back or refunded"),
        Column("amount", "money", "amount", "US dollars that went back"),
        Column("recorded_at", "time", "at", "when Bursar recorded it"),
        Column("source", "text", "source", "the source of the report: paygov, activity_file or operator"),
        _optional("recorded_by", "text", "by", "the operator who recorded it"),
        _optional("reason", "text", "reason", "the reason in words"),
        _optional("reason_code", "text", "reason_code", "the code of the bank or the card network, such as R01"),
        _optional("effective_on", "day", "effective_on", "the day on which the money went back, as reported"),
        _optional("deposit_ticket", "text", "deposit_ticket", "the deposit ticket (SF-215) that held the payment"),
        _optional("debit_voucher", "text", "debit_voucher", "the debit voucher (SF-5515) that took the money back"),
        _optional("requested_by", "text", "requested_by", "the operator who requested the refund"),
        _optional("approved_by", "text", "approved_by", "the other operator, who approved the refund"),
        Column("reversal_id", "text", "reversal_id", "the same for every report of this reversal"),
        Column("recorded_on", "day", "at", "the day in New York on which Bursar recorded it"),
    ),
)

DEPOSITS: Final = TableSchema(
    name="deposits",
    kind=DEPOSIT,
    meaning="one row per payment whose deposit ticket is known; rows are only added",
    key=("agency_tracking_id",),
    partition_day="recorded_on",
    start_time="recorded_at",
    change_time="recorded_at",
    columns=(
        Column("agency_tracking_id", "text", "agency_tracking_id", "the attempt whose money was deposited"),
        Column("client", "text", "client", "the application that requested the payment"),
        Column("reference", "text", "reference", "the client's name for what was owed, lower case"),
        Column("deposit_ticket", "text", "ticket", "the deposit ticket (SF-215) that holds the payment"),
        _optional("deposited_on", "day", "deposited_on", "the day of the deposit, as reported"),
        Column("amount", "money", "amount", "US dollars: the whole amount of the attempt"),
        Column("recorded_at", "time", "at", "when Bursar recorded it"),
        Column("source", "text", "source", "the source of the report: activity_file or operator"),
        Column("recorded_by", "text", "by", "the operator who recorded it"),
        Column("recorded_on", "day", "at", "the day in New York on which Bursar recorded it"),
    ),
)

TABLES: Final[tuple[TableSchema, ...]] = (PAYMENTS, PAYMENT_EVENTS, REVERSALS, DEPOSITS)


def table_named(name: str) -> TableSchema:
    """Return the table with this name. Raise ``KeyError`` for another name."""
    return _BY_NAME[name]


_BY_NAME: Final = {schema.name: schema for schema in TABLES}


def arrow_type(column: Column) -> "pa.DataType":
    """Return a column's Arrow type: times are ``timestamp[us, UTC]``, days ``date32``, money decimals."""
    import pyarrow as pa

    types: dict[ColumnType, Any] = {
        "text": pa.string(),
        "money": pa.decimal128(MONEY_DIGITS, MONEY_DECIMALS),
        "time": pa.timestamp("us", tz="UTC"),
        "day": pa.date32(),
        "whole": pa.int64(),
        "boolean": pa.bool_(),
    }
    return types[column.type]


@cache
def arrow_schema(table: TableSchema) -> "pa.Schema":
    """Return the table's Arrow schema."""
    import pyarrow as pa

    return pa.schema(
        [pa.field(column.name, arrow_type(column), nullable=not column.required) for column in table.columns]
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
