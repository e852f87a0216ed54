"""The sessions of a console with access keys, in memory: which browser has signed in with which key."""

import hmac
import secrets
from collections import deque
from dataclasses import dataclass
from typing import Final

from bursar.clock import Clock
from bursar.dynamo.server.admission import Access

SESSION_S_MAX: Final = 8 * 3600.0
SESSIONS_MAX: Final = 1_000
FAILURES_MAX: Final = 20
"""The most failed sign-ins within ``FAILURES_WINDOW_S``, of all browsers together.

After that, every sign-in must wait.
"""
FAILURES_WINDOW_S: Final = 60.0
_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class _ConsoleSession:
    access_key: str
    ends_at: float


class ConsoleSessions:
    """The sessions of one process."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._sessions: dict[str, _ConsoleSession] = {}
        self._failures: deque[float] = deque(maxlen=FAILURES_MAX)

    def must_wait(self) -> bool:
        """Return whether too many sign-ins have just failed."""
        full = len(self._failures) == FAILURES_MAX
        return full and self._clock() - self._failures[0] < FAILURES_WINDOW_S

    def begin(self, access_key: str, secret: str) -> str | None:
        """Return the token of a new session; None if the secret is not that of the key."""
        known = self._access.secret_for(access_key)
        if not hmac.compare_digest((known or "").encode(), secret.encode()) or not known:
            self._failures.append(self._clock())
            return None
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._sessions[token] = _ConsoleSession(access_key, self._clock() + SESSION_S_MAX)
        return token

    def access_key_of(self, token: str) -> str | None:
        """Return the access key of a session; None if there is no such session or it has ended."""
        session = self._sessions.get(token)
        if session is None:
            return None
        if self._clock() >= session.ends_at:
            self.end(token)
            return None
        return session.access_key

    def end(self, token: str) -> None:
        """End a session."""
        self._sessions.pop(token, None)
