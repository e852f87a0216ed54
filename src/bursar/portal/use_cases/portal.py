"""The portal, put together: what its use cases share, and the completions that it has begun and must finish.

caller ──► process_payment ──► Portal.finish(work) ──► claim, ask Pay.gov, record
   ✘ disconnects                     │ goes on without the caller
                                     └─ drain() on shutdown waits for it; a kill leaves it to the sweeper
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from bursar.clock import Clock
from bursar.paygov.client import PayGov
from bursar.paygov.errors import PayGovError
from bursar.payments.clients import Clients
from bursar.payments.fees import FeeCatalogue
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Attempt
from bursar.portal.use_cases.circuit_breaker import Breaker
from bursar.portal.use_cases.observer import AlertName, NoObserver, Observer, PayGovOperation

LEASE_S: Final = 90.0
"""How long a caller may take to complete: Pay.gov's timeout and the tries to record its answer fit in it."""
REFRESH_MIN_S: Final = 2.0
ALERT_AFTER_S: Final = 3600.0
PENDING_ALERT_AFTER_S: Final = 10 * 24 * 3600.0  # ACH debits settle within days
TOKEN_GRACE_S: Final = 900.0
DRAIN_TIMEOUT_S: Final = 60.0
UNANSWERED_MAX: Final = 10_000

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings:
    """Bounds that a deployment may change, all in seconds.

    paygov_timeout_s: the client's, which must be well inside the lease. refresh_min_s: ``details`` asks Pay.gov about
    one attempt at most this often. alert_after_s: an outcome unknown for longer wants a person; pending_alert_after_s:
    so does a payment that settles for longer. token_grace_s: how far past its token's life an attempt must be before
    Pay.gov's "I have none" is believed for good.

    development_client is no bound: whether the portal accepts the development client, whose key is public; for health.
    """

    paygov_timeout_s: float = 20.0
    lease_s: float = LEASE_S
    refresh_min_s: float = REFRESH_MIN_S
    alert_after_s: float = ALERT_AFTER_S
    pending_alert_after_s: float = PENDING_ALERT_AFTER_S
    token_grace_s: float = TOKEN_GRACE_S
    development_client: bool = False

    def __post_init__(self) -> None:
        if self.lease_s < 2 * self.paygov_timeout_s:
            raise ValueError(
                f"a lease of {self.lease_s} s is too short for a Pay.gov timeout of {self.paygov_timeout_s} s: "
                "it must be at least twice as long"
            )


def _no_write_trouble() -> None:
    """A store that does not say how its last write went."""


class Portal:
    """What the use cases work with. Holds nothing that matters after a crash."""

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
        write_trouble: Callable[[], str | None] | None = None,
    ) -> None:
        """``write_trouble``: tells why the store's last write failed, None when it did not; for health."""
        self.ledger = ledger
        self.paygov = paygov
        self.fees = fees
        self.clients = clients
        self.settings = settings or PortalSettings()
        self.clock = clock
        self.randomness = randomness
        self.observer: Observer = observer or NoObserver()
        self.write_trouble = write_trouble or _no_write_trouble
        self.breaker = Breaker(clock, randomness)
        self.paygov_healthy_until = 0.0  # health's memory of Pay.gov's last answer, Unix seconds
        self._name = f"{randomness.getrandbits(48):012x}"
        self._leases = 0
        self._unfinished: set[asyncio.Task[Any]] = set()
        self._shared: dict[str, asyncio.Task[Any]] = {}
        self._unanswered: set[str] = set()

    def new_lease_owner(self) -> str:
        """A name for one lease: this process's and a number, so that no two leases share one."""
        self._leases += 1
        return f"{self._name}-{self._leases}"

    async def ask(self, operation: PayGovOperation, question: Awaitable[T]) -> T:
        """Awaits ``question``, one call to Pay.gov, and tells the observer how it went. Raises what it raises."""
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
        """The result of ``work``, run once for all who ask for ``key`` while it runs."""
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
        """Whether the last question about an attempt was answered, for callers who come too soon to ask again."""
        if answered:
            self._unanswered.discard(agency_tracking_id)
            return
        if len(self._unanswered) >= UNANSWERED_MAX:
            self._unanswered.clear()
        self._unanswered.add(agency_tracking_id)

    def last_lookup_answered(self, agency_tracking_id: str) -> bool:
        """False when this process asked about the attempt last and got no answer."""
        return agency_tracking_id not in self._unanswered

    async def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> int:
        """Waits for what has begun, at most ``timeout_s``; how many were left (the sweeper will resolve them)."""
        if not self._unfinished:
            return 0
        _, left = await asyncio.wait(set(self._unfinished), timeout=timeout_s)
        return len(left)

    def alert(self, alert: AlertName, attempt: Attempt, reason: str) -> None:
        """Somebody should look at ``attempt``: one log line without personal data, and a count."""
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
        # Retrieved here, so that work whose caller has gone does not end in asyncio's "never retrieved".
        if not task.cancelled():
            task.exception()
