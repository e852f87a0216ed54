"""The dispatcher reads changes, queues them, and delivers due events. Many processes can run it; any can be killed.

    read changes since the cursor (and a little before) ──► note each attempt's last event ──► move the cursor
    due ──► reserve it ──► read its events ──► send the next one ──┬─ 2xx ──► delivered; the next one
                                                                  └─ else ──► later: 10 s, 20 s, … 1 h, for 3 days
                                                                                    └──► dead letter; the next one

If a process dies after sending and before noting the delivery, another one sends it again: events are delivered at
least once, and in order per attempt. The body depends only on the event, which never changes, so all deliveries of an
event are equal.
"""

import asyncio
import logging
import random
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

import orjson

from bursar.clock import Clock, iso_ms
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Event
from bursar.portal.webhooks.queue import DeadLetter, QueuedAttempt, ReservedByAnother, WebhookQueue
from bursar.portal.webhooks.replay import ReplayReport, replay
from bursar.portal.webhooks.sender import NotDelivered, ReceiverReply, Sender
from bursar.portal.webhooks.signing import SIGNATURE_HEADER, signature
from bursar.portal.webhooks.subscriptions import Subscription, Subscriptions

GIVE_UP_AFTER_S: Final = 3 * 24 * 3600.0
WAIT_MIN_S: Final = 10.0
WAIT_MAX_S: Final = 3600.0
RESERVED_FOR_S: Final = 60.0
"""The seconds for which a dispatcher reserves an attempt for one delivery. A send always ends sooner."""
OVERLAP_S: Final = 120.0
"""The seconds before the cursor whose changes are read again: indexes may lag, and clocks differ."""
CATCH_UP_S: Final = 6 * 3600.0
"""The longest period whose changes one pass reads, in seconds."""
PASS_LIMIT: Final = 100
KNOWN_MAX: Final = 50_000
SENDS_AT_ONCE_MAX: Final = 8
DISPATCH_INTERVAL_S: Final = 5.0
EVENT_HEADER: Final = "Bursar-Event"
TEST_TYPE: Final = "webhook.test"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DispatchReport:
    """The counts of one pass: events queued; deliveries made, postponed and abandoned (``died``)."""

    queued: int = 0
    delivered: int = 0
    postponed: int = 0
    died: int = 0


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """The deliveries that have not succeeded: those that wait for a try, and those that were abandoned."""

    waiting: tuple[QueuedAttempt, ...]
    dead: tuple[DeadLetter, ...]


DeliveryOutcome = Literal["delivered", "failed", "abandoned"]


class WebhookObserver(Protocol):
    """The interface to which each try to deliver an event is reported."""

    def webhook_tried(self, subscription: str, outcome: DeliveryOutcome) -> None:
        """Report a try. ``abandoned``: it failed after three days, and the event is a dead letter now."""
        ...


class Dispatcher:
    """Delivers the events of ``ledger`` to ``subscriptions``."""

    def __init__(
        self,
        ledger: Ledger,
        queue: WebhookQueue,
        subscriptions: Subscriptions,
        sender: Sender,
        *,
        clock: Clock,
        randomness: random.Random,
        observer: WebhookObserver | None = None,
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._subscriptions = subscriptions
        self._sender = sender
        self._clock = clock
        self._randomness = randomness
        self._observer = observer
        self._known: dict[tuple[str, str], int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the webhooks."""
        return tuple(each.name for each in self._subscriptions.all)

    async def run(self, interval_s: float = DISPATCH_INTERVAL_S) -> None:
        """Run passes with pauses between them, about ``interval_s`` seconds, until the task is cancelled."""
        while True:
            await asyncio.sleep(interval_s * (0.5 + self._randomness.random()))
            try:
                await self.run_once()
            except Exception as error:  # the loop must survive an outage of the store
                _log.error("pass of the webhooks failed: %r", error)

    async def run_once(self) -> DispatchReport:
        """Run one bounded pass: queue the changes, and deliver the due events."""
        queued = await self._queue_changes()
        due = await self._queue.due(self._clock(), PASS_LIMIT)
        slots = asyncio.Semaphore(SENDS_AT_ONCE_MAX)

        async def deliver_one(item: QueuedAttempt) -> tuple[int, int, int]:
            async with slots:
                return await self._deliver(item)

        results = await asyncio.gather(*(deliver_one(item) for item in due))
        delivered, postponed, died = (sum(column) for column in zip(*results, strict=True)) if results else (0, 0, 0)
        return DispatchReport(queued, delivered, postponed, died)

    async def status(self) -> WebhookStatus:
        """Return the deliveries that have not succeeded: all dead letters, and at most ``PASS_LIMIT`` that wait."""
        waiting = await self._queue.due(self._clock() + GIVE_UP_AFTER_S, PASS_LIMIT)
        dead = [letter for each in self._subscriptions.all for letter in await self._queue.dead_letters(each.name)]
        return WebhookStatus(tuple(waiting), tuple(dead))

    async def retry(self, letter_id: str) -> bool:
        """Send a dead letter (``subscription/attempt/number``) now, and return whether it was delivered."""
        name, _, rest = letter_id.partition("/")
        attempt, _, seq = rest.partition("/")
        subscription = self._subscriptions.get(name)
        if subscription is None or not (seq.isascii() and seq.isdigit() and len(seq) <= 4):
            return False
        letter = await self._queue.dead_letter(name, attempt, int(seq))
        if letter is None:
            return False
        events = await self._events(letter.client, letter.reference, attempt)
        event = next((event for event in events if event.seq == letter.seq), None)
        if event is None:
            return False
        try:
            await self._send(subscription, event)
        except NotDelivered as failed:
            await self._queue.add_dead_letter(replace(letter, problem=str(failed)))
            return False
        await self._queue.remove_dead_letter(letter)
        return True

    async def send_test(self, name: str) -> ReceiverReply:
        """Send a signed test delivery to a subscription now, and return the receiver's reply.

        Raises ``LookupError`` if there is no such subscription, and :class:`NotDelivered`.
        """
        subscription = self._subscriptions.get(name)
        if subscription is None:
            known = ", ".join(each.name for each in self._subscriptions.all)
            raise LookupError(f"must be the name of a webhook ({known}); got {name}")
        test_id = f"test-{self._randomness.getrandbits(64):016x}"
        return await self._post(subscription, test_id, test_body(test_id, self._clock()))

    async def replay(self, since: float, until: float, client: str | None = None) -> ReplayReport:
        """Queue again the events in ``since`` ≤ t < ``until`` (:func:`bursar.portal.webhooks.replay.replay`)."""
        now = self._clock()
        return await replay(self._ledger, self._queue, self._subscriptions, since, until, client=client, now=now)

    async def backlog(self) -> dict[str, int]:
        """Return how many deliveries are ``waiting``, ``failing`` and ``dead``, for the metrics."""
        return await self._queue.backlog(self.names)

    async def _queue_changes(self) -> int:
        now = self._clock()
        cursor = await self._queue.cursor()
        since = now if cursor is None else cursor
        until = min(now, since + CATCH_UP_S)
        queued = 0
        async for event in self._ledger.events(since - OVERLAP_S, until + 1):
            for subscription in self._subscriptions.for_client(event.client):
                queued += await self._queue_event(subscription.name, event, now)
        await self._queue.move_cursor(until)
        return queued

    async def _queue_event(self, subscription: str, event: Event, now: float) -> bool:
        """Queue ``event`` and return whether it is new. A memory of queued events saves writes in the overlap."""
        key = (subscription, event.agency_tracking_id)
        if self._known.get(key, 0) >= event.seq:
            return False
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        is_new = await self._queue.note_event(subscription, event.client, event.reference, key[1], event.seq, now)
        self._known[key] = event.seq
        return is_new

    async def _deliver(self, item: QueuedAttempt) -> tuple[int, int, int]:
        """Deliver the queued events of one attempt, and return the counts (delivered, postponed, abandoned)."""
        subscription = self._subscriptions.get(item.subscription)
        delivered = died = 0
        try:
            if subscription is None:  # the subscription was removed: no further delivery
                await self._queue.save(replace(item, delivered=item.known))
                return 0, 0, 0
            events = await self._events(item.client, item.reference, item.agency_tracking_id)
            for event in events:
                if event.seq <= item.delivered:
                    continue
                if event.seq > item.known:
                    break  # not queued yet: a later pass queues and delivers it
                item = await self._queue.save(replace(item, due_at=self._clock() + RESERVED_FOR_S))
                try:
                    await self._send(subscription, event)
                except NotDelivered as failed:
                    _log_failure(subscription, delivery_id(event), str(failed))
                    item, gave_up = await self._failed(item, event, str(failed))
                    self._report(subscription, "abandoned" if gave_up else "failed")
                    if not gave_up:
                        return delivered, 1, died
                    died += 1
                    continue
                delivered += 1
                self._report(subscription, "delivered")
                item = await self._queue.save(self._marked_delivered(item, event.seq))
        except ReservedByAnother:
            pass  # another dispatcher continues with this attempt
        return delivered, 0, died

    async def _failed(self, item: QueuedAttempt, event: Event, problem: str) -> tuple[QueuedAttempt, bool]:
        now = self._clock()
        since = item.failing_since or now
        if now - since >= GIVE_UP_AFTER_S:
            letter = DeadLetter(
                item.subscription,
                item.client,
                item.reference,
                item.agency_tracking_id,
                event.seq,
                now,
                problem,
            )
            await self._queue.add_dead_letter(letter)
            _log.error("webhook delivery %s abandoned: %s", letter.letter_id, problem)
            return await self._queue.save(self._marked_delivered(item, event.seq)), True
        wait_s = min(WAIT_MIN_S * 2.0 ** min(item.tries, 20), WAIT_MAX_S) * (1 + 0.2 * self._randomness.random())
        later = replace(item, due_at=now + wait_s, failing_since=since, tries=item.tries + 1, problem=problem)
        return await self._queue.save(later), False

    def _marked_delivered(self, item: QueuedAttempt, seq: int) -> QueuedAttempt:
        return replace(item, delivered=seq, due_at=self._clock(), failing_since=None, tries=0, problem="")

    async def _events(self, client: str, reference: str, attempt: str) -> list[Event]:
        view = await self._ledger.obligation(client, reference)
        events = [] if view is None else [e for e in view.events if e.agency_tracking_id == attempt]
        return sorted(events, key=lambda event: event.seq)

    def _report(self, subscription: Subscription, outcome: DeliveryOutcome) -> None:
        if self._observer is not None:
            self._observer.webhook_tried(subscription.name, outcome)

    async def _send(self, subscription: Subscription, event: Event) -> None:
        await self._post(subscription, delivery_id(event), delivery_body(event))

    async def _post(self, subscription: Subscription, event_id: str, body: bytes) -> ReceiverReply:
        headers = {
            "Content-Type": "application/json",
            EVENT_HEADER: event_id,
            SIGNATURE_HEADER: signature(subscription.secret, body, self._clock()),
        }
        return await self._sender.post(subscription.url, body, headers)


def test_body(test_id: str, at: float) -> bytes:
    """Return the JSON body of a test delivery: the fields of every delivery, about no payment."""
    nothing = dict.fromkeys(("transactionReferenceId", "agencyTrackingId", "seq", "fromStatus", "toStatus"))
    return orjson.dumps({"id": test_id, "type": TEST_TYPE, "at": iso_ms(at), **nothing})


def _log_failure(subscription: Subscription, event_id: str, problem: str) -> None:
    _log.warning("webhook %s: delivery %s failed: %s", subscription.name, event_id, problem)


def delivery_id(event: Event) -> str:
    """Return an id that is equal for all deliveries of one event, so that a receiver can recognise repetitions."""
    return f"{event.agency_tracking_id}-{event.seq}"


def delivery_body(event: Event) -> bytes:
    """Return the JSON body of a delivery: no detail, no metadata, no token. The ``details`` API has more."""
    content = {
        "id": delivery_id(event),
        "type": f"payment.{event.name}",
        "at": iso_ms(event.at),
        "transactionReferenceId": event.reference,
        "agencyTrackingId": event.agency_tracking_id,
        "seq": event.seq,
        "fromStatus": event.from_status,
        "toStatus": event.to_status,
    }
    return orjson.dumps(content)
