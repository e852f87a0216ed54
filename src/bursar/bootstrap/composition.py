"""The composition root: makes the parts of a process from its settings, each on first use, and closes them in reverse.

    async with Composition(settings) as parts:
        portal = await parts.portal()
        answer = await parts.reports.sql("SELECT …")

If a part cannot be made, :class:`CannotStart` gives the reason in one line.
"""

import logging
import random
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Self

from bursar.clock import Clock, iso_ms, system_clock
from bursar.dynamo.clients.store import MEMORY, Store, file_of, open_store
from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.payments.catalogue.clients import Clients, ClientsError
from bursar.payments.catalogue.fees import FeeCatalogue, FeesError
from bursar.payments.errors import LedgerBusy
from bursar.private_files import TooOpen, require_private
from bursar.settings import Settings
from bursar.startup import CannotStart

if TYPE_CHECKING:
    from bursar.bootstrap.parts.generations import Generations
    from bursar.dynamo import AsyncEngine
    from bursar.dynamo.engine.compare_and_swap import CompareAndSwap
    from bursar.paygov.client import PayGov
    from bursar.paygov.config import PayGovConfig
    from bursar.paygov.http_transport import HttpTransport
    from bursar.payments.audit.root_copies import RootCopies
    from bursar.payments.ledger.ledger import Ledger
    from bursar.portal.metrics.metrics import Metrics
    from bursar.portal.state.lake_upkeep import LakeUpkeep
    from bursar.portal.state.observer import Observer
    from bursar.portal.state.portal import Portal
    from bursar.portal.webhooks.dispatcher import Dispatcher
    from bursar.portal.webhooks.queue import WebhookQueue
    from bursar.portal.webhooks.subscriptions import Subscriptions
    from bursar.portal.webhooks.targets import AllowedTargets
    from bursar.reports.report_questions import KnownNames
    from bursar.reports.reports import Reports
    from bursar.reports.tail.sources import ChangeSource


RESTORED: Final = (
    "THE STORE WAS RESTORED FROM A BACKUP at %s (%s): until an operator clears the mark (`bursar restored --clear`), "
    "Pay.gov is asked before anything is decided about older payments, and before each new one"
)
_log = logging.getLogger(__name__)

STORE_FAILURES: Final = (DynamoError, StoreUnreachable, StoreOutcomeUnknown)
"""The errors of a store that cannot be used, for example because the disk is full."""


class Composition:
    """The parts of one process. Use it in the event loop that runs them."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = system_clock,
        randomness: random.Random | None = None,
        metrics: "Metrics | None" = None,
        creates_store: bool = True,
        other_users: bool = True,
        observer: "Observer | None" = None,
    ) -> None:
        """Store the settings without creating a part. ``metrics`` measures the store and the portal, if it is given.

        ``creates_store``: create the store and its table if they are missing, and store the rules of this process's
        fees in an embedded store that has other rules. A command beside a portal does neither: with a mistyped folder
        it would report an empty store, and with other fees it would store rules that forbid the portal's fees.

        ``other_users``: the machine may have other users, so files of secrets must be private.

        ``observer``: observes the portal instead of ``metrics``.
        """
        self.settings = settings
        self._creates_store = creates_store
        self._other_users = other_users
        self.metrics = metrics
        self._observer = observer or metrics
        self.clock = clock
        self.randomness = randomness or random.SystemRandom()
        self._ending = AsyncExitStack()
        self._store: Store | None = None
        self._ledger: Ledger | None = None
        self._paygov: PayGov | None = None
        self._reports: Reports | None = None
        self._generations: Generations | None = None
        self._webhooks: Dispatcher | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._ending.aclose()

    @cached_property
    def fees(self) -> FeeCatalogue:
        """The fee catalogue. Raises :class:`CannotStart`."""
        try:
            return FeeCatalogue.load(self.settings.fees) if self.settings.fees else FeeCatalogue.default()
        except (FeesError, OSError) as error:
            raise CannotStart(f"BURSAR_FEES: {error}") from error

    @cached_property
    def clients(self) -> Clients:
        """The clients, read again when their file changes. Raises :class:`CannotStart`."""
        try:
            if self.settings.clients:
                return Clients.load(self.settings.clients, known_fees=self.fees.keys, clock=self.clock)
            return Clients.default(clock=self.clock)
        except (ClientsError, TooOpen, OSError) as error:
            raise CannotStart(f"BURSAR_CLIENTS: {error}") from error

    async def store(self) -> Store:
        """Return the store of ``BURSAR_STORE``. Raises :class:`CannotStart`."""
        if self._store is None:
            url = self.settings.store_url
            try:
                path = file_of(url)
                if path is None:
                    store = await open_store(url, clock=self.clock, randomness=self.randomness)
                else:
                    from bursar.bootstrap.parts.embedded_store import open_embedded

                    store = await open_embedded(url, path, self.clock, self.randomness, creates=self._creates_store)
            except (FileNotFoundError, TooOpen) as error:
                raise CannotStart(f"{self.settings.store_setting}: {error}") from error
            except (OSError, StoreUnreachable, ValueError) as error:
                raise CannotStart(f"the store {url} cannot be opened: {error}") from error
            self._ending.push_async_callback(store.close)
            self._store = store
        return self._store

    async def ledger(self) -> "Ledger":
        """Return the ledger over its table; an embedded store gets the table's rules. Raises :class:`CannotStart`."""
        if self._ledger is None:
            from bursar.payments.ledger.ledger import Ledger

            store, table = await self.store(), self.settings.table
            observed = self._observed(store)
            ledger = Ledger(
                observed,
                clock=self.clock,
                randomness=self.randomness,
                table=table,
                fees=self.fees,
                compare_and_swap=self._observed_compare_and_swap(store),
            )
            try:
                if self._creates_store:
                    await ledger.create_table()
                else:
                    await self.expect_table()
                engine = self._embedded(store)
                await self._expect_open(store, engine)
                await ledger.change_shards.learn()
                if engine is not None:
                    from bursar.bootstrap.parts.embedded_store import store_rules

                    store_rules(engine, self.settings.store_url, table, ledger, self._creates_store)
            except STORE_FAILURES as error:
                raise CannotStart(f"the table {table} in {self.settings.store_url}: {error}") from error
            self._ledger = ledger
        return self._ledger

    async def paygov(self) -> "PayGov":
        """Return the client of Pay.gov. Raises :class:`CannotStart` if the address of Pay.gov is not set."""
        if self._paygov is None:
            from bursar.paygov.client import PayGov

            self._paygov = PayGov(*self.paygov_connection())
        return self._paygov

    def paygov_connection(self) -> "tuple[PayGovConfig, HttpTransport]":
        """Return the configuration of Pay.gov, and a new transport to it. Raises :class:`CannotStart`."""
        from bursar.bootstrap.parts.silent_paygov import lookups_of
        from bursar.paygov.config import PayGovConfig
        from bursar.paygov.http_transport import HttpTransport
        from bursar.paygov.protocol import NAMESPACE

        settings = self.settings
        if settings.paygov_url is None or settings.payment_url is None:
            missing = "BURSAR_PAYGOV_URL" if settings.paygov_url is None else "BURSAR_PAYMENT_URL"
            raise CannotStart(f"{missing} is not set: the portal needs the address of Pay.gov")
        try:
            config = PayGovConfig(
                url=settings.paygov_url,
                query_url=settings.paygov_query_url,
                payment_url=settings.payment_url,
                namespace=settings.paygov_namespace or NAMESPACE,
                timeout_s=settings.paygov_timeout_s,
                client_cert=settings.paygov_client_cert,
                client_key=settings.paygov_client_key,
                bearer=settings.paygov_bearer,
                lookups=lookups_of(settings.paygov_lookups),
                confirmed_lookups=lookups_of(settings.paygov_lookups_confirmed),
            )
        except ValueError as error:
            raise CannotStart(f"BURSAR_PAYGOV_…: {error}") from error
        try:
            if config.client_key is not None and self._other_users:
                require_private(config.client_key)
        except (TooOpen, OSError) as error:
            raise CannotStart(f"BURSAR_PAYGOV_CLIENT_KEY: {error}") from error
        try:
            transport = HttpTransport(client_cert=config.client_cert, client_key=config.client_key)
        except OSError as error:  # ssl.SSLError is an OSError
            raise CannotStart(f"BURSAR_PAYGOV_CLIENT_CERT, BURSAR_PAYGOV_CLIENT_KEY: {error}") from error
        self._ending.push_async_callback(transport.close)
        return config, transport

    async def portal(self, *, asks_paygov: bool = True, watches_lake: bool = False) -> "Portal":
        """Return a portal over the ledger and the client of Pay.gov.

        ``asks_paygov``: False for a portal that never calls Pay.gov, which then needs no address of Pay.gov.
        ``watches_lake``: /health and the metrics report the upkeep of the lake, which a process with these settings
        writes and verifies. Raises :class:`CannotStart`.
        """
        from bursar.bootstrap.parts.silent_paygov import paygov_without_network
        from bursar.portal.state.daily_sealing import DailySealing
        from bursar.portal.state.portal import Portal, PortalSettings

        settings, store, ledger = self.settings, await self.store(), await self.ledger()
        engine = self._embedded(store)
        await self._keep_generation(store, ledger)
        portal = Portal(
            ledger,
            await self.paygov() if asks_paygov else paygov_without_network(settings),
            self.fees,
            self.clients,
            PortalSettings(
                paygov_timeout_s=settings.paygov_timeout_s,
                lease_s=max(PortalSettings().lease_s, 3 * settings.paygov_timeout_s),
                refresh_min_s=settings.refresh_min_s,
                development_client=settings.accepts_development_client,
                environment=settings.environment,
                paygov_certificate=settings.paygov_client_cert is not None,
            ),
            clock=self.clock,
            randomness=self.randomness,
            observer=self._observer,
            # The disk of any other store is monitored where that store runs.
            write_error=None if engine is None else engine.write_error,
            is_closed=None if engine is None else partial(engine.engine.denies_writes, settings.table),
            lake=self._lake_upkeep() if watches_lake else None,
            sealing=DailySealing(ledger.daily_roots, self.root_copies, clock=self.clock, randomness=self.randomness),
        )
        await self._report_restore(portal)
        return portal

    def _lake_upkeep(self) -> "LakeUpkeep":
        from bursar.bootstrap.parts.reports_socket import upkeep_path
        from bursar.portal.state.lake_upkeep import LakeUpkeep
        from bursar.reports.lake.upkeep import UpkeepFile

        record = UpkeepFile(upkeep_path(self.settings))
        lake = LakeUpkeep(record, self.clock, self.settings.lake_verify_interval_s)
        if self.metrics is not None:
            self.metrics.watch_lake(lake)
        return lake

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Return the background work of a process that serves the portal: it raises an embedded store's generation."""
        engine = None if self._store is None else self._embedded(self._store)
        if self._generations is None or engine is None:
            return []
        return [self._generations.keep_raising(engine.engine.rows_changed)]

    async def _keep_generation(self, store: Store, ledger: "Ledger") -> None:
        """Mark an embedded store if it was restored by hand, and raise its generation at the start and at the end."""
        path = file_of(self.settings.store_url)
        if path is None or path == MEMORY or self._generations is not None:
            return
        from bursar.bootstrap.parts.generations import Generations
        from bursar.rules.errors import RulesError

        self._generations = generations = Generations(ledger, path)
        try:
            await generations.mark_if_behind()
            if self._creates_store:
                await generations.raise_and_note()
                self._ending.push_async_callback(generations.raise_if_possible)
        except (*STORE_FAILURES, LedgerBusy, RulesError) as error:
            raise CannotStart(f"the table {self.settings.table} in {self.settings.store_url}: {error}") from error

    async def _report_restore(self, portal: "Portal") -> None:
        """Read the restore marks, and log the open one. Raises :class:`CannotStart`."""
        try:
            mark = await portal.restores.open_mark()
        except STORE_FAILURES as error:
            raise CannotStart(f"the table {self.settings.table} in {self.settings.store_url}: {error}") from error
        if mark is not None:
            _log.error(RESTORED, iso_ms(mark.restored_at), mark.way, extra={"alert": "restored"})

    @property
    def root_copies(self) -> "RootCopies | None":
        """The copies of the daily roots at ``BURSAR_AUDIT_ROOTS``, or None if it is not set."""
        if self.settings.audit_roots is None:
            return None
        from bursar.payments.audit.root_copies import root_copies

        return root_copies(self.settings.audit_roots)

    async def reports(self, *, answers: bool = True) -> "Reports":
        """Return SQL over every payment of the store and its lake. Raises :class:`CannotStart`.

        ``answers``: False for a process that only writes and verifies the lake.
        """
        if self._reports is None:
            import sqlite3

            from bursar.bootstrap.parts.reports_socket import upkeep_path
            from bursar.reports.lake.retention import Retention
            from bursar.reports.lake.upkeep import UpkeepFile
            from bursar.reports.reports import Reports

            source = await self._changes()
            try:
                self._reports = Reports(
                    source,
                    self.settings.lake_url,
                    self.clock,
                    known_names=self.known_names,
                    answers=answers,
                    upkeep=UpkeepFile(upkeep_path(self.settings)) if answers else None,
                    retention=Retention(self.settings.lake_retention_years),
                )
            except (OSError, ValueError, sqlite3.Error) as error:
                raise CannotStart(f"the lake {self.settings.lake_url} cannot be opened: {error}") from error
            self._ending.push_async_callback(self._reports.close)
        return self._reports

    async def _changes(self) -> "ChangeSource":
        """Return the changes of the store: the stream of an embedded one, the index of any other."""
        store, table = await self.store(), self.settings.table
        engine = self._embedded(store)
        if engine is None:
            from bursar.reports.tail.index_source import IndexSource

            return IndexSource(await self.ledger(), store, table, self.clock)
        from bursar.reports.tail.stream_source import StreamSource

        if self._creates_store:
            await self.ledger()  # the ledger creates the table
        else:  # `bursar sql` reads the table, and starts sooner without a ledger and its rules
            await self._expect_readable(store)
        return StreamSource(engine, table)

    async def _expect_readable(self, store: Store) -> None:
        """Raise :class:`CannotStart` if the payments table is missing, or a move fills it."""
        try:
            await self.expect_table()
            await self._expect_open(store, None)
        except STORE_FAILURES as error:
            raise CannotStart(f"the table {self.settings.table} in {self.settings.store_url}: {error}") from error

    def known_names(self) -> "KnownNames":
        """Return the fees and the clients of this process's files. Raises :class:`CannotStart`."""
        from bursar.reports.report_questions import KnownNames

        return KnownNames(self.fees.keys, self.clients.names)

    async def webhooks(self) -> "Dispatcher | None":
        """Return the dispatcher of webhooks, or None if ``BURSAR_WEBHOOKS`` is not set. Raises :class:`CannotStart`."""
        if self._webhooks is None and self.settings.webhooks is not None:
            self._webhooks = await self._make_webhooks(self.settings.webhooks)
        return self._webhooks

    async def _make_webhooks(self, path: str) -> "Dispatcher":
        from bursar.portal.webhooks.dispatcher import Dispatcher
        from bursar.portal.webhooks.queue import WebhookQueue
        from bursar.portal.webhooks.sender import HttpSender
        from bursar.portal.webhooks.targets import AllowedTargets

        allowed = AllowedTargets(self.settings.private_webhook_networks)
        subscriptions = await self._subscriptions(path, allowed)
        queue = WebhookQueue(await self.store())
        if self._creates_store:
            await queue.create_table()
        else:
            await self._expect_queue(queue)
        sender = await self._ending.enter_async_context(HttpSender(allowed=allowed))
        dispatcher = Dispatcher(
            await self.ledger(),
            queue,
            subscriptions,
            sender,
            clock=self.clock,
            randomness=self.randomness,
            observer=self.metrics,
        )
        if self.metrics is not None:
            self.metrics.watch_webhooks(dispatcher.backlog)
        return dispatcher

    async def _expect_queue(self, queue: "WebhookQueue") -> None:
        """Raise :class:`CannotStart` if the store has no table for webhooks. In an embedded store, create the table."""
        if self._embedded(await self.store()) is not None:
            await queue.create_table()
            return
        try:
            await queue.expect_table()
        except LookupError as error:
            remedy = "start `bursar portal` once with BURSAR_WEBHOOKS, or create the table"
            raise CannotStart(f"BURSAR_WEBHOOKS: {error} in {self.settings.store_url}: {remedy}") from error

    async def _subscriptions(self, path: str, allowed: "AllowedTargets") -> "Subscriptions":
        """Return the webhooks' subscriptions. Raises :class:`CannotStart`, also for a target that is not allowed."""
        from bursar.portal.webhooks.subscriptions import Subscriptions, SubscriptionsError
        from bursar.portal.webhooks.targets import refused_targets

        plain_http, private = self.settings.webhooks_plain_http, self.settings.webhooks_private_targets
        try:
            if self._other_users:
                require_private(path)
            subscriptions = Subscriptions.load(path, known_clients=self.clients.names, plain_http=plain_http)
        except (SubscriptionsError, TooOpen, OSError) as error:
            raise CannotStart(f"BURSAR_WEBHOOKS: {error}") from error
        refused = "; ".join(await refused_targets(subscriptions.all, allowed))
        if refused:
            remedy = "BURSAR_WEBHOOKS_PRIVATE_TARGETS can allow its network"
            raise CannotStart(f"BURSAR_WEBHOOKS: {path}: {refused}; {remedy}")
        if plain_http:
            _log.warning("WEBHOOKS MAY USE PLAIN HTTP: others on the network can read and change deliveries")
        if private:
            _log.warning("WEBHOOKS MAY REACH PRIVATE ADDRESSES: %s", private)
        return subscriptions

    async def expect_table(self) -> None:
        """Raise :class:`CannotStart` if the store has no payments table."""
        store, table = await self.store(), self.settings.table
        try:
            await store.call("DescribeTable", {"TableName": table})
        except DynamoError as error:
            if error.code != "ResourceNotFoundException":
                raise
            where = f"{self.settings.store_url} ({self.settings.store_setting})"
            raise CannotStart(f"BURSAR_TABLE: there is no table {table} in {where}") from error

    async def _expect_open(self, store: Store, engine: "AsyncEngine | None") -> None:
        """Raise :class:`CannotStart` if a move fills the payments table, or has closed it for this writer."""
        from bursar.payments.ledger.store_records.move_state import is_being_filled

        if await is_being_filled(store, self.settings.table):
            where = f"{self.settings.store_url} ({self.settings.store_setting})"
            raise CannotStart(f"{where}: must be open; `bursar move` is filling it and opens it at its end")
        if engine is not None and self._creates_store and engine.engine.denies_writes(self.settings.table):
            where = f"{self.settings.store_url} ({self.settings.store_setting})"
            raise CannotStart(f"{where}: must be open; `bursar move` has closed it and moves it to another place")

    def _observed(self, store: Store) -> Store:
        if self.metrics is None:
            return store
        from bursar.portal.metrics.metrics import ObservedStore

        return ObservedStore(store, self.metrics, self.clock)

    def _observed_compare_and_swap(self, store: Store) -> "CompareAndSwap | None":
        engine = self._embedded(store)
        if engine is None:
            return None
        if self.metrics is None:
            return engine.compare_and_swap
        from bursar.portal.metrics.metrics import ObservedCompareAndSwap

        return ObservedCompareAndSwap(engine.compare_and_swap, self.metrics, self.clock)

    def _embedded(self, store: Store) -> "AsyncEngine | None":
        """Return ``store`` if it is an embedded one. The engine is not loaded for any other."""
        if file_of(self.settings.store_url) is None:
            return None
        from bursar.dynamo import AsyncEngine

        assert isinstance(store, AsyncEngine)
        return store
