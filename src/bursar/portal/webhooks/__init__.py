"""Webhooks: post each event of a payment to its subscribers, signed, at least once and in order per attempt.

    events (payments table) ──► queue (a separate table) ──► dispatcher ──► sender ──► the subscriber
                                     one item per subscription and attempt     signed, public addresses only

The queue holds no events. An item holds the number of the last event that is known, and of the last that is delivered;
the dispatcher reads the events from the payments table. Start at ``dispatcher.py``.
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
