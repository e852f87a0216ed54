"""How long a lost reply left an outcome unknown: virtual time from the lost reply to the end of ``processing``.

    claimed ──► complete sent ──► no reply ──► outcome_unknown ──► … ──► completed, accepted, refused, never_charged
                                               │◄───────── resolution time ─────────►│

Two causes are counted apart. A reply is *lost* on the way or cannot be read. A process is *killed* while it waits: the
store does not know when, so the time counts from its lease, and nothing can be concluded before the lease ends.
Fault 4117 is a reply, so an attempt whose token was refused does not count, nor does one that an operator settled.
"""

from collections.abc import Iterable
from statistics import quantiles
from typing import Final, Literal

from bursar.payments.due import LEASED_POLL_S
from bursar.payments.ledger.ledger import LEASE_RAN_OUT
from bursar.payments.records import Event
from bursar.portal.use_cases.completion_outcomes import OUTCOMES

LOST: Final = tuple(OUTCOMES[name].reason for name in ("timed out", "lost", "nonsense"))
LEASED: Final = ("claimed", "reclaimed")
FOUND: Final = ("completed", "accepted", "refused")
PERCENTILES_OF_MIN: Final = 2
BY_HAND: Final = ("resolved_processed", "resolved_failed")
Cause = Literal["lost", "killed"]


def resolution(history: Iterable[Event]) -> tuple[Cause, float] | None:
    """Return the cause and the seconds from the first lost reply to the resolution; None if there were not both.

    ``history``: the events of one attempt, oldest first.
    """
    leased_at = 0.0
    began: tuple[Cause, float] | None = None
    for event in history:
        if event.name in LEASED:
            leased_at = event.at
        elif began is None and event.name in ("outcome_unknown", "lease_taken_over"):
            reason = str(event.detail.get("reason"))
            if reason == LEASE_RAN_OUT:
                began = "killed", leased_at
            elif reason in LOST:
                began = "lost", event.at
            else:
                return None
        elif event.from_status == "processing" != event.to_status:
            if began is None and event.name in FOUND and event.at - leased_at >= LEASED_POLL_S:
                began = "killed", leased_at  # another process found the collection under the lease
            return None if began is None or event.name in BY_HAND else (began[0], event.at - began[1])
    return None


def summary(times_s: Iterable[tuple[Cause, float]]) -> list[str]:
    """Return a line for each cause, and one for both: how many, the median and the 95th percentile."""
    found = list(times_s)
    lines = []
    for title, causes in (("lost replies", ("lost",)), ("killed processes", ("killed",)), ("both", ("lost", "killed"))):
        chosen = [seconds for cause, seconds in found if cause in causes]
        if len(chosen) >= PERCENTILES_OF_MIN:
            percentiles = quantiles(chosen, n=100, method="inclusive")
            times = f", median {percentiles[49]:.0f} s, 95th percentile {percentiles[94]:.0f} s"
        else:
            times = ""
        lines.append(f"{len(chosen):7d}  {title}, resolved{times}")
    return lines
