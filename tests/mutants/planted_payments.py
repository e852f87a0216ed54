"""The mutants of the payments: fees, clients, records, and the ledger."""

from sim.proof import known_faults
from tests.mutants.mutants import weaken

LEDGER = "payments/ledger"

weaken(
    "fee-keys-by-their-beginning",
    "a client that may charge a fee may charge every fee whose key begins with its key",
    *known_faults.FEE_KEYS_BY_THEIR_BEGINNING,
    "payments/catalogue/test_clients.py",
)
weaken(
    "revoked-key-works-on",
    "an access key works on after it was removed from the file",
    "bursar.payments.catalogue.clients:Clients.by_access_key",
    "self.reload_if_changed()",
    "pass",
    "payments/catalogue/test_clients.py",
)
weaken(
    "fees-change-in-utc",
    "a fee changes at midnight in UTC and not in the court's zone",
    "bursar.payments.catalogue.fees:_court_day",
    "ZoneInfo(COURT_ZONE)",
    'ZoneInfo("UTC")',
    "payments/catalogue/test_fees.py",
)
weaken(
    "retired-fee-at-its-first-price",
    "a retired fee has the price of its first version",
    "bursar.payments.catalogue.fees:FeeCatalogue.retired",
    "self._fees[key][0][1]",
    "self._fees[key][-1][1]",
    "payments/catalogue/test_fees.py",
)
weaken(
    "lease-lasts-an-instant-longer",
    "a lease still holds at the instant at which it ends",
    "bursar.payments.records:Attempt.leased",
    "now < self.lease_until",
    "now <= self.lease_until",
    "payments/test_records.py",
    f"{LEDGER}/test_ledger.py",
)
weaken(
    "metadata-compared-as-python",
    "metadata with true instead of 1 are the same metadata",
    "bursar.payments.records:Obligation.differences",
    "canonical_json(metadata) == canonical_json(self.metadata)",
    "metadata == self.metadata",
    "payments/test_records.py",
)
weaken(
    "amounts-rounded",
    "an amount with more than two decimals is rounded",
    "bursar.payments.records:money",
    "if exact != value:",
    "if False:",
    "payments/test_records.py",
)
weaken(
    "any-owner-releases",
    "a caller whose lease was taken over releases the other caller's lease as unsent",
    "bursar.payments.ledger.ledger:Ledger.release_lease",
    "attempt.lease_owner != owner or attempt.outcome_unknown",
    "attempt.outcome_unknown",
    f"{LEDGER}/test_ledger.py",
)
weaken(
    "live-attempt-shown-to-other-metadata",
    "a caller with other metadata learns of the live attempt",
    "bursar.payments.ledger.starts:_created_at_or_conflict",
    "if differing:",
    "if differing and view.blocking is None:",
    f"{LEDGER}/test_ledger.py",
)
weaken(
    "token-as-old-as-its-attempt",
    "the life of a token is counted from the creation of its attempt",
    "bursar.payments.ledger.ledger:Ledger.record_token",
    "token_at=self._now()",
    "token_at=attempt.created_at",
    f"{LEDGER}/test_ledger.py",
)
weaken(
    "operator-settles-under-a-lease",
    "an operator settles an attempt while a caller completes it",
    "bursar.payments.ledger.ledger:Ledger.resolve",
    "if attempt.leased(self._now()):",
    "if False:",
    f"{LEDGER}/test_ledger_outcomes.py",
)
weaken(
    "due-by-shard",
    "the sweeper gets the attempts of the first shards first, and not the longest overdue",
    "bursar.payments.ledger.lookups:Lookups._due_entries",
    "merge(*shards, key=_due_at)",
    "(entry for shard in shards for entry in shard)",
    f"{LEDGER}/test_lookups.py",
)
weaken(
    "changes-include-their-end",
    "a change at the end of a span is read in this span and in the next",
    "bursar.payments.ledger.lookups:Lookups._change_pages",
    '{"S": iso_ms(until)}',
    '{"S": iso_ms(until) + "~"}',
    f"{LEDGER}/test_lookups.py",
)
weaken(
    "any-actor-takes-any-step",
    "a step is recorded for an actor that the graph does not allow",
    "bursar.payments.ledger.journal:Journal.record",
    "if actor not in step.actors:",
    "if False:",
    f"{LEDGER}/test_journal.py",
)
weaken(
    "neighbours-are-acknowledged-too",
    "an acknowledgement is also one for attempts whose id begins with the id",
    "bursar.payments.ledger.contradictions:Contradictions.acknowledge",
    'f"{agency_tracking_id}#"',
    "agency_tracking_id",
    f"{LEDGER}/test_contradictions.py",
)
weaken(
    "times-cut-to-the-millisecond",
    "times are cut and not rounded to milliseconds",
    "bursar.payments.records:whole_ms",
    "int(seconds * 1000 + 0.5)",
    "int(seconds * 1000)",
    "payments/test_records.py",
)
weaken(
    "failed-is-failed",
    "a failure with another code counts as the recorded one",
    "bursar.payments.ledger.ledger:Ledger.fail",
    "if attempt.status == FAILED and attempt.return_code == return_code:",
    "if attempt.status == FAILED:",
    f"{LEDGER}/test_ledger.py",
)
weaken(
    "retired-a-day-late",
    "a fee can be charged on the day from which it is retired",
    "bursar.payments.catalogue.fees:FeeCatalogue.fee",
    "entry.retired_from <= today",
    "entry.retired_from < today",
    "payments/catalogue/test_fees.py",
)
weaken(
    "two-versions-of-one-day",
    "two versions of a fee may begin on one day",
    "bursar.payments.catalogue.fees:_Reader._versions",
    "if len({version.active_from for version in found}) < len(found):",
    "if False:",
    "payments/catalogue/test_fees.py",
)
weaken(
    "sessions-of-any-account",
    "a session of a role with the same name in another account is the client",
    "bursar.payments.catalogue.clients:Clients.by_role_arn",
    'role_identity(arn) or ("", "", "")',
    'next((each for each in self._by_role if each[2] == (role_identity(arn) or ("", "", ""))[2]), ("", "", ""))',
    "payments/catalogue/test_clients.py",
)
weaken(
    "attempt-ids-run-together",
    "two obligations whose names run together have the same attempt ids",
    "bursar.payments.attempt_ids:attempt_id",
    'text = "\\0".join',
    'text = "".join',
    "payments/test_attempt_ids.py",
)
weaken(
    "one-event-more",
    "an attempt may have one event more than its bound",
    "bursar.payments.history_bounds:taken_too_often",
    "attempt.event_seq >= EVENTS_MAX[event]",
    "attempt.event_seq > EVENTS_MAX[event]",
    "payments/test_history_bounds.py",
)
weaken(
    "one-contradiction-for-each-status",
    "a second collection with the same status is not kept",
    "bursar.payments.ledger.contradictions:_to_item",
    "#{found.reported_paygov_id or ''}",
    "#",
    f"{LEDGER}/test_contradictions.py",
)
weaken(
    "time-turns-back",
    "a clock that runs behind gives an event a time before the event before it",
    "bursar.payments.ledger.journal:Journal.record",
    "max(whole_ms(self._clock()), current.updated_at)",
    "whole_ms(self._clock())",
    f"{LEDGER}/test_journal.py",
    f"{LEDGER}/test_ledger_outcomes.py",
)
weaken(
    "hash-of-sorted-values",
    "the hash of an event does not depend on its time",
    "bursar.payments.event_chain:event_hash",
    "if name not in _KEYS",
    'if name not in _KEYS | {"at"}',
    "payments/test_event_chain.py",
)

# --- shards of the index of changes -----------------------------------------------------------------------------------

weaken(
    "shards-of-the-first-day",
    "a reader of changes asks as many shards as there were at the beginning",
    "bursar.payments.ledger.lookups:Lookups._change_pages",
    "(await self.change_shards.counts())[-1]",
    "(await self.change_shards.counts())[0]",
    "payments/ledger/store_records/test_change_shards.py",
)
weaken(
    "shards-merged-too-far",
    "a merge of shards yields entries before it has read all earlier ones",
    "bursar.payments.ledger.store_records.change_shards:merged_pages",
    "until = min(",
    "until = max(",
    "payments/ledger/store_records/test_change_shards.py",
)
weaken(
    "shards-by-time",
    "the entries of an obligation are in several shards",
    "bursar.payments.ledger.store_records.change_shards:_in_shard",
    'item["pk"]["S"]',
    'item["changedAt"]["S"]',
    "payments/ledger/store_records/test_change_shards.py",
)
weaken(
    "shards-unaudited",
    "the audit accepts an event in a shard that no reader asks",
    "bursar.payments.audit.chain_check:_ObligationCheck._bucket",
    "stored if stored in buckets else hour",
    "stored",
    "payments/ledger/store_records/test_change_shards.py",
)
