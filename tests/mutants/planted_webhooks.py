"""The mutants of webhooks: what is sent, to which client, how often, and how it is signed."""

from tests.mutants.mutants import weaken

DISPATCHER = "portal/webhooks/test_dispatcher.py"
PARTS = "portal/webhooks/test_webhook_parts.py"

weaken(
    "signed-over-other-bytes",
    "a delivery is signed over its id and not over its body",
    "bursar.portal.webhooks.dispatcher:Dispatcher._post",
    "signature(subscription.secret, body, self._clock())",
    "signature(subscription.secret, event_id.encode(), self._clock())",
    DISPATCHER,
)
weaken(
    "signature-of-the-future",
    "a signature that is made for a later time is good",
    "bursar.portal.webhooks.signing:verified",
    "abs(now - int(moment)) > age_max_s",
    "now - int(moment) > age_max_s",
    PARTS,
)
weaken(
    "redirects-count-as-delivered",
    "a receiver that answers with a redirect has received the event",
    "bursar.portal.webhooks.sender:HttpSender.post",
    "status < 300",
    "status < 400",
    PARTS,
)
weaken(
    "events-of-other-clients",
    "a subscription receives the events of every client",
    "bursar.portal.webhooks.subscriptions:Subscriptions.for_client",
    "each.client == client",
    "True",
    DISPATCHER,
)
weaken(
    "changes-read-without-overlap",
    "a change that an index shows late is never delivered",
    "bursar.portal.webhooks.dispatcher:Dispatcher._queue_changes",
    "since - OVERLAP_S",
    "since",
    DISPATCHER,
)
weaken(
    "failures-count-on",
    "the tries of a delivered event count for the next event",
    "bursar.portal.webhooks.dispatcher:Dispatcher._marked_delivered",
    "failing_since=None, tries=0",
    "failing_since=item.failing_since, tries=item.tries",
    DISPATCHER,
)
weaken(
    "two-dispatchers-deliver-one-event",
    "two dispatchers may reserve one attempt",
    "bursar.portal.webhooks.queue:WebhookQueue.save",
    '"version = :version AND known = :known"',
    '"known = :known AND :version = :version"',
    DISPATCHER,
)
weaken(
    "delivered-letters-stay-dead",
    "a dead letter that was delivered at last stays in the list",
    "bursar.portal.webhooks.dispatcher:Dispatcher.retry",
    "await self._queue.remove_dead_letter(letter)",
    "pass",
    DISPATCHER,
)
weaken(
    "deliveries-never-die",
    "a delivery that always fails is never abandoned",
    "bursar.portal.webhooks.dispatcher:Dispatcher._failed",
    "item.failing_since or now",
    "now",
    DISPATCHER,
)
weaken(
    "statuses-swapped",
    "a delivery names the new status as the old one",
    "bursar.portal.webhooks.dispatcher:delivery_body",
    '"fromStatus": event.from_status,\n        "toStatus": event.to_status',
    '"fromStatus": event.to_status,\n        "toStatus": event.from_status',
    DISPATCHER,
)
weaken(
    "secret-of-exactly-the-least-length",
    "a secret of exactly the least length is refused",
    "bursar.portal.webhooks.subscriptions:_problems",
    'len(table["secret"]) < SECRET_CHARS_MIN',
    'len(table["secret"]) <= SECRET_CHARS_MIN',
    PARTS,
)
weaken(
    "private-addresses-in-public-ones",
    "a private IPv4 address inside a public IPv6 address is a target",
    "bursar.portal.webhooks.targets:AllowedTargets.__call__",
    "(ip, *embedded)",
    "(ip,)",
    "portal/webhooks/test_targets.py",
)
