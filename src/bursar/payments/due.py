"""The time at which the sweeper must check an attempt: a small policy, made of named bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from bursar.payments.records import Attempt, whole_ms
from bursar.payments.status import PENDING, PROCESSED

RECEIVED_AGE_MAX_S: Final = 120.0  # longer than any request for a token may last
TOKEN_AGE_MAX_S: Final = 3 * 3600.0  # Pay.gov's tokens are valid for 3 hours (docs/paygov.md)
LEASED_POLL_S: Final = 30.0  # longer than a complete takes, unless its caller was killed
POLL_INTERVAL_MIN_S: Final = 5.0
POLL_INTERVAL_MAX_S: Final = 3600.0
FRESH_S: Final = 120.0
"""A lost reply is fresh for this time. Most late completes are charged, and shown by a lookup, within it."""
FRESH_POLL_INTERVAL_MAX_S: Final = 10.0
"""The longest wait between two questions about a fresh one: 13 questions in two minutes, and 19 while its token lives.
With doubled waits alone there are 5 and 12, and a charge that is shown in the first minutes waits up to a minute."""
SETTLING_POLL_GROWTH: Final = 4.0
"""The age of a settling payment at a question, as a multiple of its age at the question before."""
SETTLING_INTERVAL_MAX_S: Final = 6 * 3600.0
"""The longest wait between two questions about a settling payment. A question costs 4 write units, ACH takes days."""
DAY_S: Final = 24 * 3600.0
RETURN_WATCH_S: Final = 61 * DAY_S  # an ACH debit may be returned for up to 60 calendar days (docs/paygov.md)
RETURN_POLL_FIRST_S: Final = DAY_S
RETURN_POLL_AGAIN_S: Final = DAY_S
"""The wait for another answer after the end of the watch, if the last question got none."""
RETURN_POLL_GROWTH: Final = 2.0
"""The growth of the waits for a return: the time since settlement, as a multiple of that at the question before.

This gives 7 questions in 61 days.
"""
ACH: Final = "ACH"
"""Pay.gov's payment_type of a debit that can be returned after it has settled."""


@dataclass(frozen=True, slots=True)
class DuePolicy:
    """The bounds of one deployment, all in seconds."""

    received_age_max_s: float = RECEIVED_AGE_MAX_S
    token_age_max_s: float = TOKEN_AGE_MAX_S
    leased_poll_s: float = LEASED_POLL_S
    poll_interval_min_s: float = POLL_INTERVAL_MIN_S
    poll_interval_max_s: float = POLL_INTERVAL_MAX_S
    fresh_s: float = FRESH_S
    fresh_poll_interval_max_s: float = FRESH_POLL_INTERVAL_MAX_S
    settling_interval_max_s: float = SETTLING_INTERVAL_MAX_S
    return_watch_s: float = RETURN_WATCH_S
    return_poll_first_s: float = RETURN_POLL_FIRST_S

    def due_at(self, attempt: Attempt, changes: Mapping[str, Any] = MappingProxyType({})) -> float | None:
        """Return when ``attempt`` is due after ``changes`` (field → value), in Unix seconds; None if it needs no check.

        | status | due |
        |---|---|
        | received, initiated | when a token that came at the last possible moment expires |
        | processing, leased | when a complete usually has its answer, at the latest when the lease runs out |
        | processing, released unsent | as before the lease |
        | processing, outcome unknown | after the shortest polling interval |
        | pending | after the shortest polling interval; after a later event, as after a question to Pay.gov |
        | processed, an ACH debit that has just settled | after the first interval of the watch for returns |
        | processed, an event that keeps the status | as before; not at all when it is reversed in full |

        A token does not move the time: each move in the index ``due`` costs two write units. So an attempt that never
        gets a token is failed by the next start at its obligation, and by the sweeper hours later.
        """
        updated_at: float = changes.get("updated_at", attempt.updated_at)
        lease_until: float | None = changes.get("lease_until", attempt.lease_until)
        match changes.get("status", attempt.status):
            case "processing" if lease_until is not None:
                due_at = min(lease_until, updated_at + self.leased_poll_s)
            case "processing" if changes.get("outcome_unknown", attempt.outcome_unknown):
                due_at = updated_at + self.poll_interval_min_s
            case "received" | "initiated" | "processing":
                due_at = attempt.created_at + self.received_age_max_s + self.token_age_max_s
            case "pending":
                since = changes.get("unsettled_since", attempt.unsettled_since) or updated_at
                due_at = updated_at + self._settling_interval_s(updated_at - since)
            case "processed":
                if not _may_be_returned(attempt, changes):
                    return None
                if attempt.status == PROCESSED:
                    return attempt.due_at
                due_at = updated_at + self.return_poll_first_s
            case _:
                return None
        return whole_ms(due_at)

    def lost_due_at(self, attempt: Attempt) -> float:
        """Return when a lost attempt that was started again, and gets no token, is due if its caller dies."""
        return whole_ms(attempt.created_at + self.received_age_max_s)

    def next_poll_at(self, attempt: Attempt, now: float) -> float:
        """Return when to ask Pay.gov again after a poll at ``now`` that did not show an outcome.

        The wait grows with the time for which the attempt has been in its state, within the bounds, so nothing needs to
        be stored between two polls. The wait for an unknown outcome doubles, but is short while the outcome is fresh.
        The one for a payment that is settling grows faster. A new status of Pay.gov's does not shorten the wait of a
        settling payment. A new reason of an unknown outcome does, because a lookup may decide it soon.
        """
        if attempt.status == PENDING:
            since = attempt.unsettled_since or attempt.updated_at
            return now + self._settling_interval_s(now - since)
        waited_s = now - attempt.updated_at
        fresh = attempt.outcome_unknown and waited_s < self.fresh_s
        longest_s = self.fresh_poll_interval_max_s if fresh else self.poll_interval_max_s
        return now + min(max(waited_s, self.poll_interval_min_s), longest_s)

    def _settling_interval_s(self, waited_s: float) -> float:
        grown_s = waited_s * (SETTLING_POLL_GROWTH - 1)
        return min(max(grown_s, self.poll_interval_min_s), self.settling_interval_max_s)

    def next_return_poll_at(self, attempt: Attempt, now: float) -> float:
        """Return when to ask again whether a settled debit was returned, after a question at ``now``.

        The wait grows with the time since the settlement. The last question is asked at the end of the watch.
        """
        end = self.return_watch_ends_at(attempt)
        if now >= end:
            return now + RETURN_POLL_AGAIN_S
        age = max(now - attempt.updated_at, self.return_poll_first_s)
        return min(attempt.updated_at + age * RETURN_POLL_GROWTH, end)

    def is_watched(self, attempt: Attempt) -> bool:
        """Return whether a processed attempt is, or may be, a debit that can still be returned."""
        return _may_be_returned(attempt, {})

    def return_watch_ends_at(self, attempt: Attempt) -> float:
        """Return when a settled debit can no longer be returned. A processed attempt settled when it last changed."""
        return attempt.updated_at + self.return_watch_s

    def token_expires_at(self, attempt: Attempt) -> float:
        """Return when the attempt's token expires; without a token, count from the attempt's creation."""
        return (attempt.token_at or attempt.created_at) + self.token_age_max_s

    def token_expired(self, attempt: Attempt, now: float) -> bool:
        """Return whether the attempt's token has expired at ``now``."""
        return now >= self.token_expires_at(attempt)


def _may_be_returned(attempt: Attempt, changes: Mapping[str, Any]) -> bool:
    """Return whether a processed attempt is, after ``changes``, an ACH debit that is not reversed in full.

    If an operator settled it, its method may be unknown, and it counts as a debit.
    """
    method = changes.get("payment_method", attempt.payment_method)
    known = changes.get("paygov_tracking_id", attempt.paygov_tracking_id) is not None
    reversed_amount = changes.get("reversed_amount", attempt.reversed_amount)
    return method in (ACH, None) and known and reversed_amount != attempt.amount
