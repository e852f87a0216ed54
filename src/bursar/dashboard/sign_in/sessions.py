"""Sessions of people who have signed in. The browser has a signed random token; the server stores the token's hash.

A session ends when the person signs out, here or everywhere; after ``SESSION_IDLE_S`` without a request; after
``SESSION_S_MAX`` in any case; and when the account is removed or gets another password. A session has the present roles
of its account. If a provider began it, it has the roles that the provider gave at the sign-in. It ends when the
provider ends it (``provider/logout.py``) and when the settings name another provider. NIST SP 800-63B (AAL2) sets both
times: 30 minutes and 12 hours.
"""

import hashlib
import json
import secrets
import sqlite3
from dataclasses import dataclass, field
from typing import Final

from itsdangerous import BadSignature, Signer

from bursar.clock import Clock
from bursar.dashboard.sign_in.accounts import Account, Accounts, account_from, stored_account
from bursar.dashboard.state_file import StateFile

SESSION_IDLE_S: Final = 30 * 60.0
SESSION_S_MAX: Final = 12 * 3600.0
SEEN_STEP_S: Final = 30.0
"""A session's time of use is stored at most this often."""
TOKEN_BYTES: Final = 32
SESSIONS_MAX: Final = 20
"""The most sessions of one account. If another one begins, the oldest ends."""
COOKIE_CHARS_MAX: Final = 200
_KEY: Final = "session cookies"
_FIND: Final = (
    "SELECT sessions.*, issuer, account, id_token FROM sessions LEFT JOIN provider_sessions USING (token_hash) "
    "WHERE token_hash = ?"
)


@dataclass(frozen=True, slots=True)
class PersonSession:
    """A session, and the account that it belongs to. ``token`` is a secret.

    ``id_token``: the proof of the provider that began the session; None for an account of this server.
    """

    account: Account
    token: str
    began_at: float
    seen_at: float
    id_token: str | None = field(default=None, repr=False)


class PersonSessions:
    """The sessions of every process that serves pages. ``issuer``: of the provider whose sessions are accepted."""

    def __init__(self, state: StateFile, accounts: Accounts, clock: Clock, issuer: str | None = None) -> None:
        self._state = state
        self._issuer = issuer
        self._accounts = accounts
        self._clock = clock
        self._signer = Signer(state.key(_KEY), salt="bursar.session", digest_method=hashlib.sha256)

    def begin(
        self, account: Account, address: str, id_token: str | None = None, provider_session: str | None = None
    ) -> tuple[PersonSession, str]:
        """Begin a session with a new token; return it and the value of its cookie.

        ``id_token``: the provider's token, if a provider signed the person in. ``provider_session``: its claim ``sid``.
        """
        now, token = self._clock(), secrets.token_urlsafe(TOKEN_BYTES)
        row = (_hash(token), account.name, _mark(account), now, now, address)
        with self._state.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE began_at <= ?", (now - SESSION_S_MAX,))
            connection.execute(
                "DELETE FROM sessions WHERE name = ? AND token_hash NOT IN "
                "(SELECT token_hash FROM sessions WHERE name = ? ORDER BY began_at DESC LIMIT ?)",
                (account.name, account.name, SESSIONS_MAX - 1),
            )
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)
            if id_token is not None:
                content = json.dumps(stored_account(account))
                vouched = (_hash(token), self._issuer, content, id_token, provider_session)
                connection.execute("INSERT INTO provider_sessions VALUES (?, ?, ?, ?, ?)", vouched)
        return PersonSession(account, token, now, now, id_token), self._signer.sign(token).decode()

    def of(self, cookie: str) -> PersonSession | None:
        """Return the session of a cookie; None if it is forged, has ended or has expired."""
        if not cookie or len(cookie) > COOKIE_CHARS_MAX:
            return None
        try:
            token = self._signer.unsign(cookie).decode()
        except (BadSignature, UnicodeDecodeError):
            return None
        now = self._clock()
        with self._state.writing() as connection:
            row = connection.execute(_FIND, (_hash(token),)).fetchone()
            if row is None:
                return None
            account = self._account(row)
            late = now - row["seen_at"] > SESSION_IDLE_S or now - row["began_at"] > SESSION_S_MAX
            if account is None or late or _mark(account) != row["password_mark"]:
                connection.execute("DELETE FROM sessions WHERE token_hash = ?", (_hash(token),))
                return None
            if now - row["seen_at"] > SEEN_STEP_S:
                connection.execute("UPDATE sessions SET seen_at = ? WHERE token_hash = ?", (now, _hash(token)))
        return PersonSession(account, token, row["began_at"], now, row["id_token"])

    def _account(self, row: sqlite3.Row) -> Account | None:
        if row["issuer"] is None:
            return self._accounts.named(row["name"])
        return account_from(row["name"], json.loads(row["account"])) if row["issuer"] == self._issuer else None

    def end(self, session: PersonSession) -> None:
        """End one session."""
        with self._state.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE token_hash = ?", (_hash(session.token),))

    def end_all(self, name: str) -> int:
        """End every session of an account; return how many there were."""
        with self._state.writing() as connection:
            return connection.execute("DELETE FROM sessions WHERE name = ?", (name,)).rowcount


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _mark(account: Account) -> str:
    """Return a text that changes when the account's password changes."""
    return hashlib.sha256(account.password_hash.encode()).hexdigest()[:16]
