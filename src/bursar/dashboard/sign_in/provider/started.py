"""Sign-ins that have begun and are not finished: their secrets are in a signed cookie of the browser that began them.

Only that browser can finish it, within ``STARTED_S_MAX`` seconds, and once.
"""

import hashlib
import secrets
from dataclasses import astuple, dataclass
from typing import Any, Final

from itsdangerous import BadSignature, URLSafeSerializer

from bursar.clock import Clock
from bursar.dashboard.sign_in.provider.config import SignInRefused
from bursar.dashboard.state_file import StateFile

STARTED_S_MAX: Final = 600.0
FOLLOWING_CHARS_MAX: Final = 1_000
COOKIE_CHARS_MAX: Final = 4_096
SECRET_BYTES: Final = 32
_KEY: Final = "provider sign-ins"


@dataclass(frozen=True, slots=True)
class StartedSignIn:
    """The secrets of one sign-in. ``following``: the page that the person asked for."""

    state: str
    nonce: str
    code_verifier: str
    following: str
    began_at: float


class StartedSignIns:
    """Begins sign-ins, and checks them when the person comes back."""

    def __init__(self, state: StateFile, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        digest = {"digest_method": hashlib.sha256}
        self._serializer = URLSafeSerializer(state.key(_KEY), salt="bursar.provider", signer_kwargs=digest)

    def begin(self, following: str) -> tuple[StartedSignIn, str]:
        """Return a sign-in with new secrets, and the value of its cookie."""
        asked = following if len(following) <= FOLLOWING_CHARS_MAX else ""
        state, nonce, code_verifier = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(3))
        started = StartedSignIn(state, nonce, code_verifier, asked, self._clock())
        return started, str(self._serializer.dumps(astuple(started)))

    def finish(self, cookie: str, state: str) -> StartedSignIn:
        """Return the sign-in of a cookie.

        Raises:
            SignInRefused: ``state`` is of another sign-in, or this one is too old or has been finished before.
        """
        started = self._of(cookie)
        if started is None or not secrets.compare_digest(started.state.encode(), state.encode()):
            raise SignInRefused("provider_state")
        now = self._clock()
        with self._state.writing() as connection:
            connection.execute("DELETE FROM finished_sign_ins WHERE at <= ?", (now - STARTED_S_MAX,))
            used = connection.execute(
                "INSERT OR IGNORE INTO finished_sign_ins VALUES (?, ?)", (_hash(state), now)
            ).rowcount
        if used == 0 or not 0 <= now - started.began_at < STARTED_S_MAX:
            raise SignInRefused("provider_state")
        return started

    def _of(self, cookie: str) -> StartedSignIn | None:
        if not cookie or len(cookie) > COOKIE_CHARS_MAX:
            return None
        try:
            stored: Any = self._serializer.loads(cookie)
        except BadSignature:
            return None
        return StartedSignIn(*stored)


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
