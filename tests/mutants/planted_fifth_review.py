"""The mutants of the fifth review: the likeliest mistake at each of forty lines that were drawn at random (seed 5)."""

from tests.mutants.mutants import weaken, weaken_module

# --- Pay.gov's simulator ----------------------------------------------------------------------------------------------

weaken(
    "plain-complete-charges-nothing",
    "the simulator's complete without details charges no payer",
    "bursar.paygov.simulator.answers:SoapService._complete",
    "self._completed(fields)",
    'self._simulator.books.entry(fields.get(TOKEN_FIELD, ""))',
    "paygov/simulator/test_app.py",
)
weaken(
    "operators-are-everyone",
    "the simulator's operator endpoints admit callers without the bearer token",
    "bursar.paygov.simulator.app:OperatorEndpoints._refusal_unless_admitted",
    'self._service.admits(request.headers.get(BEARER_HEADER, ""))',
    "True",
    "paygov/simulator/test_app.py",
)
weaken_module(
    "charges-in-whole-dollars",
    "the simulator's list of charges has no cents",
    "bursar.paygov.simulator.books",
    "            amount=entry.amount,",
    "            amount=entry.amount.quantize(Decimal(1)),",
    "paygov/simulator/test_app.py",
)
weaken_module(
    "a-reset-is-a-cut",
    "the simulator cuts a reply where it should reset the connection",
    "bursar.paygov.simulator.wire",
    'RESET = "the connection is reset"',
    'RESET = "ends in its middle"',
    "paygov/simulator",
)

# --- payments ---------------------------------------------------------------------------------------------------------

weaken(
    "obligations-of-the-last-part",
    "the audit of chains counts the obligations of its last part alone",
    "bursar.payments.audit.chain_check:ChainCounts.add",
    "self.obligations += other.obligations",
    "self.obligations = other.obligations",
    "payments/audit/test_chain_audit.py",
)
weaken(
    "schemas-that-are-none",
    "a metadata schema that is no JSON Schema is no problem of the fees' file",
    "bursar.payments.catalogue.fees:_Reader._validator",
    'self._add_problem(where, f"must be a JSON Schema: {str(error).splitlines()[0]}")',
    "pass",
    "payments/catalogue/test_fees.py",
)
weaken(
    "deposit-of-the-last-change",
    "a deposit has the time of the attempt's last change instead of its creation",
    "bursar.payments.ledger.deposits:Deposits.record",
    "attempt_created_at=attempt.created_at",
    "attempt_created_at=attempt.updated_at",
    "payments/ledger/test_every_record.py",
)
weaken(
    "imports-without-an-address",
    "an imported attempt has no address for a payer who cancels, instead of an empty one",
    "bursar.payments.ledger.imports:Imports._attempt",
    'url_cancel=""',
    "url_cancel=None",
    "payments/ledger/test_imports.py",
)
weaken(
    "unsent-although-unknown",
    "an attempt with an unknown outcome and no lease can be failed as unsent",
    "bursar.payments.ledger.ledger:Ledger.fail",
    "(attempt.outcome_unknown or attempt.lease_owner is not None)",
    "(attempt.outcome_unknown and attempt.lease_owner is not None)",
    "payments/ledger/test_ledger.py",
)
weaken_module(
    "last-day-is-the-first",
    "the last day of a reconciliation is stored where its first day is",
    "bursar.payments.ledger.store_records.reconciliations",
    '"last_day": ("lastDay", TEXT)',
    '"last_day": ("firstDay", TEXT)',
    "payments/ledger/test_every_record.py",
)
weaken_module(
    "metadata-elsewhere",
    "the metadata of attempts are stored under another name",
    "bursar.payments.records",
    '"amount": ("amount", AMOUNT_CODEC),\n        "metadata": ("metadata", _JSON),',
    '"amount": ("amount", AMOUNT_CODEC),\n        "metadata": ("meta", _JSON),',
    "payments/test_stored_items.py",
)
weaken_module(
    "begins-in-any-status",
    "the rule that an attempt begins as received reads another attribute than the status",
    "bursar.payments.rules",
    """attribute_exists({IMPORTED_AT})",
    names={"#status": "status"},""",
    """attribute_exists({IMPORTED_AT})",
    names={"#status": "kind"},""",
    "payments/test_rules.py",
)
weaken(
    "fee-not-yet-at-its-start",
    "a fee is refused at the very instant at which it becomes active",
    "bursar.payments.rules:_fee_active",
    "createdAt >= :t",
    "createdAt > :t",
    "payments/test_edges.py",
)

# --- the API ----------------------------------------------------------------------------------------------------------

weaken(
    "overview-instead-of-payments",
    "a door with the transaction log serves no payment endpoint",
    "bursar.portal.api.all_endpoints:all_endpoints",
    "endpoints += overview_endpoints(log)",
    "endpoints = overview_endpoints(log)",
    "portal/api/test_error_codes.py",
)
weaken(
    "cancelled-requests-stay-counted",
    "a request whose caller leaves counts as under way without an end",
    "bursar.portal.api.application:Application.handle",
    "    finally:\n        if leave is not None:\n            leave()",
    "    if leave is not None:\n        leave()",
    "portal/api/test_counted_requests.py",
)
weaken_module(
    "process-documented-as-init",
    "the documented body of process is that of init",
    "bursar.portal.api.endpoints",
    'request="ProcessRequest"',
    'request="InitRequest"',
    "portal/api/test_openapi.py",
)
weaken(
    "log-documented-as-a-list",
    "the documented answer of the transaction log is that of the newest transactions",
    "bursar.portal.api.overview_endpoints:overview_endpoints",
    '{200: "TransactionLog"}',
    '{200: "Transactions"}',
    "portal/api/test_openapi.py",
)
weaken_module(
    "retry-after-minutes",
    "the catalogue says that Retry-After is in minutes",
    "bursar.portal.contract.error_catalogue",
    "Wait `Retry-After` seconds",
    "Wait `Retry-After` minutes",
    "portal/contract/test_error_catalogue.py",
)
weaken_module(
    "bugs-are-502",
    "a bug of the portal is answered with 502",
    "bursar.portal.contract.errors",
    "    status = 500\n\n    def __init__",
    "    status = 502\n\n    def __init__",
    "portal/contract/test_error_catalogue.py",
)
weaken_module(
    "report-without-its-question",
    "the documented answer of a report need not have its question",
    "bursar.portal.contract.schemas",
    '"required": ["name", "question"],',
    '"required": ["name"],',
    "portal/contract/test_schemas.py",
)
weaken(
    "degraded-is-healthy",
    "/health says healthy when a dependency is degraded",
    "bursar.portal.contract.views:health_json",
    '"status": report.status,',
    '"status": "healthy" if report.healthy else "unhealthy",',
    "portal/contract/test_every_field.py",
)
weaken(
    "requests-are-not-counted",
    "the door of a portal with metrics counts no request",
    "bursar.portal.doors.asgi:portal_app",
    "observer=metrics,",
    "",
    "portal/metrics/test_metrics.py",
)
weaken(
    "prepared-for-each-event",
    "an instance of Lambda is prepared again for each event",
    "bursar.portal.doors.aws_lambda:Instance._prepared",
    "self._made = await self._make_or_close(self._ending)",
    "return await self._make_or_close(self._ending)",
    "portal/doors/test_aws_lambda.py",
)

# --- commands and upkeep ----------------------------------------------------------------------------------------------

weaken_module(
    "first-file-alone",
    "an import of several files reads the first one alone",
    "bursar.portal.import_commands",
    "chain.from_iterable(reader.rows(path) for path in files)",
    "reader.rows(files[0])",
    "portal/test_import_commands.py",
)
weaken_module(
    "effective-day-is-lost",
    "the command that records a reversal drops the day on which the money went back",
    "bursar.portal.reversal_commands",
    '{"effective_on": effective, "deposit_ticket": ticket, "debit_voucher": voucher}',
    '{"deposit_ticket": ticket, "debit_voucher": voucher}',
    "portal/test_commands.py",
)
weaken_module(
    "first-complete-is-used",
    "an operator is told that the first complete has been used instead of the second one",
    "bursar.portal.upkeep.attention",
    '"the second complete has been used"',
    '"the first complete has been used"',
    "portal/upkeep/test_attention.py",
)
weaken(
    "days-are-hours",
    "metadata are erased so many hours after the end instead of days",
    "bursar.portal.upkeep.erasure:erase_metadata",
    "ended_before_days * DAY_S",
    "ended_before_days * 3600.0",
    "portal/upkeep/test_erasure.py",
)
weaken_module(
    "an-import-begins-with-a-row",
    "the report of an import counts one row more",
    "bursar.portal.upkeep.imports.importing",
    "    rows: int = 0",
    "    rows: int = 1",
    "portal/upkeep/imports/test_importing.py",
)
weaken_module(
    "nothing-to-set",
    "who clears a store without a restore mark reads that there is none to set",
    "bursar.portal.upkeep.restored",
    '"There is no restore mark to clear"',
    '"There is no restore mark to set"',
    "portal/test_restore_commands.py",
)

# --- use cases --------------------------------------------------------------------------------------------------------

weaken(
    "lost-ones-end-with-the-mark",
    "lost collections that an operator has recorded count only while a restore mark is open",
    "bursar.portal.use_cases.after_restore:check_obligation",
    "if not may_be_concerned(portal, state, like):",
    "if state.open_mark is None:",
    "portal/use_cases/test_after_restore.py",
)
weaken(
    "listed-without-its-reason",
    "a lost collection is recorded without the operator's reason",
    "bursar.portal.use_cases.after_restore:_record_listed",
    "reason=listed.reason",
    "reason=LISTED_LOST",
    "portal/use_cases/test_after_restore.py",
)
weaken(
    "asked-once",
    "a collection that does not fit is not asked for again",
    "bursar.portal.use_cases.completion:judged_twice",
    "again = await ask_again()",
    "again = found",
    "portal/use_cases/test_resolution.py",
)
weaken_module(
    "settling-is-nearer-than-paid",
    "of a settling and a paid collection the settling one is recorded",
    "bursar.portal.use_cases.completion_outcomes",
    "{FAILED: 1, PENDING: 2, PROCESSED: 3}",
    "{FAILED: 1, PENDING: 3, PROCESSED: 2}",
    "portal/use_cases/test_completion_outcomes.py",
)
weaken(
    "fault-without-a-code-is-nonsense",
    "a fault without a return code is judged as an answer that cannot be understood",
    "bursar.portal.use_cases.completion_outcomes:judge_completion",
    "if isinstance(answer, Fault):",
    "if isinstance(answer, Fault) and answer.return_code:",
    "portal/use_cases/test_completion_outcomes.py",
)
weaken(
    "no-shared-flight",
    "two lookups of one attempt at once are two questions",
    "bursar.portal.state.portal:Portal.single_flight",
    "self._shared[key] = task",
    "pass",
    "portal/state/test_portal.py",
)
weaken(
    "every-refusal-is-gone",
    "process answers every refusal as a finished payment",
    "bursar.portal.use_cases.process_payment:process_payment",
    "except Gone as refused:",
    "except (Gone, Conflict) as refused:",
    "portal/use_cases/test_process_payment.py",
)
weaken(
    "one-attempt-of-the-payment",
    "process shows the attempt as it was before, and no other of its payment",
    "bursar.portal.use_cases.process_payment:process_payment",
    "payment_of(portal, view.attempts)",
    "payment_of(portal, [attempt])",
    "portal/use_cases/test_process_payment.py",
)

# --- webhooks ---------------------------------------------------------------------------------------------------------

weaken(
    "abandoned-and-delivered",
    "an abandoned delivery is counted as delivered too",
    "bursar.portal.webhooks.dispatcher:Dispatcher._deliver",
    "died += 1\n                continue",
    "died += 1",
    "portal/webhooks/test_dispatcher.py",
)
weaken(
    "backlog-beyond-its-bound",
    "a count of the backlog is more than its bound",
    "bursar.portal.webhooks.queue:WebhookQueue._count",
    "return BACKLOG_COUNTED_MAX",
    "return count",
    "portal/webhooks/test_webhook_parts.py",
)
