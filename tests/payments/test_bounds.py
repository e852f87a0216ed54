"""Every bound of the payments package has its value in this table, and so has every default.

A changed bound changes what payers and operators meet, so it is changed in two places. A new one needs a row here, and
a test at its edge where it is used.
"""

from tests.support.bounds import numbers_of

HOUR_S = 3600
DAY_S = 24 * 3600
BOUNDS = {
    "attempt_ids.AGENCY_TRACKING_ID_CHARS": 21,
    "attempt_ids.ATTEMPTS_MAX": 32,
    "change_shards.CHANGE_SHARDS_MAX": 128,
    "change_shards.SHARDS_AT_ONCE_MAX": 16,
    "change_shards.MERGED_ITEMS_MAX": 8_192,
    "change_shards.SHARD_ITEMS_MIN": 100,
    "chain_audit.SEGMENTS": 4,
    "chain_audit.FINDINGS_MAX": 10_000,
    "chain_audit.CONFIRM_PAUSE_S": 0.2,
    "chain_audit.CONFIRM_READS_MAX": 10,
    "root_copies.RETENTION_DAYS": 2_557,
    "classification.SHARES_MAX": 20,
    "clients.RELOAD_CHECK_INTERVAL_S": 1,
    "clients.SECRET_CHARS_MIN": 16,
    "due.RECEIVED_AGE_MAX_S": 120,
    "due.TOKEN_AGE_MAX_S": 3 * HOUR_S,
    "due.LEASED_POLL_S": 30,
    "due.FRESH_POLL_INTERVAL_MAX_S": 10,
    "due.FRESH_S": 120,
    "due.POLL_INTERVAL_MIN_S": 5,
    "due.POLL_INTERVAL_MAX_S": HOUR_S,
    "due.SETTLING_POLL_GROWTH": 4,
    "due.SETTLING_INTERVAL_MAX_S": 6 * HOUR_S,
    "due.DAY_S": DAY_S,
    "due.RETURN_WATCH_S": 61 * DAY_S,
    "due.RETURN_POLL_FIRST_S": DAY_S,
    "due.RETURN_POLL_AGAIN_S": DAY_S,
    "due.RETURN_POLL_GROWTH": 2,
    "fees.TCS_APP_ID_CHARS_MAX": 50,
    "history_bounds.RECLAIMS_MAX": 500,
    "history_bounds.TAKEOVER_EVENTS_MAX": 1_500,
    "history_bounds.NOTED_EVENTS_MAX": 2_000,
    "history_bounds.REVERSAL_EVENTS_MAX": 4_000,
    "history_bounds._EVENTS_RELEASED": 4,
    "history_bounds._EVENTS_OF_A_RECLAIM": 2,
    "daily_roots.EVENTS_BEFORE_OTHERS_RUN": 200,
    "erasure.ERASE_TRIES_MAX": 4,
    "journal.CHANGE_TRIES_MAX": 4,
    "ledger.LIVE_MAX": 100_000,
    "ledger._FAR_FUTURE_S": 100 * 365 * DAY_S,
    "lookups.BUCKET_S": HOUR_S,
    "lookups.CHANGES_SPAN_MAX_S": 400 * DAY_S,
    "lookups.OBLIGATIONS_AT_ONCE_MAX": 16,
    "reconciliations.PART_ROWS": 200,
    "reconciliations.DIFFERENCES_KEPT_MAX": 20_000,
    "reconciliations._ID_BITS": 32,
    "restores.WRITES_AT_ONCE_MAX": 50,
    "restores.GENERATION_TRIES_MAX": 4,
    "restores.LOST_SPAN_S": 1,
    "starts.START_TRIES_MAX": 4,
    "table.ACTIVE_POLL_INTERVAL_S": 1,
    "table.ACTIVE_POLLS_MAX": 300,
    "records.DUE_SHARDS": 8,
    "records.due_shard(shards)": 8,
    "change_shards.ShardedTable.due_shards": 8,
    "records.EVENT_SEQ_MAX": 9_999,
    "records.CHANGE_BUCKET_CHARS": 13,
}
"""Each number that the payments package names."""

DEFAULTS = {
    "chain_audit.audit_chains(segments)": 4,
    "payment_history.PaymentHistory.check(segments)": 4,
    "due.DuePolicy.received_age_max_s": 120,
    "due.DuePolicy.token_age_max_s": 3 * HOUR_S,
    "due.DuePolicy.leased_poll_s": 30,
    "due.DuePolicy.fresh_poll_interval_max_s": 10,
    "due.DuePolicy.fresh_s": 120,
    "due.DuePolicy.poll_interval_min_s": 5,
    "due.DuePolicy.poll_interval_max_s": HOUR_S,
    "due.DuePolicy.settling_interval_max_s": 6 * HOUR_S,
    "due.DuePolicy.return_watch_s": 61 * DAY_S,
    "due.DuePolicy.return_poll_first_s": DAY_S,
    "records.Attempt.version": 1,
    "change_shards.ShardedTable.shards": 1,
}
"""Each number that a caller may leave out."""


def test_every_bound_and_default_has_its_value() -> None:
    assert numbers_of("bursar.payments") == BOUNDS | DEFAULTS
