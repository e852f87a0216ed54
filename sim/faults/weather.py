"""The weather of a simulated day: how often each kind of fault strikes."""

import random
from dataclasses import dataclass
from typing import Final

from bursar.portal.upkeep.sweep_loop import SWEEP_INTERVAL_S
from sim.faults.lookup_days import BOTH_LOOKUPS, DAYS_LOOKUPS, Lookups

SCHEDULED_SWEEP_INTERVAL_S: Final = 60.0
"""The interval of sweeps on a day on which a schedule starts them; on other days it is the portal's default."""
LATE_SHARE: Final = 0.15
"""The share of days on which every payer pays in the last minutes of the token, in a storm that lasts until then."""


@dataclass(frozen=True)
class Weather:
    """The faults of one day. Probabilities are per call (``deaths``: per step, ``disconnects``: per request)."""

    paygov_faults: float = 0.0
    paygov_oddity: float = 0.0
    store_faults: float = 0.0
    deaths: float = 0.0
    disconnects: float = 0.0
    lookups: Lookups = BOTH_LOOKUPS
    lookup_delay_s: float = 0.0
    sweep_interval_s: float = SWEEP_INTERVAL_S
    unpaid_code: str | None = "4117"
    outages: int = 0
    embedded: bool = False
    """Whether the store is in the portals' processes: its faults are then those of a disk."""

    @classmethod
    def drawn(cls, randomness: random.Random) -> "Weather":
        """Return a random day."""
        return cls(
            paygov_faults=randomness.choice((0.0, 0.05, 0.2, 0.5)),
            paygov_oddity=randomness.choice((0.0, 0.0, 0.0, 0.08)),
            store_faults=randomness.choice((0.0, 0.01, 0.05, 0.15)),
            deaths=randomness.choice((0.0, 0.002, 0.01, 0.03)),
            disconnects=randomness.choice((0.0, 0.0, 0.05, 0.3)),
            lookups=randomness.choices(DAYS_LOOKUPS, [each.share for each in DAYS_LOOKUPS])[0],
            lookup_delay_s=randomness.choices((0.0, 20.0, 300.0), (7, 2, 1))[0],
            sweep_interval_s=randomness.choices((SWEEP_INTERVAL_S, SCHEDULED_SWEEP_INTERVAL_S), (3, 1))[0],
            unpaid_code=randomness.choice(("4117", "4117", None)),
            outages=randomness.choice((0, 0, 0, 1, 2)),
            embedded=randomness.random() < 0.4,
        )

    @property
    def can_rule_out(self) -> bool:
        """Whether a lookup can say that Pay.gov has no collection of an attempt."""
        return bool(self.lookups.confirmed)

    @property
    def only_holders_end_leases(self) -> bool:
        """Whether only the holder can end a lease: no process dies and the store has no faults."""
        return self.deaths == 0 and self.store_faults == 0


def pays_late(seed: int | str) -> bool:
    """Return whether the payers of the day of ``seed`` pay late, and Pay.gov's completes arrive late (LATE_SHARE)."""
    return is_late(random.Random(f"{seed} late"))


def is_late(chance: random.Random) -> bool:
    """Return whether a day with the randomness ``chance`` for it is such a day."""
    return chance.random() < LATE_SHARE
