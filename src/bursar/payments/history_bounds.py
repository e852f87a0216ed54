"""How often an attempt takes a step that can come again: what bounds the length of its history, and the reading of it.

Most steps move an attempt forward, and so are taken once. Those that leave its status as it is, in the order in which
an attempt comes to them:

| event | how often |
|---|---|
| `reclaimed` | ``RECLAIMS_MAX`` times |
| `released` | once for each claim |
| `lease_taken_over` | until it has ``TAKEOVER_EVENTS_MAX`` events |
| `outcome_unknown` | twice: once under the claim, which is then its last, and once under a lease taken over, likewise |
| `noted` | until it has ``NOTED_EVENTS_MAX`` events |

The bounds on events rise in that order, so that none uses up another's. What moves the attempt is never refused for
its history: there is room for it below ``records.EVENT_SEQ_MAX``.
"""

from collections.abc import Mapping
from typing import Final

from bursar.payments.records import Attempt
from bursar.payments.status import EventName

RECLAIMS_MAX: Final = 500
"""How often an attempt is claimed again after its lease was given back unsent: every 22 s for its token's 3 hours."""
TAKEOVER_EVENTS_MAX: Final = 1_500
"""With so many events the lease of an unknown attempt is not taken over any more to complete again."""
NOTED_EVENTS_MAX: Final = 2_000
"""With so many events another word of Pay.gov's for what is still settling is not kept any more."""

_EVENTS_GIVEN_BACK: Final = 4  # started, token_given, claimed, released: nothing else leads there
_EVENTS_OF_A_RECLAIM: Final = 2  # reclaimed, released
EVENTS_MAX: Final[Mapping[EventName, int]] = {
    "reclaimed": _EVENTS_GIVEN_BACK + _EVENTS_OF_A_RECLAIM * RECLAIMS_MAX,
    "lease_taken_over": TAKEOVER_EVENTS_MAX,
    "noted": NOTED_EVENTS_MAX,
}
"""Event → how many events, of whatever name, an attempt has when it takes this one no more."""


def taken_too_often(attempt: Attempt, event: EventName) -> bool:
    """Whether ``attempt`` takes no further ``event``, one of :data:`EVENTS_MAX`."""
    return attempt.event_seq >= EVENTS_MAX[event]
