"""Compute the bill line by line from a number of payments."""

import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bursar.bootstrap.bill.units import (
    DAYS_A_MONTH,
    GIB,
    LAKE_OVERLAP_PASSES,
    LAKE_PASSES,
    MINUTES_A_MONTH,
    PROOFS,
    RECENT_PROOF_DAYS,
    SECRET_READS,
    SWEEP_PASSES,
    UNITS,
    WATCH_MONTHS,
    Units,
)

PRICES_FILE: Final = Path(__file__).with_name("prices.toml")
PROOF_UNIT_BYTES: Final = 2 * 4096
"""The bytes that one read unit reads for a proof of the lake: 4 KB, twice because reads are eventually consistent."""
YEAR_MONTHS: Final = 12


@dataclass(frozen=True)
class Price:
    """A price in US dollars of one unit, and where it was found."""

    usd: float
    source: str


@dataclass(frozen=True)
class Prices:
    """The table of prices: its region, its date, the prices, and the services without a price.

    ``free`` is what each account gets free in every month, in units of the price.
    """

    region: str
    collected: str
    prices: dict[str, Price]
    free: dict[str, float]
    unpriced: dict[str, str]

    @classmethod
    def load(cls, path: Path = PRICES_FILE) -> "Prices":
        """Read the table from a TOML file.

        Raises ``OSError``, ``ValueError`` and ``KeyError`` if the table is not valid.
        """
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        prices = {name: Price(float(each["usd"]), each["source"]) for name, each in table["prices"].items()}
        free = {name: float(each["quantity"]) for name, each in table["free"].items()}
        return cls(table["region"], table["collected"], prices, free, table["unpriced"])


@dataclass(frozen=True)
class BillLine:
    """One line of the bill: a quantity in the unit of a price, for a month."""

    part: str
    what: str
    quantity: float
    price: str
    usd: float


def bill(
    payments: float,
    *,
    ach_share: float,
    stored_payments: float,
    prices: Prices,
    proofs: float = PROOFS,
    units: Units = UNITS,
) -> list[BillLine]:
    """Return the bill of a month with ``payments``, of which ``ach_share`` (0 to 1) are ACH debits.

    ``stored_payments`` are all payments in the table, which each of the ``proofs`` of the whole lake reads. On each
    other day, the recent changes are compared.
    """
    ach, card = payments * ach_share, payments * (1 - ach_share)
    calls = payments * (2 + units.details_calls)
    recent_proofs = max(0.0, DAYS_A_MONTH - proofs)
    recent_payments = recent_proofs * payments * RECENT_PROOF_DAYS / DAYS_A_MONTH
    lake_runs = LAKE_PASSES + proofs + recent_proofs
    stored_gb = stored_payments * units.payment_item_bytes / GIB
    logged_bytes = SWEEP_PASSES * units.log_sweep_bytes + lake_runs * units.log_lake_bytes
    logged_gb = (payments * units.log_payment_bytes + logged_bytes) / GIB
    athena_query_gb = max(units.athena_query_bytes_min, stored_payments * units.athena_payment_bytes) / GIB
    quantities: list[tuple[str, str, float, str]] = [
        ("DynamoDB", "card payments", card * (units.init_write_units + units.process_write_units), "write_unit"),
        ("DynamoDB", "ACH payments, 72 h", ach * units.ach_payment_write_units, "write_unit"),
        ("DynamoDB", "watch for returns, 61 days", ach * units.ach_watch_write_units, "write_unit"),
        ("DynamoDB", "reads of calls", payments * _call_read_units(units), "read_unit"),
        ("DynamoDB", "reads of due debits", ach * _question_read_units(units), "read_unit"),
        ("DynamoDB", "sweeps", SWEEP_PASSES * units.sweep_pass_read_units, "read_unit"),
        ("DynamoDB", "lake", _lake_read_units(payments, units), "read_unit"),
        (
            "DynamoDB",
            "proofs of the lake",
            proofs * stored_payments * units.payment_item_bytes / PROOF_UNIT_BYTES,
            "read_unit",
        ),
        (
            "DynamoDB",
            "proofs of recent changes",
            recent_proofs * units.recent_proof_read_units + recent_payments * units.lake_payment_read_units,
            "read_unit",
        ),
        ("DynamoDB", "storage", stored_gb, "store_gb_month"),
        ("DynamoDB", "storage of `changes`", stored_payments * units.payment_index_bytes / GIB, "store_gb_month"),
        ("DynamoDB", "storage of `due`", ach * WATCH_MONTHS * units.due_entry_bytes / GIB, "store_gb_month"),
        ("DynamoDB", "point-in-time recovery", stored_gb, "backup_gb_month"),
        ("API Gateway", "calls", calls, "api_request"),
        ("Lambda", "invocations", calls + SWEEP_PASSES + lake_runs, "lambda_request"),
        ("EventBridge", "schedules", SWEEP_PASSES + lake_runs, "schedule"),
        (
            "Lambda",
            "portal",
            payments * (units.init_s + units.process_s + units.details_calls * units.details_s) * units.portal_gb,
            "lambda_gb_s",
        ),
        ("Lambda", "sweeps", SWEEP_PASSES * units.sweep_pass_s * units.sweep_gb, "lambda_gb_s"),
        (
            "Lambda",
            "questions about debits",
            ach * (units.settling_questions + units.watch_questions) * units.question_s * units.sweep_gb,
            "lambda_gb_s",
        ),
        ("Lambda", "lake", LAKE_PASSES * units.lake_pass_s * units.lake_gb, "lambda_gb_s"),
        (
            "Lambda",
            "proofs",
            (
                (proofs + recent_proofs) * units.lake_pass_s
                + proofs * stored_payments * units.proof_payment_s
                + recent_payments * units.recent_payment_s
            )
            * units.lake_gb,
            "lambda_gb_s",
        ),
        ("S3", "writes of the lake", LAKE_PASSES * units.lake_pass_s3_writes, "s3_write"),
        ("S3", "reads of the lake", LAKE_PASSES * units.lake_pass_s3_reads, "s3_read"),
        ("S3", "storage", stored_payments * units.lake_payment_bytes / GIB, "s3_gb_month"),
        ("Athena", "queries", units.athena_queries * athena_query_gb, "athena_gb"),
        ("Secrets Manager", "secrets", units.secrets, "secret_month"),
        ("Secrets Manager", "reads by two instances", 2 * units.secrets * SECRET_READS, "secret_read"),
        ("CloudWatch", "logs", logged_gb, "log_gb"),
        ("CloudWatch", "logs of a year", YEAR_MONTHS * logged_gb, "log_gb_month"),
        ("CloudWatch", "metrics", units.metric_hours / (MINUTES_A_MONTH / 60), "metric_month"),
        ("CloudWatch", "alarms", units.alarms, "alarm_month"),
    ]
    return [
        BillLine(part, what, quantity, price, quantity * prices.prices[price].usd)
        for part, what, quantity, price in quantities
    ]


def free_usd(lines: Sequence[BillLine], prices: Prices) -> float:
    """Return the dollars by which the bill is smaller if nothing else in the account uses the free quantities."""
    used: defaultdict[str, float] = defaultdict(float)
    for line in lines:
        used[line.price] += line.quantity
    return sum(min(used[name], quantity) * prices.prices[name].usd for name, quantity in prices.free.items())


def _call_read_units(units: Units) -> float:
    return units.init_read_units + units.process_read_units + units.details_calls * units.details_read_units


def _question_read_units(units: Units) -> float:
    settling = units.settling_questions * units.settling_question_read_units
    return settling + units.watch_questions * units.watch_question_read_units


def _lake_read_units(payments: float, units: Units) -> float:
    return LAKE_PASSES * units.lake_pass_read_units + payments * units.lake_payment_read_units * LAKE_OVERLAP_PASSES
