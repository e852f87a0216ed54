"""The registration of the dashboard at its OpenID Connect provider, and how a sign-in or a logout can fail."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from bursar.dashboard.sign_in.roles import Role

CLOCKS_DIFFER_S_MAX: Final = 60
"""The most seconds by which the clocks of this machine and of the provider may differ."""


class ProviderUnavailable(Exception):
    """The provider does not answer, or its answer is not valid. The text is one line without secrets."""


class SignInRefused(Exception):
    """The sign-in is refused. ``key``: the key of a title and a text below ``errors`` in the catalogue."""

    def __init__(self, key: str, **fields: Any) -> None:
        super().__init__(key)
        self.key = key
        self.fields = fields


class LogoutRefused(Exception):
    """A logout token is refused. The text is the check that it fails, such as the name of a claim."""


@dataclass(frozen=True, kw_only=True)
class ProviderConfig:
    """The registration of the dashboard at its provider, and the meaning of the claims.

    ``client_secret`` is None for a public client, which PKCE alone protects. ``roles``: value of the claim
    ``roles_claim`` → role. ``clients_claim`` and ``fees_claim`` name the claims that limit what a person sees; None: no
    limit.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    signed_out_uri: str
    roles: Mapping[str, Role]
    client_secret: str | None = field(default=None, repr=False)
    scopes: str = "openid email profile"
    name_claim: str = "email"
    roles_claim: str = "roles"
    clients_claim: str | None = None
    fees_claim: str | None = None

    @property
    def host(self) -> str:
        """The host of the provider, as the sign-in page names it."""
        return urlsplit(self.issuer).netloc

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims without which a sign-in is refused."""
        return tuple(filter(None, (self.name_claim, self.roles_claim, self.clients_claim, self.fees_claim)))
