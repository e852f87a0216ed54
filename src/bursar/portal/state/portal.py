"""Hold what the use cases share, and the completions that have begun and must be finished.

caller ──► process_payment ──► Portal.finish(work) ──► take the lease, ask Pay.gov, record
   ✘ disconnects                     │ continues without the caller
                                     └─ drain() on shutdown waits for it; after a kill the sweeper resolves it
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bursar.clock import Clock
from bursar.paygov.client import PayGov
from bursar.paygov.errors import PayGovError
from bursar.payments.catalogue.clients import Clients
from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Attempt
from bursar.portal.state.circuit_breaker import Breaker
from bursar.portal.state.daily_sealing import DailySealing
from bursar.portal.state.observer import AlertName, NoObserver, Observer, PayGovOperation
from bursar.portal.state.restore_watch import RestoreWatch

if TYPE_CHECKING:
    from bursar.portal.state.lake_upkeep import LakeUpkeep

LEASE_S: Final = 90.0
"""How long a completion may take: it covers Pay.gov's timeout and the tries to record its answer."""
REFRESH_MIN_S: Final = 2.0
ALERT_AFTER_S: Final = 3600.0
PENDING_ALERT_AFTER_S: Final = 10 * 24 * 3600.0  # ACH debits settle within days
TOKEN_GRACE_S: Final = 900.0
RESTORE_GRACE_S: Final = 2 * TOKEN_GRACE_S
"""A complete from before a restore may reach Pay.gov in the first half of this time.

Lookups show it by the end of the second half.
"""
DRAIN_TIMEOUT_S: Final = 60.0
UNANSWERED_MAX: Final = 10_000
LOST_STARTS_MAX: Final = 10_000
TOKEN_EXPIRED_DETAIL: Final = "The token expired before the payment was completed"

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings:
    """Bounds that a deployment may change, in seconds.

    paygov_timeout_s: the timeout of Pay.gov's client, at most half of the lease. refresh_min_s: the shortest time
    between two lookups of one attempt by ``details``. alert_after_s: an outcome that is unknown for longer needs a
    person. pending_alert_after_s: the same for a payment that is settling. token_grace_s: how long after the end of its
    token an attempt may be failed because Pay.gov has no collection of it. restore_grace_s: how long after a restore
    Pay.gov's answer "none" is not final.

    The last three are not bounds, but facts for /health. development_client: whether the portal accepts the development
    client, whose key is public. environment: the name of the deployment. paygov_certificate: whether a client
    certificate for Pay.gov, with its key, is configured.
    """

    paygov_timeout_s: float = 20.0
    lease_s: float = LEASE_S
    refresh_min_s: float = REFRESH_MIN_S
    alert_after_s: float = ALERT_AFTER_S
    pending_alert_after_s: float = PENDING_ALERT_AFTER_S
    token_grace_s: float = TOKEN_GRACE_S
    restore_grace_s: float = RESTORE_GRACE_S
    development_client: bool = False
    environment: str = "unknown"
    paygov_certificate: bool = False

    def __post_init__(self) -> None:
        if self.lease_s < 2 * self.paygov_timeout_s:
            raise ValueError(
                f"lease_s: must be at least twice paygov_timeout_s ({self.paygov_timeout_s} s); got {self.lease_s} s"
            )


def _never_closed() -> bool:
    """Return False: the store reports with each write whether it is closed."""
    return False


def _no_write_error() -> None:
    """Return None: the store does not report how its last write ended."""


class Portal:
    """The parts that the use cases share. Nothing in it is needed after a crash."""

    def __init__(
        self,
        ledger: Ledger,
        paygov: PayGov,
        fees: FeeCatalogue,
        clients: Clients,
        settings: PortalSettings | None = None,
        *,
        clock: Clock,
        randomness: random.Random,
        observer: Observer | None = None,
        write_error: Callable[[], str | None] | None = None,
        is_closed: Callable[[], bool] | None = None,
        sealing: DailySealing | None = None,
        lake: "LakeUpkeep | None" = None,
    ) -> None:
        """Create a portal. ``write_error`` returns why the store's last write failed, or None; /health reports it.

        ``is_closed`` returns whether the store is closed to writes: then details are not answered from it either.
        ``sealing``: what the sweeper calls after each pass, so that days that are over get their roots.
        ``lake``: the upkeep of the lake, for a portal beside the process that keeps it; /health reports it.
        """
        self.ledger = ledger
        self.paygov = paygov
        self.fees = fees
        self.clients = clients
        self.settings = settings or PortalSettings()
        self.clock = clock
        self.randomness = randomness
        self.observer: Observer = observer or NoObserver()
        self.write_error = write_error or _no_write_error
        self.is_closed = is_closed or _never_closed
        self.sealing = sealing
        self.lake = lake
        self.breaker = Breaker(clock, randomness)
        self.restores = RestoreWatch(ledger.restores, clock)
        self.paygov_healthy_until = 0.0  # until then /health does not ask Pay.gov again, Unix seconds
        self._name = f"{randomness.getrandbits(48):012x}"
        self._leases = 0
        self._unfinished: set[asyncio.Task[Any]] = set()
        self._shared: dict[str, asyncio.Task[Any]] = {}
        self._unanswered: set[str] = set()
        self._lost_starts: set[str] = set()

    def renew_name(self) -> None:
        """Choose a new random name.

        Several processes may continue from one snapshot, and each needs a different name.
        """
        self._name = f"{self.randomness.getrandbits(48):012x}"

    def new_lease_owner(self) -> str:
        """Return a name for one lease: this process's name and a number, so that no two leases have the same name."""
        self._leases += 1
        return f"{self._name}-{self._leases}"

    async def ask(self, operation: PayGovOperation, question: Awaitable[T]) -> T:
        """Await ``question``, one call to Pay.gov, and report its outcome to the observer. Raises what it raises."""
        asked_at = self.clock()
        outcome = "cancelled"
        try:
            answer = await question
            outcome = "answered"
            return answer
        except PayGovError as error:
            outcome = type(error).__name__
            raise
        finally:
            self.observer.paygov_answered(operation, outcome, self.clock() - asked_at)

    def finish(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Run ``work`` to its end, even if the caller is cancelled; ``drain`` waits for it.

        Await the result at once. If the caller is cancelled, the result of ``work`` is dropped.
        """
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._ended)
        return asyncio.shield(task)

    async def single_flight(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of ``work``. Callers with the same ``key`` at the same time share one run."""
        task = self._shared.get(key)
        if task is None:
            task = asyncio.create_task(work())
            self._shared[key] = task
            self._unfinished.add(task)
            task.add_done_callback(self._ended)
            task.add_done_callback(lambda _: self._shared.pop(key, None))
        shared: T = await asyncio.shield(task)
        return shared

    def remember_lookup(self, agency_tracking_id: str, answered: bool) -> None:
        """Remember whether Pay.gov answered the last lookup of an attempt, for callers that come too soon."""
        if answered:
            self._unanswered.discard(agency_tracking_id)
            return
        if len(self._unanswered) >= UNANSWERED_MAX:
            self._unanswered.clear()
        self._unanswered.add(agency_tracking_id)

    def last_lookup_answered(self, agency_tracking_id: str) -> bool:
        """Return False if the last lookup of the attempt by this process got no answer."""
        return agency_tracking_id not in self._unanswered

    def remember_lost_start(self, agency_tracking_id: str) -> None:
        """Remember that this process started the attempt at Pay.gov without recording a token."""
        if len(self._lost_starts) >= LOST_STARTS_MAX:
            self._lost_starts.clear()
        self._lost_starts.add(agency_tracking_id)

    def start_was_lost(self, agency_tracking_id: str) -> bool:
        """Return whether this process started the attempt at Pay.gov without recording a token."""
        return agency_tracking_id in self._lost_starts

    async def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> int:
        """Wait for all unfinished work, at most ``timeout_s``; return how much is left for the sweeper to resolve."""
        if not self._unfinished:
            return 0
        _, left = await asyncio.wait(set(self._unfinished), timeout=timeout_s)
        return len(left)

    def alert(self, alert: AlertName, attempt: Attempt, reason: str) -> None:
        """Log and count that ``attempt`` needs a person. The log line has no personal data."""
        self.observer.alerted(alert)
        _log.error(
            "%s: attempt %s (%s): %s",
            alert,
            attempt.agency_tracking_id,
            attempt.status,
            reason,
            extra={"alert": alert, "agencyTrackingId": attempt.agency_tracking_id, "client": attempt.client},
        )

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._unfinished.discard(task)
        # Read the exception, or asyncio logs "never retrieved" for work whose caller has disconnected.
        if not task.cancelled():
            task.exception()
