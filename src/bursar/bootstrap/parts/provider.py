"""Make the OpenID Connect provider of the dashboard, and the accounts beside it, from the settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bursar.bootstrap.parts.accounts import accounts_of
from bursar.clock import Clock
from bursar.dashboard.sign_in.accounts import Accounts, NoAccounts
from bursar.dashboard.sign_in.provider.config import ProviderConfig
from bursar.dashboard.sign_in.provider.provider import IdentityProvider, is_provider_url
from bursar.dashboard.sign_in.roles import ROLES, Role, role_named
from bursar.dashboard.site import PREFIX
from bursar.private_files import TooOpen, require_private
from bursar.settings import Settings
from bursar.startup import CannotStart

CALLBACK_PATH: Final = f"{PREFIX}/sign-in/callback"
SIGNED_OUT_PATH: Final = f"{PREFIX}/sign-in"
SECRET_BYTES_MAX: Final = 4_096


def people_of(settings: Settings) -> Accounts:
    """Return the accounts that the pages accept; none if people sign in only through a provider.

    Raises:
        CannotStart: the accounts' file cannot be used.
    """
    return accounts_of(settings) if "accounts" in settings.sign_in else NoAccounts()


def provider_of(settings: Settings, clock: Clock) -> IdentityProvider | None:
    """Return the provider; None if people sign in only with accounts.

    Raises:
        CannotStart: a setting of the provider is missing, wrong, or set but not used.
    """
    if "oidc" not in settings.sign_in:
        if settings.oidc_issuer is not None:
            raise CannotStart(
                f"BURSAR_SIGN_IN: must name oidc, because BURSAR_OIDC_ISSUER is set; got {settings.sign_in}"
            )
        return None
    for name in ("oidc_issuer", "oidc_client_id", "dashboard_url"):
        if getattr(settings, name) is None:
            raise CannotStart(f"BURSAR_{name.upper()}: must be set, because BURSAR_SIGN_IN names oidc; got nothing")
    return IdentityProvider(_config(settings), clock)


def _config(settings: Settings) -> ProviderConfig:
    issuer, client_id, own_url = settings.oidc_issuer, settings.oidc_client_id, settings.dashboard_url
    assert issuer is not None
    assert client_id is not None
    assert own_url is not None
    if not is_provider_url(issuer) or urlsplit(issuer).query or urlsplit(issuer).fragment:
        raise CannotStart(
            f"BURSAR_OIDC_ISSUER: must be an https URL without a query, or http on loopback; got {issuer!r}"
        )
    if "openid" not in settings.oidc_scopes.split():
        raise CannotStart(f"BURSAR_OIDC_SCOPES: must have openid among the scopes; got {settings.oidc_scopes!r}")
    own = urlsplit(own_url)
    origin = f"{own.scheme}://{own.netloc}"
    return ProviderConfig(
        issuer=issuer,
        client_id=client_id,
        client_secret=_secret(settings),
        redirect_uri=origin + CALLBACK_PATH,
        signed_out_uri=origin + SIGNED_OUT_PATH,
        scopes=settings.oidc_scopes,
        name_claim=settings.oidc_name_claim,
        roles_claim=settings.oidc_roles_claim,
        roles=_roles(settings.oidc_roles),
        clients_claim=settings.oidc_clients_claim,
        fees_claim=settings.oidc_fees_claim,
    )


def _secret(settings: Settings) -> str | None:
    """Return the client secret of the environment or the file. Raises :class:`CannotStart`."""
    path = settings.oidc_client_secret_file
    if path is None:
        return settings.oidc_client_secret
    if settings.oidc_client_secret is not None:
        raise CannotStart("BURSAR_OIDC_CLIENT_SECRET_FILE: must be unset if BURSAR_OIDC_CLIENT_SECRET is set; got both")
    try:
        require_private(path)
        with Path(path).open("rb") as file:
            secret = file.read(SECRET_BYTES_MAX + 1).decode().strip()
    except (TooOpen, OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"BURSAR_OIDC_CLIENT_SECRET_FILE: {error}") from error
    if not 0 < len(secret) <= SECRET_BYTES_MAX:
        raise CannotStart(f"BURSAR_OIDC_CLIENT_SECRET_FILE: must hold 1 to {SECRET_BYTES_MAX} bytes; got {len(secret)}")
    return secret


def _roles(text: str | None) -> Mapping[str, Role]:
    """Return a mapping: value of the claim → role. Raises :class:`CannotStart`."""
    if text is None:
        return {role: role for role in ROLES}
    found: dict[str, Role] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        value, separator, role = part.rpartition("=")  # a value may contain "=", as a distinguished name does
        try:
            if not separator or not value.strip():
                raise ValueError("must be VALUE=ROLE, separated by semicolons")
            if value.strip() in found:
                raise ValueError("must name each value once")
            found[value.strip()] = role_named(role.strip())
        except ValueError as error:
            raise CannotStart(f"BURSAR_OIDC_ROLES: {error}; got {part!r}") from None
    return found
