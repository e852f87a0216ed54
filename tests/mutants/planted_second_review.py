"""The mutants of the second review: slips of kinds that the other files lack, chosen before their tests were read."""

from tests.mutants.mutants import weaken

USE_CASES = "portal/use_cases"

# --- authorisation ---------------------------------------------------------------------------------------------------

weaken(
    "token-of-another-client",
    "a client may process the token of another client",
    "bursar.portal.use_cases.process_payment:process_payment",
    "attempt is None or attempt.client != client.name",
    "attempt is None",
    f"{USE_CASES}/test_process_payment.py",
)
weaken(
    "process-without-authorisation",
    "a client may complete a payment of a fee that it may not charge any more",
    "bursar.portal.use_cases.process_payment:process_payment",
    "authorise(client, attempt.fee)",
    "pass",
    f"{USE_CASES}/test_process_payment.py",
)
weaken(
    "policy-of-another-client",
    "a full return reopens the payment of every client, whatever its policy",
    "bursar.portal.upkeep.reversals:_reopens",
    "client is not None and client.reopen_after_full_return",
    "client is not None",
    "portal/upkeep/test_reversals.py",
)

# --- money -----------------------------------------------------------------------------------------------------------

weaken(
    "larger-amount-is-the-same",
    "an init with a smaller amount gets the token of the larger one",
    "bursar.portal.use_cases.init_payment:_initiated",
    "attempt.amount != request.amount",
    "attempt.amount < request.amount",
    f"{USE_CASES}/test_init_payment.py",
)
weaken(
    "more-than-owed-is-paid",
    "a collection of more than the attempt's amount is the attempt's",
    "bursar.portal.use_cases.completion_outcomes:judge_collection",
    "amount is not None and amount != attempt.amount",
    "amount is not None and amount < attempt.amount",
    f"{USE_CASES}/test_completion_outcomes.py",
)
weaken(
    "furthest-from-a-charge-first",
    "of several collections, one that failed is recorded and not the one that is paid",
    "bursar.portal.use_cases.completion_outcomes:_nearest_to_a_charge_first",
    "-_STRENGTH",
    "_STRENGTH",
    f"{USE_CASES}/test_completion_outcomes.py",
)
weaken(
    "net-of-what-was-not-collected",
    "the net amount of an attempt that was never paid is its amount",
    "bursar.payments.records:Attempt.net_amount",
    "self.amount if self.status == PROCESSED else ZERO",
    "self.amount",
    "payments/test_records.py",
)
weaken(
    "chargeback-reopens",
    "a chargeback of the whole amount reopens the obligation",
    "bursar.payments.ledger.reversals:Reversals.record",
    "report.kind == RETURNED and reversal.amount == attempt.amount",
    "reversal.amount == attempt.amount",
    "payments/ledger/test_reversals.py",
)
weaken(
    "part-of-a-return",
    "a return after a partial chargeback is recorded as a return of the rest",
    "bursar.portal.upkeep.reversals:_record_return",
    "RETURNED, attempt.amount,",
    "RETURNED, attempt.net_amount,",
    "portal/upkeep/test_reversals.py",
)
weaken(
    "no-refund-of-everything",
    "a refund of exactly what is left is refused",
    "bursar.payments.ledger.reversals:Reversals._request",
    "> attempt.amount",
    ">= attempt.amount",
    "payments/ledger/test_reversals.py",
)
weaken(
    "second-refund-of-an-amount",
    "a second refund of the same amount is the first one",
    "bursar.payments.ledger.reversals:Reversals.approve",
    "report_id=str(seq)",
    "report_id=None",
    "payments/ledger/test_reversals.py",
)
weaken(
    "first-share-takes-the-rest",
    "the parts of a classified amount are rounded and do not add up to it",
    "bursar.payments.catalogue.classification:split",
    "parts = [_part(amount, share) for share in shares[:-1]]\n    parts.append(amount - sum(parts, ZERO))",
    "parts = [_part(amount, share) for share in shares]",
    "payments/catalogue/test_classification.py",
)
weaken(
    "refused-under-another-lease",
    "the refusal of a superseded complete fails an attempt that another caller completes",
    "bursar.payments.ledger.ledger:Ledger.record_outcome",
    "outcome.paygov_tracking_id is None and current.lease_owner != attempt.lease_owner",
    "outcome.paygov_tracking_id is None and current.lease_owner is None",
    "payments/ledger/test_ledger_outcomes.py",
    "payments/ledger/test_ledger.py",
)

# --- what Pay.gov says -----------------------------------------------------------------------------------------------

weaken(
    "refusal-of-the-believed-lookup",
    "when the lookup whose none is believed does not answer, no lookup counts as configured",
    "bursar.portal.use_cases.completion:look_up",
    "if lookup.confirmed:\n",
    "if not lookup.confirmed:\n",
    f"{USE_CASES}/test_lookups.py",
)
weaken(
    "missing-list-is-empty",
    "a reply without its list of transactions means that Pay.gov has none",
    "bursar.paygov.soap:read_collections",
    'raise Nonsense("a reply without its list of transactions")',
    "return ()",
    "paygov/test_soap.py",
)
weaken(
    "token-with-a-tail",
    "a token may be longer than 32 characters",
    "bursar.paygov.soap:read_token",
    "_TOKEN.fullmatch",
    "_TOKEN.match",
    "paygov/test_soap.py",
)
weaken(
    "first-of-several-elements",
    "of an element that must be there once, the first of several counts",
    "bursar.paygov.safe_xml:only",
    "if len(found) == 1 else None",
    "if found else None",
    "paygov/test_safe_xml.py",
    "paygov/test_soap.py",
)
weaken(
    "timeout-is-not-sent",
    "a request whose reply does not come in time counts as not sent",
    "bursar.paygov.http_transport:HttpTransport.post",
    "raise TimedOut(str(error)) from error",
    "raise NotSent(str(error)) from error",
    "paygov/test_errors.py",
)
weaken(
    "parts-of-another-amount",
    "a classification that does not add up to the amount is sent to Pay.gov",
    "bursar.paygov.client:PayGov.start",
    "!= amount:",
    "> amount:",
    "paygov/test_client.py",
)

# --- time, leases, repeats -------------------------------------------------------------------------------------------

weaken(
    "unsent-repeat-uses-it-up",
    "a repeated complete that was not sent uses up the one repeat",
    "bursar.portal.use_cases.completion:_record_doubt",
    'judgement.known == "not sent" and first',
    'judgement.known == "not sent"',
    f"{USE_CASES}/test_process_payment.py",
)
weaken(
    "stale-read-after-a-move",
    "process goes on with the attempt as it was before another caller changed it",
    "bursar.portal.use_cases.process_payment:_process",
    "attempt = moved.attempt",
    "pass",
    f"{USE_CASES}/test_process_payment.py",
)
weaken(
    "sweeper-uses-the-payers-repeat",
    "the sweeper sends the repeated complete of a token that the payer may still pay",
    "bursar.portal.upkeep.sweep:_ask",
    "may_complete=not token_was_refused(marked)",
    "may_complete=True",
    "portal/upkeep/test_sweep.py",
    f"{USE_CASES}/test_resolution.py",
)
weaken(
    "watch-ends-without-an-answer",
    "the watch for a return ends on its last day although Pay.gov did not answer",
    "bursar.portal.upkeep.sweep:_watch_for_return",
    "found.reached and now",
    "now",
    "portal/upkeep/test_sweep.py",
    "portal/upkeep/test_reversals.py",
)
weaken(
    "watch-asks-late",
    "the last question about a return may be asked after the end of the watch",
    "bursar.payments.due:DuePolicy.next_return_poll_at",
    "min(attempt.updated_at + age * RETURN_POLL_GROWTH, end)",
    "attempt.updated_at + age * RETURN_POLL_GROWTH",
    "payments/test_due.py",
)
weaken(
    "operators-debit-is-not-watched",
    "a debit that an operator has settled without its method is not watched for a return",
    "bursar.payments.due:_may_be_returned",
    "method in (ACH, None)",
    "method == ACH",
    "payments/test_due.py",
)
weaken(
    "lease-looked-at-when-it-ends",
    "an attempt whose holder was killed is due only when its lease ends",
    "bursar.payments.due:DuePolicy.due_at",
    "min(lease_until, updated_at + self.leased_poll_s)",
    "lease_until",
    "payments/test_due.py",
)
weaken(
    "several-probes",
    "after the cool-down, every caller asks Pay.gov and not only one",
    "bursar.portal.state.circuit_breaker:Breaker.admit",
    "self._probing = self._open_until is not None",
    "self._probing = False",
    "portal/state/test_circuit_breaker.py",
)

# --- restores --------------------------------------------------------------------------------------------------------

weaken(
    "checked-before-the-second-restore",
    "what was asked about after one restore counts as asked about after the next one",
    "bursar.portal.state.restore_watch:RestoreWatch.state",
    "self._checked.clear()",
    "pass",
    f"{USE_CASES}/test_after_restore.py",
)
weaken(
    "repeat-after-a-restore",
    "the repeated complete is sent for an attempt that is in doubt since a restore",
    "bursar.portal.use_cases.resolution:may_complete_again",
    "or attempt.token is None or attempt.unknown_reason == RESTORED_IN_DOUBT",
    "or attempt.token is None",
    f"{USE_CASES}/test_after_restore.py",
    f"{USE_CASES}/test_resolution.py",
)
weaken(
    "copy-behind-its-generation",
    "the mark of a store that was copied back leaves its generation below the one outside",
    "bursar.payments.ledger.store_records.restores:RestoreRecords._raised",
    "max(_generation_of(found)[0], outside) + 1",
    "_generation_of(found)[0] + 1",
    "payments/ledger/store_records/test_restores.py",
)

# --- limits ----------------------------------------------------------------------------------------------------------

weaken(
    "one-attempt-fewer",
    "an obligation may have one attempt fewer than its bound",
    "bursar.payments.attempt_ids:next_attempt_id",
    "ATTEMPTS_MAX + 1",
    "ATTEMPTS_MAX",
    "payments/test_attempt_ids.py",
)
weaken(
    "returns-beyond-the-limit",
    "a pass of the sweeper with live attempts asks about as many returns again",
    "bursar.portal.upkeep.sweep:sweep",
    "limit - len(due)",
    "limit",
    "portal/upkeep/test_reversals.py",
)
weaken(
    "retry-after-in-requests",
    "Retry-After is the number of requests that are missing and not of seconds",
    "bursar.portal.api.rate_limits:ClientLimits.enter",
    "missing / self._rate_per_s",
    "missing",
    "portal/api/test_rate_limits.py",
)

# --- audit, sealing, erasure -----------------------------------------------------------------------------------------

weaken(
    "last-copy-counts",
    "a line that is appended to the file of copies replaces the root of a day",
    "bursar.payments.audit.root_copies:FileCopies._parsed",
    'copies.setdefault(str(entry["date"]), str(entry["root"]))',
    'copies[str(entry["date"])] = str(entry["root"])',
    "payments/audit/test_root_copies.py",
)
weaken(
    "day-sealed-at-midnight",
    "a day is sealed at once, while another process may still write events of it",
    "bursar.portal.state.daily_sealing:DailySealing._seal",
    "day_of(now - MARGIN_S)",
    "day_of(now)",
    "portal/state/test_daily_sealing.py",
)
weaken(
    "erased-with-a-recent-attempt",
    "metadata are erased although one of the attempts ended a moment ago",
    "bursar.payments.ledger.erasure:_result",
    "if any(attempt.updated_at",
    "if all(attempt.updated_at",
    "payments/ledger/test_erasure.py",
)

# --- rules -----------------------------------------------------------------------------------------------------------

weaken(
    "token-older-than-its-memory",
    "a write is sent again after the store has forgotten its token",
    "bursar.rules.table:_TransactionSender._settle_unknown",
    "if self._table.now() - self._began < TOKEN_AGE_MAX_S:",
    "if True:",
    "rules/test_table.py",
)
weaken(
    "busy-after-a-lost-answer",
    "after a lost answer, a store that is busy counts as one that wrote nothing",
    "bursar.rules.table:_TransactionSender._back_off",
    "if self._unclear:",
    "if not self._busy:",
    "rules/test_table.py",
)

# --- webhooks --------------------------------------------------------------------------------------------------------

weaken(
    "reservation-that-ends-at-once",
    "a dispatcher reserves an attempt for no time, so another one sends the event too",
    "bursar.portal.webhooks.dispatcher:Dispatcher._deliver",
    "self._clock() + RESERVED_FOR_S",
    "self._clock()",
    "portal/webhooks/test_dispatcher.py",
)
weaken(
    "one-good-address-is-enough",
    "a host with one public and one private address is a target",
    "bursar.portal.webhooks.targets:_refusal",
    "next((reason for reason in reasons if reason), None)",
    "next(reasons, None)",
    "portal/webhooks/test_targets.py",
)
