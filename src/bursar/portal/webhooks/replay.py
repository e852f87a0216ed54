"""Queue again the events of a time range, for a receiver that lost them or that subscribed later.

    events of the range ──► by subscription and attempt ──► rewind the queue's item to before the first of them

The dispatcher then delivers from the first of them on, in order per attempt. Events of an attempt after the range that
were delivered before are delivered again too, so that their order holds: a receiver remembers each id.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import Event
from bursar.portal.webhooks.queue import WebhookQueue
from bursar.portal.webhooks.subscriptions import Subscriptions

READ_SPAN_S: Final = 6 * 3600.0
"""The longest period whose changes one read of the ledger covers, in seconds."""
REPLAY_SPAN_MAX_S: Final = 366 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The events in the range, and the items of the queue that were rewound: one per subscription and attempt."""

    events: int
    items: int


async def replay(
    ledger: Ledger,
    queue: WebhookQueue,
    subscriptions: Subscriptions,
    since: float,
    until: float,
    *,
    client: str | None,
    now: float,
) -> ReplayReport:
    """Queue again the events in ``since`` ≤ t < ``until`` (Unix seconds), of ``client`` or of all clients.

    A dead letter of such an event is queued again too, and is no longer a dead letter. Raises ``ValueError`` unless the
    range ends after it begins and is at most ``REPLAY_SPAN_MAX_S`` long.
    """
    if not 0 < until - since <= REPLAY_SPAN_MAX_S:
        raise ValueError(f"--from and --to: must be a range of at most {REPLAY_SPAN_MAX_S / 86400:.0f} days")
    events = items = 0
    first_of: dict[tuple[str, str], Event] = {}
    last_of: dict[tuple[str, str], Event] = {}
    for begin, end in _spans(since, until):
        async for event in ledger.events(begin, end):
            if client not in (None, event.client):
                continue
            subscribed = subscriptions.for_client(event.client)
            events += bool(subscribed)
            for subscription in subscribed:
                key = (subscription.name, event.agency_tracking_id)
                first_of[key] = min(first_of.get(key, event), event, key=_number)
                last_of[key] = max(last_of.get(key, event), event, key=_number)
    for key, first in first_of.items():
        await queue.rewind(key[0], first.client, first.reference, key[1], first.seq, last_of[key].seq, now)
        items += 1
    return ReplayReport(events, items)


def _number(event: Event) -> int:
    return event.seq


def _spans(since: float, until: float) -> Iterator[tuple[float, float]]:
    begin = since
    while begin < until:
        yield begin, min(until, begin + READ_SPAN_S)
        begin += READ_SPAN_S
