"""The mutants of the sixth review: the likeliest mistake at each of forty lines that were drawn at random (seed 6)."""

from tests.mutants.mutants import weaken, weaken_module

# --- Pay.gov's client, its probe and its simulator --------------------------------------------------------------------

weaken(
    "tickets-by-universal-time",
    "a deposit ticket of the simulator changes at midnight of universal time",
    "bursar.paygov.simulator.activity_file:deposit_ticket",
    "local_time(seconds).date()",
    "datetime.fromtimestamp(seconds, UTC).date()",
    "paygov/simulator/test_activity_file.py",
)
weaken_module(
    "last-answers-are-cut",
    "the simulator beside a test cuts off the answers that are under way when it stops",
    "bursar.paygov.simulator.server",
    "        server.should_exit = True",
    "        server.should_exit = server.force_exit = True",
    "paygov/simulator/test_app.py",
)
weaken_module(
    "ctrl-c-is-an-error",
    "the command of the simulator fails when it is stopped",
    "bursar.paygov.commands",
    '        click.echo("Stopped.")',
    "        raise click.Abort from None",
    "paygov/test_commands.py",
)
weaken(
    "truths-in-small-letters",
    "a switch of a misbehaviour must be written in small letters",
    "bursar.paygov.simulator.misbehaviour:_parse_boolean",
    "str(value).lower()",
    "str(value)",
    "paygov/simulator/test_misbehaviour.py",
)
weaken(
    "completes-another-application",
    "the probe completes its payment as another application",
    "bursar.paygov.probe:Probe._payment",
    "paid = await self._paygov.complete(tcs_app_id=self._request.tcs_app_id, token=token)",
    "paid = await self._paygov.complete(tcs_app_id=agency_id, token=token)",
    "paygov/test_probe.py",
)
weaken(
    "details-of-other-applications",
    "the simulator gives an application the details of another one's collection",
    "bursar.paygov.simulator.core:Simulator.details",
    "entry is None or entry.tcs_app_id != tcs_app_id",
    "entry is None",
    "paygov/simulator/test_core.py",
    "paygov/simulator/test_app.py",
)
weaken(
    "damage-a-line-before",
    "damaged books name the line before the damaged one",
    "bursar.paygov.simulator.books:Books._replay_line",
    "line {number} is damaged",
    "line {number - 1} is damaged",
    "paygov/simulator/test_books.py",
)
weaken(
    "huge-misbehaviour-is-read",
    "the simulator reads a body of any size that adds misbehaviours",
    "bursar.paygov.simulator.app:OperatorEndpoints.add_misbehaviours",
    "if body is None:",
    'if body == b"":',
    "paygov/simulator/test_app.py",
    "paygov/test_edges.py",
)
weaken_module(
    "debits-settle-at-once",
    "debits at the simulator settle at once if no time is given",
    "bursar.paygov.commands",
    "default=ACH_SETTLE_S",
    "default=0.0",
    "paygov/test_bounds.py",
    "paygov/test_commands.py",
)
weaken_module(
    "payers-elsewhere",
    "the simulator's page for payers has another path",
    "bursar.paygov.protocol",
    'PAY_PATH = "/pay"',
    'PAY_PATH = "/payment"',
    "paygov/simulator/test_app.py",
)

# --- payments ---------------------------------------------------------------------------------------------------------

weaken(
    "first-difference-alone",
    "a refused row of an import names the first of its differences alone",
    "bursar.payments.ledger.imports:Imports._known",
    "' and '.join(differing)",
    "differing[0]",
    "payments/ledger/test_imports.py",
)
weaken(
    "fee-by-its-name",
    "a started attempt has the name of its fee instead of the key",
    "bursar.payments.ledger.starts:Starts.draft",
    "fee=fee.key",
    "fee=fee.name",
    "payments/ledger/test_ledger.py",
    "payments/ledger/test_every_record.py",
)
weaken_module(
    "lease-held-elsewhere",
    "the name of a held lease cannot be imported from the payments",
    "bursar.payments",
    '"LeaseHeld": "errors"',
    '"LeaseHeld": "records"',
    "payments/test_names.py",
)
weaken(
    "good-client-after-a-bad-one",
    "a client after one with a problem counts as having one",
    "bursar.payments.catalogue.clients:_Reader._client",
    "before = len(self.problems)",
    "before = 0",
    "payments/catalogue/test_clients.py",
)
weaken_module(
    "refunds-with-a-hash",
    "operators name a request for a refund with another sign",
    "bursar.payments.reversals",
    'return f"{self.agency_tracking_id}/{self.seq}"',
    'return f"{self.agency_tracking_id}#{self.seq}"',
    "payments/ledger/test_reversals.py",
)
weaken(
    "one-sign-off",
    "all runs of the reconciliation share one sign-off",
    "bursar.payments.ledger.store_records.reconciliations:_sign_off_key",
    'f"sign-off#{run_id}"',
    '"sign-off"',
    "payments/ledger/store_records/test_reconciliations.py",
    "payments/ledger/test_every_record.py",
)
weaken_module(
    "portal-acts-as-the-operator",
    "what only an operator may do to a payment, the portal may do too",
    "bursar.payments.status",
    '_O: Final[tuple[Actor, ...]] = ("operator",)',
    '_O: Final[tuple[Actor, ...]] = ("operator", "portal")',
    "payments/test_status.py",
)
weaken(
    "requested-by-the-reason",
    "a request for a refund keeps its reason as the name of its maker",
    "bursar.payments.ledger.reversals:Reversals._request",
    "requested_by=by",
    "requested_by=reason",
    "payments/ledger/test_reversals.py",
    "payments/ledger/test_every_record.py",
)
weaken_module(
    "method-elsewhere",
    "the payment method of attempts is stored under another name",
    "bursar.payments.records",
    '"payment_method": ("paymentMethod", TEXT)',
    '"payment_method": ("paymentType", TEXT)',
    "payments/test_stored_items.py",
)
weaken(
    "unknown-key-without-its-path",
    "a key that is not allowed is reported without the path to it",
    "bursar.payments.catalogue.schema_messages:schema_problems",
    "SchemaProblem((*path, name)",
    "SchemaProblem((name,)",
    "payments/catalogue/test_schema_messages.py",
)
weaken_module(
    "ticket-elsewhere",
    "the ticket of deposits is stored under another name",
    "bursar.payments.deposits",
    '"ticket": ("depositTicket", TEXT)',
    '"ticket": ("ticket", TEXT)',
    "payments/test_stored_items.py",
    "payments/ledger/test_every_record.py",
)

# --- the API and its doors --------------------------------------------------------------------------------------------

weaken(
    "whole-answers-are-logged",
    "an answer that was sent whole is logged as cut off, and no other",
    "bursar.portal.doors.asgi:_send_stream",
    "if cut is not None:",
    "if cut is None:",
    "portal/api/test_streamed_answers.py",
    "portal/doors/test_asgi.py",
)
weaken_module(
    "paypal-in-small-letters",
    "the label of PayPal differs from the one that callers know",
    "bursar.portal.contract.views",
    '"PAYPAL": "PayPal"',
    '"PAYPAL": "Paypal"',
    "portal/contract/test_views.py",
    "portal/contract/test_every_field.py",
)
weaken(
    "log-is-posted",
    "the transaction log is asked for by POST",
    "bursar.portal.api.overview_endpoints:overview_endpoints",
    '"GET",\n            "/transaction-log"',
    '"POST",\n            "/transaction-log"',
    "portal/api/test_overview_endpoints.py",
)
weaken_module(
    "unexpected-is-not-catalogued",
    "the code of an unexpected error is missing in the catalogue",
    "bursar.portal.contract.error_catalogue",
    "*(HEAD_TOO_LARGE, UNEXPECTED, ",
    "*(HEAD_TOO_LARGE, ",
    "portal/contract/test_error_catalogue.py",
)
weaken(
    "example-with-a-flat-path",
    "the documented validation error has a path that is no list",
    "bursar.portal.api.openapi:_error_example",
    '"path": ["urlSuccess"]',
    '"path": "urlSuccess"',
    "portal/api/test_openapi.py",
)
weaken(
    "doubt-without-its-cause",
    "the answer about a payment in doubt does not say that the store was restored",
    "bursar.portal.contract.errors:InDoubt.__init__",
    "IN_DOUBT_SINCE_RESTORE.saying(message)",
    "IN_DOUBT_SINCE_RESTORE.saying(why)",
    "portal/contract/test_errors.py",
    "portal/contract/test_error_catalogue.py",
    "portal/use_cases/test_after_restore.py",
)
weaken_module(
    "documented-code-is-a-number",
    "a documented return code is a number",
    "bursar.portal.contract.examples",
    '"returnCode": "5009"',
    '"returnCode": 5009',
    "portal/api/test_openapi.py",
)
weaken(
    "errors-of-the-store-are-one",
    "the metrics do not say which error a call of the store ended with",
    "bursar.portal.metrics.metrics:_observed",
    "outcome = type(error).__name__",
    'outcome = "error"',
    "portal/metrics/test_metrics.py",
)
weaken(
    "counters-begin-at-one",
    "a counter without labels begins at one",
    "bursar.portal.metrics.counters:Counts.__init__",
    "self._counts[()] = 0",
    "self._counts[()] = 1",
    "portal/metrics/test_counters.py",
    "portal/metrics/test_metrics.py",
)

# --- use cases and upkeep ---------------------------------------------------------------------------------------------

weaken(
    "questions-in-step",
    "the questions of the sweeper are not spread over time",
    "bursar.portal.upkeep.sweep:_ask",
    "next_at = next_lookup_at(portal, attempt)",
    "next_at = portal.ledger.due_policy.next_poll_at(attempt, portal.clock())",
    "portal/upkeep/test_sweep.py",
)
weaken(
    "asked-after-the-lease",
    "a leased attempt is asked about when its lease has ended or later",
    "bursar.portal.upkeep.sweep:_ask",
    "min(next_at, attempt.lease_until)",
    "max(next_at, attempt.lease_until)",
    "portal/upkeep/test_sweep.py",
)
weaken(
    "broken-line-is-the-first",
    "a line of an import that is no CSV is reported as the first line",
    "bursar.portal.upkeep.imports.rows:_csv_rows",
    'yield line, f"the line: must be CSV: {error}"',
    'yield 1, f"the line: must be CSV: {error}"',
    "portal/upkeep/imports/test_rows.py",
)
weaken(
    "dry-run-writes",
    "a dry run of an import writes, and any other only checks",
    "bursar.portal.upkeep.imports.importing:_import",
    "if dry_run:",
    "if not dry_run:",
    "portal/upkeep/imports/test_importing.py",
)
weaken(
    "id-with-a-tail",
    "an operator may give a Pay.gov tracking id with anything behind it",
    "bursar.portal.upkeep.attention:resolve",
    "PAYGOV_TRACKING_ID.fullmatch",
    "PAYGOV_TRACKING_ID.match",
    "portal/upkeep/test_attention.py",
)
weaken(
    "last-of-equal-ids",
    "of one collection that is listed twice, the listing that is further from a charge is recorded",
    "bursar.portal.use_cases.completion_outcomes:judge_collections",
    "takes_money.setdefault(outcome.paygov_tracking_id, outcome)",
    "takes_money[outcome.paygov_tracking_id] = outcome",
    "portal/use_cases/test_completion_outcomes.py",
)
weaken(
    "sealing-a-moment-late",
    "the days are not sealed at the very moment at which it is time",
    "bursar.portal.state.daily_sealing:DailySealing.run_if_due",
    "if now < self._next_at:",
    "if now <= self._next_at:",
    "portal/state/test_daily_sealing.py",
)
weaken(
    "every-portal-draws-alike",
    "every process draws the same random numbers",
    "bursar.portal.state.portal:Portal.__init__",
    "self.randomness = randomness",
    "self.randomness = random.Random(0)",
    "portal/state/test_portal.py",
)

# --- webhooks ---------------------------------------------------------------------------------------------------------

weaken(
    "queue-may-do-everything",
    "the policy of the queue allows every action",
    "bursar.portal.webhooks.queue:iam_policy",
    'f"dynamodb:{action}" for action in actions',
    '"dynamodb:*" for action in actions',
    "portal/webhooks/test_queue_policy.py",
)
weaken(
    "replay-beyond-its-end",
    "a replay reads beyond the end of its range",
    "bursar.portal.webhooks.replay:_spans",
    "min(until, begin + READ_SPAN_S)",
    "begin + READ_SPAN_S",
    "portal/webhooks/test_replay.py",
)
