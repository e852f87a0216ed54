"""When the sweeper must look at an attempt: a small policy, all of it bounds with names."""

from dataclasses import dataclass, replace
from typing import Final

from bursar.payments.records import Attempt, whole_ms

RECEIVED_AGE_MAX_S: Final = 120.0  # longer than any call that asks for a token may last
TOKEN_AGE_MAX_S: Final = 3 * 3600.0  # Pay.gov's tokens are good for 3 hours (docs/paygov.md)
POLL_INTERVAL_MIN_S: Final = 5.0
POLL_INTERVAL_MAX_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class DuePolicy:
    """The bounds as one deployment has them; all in seconds."""

    received_age_max_s: float = RECEIVED_AGE_MAX_S
    token_age_max_s: float = TOKEN_AGE_MAX_S
    poll_interval_min_s: float = POLL_INTERVAL_MIN_S
    poll_interval_max_s: float = POLL_INTERVAL_MAX_S

    def due_at(self, attempt: Attempt) -> float | None:
        """When an attempt that has just changed is due (Unix seconds); None when it is final.

        | status | due |
        |---|---|
        | received | when it has been asking for a token for too long |
        | initiated | when its token is past its life |
        | processing, leased | when the lease runs out |
        | processing, given back unsent | when its token is past its life |
        | processing, outcome unknown | after the shortest polling interval |
        | pending | after the shortest polling interval |
        """
        match attempt.status:
            case "received":
                return attempt.created_at + self.received_age_max_s
            case "initiated":
                return self.token_expires_at(attempt)
            case "processing" if attempt.lease_until is not None:
                return attempt.lease_until
            case "processing" if not attempt.outcome_unknown:
                return self.token_expires_at(attempt)
            case "processing" | "pending":
                return attempt.updated_at + self.poll_interval_min_s
            case _:
                return None

    def scheduled(self, attempt: Attempt) -> Attempt:
        """Return ``attempt``, due when :meth:`due_at` says."""
        due_at = self.due_at(attempt)
        return replace(attempt, due_at=None if due_at is None else whole_ms(due_at))

    def next_poll_at(self, attempt: Attempt, now: float) -> float:
        """When to ask Pay.gov again after a poll at ``now`` that settled nothing.

        The wait is as long as the attempt has been in its state, within the bounds: polls thin out by doubling and
        nothing needs to be remembered between them.
        """
        waited = now - attempt.updated_at
        return now + min(max(waited, self.poll_interval_min_s), self.poll_interval_max_s)

    def token_expires_at(self, attempt: Attempt) -> float:
        """The end of its token's life; of its creation's, when it has no token."""
        return (attempt.token_at or attempt.created_at) + self.token_age_max_s

    def token_expired(self, attempt: Attempt, now: float) -> bool:
        return now >= self.token_expires_at(attempt)
