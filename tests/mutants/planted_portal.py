"""The mutants of the portal's use cases."""

from sim.proof import known_faults
from tests.mutants.mutants import weaken

USE_CASES = "portal/use_cases"

# --- outcomes that are unknown ----------------------------------------------------------------------------------------


weaken(
    "refused-lookup-means-none",
    "a lookup that Pay.gov refuses with 4117 counts as: it has no collection",
    *known_faults.REFUSED_LOOKUP_MEANS_NONE,
    f"{USE_CASES}/test_definite_no.py",
)
weaken(
    "refused-details-fail-a-pending-payment",
    "details of a pending payment that Pay.gov refuses with 4117 fail it",
    *known_faults.REFUSED_DETAILS_MEAN_FAILED,
    f"{USE_CASES}/test_definite_no.py",
)
weaken(
    "no-grace-after-the-token",
    'Pay.gov\'s "none" is believed the moment the token ends',
    *known_faults.NO_GRACE,
    f"{USE_CASES}/test_definite_no.py",
)
weaken(
    "second-complete-at-the-last-moment",
    "the second complete is sent although the token may end before its answer",
    "bursar.portal.use_cases.resolution:may_complete_again",
    " + portal.settings.paygov_timeout_s",
    "",
    f"{USE_CASES}/test_definite_no.py",
)
weaken(
    "due-index-expires-tokens",
    "the sweeper expires what the due index names, whatever the age of the token",
    "bursar.portal.upkeep.sweep:_expire",
    "if not portal.ledger.due_policy.token_expired(attempt, portal.clock()):",
    "if False:",
    "portal/upkeep/test_sweep.py",
)
weaken(
    "due-index-abandons-starts",
    "the sweeper abandons a start that the due index names, whatever its age",
    "bursar.portal.upkeep.sweep:_received",
    "if portal.clock() - attempt.created_at < portal.ledger.due_policy.received_age_max_s:",
    "if False:",
    "portal/upkeep/test_sweep.py",
)
weaken(
    "init-ends-with-its-caller",
    "an init that has begun is abandoned when its caller disconnects",
    *known_faults.INIT_ENDS_WITH_ITS_CALLER,
    f"{USE_CASES}/test_init_payment.py",
)
weaken(
    "agency-ids-without-case",
    "agency tracking ids that differ in case are the same collection",
    *known_faults.AGENCY_IDS_WITHOUT_CASE,
    f"{USE_CASES}/test_completion_outcomes.py",
)
weaken(
    "events-without-authorisation",
    "the events of a payment are served to a client that may not charge its fee",
    *known_faults.EVENTS_WITHOUT_AUTHORISATION,
    f"{USE_CASES}/test_payment_details.py",
)

# --- use cases --------------------------------------------------------------------------------------------------------

weaken(
    "next-page-first",
    "each page of the transaction log shows the page after it",
    "bursar.portal.use_cases.transaction_log:transaction_log",
    "(query.page - 1) * query.page_size",
    "query.page * query.page_size",
    f"{USE_CASES}/test_transaction_log.py",
)
weaken(
    "largest-page-refused",
    "a page of exactly the largest size is refused",
    "bursar.portal.use_cases.log_query:read_log_query",
    'values.get("pageSize", 1) > largest',
    'values.get("pageSize", 1) >= largest',
    f"{USE_CASES}/test_log_query.py",
)
weaken(
    "used-token-said-expired",
    "process says of a used token that it has expired, and of an expired one that it was used",
    "bursar.portal.use_cases.process_payment:_finished",
    "attempt.return_code == TOKEN_EXPIRED_CODE",
    "attempt.return_code != TOKEN_EXPIRED_CODE",
    f"{USE_CASES}/test_process_payment.py",
)
weaken(
    "breaker-opens-late",
    "the breaker opens one failure later than its bound",
    "bursar.portal.state.circuit_breaker:Breaker.report",
    "self._failures >= FAILURES_MAX",
    "self._failures > FAILURES_MAX",
    "portal/state/test_circuit_breaker.py",
)
weaken(
    "lookups-are-shared-later-too",
    "a later caller gets the result of an earlier lookup instead of a new one",
    "bursar.portal.state.portal:Portal.single_flight",
    "lambda _: self._shared.pop(key, None)",
    "lambda _: None",
    f"{USE_CASES}/test_payment_details.py",
)
weaken(
    "token-in-an-alert",
    "the log line of an alert holds the token",
    "bursar.portal.state.portal:Portal.alert",
    "        reason,\n",
    '        f"{reason} (token {attempt.token})",\n',
    "portal/upkeep/test_sweep.py",
)
weaken(
    "refused-calls-counted-as-cancelled",
    "a call to Pay.gov that fails is reported as cancelled",
    "bursar.portal.state.portal:Portal.ask",
    "outcome = type(error).__name__",
    "pass",
    f"{USE_CASES}/test_process_payment.py",
)
weaken(
    "drain-does-not-wait",
    "a portal that stops does not wait for completions that have begun",
    "bursar.portal.state.portal:Portal.drain",
    "timeout=timeout_s",
    "timeout=0",
    f"{USE_CASES}/test_process_payment.py",
)
weaken(
    "acknowledged-by-the-reason",
    "the name of the operator and the reason of an acknowledgement are swapped",
    "bursar.portal.upkeep.attention:acknowledge",
    "by=by.strip(), reason=reason.strip()",
    "by=reason.strip(), reason=by.strip()",
    "portal/upkeep/test_attention.py",
)
weaken(
    "start-refusal-without-its-code",
    "the return code with which Pay.gov refuses a start is dropped",
    "bursar.portal.use_cases.init_payment:_fail_start",
    "error.return_code or None",
    "None",
    f"{USE_CASES}/test_init_payment.py",
)
weaken(
    "answer-recorded-once",
    "Pay.gov's answer is lost when the store is away for a moment",
    "bursar.portal.use_cases.completion:record",
    "or tries_left == 0",
    "or True",
    f"{USE_CASES}/test_completion.py",
)
weaken(
    "sweep-without-its-limit",
    "a pass of the sweeper takes more attempts than its limit",
    "bursar.portal.upkeep.sweep:sweep",
    "portal.ledger.due(began, limit)",
    "portal.ledger.due(began, 10 * limit)",
    "portal/upkeep/test_sweep.py",
)
weaken(
    "full-pass-is-the-last",
    "the sweeper pauses for its whole interval after a full pass",
    "bursar.portal.upkeep.sweep_loop:run_sweeper",
    "report.swept >= limit",
    "report.swept > limit",
    "portal/upkeep/test_sweep_loop.py",
)
weaken(
    "unreadable-paygov-is-healthy",
    "/health is good although Pay.gov's answer cannot be read",
    "bursar.portal.use_cases.health:_ask_paygov",
    "error.certainty is not Certainty.REFUSED",
    "error.certainty is Certainty.NOT_SENT",
    f"{USE_CASES}/test_health.py",
)
weaken(
    "details-as-they-were",
    "details returns the attempt as it was before Pay.gov was asked",
    "bursar.portal.use_cases.payment_details:details",
    "found.attempt if each.agency_tracking_id == attempt.agency_tracking_id else each",
    "each",
    f"{USE_CASES}/test_payment_details.py",
)
weaken(
    "pollers-postpone-the-sweeper",
    "each caller of details postpones the sweeper",
    "bursar.portal.use_cases.resolution:refresh",
    "next_lookup_at(portal, attempt) if attempt.due_at is None else attempt.due_at",
    "next_lookup_at(portal, attempt)",
    f"{USE_CASES}/test_payment_details.py",
)
weaken(
    "newest-first-in-attention",
    "the attempts that need a person are listed with the newest first",
    "bursar.portal.upkeep.attention:attention",
    "return sorted(items, key=lambda each: (each.since, each.attempt.agency_tracking_id))",
    "return sorted(items, key=lambda each: (-each.since, each.attempt.agency_tracking_id))",
    "portal/upkeep/test_attention.py",
)
weaken(
    "repeated-parameter-taken",
    "of a parameter that is given twice the last one counts",
    "bursar.portal.use_cases.log_query:_once_each",
    'problems.append(problem([name], "is given twice", "repeated"))',
    "sent[name] = text",
    f"{USE_CASES}/test_log_query.py",
)
weaken(
    "breaker-learns-nothing",
    "the sweeper does not report to the breaker how its question ended",
    "bursar.portal.upkeep.sweep:_ask",
    "portal.breaker.report(answered)",
    "pass",
    "portal/upkeep/test_sweep.py",
)
weaken(
    "answers-without-proof-keep-it-open",
    "an answer that rules nothing out does not close the breaker",
    "bursar.portal.upkeep.sweep:_end",
    "answered, ended = found.reached, found.attempt",
    "answered, ended = found.reached if found.answered else None, found.attempt",
    "portal/upkeep/test_sweep.py",
)
weaken(
    "healthy-for-a-minute",
    "/health reports an old answer of Pay.gov for longer than its bound",
    "bursar.portal.use_cases.health:_ask_paygov",
    "portal.clock() + HEALTH_AGE_MAX_S",
    "portal.clock() + 30 * HEALTH_AGE_MAX_S",
    f"{USE_CASES}/test_health.py",
)
weaken(
    "cool-down-never-grows",
    "the breaker's cool-down does not grow with each failed probe",
    "bursar.portal.state.circuit_breaker:Breaker.report",
    "self._cool_down_s * 2, COOL_DOWN_MAX_S",
    "self._cool_down_s, COOL_DOWN_MAX_S",
    "portal/state/test_circuit_breaker.py",
)
weaken(
    "outcomes-not-counted",
    "the observer does not learn how a completion ended",
    "bursar.portal.use_cases.completion:complete",
    "portal.observer.outcome_known(judgement.row.name)",
    "pass",
    f"{USE_CASES}/test_completion.py",
)
weaken(
    "lost-reply-is-not-asked-about-at-once",
    "a call whose complete got no reply answers 504 without a lookup",
    "bursar.portal.use_cases.completion:complete",
    "judgement.row.name in LOST_REPLIES",
    "judgement.row.name not in LOST_REPLIES",
    f"{USE_CASES}/test_lost_reply.py",
)
weaken(
    "lost-reply-is-asked-about-once",
    "a call whose complete got no reply asks once, so a charge that is shown a moment later is not found",
    "bursar.portal.use_cases.completion:_look_up_lost_reply",
    "(0.0, LOOKUP_AGAIN_AFTER_S)",
    "(0.0,)",
    f"{USE_CASES}/test_lost_reply.py",
)
weaken(
    "lost-reply-is-asked-about-past-the-deadline",
    "a lookup that does not answer keeps the caller waiting longer than API Gateway waits",
    "bursar.portal.use_cases.completion:_look_up_lost_reply",
    "asyncio.timeout(left_s)",
    "asyncio.timeout(None)",
    f"{USE_CASES}/test_lost_reply.py",
)
weaken(
    "complete-outlasts-its-lease",
    "a complete is sent although its lease may end before the answer",
    "bursar.portal.use_cases.completion:_ask",
    "portal.clock() + portal.settings.paygov_timeout_s",
    "portal.clock()",
    f"{USE_CASES}/test_completion.py",
)
weaken(
    "lease-that-ran-out-forgets-the-repeat",
    "the second complete counts as unused if its lease ran out",
    "bursar.portal.use_cases.resolution:_end_lease",
    "repeat_used = attempt.outcome_unknown",
    "repeat_used = False",
    f"{USE_CASES}/test_definite_no.py",
)
weaken(
    "restored-store-asks-about-one-fee",
    "after a restore, Pay.gov is asked under the application of the fee that the caller names alone",
    "bursar.portal.use_cases.after_restore:_ask",
    "if not attempts:",
    "if False:",
    f"{USE_CASES}/test_after_restore_with_another_fee.py",
)
weaken(
    "declined-elsewhere-counts-as-paid",
    "after a restore, a declined collection of another fee refuses a payment",
    "bursar.portal.use_cases.after_restore:_refuse_if_paid_with_another_fee",
    " != FAILED for",
    " is not None for",
    f"{USE_CASES}/test_after_restore_with_another_fee.py",
)
