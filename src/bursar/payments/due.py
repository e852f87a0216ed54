"""The time at which the sweeper must check an attempt: a small policy, made of named bounds."""

from dataclasses import dataclass, replace
from typing import Final

from bursar.payments.records import Attempt, whole_ms

RECEIVED_AGE_MAX_S: Final = 120.0  # longer than any request for a token may last
TOKEN_AGE_MAX_S: Final = 3 * 3600.0  # Pay.gov's tokens are valid for 3 hours (docs/paygov.md)
POLL_INTERVAL_MIN_S: Final = 5.0
POLL_INTERVAL_MAX_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class DuePolicy:
    """The bounds of one deployment, all in seconds."""

    received_age_max_s: float = RECEIVED_AGE_MAX_S
    token_age_max_s: float = TOKEN_AGE_MAX_S
    poll_interval_min_s: float = POLL_INTERVAL_MIN_S
    poll_interval_max_s: float = POLL_INTERVAL_MAX_S

    def due_at(self, attempt: Attempt) -> float | None:
        """Return when an attempt that has just changed is due, in Unix seconds; None if it is final.

        | status | due |
        |---|---|
        | received | when it has waited too long for a token |
        | initiated | when its token expires |
        | processing, leased | when the lease runs out |
        | processing, released unsent | when its token expires |
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
        """Return when to ask Pay.gov again after a poll at ``now`` that decided nothing.

        The wait is as long as the attempt has been in its state, within the bounds. So the interval between polls
        doubles, and nothing needs to be stored between them.
        """
        waited = now - attempt.updated_at
        return now + min(max(waited, self.poll_interval_min_s), self.poll_interval_max_s)

    def token_expires_at(self, attempt: Attempt) -> float:
        """Return when the attempt's token expires; without a token, as if it was given at the attempt's creation."""
        return (attempt.token_at or attempt.created_at) + self.token_age_max_s

    def token_expired(self, attempt: Attempt, now: float) -> bool:
        """Return whether the attempt's token has expired at ``now``."""
        return now >= self.token_expires_at(attempt)
