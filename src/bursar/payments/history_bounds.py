"""Bounds on the steps that an attempt can repeat. They limit the length of its history and the cost of reading it.

Most steps change the status, so they happen once. These steps keep the status, in the order in which an attempt reaches
their bounds:

| event | how often |
|---|---|
| `reclaimed` | ``RECLAIMS_MAX`` times |
| `released` | once for each lease |
| `lease_taken_over` | until the attempt has ``TAKEOVER_EVENTS_MAX`` events |
| `outcome_unknown` | twice: once under the last lease that was taken, and once under the last one that was taken over |
| `noted` | until the attempt has ``NOTED_EVENTS_MAX`` events |
| `metadata_erased` | once: there is nothing left to erase |
| `returned`, `charged_back`, `refund_requested` | until the attempt has ``REVERSAL_EVENTS_MAX`` events |
| `refund_approved`, `refund_rejected` | once for each request |

The bounds on events rise in that order, so that no step uses up the events of another. The history never refuses a step
that changes the status: there is room for it below ``records.EVENT_SEQ_MAX``.
"""

from collections.abc import Mapping
from typing import Final

from bursar.payments.records import Attempt
from bursar.payments.status import EventName

RECLAIMS_MAX: Final = 500
"""Repeated leases of an attempt that was released unsent: one every 22 s for the 3 hours of its token."""
TAKEOVER_EVENTS_MAX: Final = 1_500
"""At this number of events, the lease of an unknown attempt can no longer be taken over to complete it again."""
NOTED_EVENTS_MAX: Final = 2_000
"""At this number of events, a new status word from Pay.gov for a settling attempt is no longer stored."""
REVERSAL_EVENTS_MAX: Final = 4_000
"""At this number of events, no further reversal or request for a refund is recorded, only the decision on a request."""

_EVENTS_RELEASED: Final = 4  # the only possible events are started, token_given, claimed, released
_EVENTS_OF_A_RECLAIM: Final = 2  # reclaimed, released
EVENTS_MAX: Final[Mapping[EventName, int]] = {
    "reclaimed": _EVENTS_RELEASED + _EVENTS_OF_A_RECLAIM * RECLAIMS_MAX,
    "lease_taken_over": TAKEOVER_EVENTS_MAX,
    "noted": NOTED_EVENTS_MAX,
    "returned": REVERSAL_EVENTS_MAX,
    "charged_back": REVERSAL_EVENTS_MAX,
    "refund_requested": REVERSAL_EVENTS_MAX,
}
"""Event → the total number of events from which on an attempt can no longer have this event."""


def taken_too_often(attempt: Attempt, event: EventName) -> bool:
    """Return whether ``attempt`` can have no further ``event`` because of :data:`EVENTS_MAX`."""
    return event in EVENTS_MAX and attempt.event_seq >= EVENTS_MAX[event]
