"""Webhooks: each event of a payment told to whoever subscribed, signed, at least once and in order per attempt.

    events (payments table) ──► queue (a table of its own) ──► dispatcher ──► sender ──► the subscriber
                                     one item per subscription and attempt     signed, public addresses only

The queue keeps no events: an item says how far an attempt's history is known and how far it is delivered, and the
history itself is read where it is kept. Start at ``dispatcher.py``.
"""

from bursar.portal.webhooks.dispatcher import Dispatcher, DispatchReport
from bursar.portal.webhooks.queue import WebhookQueue
from bursar.portal.webhooks.signing import SIGNATURE_HEADER, signature, verified
from bursar.portal.webhooks.subscriptions import Subscription, Subscriptions, SubscriptionsError

__all__ = [
    "SIGNATURE_HEADER",
    "DispatchReport",
    "Dispatcher",
    "Subscription",
    "Subscriptions",
    "SubscriptionsError",
    "WebhookQueue",
    "signature",
    "verified",
]
