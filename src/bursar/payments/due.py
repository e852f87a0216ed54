"""The time at which the sweeper must check an attempt: a small policy, made of named bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from bursar.payments.records import Attempt, whole_ms
from bursar.payments.status import PENDING

RECEIVED_AGE_MAX_S: Final = 120.0  # longer than any request for a token may last
TOKEN_AGE_MAX_S: Final = 3 * 3600.0  # Pay.gov's tokens are valid for 3 hours (docs/paygov.md)
LEASED_POLL_S: Final = 30.0  # longer than a complete takes, unless its caller was killed
POLL_INTERVAL_MIN_S: Final = 5.0
POLL_INTERVAL_MAX_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class DuePolicy:
    """The bounds of one deployment, all in seconds."""

    received_age_max_s: float = RECEIVED_AGE_MAX_S
    token_age_max_s: float = TOKEN_AGE_MAX_S
    leased_poll_s: float = LEASED_POLL_S
    poll_interval_min_s: float = POLL_INTERVAL_MIN_S
    poll_interval_max_s: float = POLL_INTERVAL_MAX_S

    def due_at(self, attempt: Attempt, changes: Mapping[str, Any] = MappingProxyType({})) -> float | None:
        """Return when ``attempt`` is due after ``changes`` (field → value), in Unix seconds; None if it is final then.

        | status | due |
        |---|---|
        | received | when it has waited too long for a token |
        | initiated | when its token expires |
        | processing, leased | when a complete usually has its answer, at the latest when the lease runs out |
        | processing, released unsent | when its token expires |
        | processing, outcome unknown | after the shortest polling interval |
        | pending | after the shortest polling interval; after a further event, after the time it has been settling |
        """
        updated_at: float = changes.get("updated_at", attempt.updated_at)
        lease_until: float | None = changes.get("lease_until", attempt.lease_until)
        match changes.get("status", attempt.status):
            case "received":
                due_at = attempt.created_at + self.received_age_max_s
            case "processing" if lease_until is not None:
                due_at = min(lease_until, updated_at + self.leased_poll_s)
            case "processing" if changes.get("outcome_unknown", attempt.outcome_unknown):
                due_at = updated_at + self.poll_interval_min_s
            case "initiated" | "processing":
                due_at = (changes.get("token_at", attempt.token_at) or attempt.created_at) + self.token_age_max_s
            case "pending":
                since = changes.get("unsettled_since", attempt.unsettled_since) or updated_at
                due_at = updated_at + self._poll_interval_s(updated_at - since)
            case _:
                return None
        return whole_ms(due_at)

    def next_poll_at(self, attempt: Attempt, now: float) -> float:
        """Return when to ask Pay.gov again after a poll at ``now`` that decided nothing.

        The wait is as long as the attempt has been in its state, within the bounds. So the interval between polls
        doubles, and nothing needs to be stored between them. A new word of Pay.gov's for a payment that is settling
        does not shorten the wait; a new reason of an unknown outcome does, because a lookup may decide it soon.
        """
        settling_since = attempt.unsettled_since if attempt.status == PENDING else None
        return now + self._poll_interval_s(now - (settling_since or attempt.updated_at))

    def _poll_interval_s(self, waited_s: float) -> float:
        return min(max(waited_s, self.poll_interval_min_s), self.poll_interval_max_s)

    def token_expires_at(self, attempt: Attempt) -> float:
        """Return when the attempt's token expires; without a token, as if it was given at the attempt's creation."""
        return (attempt.token_at or attempt.created_at) + self.token_age_max_s

    def token_expired(self, attempt: Attempt, now: float) -> bool:
        """Return whether the attempt's token has expired at ``now``."""
        return now >= self.token_expires_at(attempt)
