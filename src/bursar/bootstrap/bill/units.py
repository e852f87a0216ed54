"""The units that one payment, one pass and one month consume. Tests measure every figure that is called measured.

Measured on the engine with ``ReturnConsumedCapacity`` (tests/deploy/test_units.py, tests/payments/ledger/test_cost.py),
on the calls to S3 of a lake (tests/deploy/test_units.py). Assumed: how long functions run, because Pay.gov's latency is
not ours, and how often applications and persons ask.
"""

from dataclasses import dataclass
from typing import Final

DAYS_A_MONTH: Final = 30
MINUTES_A_MONTH: Final = DAYS_A_MONTH * 24 * 60
KIB: Final = 1024
GIB: Final = 1024**3


@dataclass(frozen=True)
class Units:
    """Quantities per payment, per pass or per month. Names end with what they count."""

    # Measured.
    init_write_units: float = 17
    process_write_units: float = 15
    ach_payment_write_units: float = 116
    """An ACH payment that settles after 72 hours, with all its questions."""
    ach_watch_write_units: float = 31
    settling_questions: float = 19
    """Passes of the sweeper that find an ACH payment due while it settles."""
    settling_question_read_units: float = 1.5
    """The index `due` has keys alone, so the attempt is read: 0.5. The mark of a restore is read once a pass: 1."""
    watch_questions: float = 7
    watch_question_read_units: float = 0.5
    init_read_units: float = 1
    process_read_units: float = 3
    details_read_units: float = 1
    sweep_pass_read_units: float = 4.5
    lake_pass_read_units: float = 3
    lake_payment_read_units: float = 1.25
    """The events of one payment in the index and its attempt, read once. A pass reads those of two hours again."""
    payment_item_bytes: float = 3583
    """Obligation, attempt, events and sentinels of one payment."""
    payment_index_bytes: float = 1873
    """The events of one payment in the index `changes`."""
    due_entry_bytes: float = 141
    """The entry of an attempt in the index `due`, which has live attempts and watched debits."""
    lake_pass_s3_writes: float = 26
    lake_pass_s3_reads: float = 100
    """Of a pass that has something to write, over two tables; the bill counts every pass as such a one."""
    # Assumed.
    details_calls: float = 2
    init_s: float = 0.3
    process_s: float = 1.0
    details_s: float = 0.03
    sweep_pass_s: float = 0.3
    """A pass that finds nothing: 2 ms of a processor, and nine requests side by side."""
    question_s: float = 1.0 / 8
    """A second of Pay.gov's, and eight questions side by side (LOOKUPS_AT_ONCE_MAX)."""
    lake_pass_s: float = 8.0
    portal_gb: float = 0.5
    sweep_gb: float = 0.25
    lake_gb: float = 2.0
    lake_payment_bytes: float = 1.5 * KIB
    log_payment_bytes: float = 2 * KIB
    log_pass_bytes: float = 1 * KIB
    athena_queries: float = 100
    athena_query_gb: float = 0.1
    secrets: float = 1
    metrics: float = 2
    """One that is written in each hour, and three that are written on an event: hours are billed."""
    alarms: float = 10


UNITS: Final = Units()
WATCH_MONTHS: Final = (3 + 61) / DAYS_A_MONTH
"""How long an ACH payment is in the index `due`."""
SWEEP_PASSES: Final = MINUTES_A_MONTH
LAKE_PASSES: Final = MINUTES_A_MONTH / 60
LAKE_OVERLAP_PASSES: Final = 1 + 2
"""How often the entries of one payment are read: by the pass that finds them and by those of the next two hours."""
PROOFS: Final = DAYS_A_MONTH
"""Proofs that the lake equals the table, by default."""
SECRET_READS: Final = MINUTES_A_MONTH / 5
"""Reads of one secret by one instance that is never idle."""
