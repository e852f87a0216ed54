"""The account of a person, from the claims of a provider. A missing or unusable claim refuses the sign-in."""

from collections.abc import Mapping
from typing import Any, Final

from bursar.dashboard.sign_in.accounts import NAME, Account
from bursar.dashboard.sign_in.provider.config import ProviderConfig, SignInRefused

EVERYTHING: Final = "*"
"""The value of a claim of clients or fees that sets no limit."""
VALUES_SHOWN_MAX: Final = 10


def claim_of(claims: Mapping[str, Any], name: str) -> Any:
    """Return the claim of this name, or at this path such as ``realm_access.roles``; None if it is missing."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def missing_claims(claims: Mapping[str, Any], config: ProviderConfig) -> list[str]:
    """Return the names of the claims that a sign-in needs and ``claims`` lack."""
    return [name for name in config.claims if claim_of(claims, name) in (None, "")]


def account_of_claims(claims: Mapping[str, Any], config: ProviderConfig) -> Account:
    """Return the account that the claims describe.

    Raises:
        SignInRefused: a claim is missing or unusable, an address is not verified, or no value is a role.
    """
    missing = missing_claims(claims, config)
    if missing:
        raise SignInRefused("provider_claim", claim=", ".join(missing))
    given = claim_of(claims, config.name_claim)
    name = given.strip().lower() if isinstance(given, str) else ""
    if NAME.fullmatch(name) is None:
        raise SignInRefused("provider_name", claim=config.name_claim, value=str(given)[:80])
    # A provider may leave this claim out; a few send it as a text.
    if config.name_claim == "email" and str(claims.get("email_verified", True)).lower() != "true":
        raise SignInRefused("provider_unverified", claim="email_verified", name=name)
    values = _values(claims, config.roles_claim)
    roles = frozenset(config.roles[value] for value in values if value in config.roles)
    if not roles:
        shown = ", ".join(values[:VALUES_SHOWN_MAX])
        raise SignInRefused("provider_no_role", claim=config.roles_claim, value=shown, name=name)
    return Account(name, roles, "", _limit(claims, config.clients_claim), _limit(claims, config.fees_claim))


def _limit(claims: Mapping[str, Any], claim: str | None) -> frozenset[str] | None:
    if claim is None:
        return None
    values = _values(claims, claim)
    return None if EVERYTHING in values else frozenset(values)


def _values(claims: Mapping[str, Any], claim: str) -> list[str]:
    """Return the values of a claim, which is a text or a list of texts. Raises :class:`SignInRefused`."""
    found = claim_of(claims, claim)
    values = [found] if isinstance(found, str) else found
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SignInRefused("provider_form", claim=claim)
    return values
