"""The mutants of the third review, chosen before their tests were read: stale answers, bounds, restores, operators."""

from tests.mutants.mutants import weaken

# --- what callers and receivers get ----------------------------------------------------------------------------------

weaken(
    "own-attempt-is-the-sibling",
    "a caller with a finished token reads of a live sibling although it is the same attempt",
    "bursar.portal.use_cases.process_payment:_finished",
    "blocking.agency_tracking_id != attempt.agency_tracking_id",
    "blocking.agency_tracking_id == attempt.agency_tracking_id",
    "portal/use_cases/test_process_payment.py",
)
weaken(
    "failed-at-paygov-said-expired",
    "a token whose collection failed at Pay.gov is said to have expired",
    "bursar.portal.use_cases.process_payment:_expire",
    "ended.status == FAILED and ended.paygov_tracking_id is None",
    "ended.status == FAILED",
    "portal/use_cases/test_process_payment.py",
    "portal/use_cases/test_charged_before.py",
)
weaken(
    "never-stale",
    "details of a payment that Pay.gov could not be asked about are not marked as stale",
    "bursar.portal.use_cases.payment_details:details",
    "stale=not found.answered",
    "stale=False",
    "portal/use_cases/test_payment_details.py",
)
weaken(
    "reversals-of-every-attempt",
    "each transaction shows the reversals of all transactions",
    "bursar.portal.contract.views:_attempt_json",
    "[each for each in reversals if each.agency_tracking_id == attempt.agency_tracking_id]",
    "list(reversals)",
    "portal/contract/test_views.py",
)
weaken(
    "gone-without-the-payment",
    "a 410 does not say how the payment stands",
    "bursar.portal.contract.errors:Gone.body",
    "{} if self.payment is None else payment_json(self.payment)",
    "{}",
    "portal/contract/test_errors.py",
    "portal/use_cases/test_process_payment.py",
)
weaken(
    "every-store-error-is-busy",
    "an error of the store that no retry helps is answered with 503",
    "bursar.portal.contract.errors:portal_error",
    "Unavailable() if error.code in STORE_BUSY_CODES else Unexpected()",
    "Unavailable()",
    "portal/contract/test_errors.py",
)
weaken(
    "first-dead-letter-stays",
    "a replay leaves the dead letter of its first event",
    "bursar.portal.webhooks.queue:WebhookQueue.rewind",
    "letter.seq >= first",
    "letter.seq > first",
    "portal/webhooks/test_replay.py",
)
weaken(
    "oldest-good-signature-refused",
    "a signature of exactly the greatest age is refused",
    "bursar.portal.webhooks.signing:verified",
    "abs(now - int(moment)) > age_max_s",
    "abs(now - int(moment)) >= age_max_s",
    "portal/webhooks/test_webhook_parts.py",
)
weaken(
    "password-in-a-target",
    "the address of a webhook may hold user information",
    "bursar.portal.webhooks.subscriptions:_has_scheme",
    '"@" not in parts.netloc',
    "True",
    "portal/webhooks/test_webhook_parts.py",
)
weaken(
    "removed-subscription-waits",
    "what waits for a removed subscription waits without an end",
    "bursar.portal.webhooks.dispatcher:Dispatcher._deliver",
    "await self._queue.save(replace(item, delivered=item.known))",
    "pass",
    "portal/webhooks/test_dispatcher.py",
)
weaken(
    "catches-up-in-one-pass",
    "a dispatcher that was down for long reads all changes in one pass",
    "bursar.portal.webhooks.dispatcher:Dispatcher._queue_changes",
    "min(now, since + CATCH_UP_S)",
    "now",
    "portal/webhooks/test_dispatcher.py",
)
# --- completions and lookups -----------------------------------------------------------------------------------------

weaken(
    "answers-of-before-the-breaker",
    "failures of questions from before the breaker opened make its cool-down longer",
    "bursar.portal.state.circuit_breaker:Breaker.report",
    "if self._open_until is not None and not self._probing:",
    "if False:",
    "portal/state/test_circuit_breaker.py",
)
weaken(
    "collection-given-up",
    "a collection is not recorded again when another caller changed the attempt",
    "bursar.portal.use_cases.completion:record",
    "isinstance(error, AttemptMoved) and outcome.paygov_tracking_id is None",
    "isinstance(error, AttemptMoved)",
    "portal/use_cases/test_completion.py",
)
weaken(
    "first-odd-answer-counts",
    "an answer that does not fit is not replaced by the next one",
    "bursar.portal.use_cases.completion:judged_twice",
    "judge_collections(attempt, again) if again else judgement",
    "judgement",
    "portal/use_cases/test_resolution.py",
    "portal/use_cases/test_completion.py",
)
weaken(
    "one-further-collection",
    "of three collections that take money only two are kept",
    "bursar.portal.use_cases.completion_outcomes:judge_collections",
    "others[:OTHERS_MAX]",
    "others[:1]",
    "portal/use_cases/test_completion_outcomes.py",
)
weaken(
    "amount-never-seen",
    "a collection without an amount is the attempt's although none was checked before",
    "bursar.portal.use_cases.completion_outcomes:judge_collection",
    "known_before = identified and attempt.paygov_tracking_id is not None",
    "known_before = identified",
    "portal/use_cases/test_completion_outcomes.py",
)
weaken(
    "settling-other-takes-nothing",
    "another collection that is settling does not keep a bounced payment pending",
    "bursar.portal.use_cases.resolution:_other_that_takes_money",
    "outcome.status != FAILED",
    'outcome.status == "processed"',
    "portal/use_cases/test_resolution.py",
)
weaken(
    "ended-under-a-lease",
    "an attempt is failed or completed while the holder of its lease may be alive",
    "bursar.portal.use_cases.resolution:ask_paygov",
    "if leased:",
    "if False:",
    "portal/use_cases/test_resolution.py",
)
# --- restores --------------------------------------------------------------------------------------------------------

weaken(
    "second-lost-charge-forgotten",
    "a lost charge of an obligation that is paid already is not kept",
    "bursar.portal.use_cases.after_restore:_record_lost",
    "outcome.status != FAILED",
    "outcome.status == FAILED",
    "portal/use_cases/test_after_restore.py",
)
weaken(
    "doubt-although-found",
    "without a lookup that says none, an attempt with a failed collection is put in doubt",
    "bursar.portal.use_cases.after_restore:_ask",
    "if live is None or own or later:",
    "if live is None:",
    "portal/use_cases/test_after_restore.py",
)
weaken(
    "later-attempts-keep-the-mark",
    "an attempt that began after the restore keeps an operator from clearing the mark",
    "bursar.portal.upkeep.restored:clear",
    "live if mark.covers(each)",
    "live",
    "portal/upkeep/test_restored.py",
)
weaken(
    "mark-cleared-under-a-lease",
    "the mark is cleared while a complete from before may be under way",
    "bursar.portal.upkeep.restored:_is_undecided",
    " or attempt.lease_owner is not None",
    "",
    "portal/upkeep/test_restored.py",
)
weaken(
    "restored-attempts-wait",
    "a restore does not make the live attempts due",
    "bursar.payments.ledger.ledger:Ledger.mark_restored",
    "attempt.due_at > now",
    "attempt.due_at < now",
    "payments/ledger/store_records/test_restores.py",
)
# --- operators -------------------------------------------------------------------------------------------------------

weaken(
    "used-repeat-waits",
    "an attempt whose second complete is used is listed only after an hour",
    "bursar.portal.upkeep.attention:_unknown_reason",
    "if attempt.repeat_used:",
    "if False:",
    "portal/upkeep/test_attention.py",
    "portal/use_cases/test_resolution.py",
)
weaken(
    "another-tracking-id-ignored",
    "an operator settles an attempt under another Pay.gov tracking id than it has",
    "bursar.portal.upkeep.attention:resolve",
    "attempt.paygov_tracking_id not in (None, paygov_tracking_id)",
    "False",
    "portal/upkeep/test_attention.py",
)
weaken(
    "all-of-it-is-left",
    "what has gone back already is offered for a reversal again",
    "bursar.portal.upkeep.reversals:amount_left",
    "attempt.amount - (attempt.reversed_amount or ZERO)",
    "attempt.amount",
    "portal/upkeep/test_reversals.py",
)
weaken(
    "acknowledged-and-listed",
    "an acknowledged contradiction stays in the list",
    "bursar.payments.ledger.contradictions:Contradictions.unacknowledged",
    'if "acknowledgedAt" not in item',
    "if item",
    "payments/ledger/test_contradictions.py",
)
weaken(
    "refusal-explains-the-payment",
    "a payment that an operator settled keeps the return code of an earlier refusal",
    "bursar.payments.ledger.ledger:Ledger.resolve",
    'values["return_code"] = None',
    "pass",
    "payments/ledger/test_ledger_outcomes.py",
)
# --- fees, clients, records, audit -----------------------------------------------------------------------------------

weaken(
    "secrets-of-any-mode",
    "a clients' file with secrets may be readable by every user",
    "bursar.payments.catalogue.clients:Clients._read",
    "if not self._secrets_are_public and any(",
    "if self._secrets_are_public and any(",
    "payments/catalogue/test_clients.py",
)
weaken(
    "fee-a-day-late",
    "a version of a fee is active from the day after its day",
    "bursar.payments.catalogue.fees:FeeCatalogue.fee",
    "active_from <= today",
    "active_from < today",
    "payments/catalogue/test_fees.py",
)
weaken(
    "age-restarts-with-each-word",
    "the age of a settling payment restarts when Pay.gov changes its word",
    "bursar.payments.records:unsettled_since",
    "return before.unsettled_since or before.updated_at",
    'return float(changes["updated_at"])',
    "payments/ledger/test_ledger_outcomes.py",
    "payments/ledger/test_ledger.py",
    "payments/test_records.py",
    "payments/test_due.py",
)
weaken(
    "attempts-of-others",
    "the changes name attempts that have not changed, at obligations of those that have",
    "bursar.payments.ledger.lookups:Lookups._attempts_of",
    'if item["sk"]["S"].rpartition("#")[2] in wanted[partition]',
    "if True",
    "payments/ledger/test_lookups.py",
)
weaken(
    "one-page-of-changes",
    "a writer that catches up holds all changes in memory, because an attempt is newer than the events after it",
    "bursar.reports.tail.index_source:IndexSource.changes",
    'if "changedAt" in item:',
    "if True:",
    "reports/tail/test_index_source.py",
)
weaken(
    "bookkeeping-loses-a-step",
    "a step is refused because only bookkeeping has changed the attempt",
    "bursar.payments.ledger.journal:Journal.record",
    "current.event_seq != attempt.event_seq",
    "current.version != attempt.version",
    "payments/ledger/test_journal.py",
    "payments/ledger/test_ledger.py",
)
weaken(
    "gaps-between-days",
    "a day without a root between two days is not found",
    "bursar.payments.audit.root_audit:audit_roots",
    "timedelta(days=1) != date",
    "timedelta(days=1) > date",
    "payments/audit/test_root_audit.py",
)
weaken(
    "own-root-counts",
    "a process that seals a day second keeps its own root",
    "bursar.payments.ledger.store_records.daily_roots:DailyRoots.seal",
    "return _LAYOUT.decode(stored)",
    "return computed",
    "payments/ledger/store_records/test_daily_roots.py",
)
# --- Pay.gov's wire, rules -------------------------------------------------------------------------------------------

weaken(
    "completed-without-a-status",
    "a completed collection may lack its tracking id or its status",
    "bursar.paygov.soap:read_completion",
    "getattr(collection, name) is None",
    'getattr(collection, name) == ""',
    "paygov/test_soap.py",
)
weaken(
    "broken-connection-is-not-sent",
    "a connection that breaks before the reply counts as not sent",
    "bursar.paygov.http_transport:HttpTransport.post",
    "raise Lost(str(error)) from error",
    "raise NotSent(str(error)) from error",
    "paygov/test_errors.py",
)
weaken(
    "a-refusal-beside-a-conflict",
    "a transaction with a refusal and a conflict is sent again",
    "bursar.rules.transactions.cancellations:is_busy",
    "codes <= BUSY_REASONS",
    "not codes.isdisjoint(BUSY_REASONS)",
    "rules/test_table.py",
)
weaken(
    "first-page-of-a-partition",
    "of a partition that has several pages only the first is read",
    "bursar.rules.table:RuledTable.partition",
    'if "LastEvaluatedKey" not in page:',
    "if page:",
    "rules/test_table.py",
)
