"""Time. Every room takes a ``Clock`` as an argument, and none reads the system clock itself (law 6)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

MILLISECOND_S: Final = 0.001
"""The precision of times in the store."""

Clock = Callable[[], float]
"""Returns seconds since the Unix epoch, UTC. In a simulation it follows the event loop's virtual time."""

system_clock: Clock = time.time

steady_clock: Clock = time.monotonic
"""Returns seconds since an unspecified moment, which is the same for all processes of a machine.

It never goes back, so use it for durations.
"""


# One payment converts about sixty timestamps. Most repeat, and most lie within the same few seconds.
@lru_cache(maxsize=4096)
def iso_ms(seconds: float) -> str:
    """Return ``seconds`` since the epoch as ISO 8601 in UTC with milliseconds: ``2026-11-22T19:30:00.125Z``."""
    # Round to whole milliseconds first: formatting a float would round 0.9996 s up to a four-digit fraction.
    whole_ms = int(seconds * 1000 + 0.5)
    return f"{_iso_second(whole_ms // 1000)}.{whole_ms % 1000:03d}Z"


def iso_s(seconds: float) -> str:
    """Return ``seconds`` since the epoch, rounded down, as ISO 8601 in UTC: ``2026-11-22T19:30:00Z``."""
    return f"{_iso_second(int(seconds))}Z"


@lru_cache(maxsize=4096)
def _iso_second(whole_s: int) -> str:
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=4096)
def from_iso_ms(text: str) -> float:
    """Return the seconds since the epoch of a text from :func:`iso_ms`. Raise ``ValueError`` for any other form."""
    if not text.endswith("Z"):
        raise ValueError(f"not a UTC timestamp ending in Z: {text!r}")
    return datetime.fromisoformat(text).timestamp()
