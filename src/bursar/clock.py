"""Time, as it is passed in: every room takes a ``Clock`` and none looks at the wall by itself (law 5)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Clock = Callable[[], float]
"""Seconds since the Unix epoch, UTC. In a simulation it is virtual and moves with the event loop's time."""

system_clock: Clock = time.time

steady_clock: Clock = time.monotonic
"""Seconds since some moment, the same for all processes of a machine; never set back. For how long, never for when."""


# One payment writes and reads some sixty timestamps: the same few again and again, most within the same few seconds.
@lru_cache(maxsize=4096)
def iso_ms(seconds: float) -> str:
    """``seconds`` since the epoch as ISO 8601, UTC, milliseconds and a Z: ``2026-11-22T19:30:00.125Z``."""
    # Whole milliseconds first: formatting a float would round 0.9996 s up to a four-digit fraction.
    whole_ms = int(seconds * 1000 + 0.5)
    return f"{_iso_second(whole_ms // 1000)}.{whole_ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _iso_second(whole_s: int) -> str:
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=4096)
def from_iso_ms(text: str) -> float:
    """The inverse of :func:`iso_ms`: seconds since the epoch. Raises ``ValueError`` for any other form."""
    if not text.endswith("Z"):
        raise ValueError(f"not a UTC timestamp ending in Z: {text!r}")
    return datetime.fromisoformat(text).timestamp()
