"""OpenID Connect Back-Channel Logout 1.0: the provider ends the sessions that it began.

    the provider ─► POST logout_token ─► signature (provider.py) ─► claims ─► not used before ─► sessions end

A logout token names a person (``sub``), one session of the provider (``sid``), or both.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bursar.clock import Clock
from bursar.dashboard.sign_in.provider.config import CLOCKS_DIFFER_S_MAX, LogoutRefused, ProviderConfig
from bursar.dashboard.state_file import StateFile

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
"""The member of the claim ``events`` that makes a token a logout token."""
TYPES: Final = frozenset({None, "JWT", "logout+jwt", "application/logout+jwt"})
"""Values of the header ``typ``. The specification recommends ``logout+jwt`` and does not require it."""
TOKEN_AGE_S_MAX: Final = 600
"""Older tokens are refused, so a used token must be remembered only for this time."""
USED_S_MAX: Final = TOKEN_AGE_S_MAX + 2 * CLOCKS_DIFFER_S_MAX


@dataclass(frozen=True, slots=True)
class ProviderLogout:
    """The sessions to end: all of ``subject``, or those of the provider's session ``session_id``.

    If both are set, a session must have both. ``token_id``: the claim ``jti``, which is used once.
    """

    issuer: str
    token_id: str
    subject: str | None
    session_id: str | None


def logout_of_claims(
    header: Mapping[str, Any], claims: Mapping[str, Any], config: ProviderConfig, now: float
) -> ProviderLogout:
    """Return what a signed token ends, by section 2.6 of the specification. Raises :class:`LogoutRefused`."""
    from joserfc.errors import ClaimError, JoseError
    from joserfc.jwt import JWTClaimsRegistry

    registry = JWTClaimsRegistry(
        now=int(now), leeway=CLOCKS_DIFFER_S_MAX,
        iss={"essential": True, "value": config.issuer}, aud={"essential": True, "value": config.client_id},
        iat={"essential": True}, exp={"essential": True}, jti={"essential": True},
    )  # fmt: skip
    try:
        registry.validate(dict(claims))
    except JoseError as error:
        raise LogoutRefused(error.claim if isinstance(error, ClaimError) else error.error) from error
    events = claims.get("events")
    checks = {
        "typ": header.get("typ") in TYPES,
        "aud": claims["aud"] in (config.client_id, [config.client_id]),
        "iat": now - claims["iat"] <= TOKEN_AGE_S_MAX + CLOCKS_DIFFER_S_MAX,
        "jti": isinstance(claims["jti"], str),
        "events": isinstance(events, dict) and isinstance(events.get(EVENT), dict),
        "nonce": "nonce" not in claims,
        "sub": _is_text_or_missing(claims, "sub"),
        "sid": _is_text_or_missing(claims, "sid"),
        "sub or sid": "sub" in claims or "sid" in claims,
    }
    for name, holds in checks.items():
        if not holds:
            raise LogoutRefused(name)
    return ProviderLogout(config.issuer, claims["jti"], claims.get("sub"), claims.get("sid"))


def _is_text_or_missing(claims: Mapping[str, Any], name: str) -> bool:
    return name not in claims or (isinstance(claims[name], str) and claims[name] != "")


class ProviderLogouts:
    """Ends sessions at a provider's request."""

    def __init__(self, state: StateFile, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def end(self, logout: ProviderLogout) -> Mapping[str, int]:
        """End the sessions, and return how many of each name there were.

        Raises :class:`LogoutRefused` if the token was used before.

        A session without a ``sid`` ends with any session of its subject.
        """
        now = self._clock()
        token_hash = hashlib.sha256(logout.token_id.encode()).hexdigest()
        fields = {"issuer": logout.issuer, "subject": logout.subject, "sid": logout.session_id}
        with self._state.writing() as connection:
            connection.execute("DELETE FROM used_logout_tokens WHERE at <= ?", (now - USED_S_MAX,))
            used = connection.execute(
                "INSERT OR IGNORE INTO used_logout_tokens VALUES (?, ?, ?)", (logout.issuer, token_hash, now)
            ).rowcount
            if used == 0:
                raise LogoutRefused("jti")
            return Counter(row["name"] for row in connection.execute(_END, fields).fetchall())


_END: Final = """
DELETE FROM sessions
WHERE token_hash IN (
    SELECT token_hash FROM provider_sessions
    WHERE issuer = :issuer AND (:sid IS NULL OR sid = :sid OR (sid IS NULL AND :subject IS NOT NULL))
) AND (:subject IS NULL OR name IN (
    SELECT name FROM provider_people WHERE issuer = :issuer AND subject = :subject
))
RETURNING name
"""
