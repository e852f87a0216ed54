"""Slow down guessing of passwords: count failed sign-ins per name and per address, over all processes."""

from typing import Final

from bursar.clock import Clock
from bursar.dashboard.state_file import StateFile

WINDOW_S: Final = 15 * 60.0
FAILURES_PER_NAME_MAX: Final = 10
FAILURES_PER_ADDRESS_MAX: Final = 30
_LIMITS: Final = {"name": FAILURES_PER_NAME_MAX, "address": FAILURES_PER_ADDRESS_MAX}


class SignInThrottle:
    """Failed sign-ins of the last ``WINDOW_S`` seconds."""

    def __init__(self, state: StateFile, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def wait_s(self, name: str | None, address: str) -> float:
        """Return how long this name or address must wait before the next try, in seconds; 0 if it may try now.

        ``name`` is None for a sign-in through a provider, whose name is known only at the end.
        """
        now = self._clock()
        waits = [0.0]
        with self._state.writing() as connection:
            for kind, value in _counted(name, address):
                recent = connection.execute(
                    "SELECT at FROM failed_sign_ins WHERE kind = ? AND name = ? AND at > ? ORDER BY at DESC LIMIT ?",
                    (kind, value, now - WINDOW_S, _LIMITS[kind]),
                ).fetchall()
                if len(recent) >= _LIMITS[kind]:
                    waits.append(recent[-1]["at"] + WINDOW_S - now)
        return max(waits)

    def count_failure(self, name: str | None, address: str) -> None:
        """Count one failed sign-in."""
        now = self._clock()
        with self._state.writing() as connection:
            connection.execute("DELETE FROM failed_sign_ins WHERE at <= ?", (now - WINDOW_S,))
            rows = [(kind, value, now) for kind, value in _counted(name, address)]
            connection.executemany("INSERT INTO failed_sign_ins VALUES (?, ?, ?)", rows)


def _counted(name: str | None, address: str) -> list[tuple[str, str]]:
    pairs = [("address", address)]
    return pairs if name is None else [("name", name), *pairs]
