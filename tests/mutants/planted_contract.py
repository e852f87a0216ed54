"""The mutants of the portal's contract, of its API, and of how it is composed."""

from tests.mutants.mutants import weaken

CONTRACT = "portal/contract"

# --- the contract -----------------------------------------------------------------------------------------------------

weaken(
    "reference-keeps-its-case",
    "a reference in capitals names another payment",
    "bursar.portal.contract.validation:read_reference",
    "normal_reference(text)",
    "text",
    f"{CONTRACT}/test_validation.py",
)
weaken(
    "body-one-byte-shorter",
    "a body of exactly the largest size is too large",
    "bursar.portal.contract.validation:read_json",
    "len(body) > BODY_BYTES_MAX",
    "len(body) >= BODY_BYTES_MAX",
    f"{CONTRACT}/test_validation.py",
)
weaken(
    "nested-one-level-deeper",
    "a body may be nested one level deeper than the bound",
    "bursar.portal.contract.validation:_deeper_than",
    "range(levels + 1)",
    "range(levels + 2)",
    f"{CONTRACT}/test_validation.py",
)
weaken(
    "urls-swapped",
    "the addresses for success and for cancelling are swapped",
    "bursar.portal.contract.validation:read_init",
    'url_success=sent["urlSuccess"],\n        url_cancel=sent["urlCancel"]',
    'url_success=sent["urlCancel"],\n        url_cancel=sent["urlSuccess"]',
    f"{CONTRACT}/test_validation.py",
)
weaken(
    "metadata-loses-digits",
    "a number of the metadata with more digits than a double keeps is rounded",
    "bursar.portal.contract.validation:_plain",
    "if Decimal(repr(double)) != value:",
    "if False:",
    f"{CONTRACT}/test_validation.py",
)
weaken(
    "overview-for-any-client",
    "a client with one fee sees the payments of all clients",
    "bursar.portal.contract.authorisation:authorise_overview",
    "EVERY_FEE not in client.fees",
    "not client.fees",
    "portal/use_cases/test_transaction_log.py",
)
weaken(
    "events-without-detail",
    "the events that a caller gets have no detail",
    "bursar.portal.contract.views:_event_json",
    "for name, value in event.detail.items()",
    "for name, value in ()",
    "portal/api/test_recorded_answers.py",
)
weaken(
    "updated-when-created",
    "a transaction is shown as last updated when it was created",
    "bursar.portal.contract.views:_attempt_json",
    "iso_ms(attempt.updated_at)",
    "iso_ms(attempt.created_at)",
    "portal/api/test_recorded_answers.py",
)


weaken(
    "unknown-outcome-says-nothing-was-charged",
    "a caller reads that nothing was charged although the outcome is unknown",
    "bursar.portal.contract.errors:portal_error",
    "return portal(code)",
    "return portal(NOTHING_SENT if lower is OutcomeUnknown else code)",
    f"{CONTRACT}/test_errors.py",
)
weaken(
    "every-day-has-24-hours",
    "a court day ends 24 hours after its midnight, also when the clocks change",
    "bursar.portal.contract.periods:day_of",
    "midnight(day + timedelta(days=1))",
    "midnight(day) + 86_400",
    f"{CONTRACT}/test_periods.py",
)
weaken(
    "amounts-without-cents",
    "an amount in a reply has no decimals if it has no cents",
    "bursar.portal.contract.messages:_amount",
    "{value.quantize(CENT):f}",
    "{value.normalize():f}",
    CONTRACT,
)
weaken(
    "unknown-method-not-shown",
    "a payment type that Bursar does not know is not shown",
    "bursar.portal.contract.views:payment_method_label",
    "PAYMENT_METHOD_LABELS.get(payment_type, payment_type)",
    "PAYMENT_METHOD_LABELS.get(payment_type)",
    CONTRACT,
)
weaken(
    "long-return-code-as-a-number",
    "a return code of any length becomes a number in the transaction log",
    "bursar.portal.contract.views:_entry_json",
    "len(code) <= RETURN_CODE_DIGITS_MAX",
    "code",
    CONTRACT,
)

# --- the API, and how the portal is composed --------------------------------------------------------------------------

weaken(
    "error-text-logged",
    "a log line holds the text of an exception, which may quote what was sent",
    "bursar.portal.api.json_logs:JsonFormatter.format",
    "type(record.exc_info[1]).__name__",
    "repr(record.exc_info[1])",
    "portal/api/test_json_logs.py",
)
weaken(
    "one-request-too-many",
    "a client may have one request more under way than its bound",
    "bursar.portal.api.rate_limits:ClientLimits.enter",
    ">= self._at_once_max",
    "> self._at_once_max",
    "portal/api/test_rate_limits.py",
)
weaken(
    "pages-of-other-sites-act",
    "without signatures, a page of another site may call the portal",
    "bursar.portal.api.authentication:is_from_another_site",
    '("host", "origin")',
    '("host",)',
    "portal/api/test_authentication.py",
)
weaken(
    "open-private-key",
    "the portal starts with a private key that every user can read",
    "bursar.bootstrap.composition:Composition.paygov_connection",
    "config.client_key is not None and self._other_users",
    "False",
    "bootstrap/test_composition.py",
)
weaken(
    "signed-for-any-region",
    "a signature for another region is good",
    "bursar.portal.api.authentication:sigv4",
    "region=region",
    "region=None",
    "portal/api/test_authentication.py",
)
weaken(
    "authorization-sent-back",
    "a refusal repeats the Authorization header",
    "bursar.portal.api.authentication:_message_of",
    '.partition(" Authorization=")[0]',
    "",
    "portal/api/test_authentication.py",
)
weaken(
    "bucket-without-a-brim",
    "a client that was idle for long may send more than its burst",
    "bursar.portal.api.rate_limits:ClientLimits.enter",
    "max(buckets.taken[slot], gained) + 1",
    "(buckets.taken[slot] or gained) + 1",
    "portal/api/test_rate_limits.py",
)
weaken(
    "lease-shorter-than-paygovs-timeout",
    "the lease does not grow with Pay.gov's timeout",
    "bursar.bootstrap.composition:Composition.portal",
    "max(PortalSettings().lease_s, 3 * settings.paygov_timeout_s)",
    "max(PortalSettings().lease_s, 2 * settings.paygov_timeout_s)",
    "bootstrap/test_composition.py",
)
weaken(
    "refresh-setting-ignored",
    "the setting of the shortest time between two lookups is ignored",
    "bursar.bootstrap.composition:Composition.portal",
    "refresh_min_s=settings.refresh_min_s,\n",
    "\n",
    "bootstrap/test_composition.py",
)
