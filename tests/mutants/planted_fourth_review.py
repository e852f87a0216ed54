"""The mutants of the fourth review, chosen before their tests were read: webhooks, restores, people, limits, roots."""

from tests.mutants.mutants import weaken

# --- what receivers get -----------------------------------------------------------------------------------------------

weaken(
    "known-event-is-new",
    "an event that the queue knows is queued again by each pass",
    "bursar.portal.webhooks.queue:WebhookQueue.note_event",
    "known < :seq",
    "known <= :seq",
    "portal/webhooks/test_dispatcher.py",
    "portal/webhooks/test_webhook_parts.py",
)

weaken(
    "replay-of-every-client",
    "a replay for one client replays the events of all clients",
    "bursar.portal.webhooks.replay:replay",
    "client not in (None, event.client)",
    "False",
    "portal/webhooks/test_replay.py",
)

weaken(
    "unsigned-time",
    "the signature does not cover the time of the delivery",
    "bursar.portal.webhooks.signing:_digest",
    'f"{moment}.".encode() + body',
    "body",
    "portal/webhooks/test_webhook_parts.py",
)

weaken(
    "all-waiting-are-failing",
    "the gauge of failing deliveries counts those that were never tried",
    "bursar.portal.webhooks.queue:WebhookQueue.backlog",
    '"tries > :zero"',
    '"tries >= :zero"',
    "portal/webhooks/test_dispatcher.py",
    "portal/webhooks/test_webhook_parts.py",
)

weaken(
    "waiting-is-what-is-due",
    "the status of webhooks leaves out what waits for a later try",
    "bursar.portal.webhooks.dispatcher:Dispatcher.status",
    "self._clock() + GIVE_UP_AFTER_S",
    "self._clock()",
    "portal/webhooks/test_dispatcher.py",
)

weaken(
    "private-behind-6to4",
    "an IPv6 address that represents a private IPv4 address by 6to4 is public",
    "bursar.portal.webhooks.targets:_embedded",
    "(ip.ipv4_mapped, ip.sixtofour)",
    "(ip.ipv4_mapped,)",
    "portal/webhooks/test_targets.py",
)

# --- restores and generation numbers ----------------------------------------------------------------------------------

weaken(
    "same-generation-is-behind",
    "a store with the number of its file counts as restored",
    "bursar.bootstrap.parts.generations:Generations.mark_if_behind",
    ">= outside",
    "> outside",
    "bootstrap/parts/test_generations.py",
)

weaken(
    "lower-number-is-noted",
    "a process that raised the number earlier writes it over a higher one",
    "bursar.bootstrap.parts.generations:Generations.raise_and_note",
    "number is not None and number > outside_of(self._store_path)",
    "number is not None",
    "bootstrap/parts/test_generations.py",
)

weaken(
    "never-raised-while-running",
    "the number is not raised while a process writes to the store",
    "bursar.bootstrap.parts.generations:Generations.keep_raising",
    "if rows_changed() == noted:",
    "if rows_changed() != noted:",
    "bootstrap/parts/test_generations.py",
)

weaken(
    "lost-ones-are-new",
    "the lost attempts that were started again count as begun after the restore",
    "bursar.payments.ledger.store_records.restores:RestoreMark.covers",
    "self.restored_at + LOST_SPAN_S",
    "self.restored_at",
    "payments/ledger/store_records/test_restores.py",
    "portal/use_cases/test_after_restore.py",
)

weaken(
    "strangers-are-lost",
    "the collections of another portal of the agency are recorded as lost",
    "bursar.portal.upkeep.restored:lost_collections",
    "_OUR_ID.fullmatch(agency_id) and ",
    "",
    "portal/upkeep/test_restored.py",
)

# --- erasure ----------------------------------------------------------------------------------------------------------

weaken(
    "erased-before-its-past",
    "an erasure by a machine whose clock is behind is older than the payment",
    "bursar.payments.ledger.erasure:_erasing",
    "at=max(now, attempt.updated_at)",
    "at=now",
    "payments/ledger/test_erasure.py",
)

weaken(
    "kept-ones-are-counted",
    "attempts whose metadata are kept are reported as erased",
    "bursar.portal.upkeep.erasure:erase_metadata",
    'attempts if result == "erased" else 0',
    "attempts",
    "portal/upkeep/test_erasure.py",
)

weaken(
    "erases-other-fees",
    "an erasure for one fee erases the metadata of all fees",
    "bursar.payments.ledger.lookups:Lookups.obligations_with_metadata",
    '{"client": client, "fee": fee}',
    '{"client": client}',
    "payments/ledger/test_lookups.py",
    "payments/ledger/test_erasure.py",
    "portal/upkeep/test_erasure.py",
)

# --- imports ----------------------------------------------------------------------------------------------------------

weaken(
    "doubt-beside-a-payment",
    "a last row that may be charged is imported in doubt although another row is paid",
    "bursar.portal.upkeep.imports.importing:_planned",
    "any(row.record.status in BLOCKING for row in before)",
    "False",
    "portal/upkeep/imports/test_importing.py",
)

weaken(
    "pending-without-an-id",
    "a pending row without a Pay.gov tracking id is imported as pending",
    "bursar.portal.upkeep.imports.rows:RowReader._status",
    'found == "pending" and values["paygov_tracking_id"] is None',
    "False",
    "portal/upkeep/imports/test_rows.py",
)

weaken(
    "old-debits-are-watched",
    "an imported debit that can no longer be returned is watched",
    "bursar.payments.ledger.imports:Imports._due_at",
    " and now < self._due_policy.return_watch_ends_at(attempt)",
    "",
    "payments/ledger/test_imports.py",
)

weaken(
    "another-amount-is-known",
    "a row with another amount counts as imported before",
    "bursar.payments.ledger.imports:_facts",
    '"amount": money(record.amount), ',
    "",
    "payments/ledger/test_imports.py",
    "portal/upkeep/imports/test_importing.py",
)

weaken(
    "twice-in-the-files",
    "a row that the files have twice is dropped without a word",
    "bursar.portal.upkeep.imports.importing:_fill",
    "if added.rowcount == 0:",
    "if False:",
    "portal/upkeep/imports/test_importing.py",
)

# --- the limiter ------------------------------------------------------------------------------------------------------

weaken(
    "dead-worker-holds-its-requests",
    "a new worker keeps the requests of the one that was killed",
    "bursar.portal.api.rate_limits:ClientLimits.__init__",
    "self._own[slot] = 0",
    "pass",
    "portal/api/test_rate_limits.py",
)

weaken(
    "each-worker-lets-all-in",
    "only the requests of one's own worker count",
    "bursar.portal.api.rate_limits:ClientLimits.enter",
    "for requests in buckets.in_progress",
    "for requests in [self._own]",
    "portal/api/test_rate_limits.py",
)

weaken(
    "new-clients-begin-empty",
    "a new client's bucket is empty",
    "bursar.portal.api.rate_limits:ClientLimits.enter",
    "max(buckets.taken[slot], gained) + 1",
    "max(buckets.taken[slot] or self._burst + gained, gained) + 1",
    "portal/api/test_rate_limits.py",
)

weaken(
    "clients-share-a-bucket",
    "a client takes the first slot, also if another client has it",
    "bursar.portal.api.rate_limits:TokenBuckets.slot_of",
    "range(SLOTS_MAX)",
    "range(1)",
    "portal/api/test_rate_limits.py",
)

# --- people and their permissions -------------------------------------------------------------------------------------

weaken(
    "actions-of-hidden-payments",
    "a person acts on the payment of a client that the account may not see",
    "bursar.dashboard.pages.payment.actions:_attempt",
    "if not visit.account.may_see(attempt.client, attempt.fee):",
    "if False:",
    "dashboard/pages/payment/test_actions.py",
)

weaken(
    "old-password-goes-on",
    "a session outlives a change of its password",
    "bursar.dashboard.sign_in.sessions:PersonSessions.of",
    ' or _mark(account) != row["password_mark"]',
    "",
    "dashboard/sign_in/test_sessions.py",
)

weaken(
    "views-of-everyone",
    "a person sees the views that others have not shared",
    "bursar.dashboard.saved_views:SavedViews.visible_to",
    "if each.owner == account.name or each.role in account.roles",
    "if each",
    "dashboard/pages/test_saved_views.py",
)

weaken(
    "forms-of-sister-sites",
    "a form of another host of the same domain is accepted",
    "bursar.web.pages.csrf:is_from_own_site",
    'site != "same-origin"',
    'site == "cross-site"',
    "dashboard/pages/test_sign_in.py",
    "dashboard/test_route_table.py",
)

weaken(
    "guessing-from-one-address",
    "failed sign-ins under many names from one address are not slowed down",
    "bursar.dashboard.sign_in.throttle:_counted",
    "*pairs]",
    "]",
    "dashboard/sign_in/test_throttle.py",
)

weaken(
    "an-address-of-ones-choice",
    "a person chooses the address that the access log has",
    "bursar.dashboard.visit:Visit.address",
    " and is_loopback(peer)",
    "",
    "dashboard/pages/test_sign_in.py",
    "dashboard/test_route_table.py",
)

# --- deposits and reversals -------------------------------------------------------------------------------------------

weaken(
    "deposited-before-collected",
    "a deposit is recorded before its collection if the clocks differ",
    "bursar.payments.ledger.deposits:Deposits.record",
    "at=max(whole_ms(self._clock()), attempt.updated_at)",
    "at=whole_ms(self._clock())",
    "payments/ledger/test_deposits.py",
)

weaken(
    "another-day-is-the-same",
    "a deposit with the same ticket on another day counts as recorded",
    "bursar.payments.ledger.deposits:Deposits.record",
    "any(getattr(known",
    "all(getattr(known",
    "payments/ledger/test_deposits.py",
)

weaken(
    "part-return-reopens",
    "a return of a part of the amount reopens the obligation",
    "bursar.payments.ledger.reversals:Reversals.record",
    "report.kind == RETURNED and reversal.amount == attempt.amount",
    "report.kind == RETURNED",
    "payments/ledger/test_reversals.py",
)

weaken(
    "refund-of-another-report",
    "a report of a refund is taken for the open request of another report of the same amount",
    "bursar.payments.ledger.reversals:Reversals.request_reported_refund",
    "each.status == OPEN and each.source is None",
    "each.status == OPEN",
    "payments/ledger/test_reversals.py",
)

weaken(
    "decided-and-open",
    "a decided request for a refund stays in the list of open ones",
    "bursar.payments.ledger.reversals:_decide",
    "if name not in _DUE_KEYS",
    "if name",
    "payments/ledger/test_reversals.py",
)

weaken(
    "one-chargeback-of-two-days",
    "two chargebacks of one amount on two days are one",
    "bursar.payments.reversals:reversal_id",
    'report.effective_on or ""',
    '""',
    "payments/ledger/test_reversals.py",
)

weaken(
    "any-failure-is-a-return",
    "a settled debit that Pay.gov calls failed or cancelled is recorded as returned",
    "bursar.portal.upkeep.reversals:ask_about_return",
    " and outcome.transaction_status == STATUS_RETURNED",
    "",
    "portal/upkeep/test_reversals.py",
)

# --- daily roots ------------------------------------------------------------------------------------------------------

weaken(
    "roots-without-a-chain",
    "the root of a day does not depend on the day before",
    "bursar.payments.ledger.store_records.daily_roots:DailyRoots.compute",
    "{previous or CHAIN_BEGINS}",
    "{CHAIN_BEGINS}",
    "payments/ledger/store_records/test_daily_roots.py",
)

weaken(
    "lost-roots-are-not-missed",
    "a root that only the copies have is not found",
    "bursar.payments.audit.root_audit:_compare",
    "known.keys() | copies.keys()",
    "known.keys()",
    "payments/audit/test_root_audit.py",
)

# --- health and metrics -----------------------------------------------------------------------------------------------

weaken(
    "pending-is-always-young",
    "the age of the oldest pending payment restarts with each word of Pay.gov's",
    "bursar.portal.metrics.metrics:Metrics._set_gauges",
    "attempt.unsettled_since or attempt.updated_at",
    "attempt.updated_at",
    "portal/metrics/test_metrics.py",
)

weaken(
    "old-gauges-as-new",
    "gauges that cannot be read are exported as they were",
    "bursar.portal.metrics.metrics:Metrics._refresh_gauges",
    "return False",
    "return True",
    "portal/metrics/test_metrics.py",
)
