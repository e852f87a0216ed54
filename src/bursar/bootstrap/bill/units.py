"""The units that one payment, one pass and one month consume. Tests measure every figure that is called measured.

Measured figures come from the engine's ``ReturnConsumedCapacity`` (tests/deploy/test_units.py,
tests/payments/ledger/test_cost.py), and from counting the calls to S3 of a lake (tests/deploy/test_units.py). Assumed:
how long functions run, because Pay.gov's latency is not ours, and how often applications and persons ask.
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
    """The attempt must be read, because the index `due` has only keys: 0.5. A pass reads the restore marks once: 1."""
    watch_questions: float = 7
    watch_question_read_units: float = 0.5
    init_read_units: float = 1
    process_read_units: float = 3
    details_read_units: float = 1
    sweep_pass_read_units: float = 4.5
    lake_pass_read_units: float = 4
    """One for the number of shards of the index `changes`, and one for each two hours that it reads of one shard."""
    lake_payment_read_units: float = 1.25
    """One read of a payment's events in the index and of its attempt.

    Each pass reads those of the last two hours again.
    """
    payment_item_bytes: float = 3583
    """Obligation, attempt, events and sentinels of one payment."""
    payment_index_bytes: float = 1873
    """The events of one payment in the index `changes`."""
    due_entry_bytes: float = 141
    """The entry of an attempt in the index `due`, which has live attempts and watched debits."""
    recent_proof_read_units: float = 35
    """A proof of the changes of two days that finds none.

    One for each two hours of the index, and twice a pass of the lake that finds nothing.
    """
    lake_pass_s3_writes: float = 9.9
    """PUT and LIST requests of a pass that writes to two tables: the mean of 18 passes, with their merges and removals.

    The bill assumes that every pass does. DELETE requests are free.
    """
    lake_pass_s3_reads: float = 86
    """The mean of the same 18 passes: from 32 just after a merge to 222 when old files are removed."""
    lake_payment_bytes: float = 256
    """Measured: 108 bytes in merged months (a million payments). The small files of the present month take more."""
    # Assumed.
    details_calls: float = 2
    init_s: float = 0.3
    process_s: float = 1.0
    details_s: float = 0.03
    sweep_pass_s: float = 0.3
    """The duration of a pass that finds nothing: 2 ms of a processor, and nine concurrent requests."""
    question_s: float = 1.0 / 8
    """Pay.gov is assumed to answer in a second, and eight questions are concurrent (LOOKUPS_AT_ONCE_MAX)."""
    lake_pass_s: float = 8.0
    """A cold start and a pass: 2.7 s of a processor, of which 1 GB has 0.58, and 115 requests, one after another."""
    proof_payment_s: float = 0.0006
    """A payment in a whole proof: 0.15 ms of a processor, and its share of the reads of the table."""
    recent_payment_s: float = 0.0015
    """A payment in a proof of recent changes, whose attempts are read obligation by obligation."""
    portal_gb: float = 0.5
    sweep_gb: float = 0.25
    lake_gb: float = 1.0
    log_payment_bytes: float = 2 * KIB
    log_sweep_bytes: float = 512
    """Lambda's own three lines and CloudWatch's 26 bytes a line: a pass that finds nothing logs nothing."""
    log_lake_bytes: float = 4 * KIB
    athena_queries: float = 100
    athena_payment_bytes: float = 8
    """A question reads this of a payment: two times of 3.5 bytes; fee, status, client and amount in 1 byte together.

    Measured in the files of a million payments; a question that reads references reads 50 bytes.
    """
    athena_query_bytes_min: float = 10 * 1024 * KIB
    secrets: float = 1
    metric_hours: float = DAYS_A_MONTH + 3 * 10
    """The hours in which a metric is written: one in each day, and three in ten hours with problems each."""
    alarms: float = 7


UNITS: Final = Units()
WATCH_MONTHS: Final = (3 + 61) / DAYS_A_MONTH
"""How long an ACH payment is in the index `due`."""
SWEEP_PASSES: Final = MINUTES_A_MONTH
LAKE_PASSES: Final = MINUTES_A_MONTH / 60
LAKE_OVERLAP_PASSES: Final = 1 + 2
"""How often a payment's entries are read: by the pass that finds them, and by the passes of the next two hours."""
PROOFS: Final = DAYS_A_MONTH / 7
"""Proofs that the whole lake equals the table, by default. On each other day, recent changes are compared."""
RECENT_PROOF_DAYS: Final = 2
"""The days whose changes are compared."""
SECRET_READS: Final = MINUTES_A_MONTH / 15
"""The reads of one secret in a month by one instance that is never idle."""
