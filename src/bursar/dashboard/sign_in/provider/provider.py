"""The OpenID Connect provider: send a person to sign in, and read who comes back.

    begin ─► the provider's sign-in page ─► code ─► token endpoint ─► ID token, checked ─► claims (also of userinfo)

The provider's description and keys are read when they are needed and kept for ``KEPT_S_MAX``. If a token has an unknown
key or a wrong signature, the keys are read again, because providers change them.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from bursar.clock import Clock
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.provider.claims import account_of_claims, missing_claims
from bursar.dashboard.sign_in.provider.config import (
    CLOCKS_DIFFER_S_MAX,
    LogoutRefused,
    ProviderConfig,
    ProviderUnavailable,
    SignInRefused,
)
from bursar.dashboard.sign_in.provider.logout import ProviderLogout, logout_of_claims
from bursar.dashboard.sign_in.provider.started import StartedSignIn
from bursar.web.binding import is_loopback

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from httpx2 import AsyncBaseTransport

PROVIDER_TIMEOUT_S: Final = 10.0
"""The timeout of all requests to the provider for one sign-in together."""
KEPT_S_MAX: Final = 3600.0
KEYS_AGE_S_MIN: Final = 5.0
"""Younger keys are not read again, so that each forged token cannot cause a request."""
RETRY_S: Final = 2.0
"""After a failure, the provider's description is not requested again for this time."""
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Only signatures with public keys: neither ``none`` nor a shared secret."""
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
ERROR_CHARS_MAX: Final = 80
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL_ENDPOINTS: Final = ("userinfo_endpoint", "end_session_endpoint")


@dataclass(frozen=True, slots=True)
class ProviderPerson:
    """A person that the provider has signed in. ``id_token`` identifies the provider's session at the sign-out.

    ``session_id``: the claim ``sid``, by which the provider identifies a session that it ends; None if missing.
    """

    subject: str
    account: Account
    id_token: str = field(repr=False)
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A document of the provider, and the time when it was read."""

    content: Mapping[str, Any]
    at: float


class IdentityProvider:
    """One provider, in one event loop. ``transport`` replaces the network in tests."""

    def __init__(self, config: ProviderConfig, clock: Clock, transport: "AsyncBaseTransport | None" = None) -> None:
        self.config = config
        self._clock = clock
        self._transport = transport
        self._reading = asyncio.Lock()
        self._description: _Kept | None = None
        self._keys: _Kept | None = None
        self._failure: tuple[ProviderUnavailable, float] | None = None

    async def sign_in_url(self, started: StartedSignIn, language: str) -> str:
        """Return the address of the provider's sign-in page. Raises :class:`ProviderUnavailable`."""
        description = await self._described()
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                description["authorization_endpoint"],
                state=started.state,
                nonce=started.nonce,
                code_verifier=started.code_verifier,
                ui_locales=language,
            )
        return str(url)

    async def sign_out_url(self, id_token: str) -> str | None:
        """Return the address at which the provider ends its session too; None without one, or without an answer."""
        try:
            end = (await self._described()).get("end_session_endpoint")
        except ProviderUnavailable:
            return None
        if end is None:
            return None
        config = self.config
        query = {
            "id_token_hint": id_token,
            "client_id": config.client_id,
            "post_logout_redirect_uri": config.signed_out_uri,
        }
        return f"{end}{'&' if urlsplit(end).query else '?'}{urlencode(query)}"

    async def person(self, answer: Mapping[str, str], started: StartedSignIn) -> ProviderPerson:
        """Return the person in the provider's answer, which is in the parameters of the callback's URL.

        Raises:
            SignInRefused: the provider refuses, or the answer, the token or a claim is not valid.
            ProviderUnavailable: the provider does not answer.
        """
        from authlib.integrations.base_client import OAuthError
        from httpx2 import HTTPError, InvalidURL

        self._check_answer(answer, await self._described())
        try:
            async with asyncio.timeout(PROVIDER_TIMEOUT_S), self._client() as client:
                return await self._person(client, answer["code"], started)
        except OAuthError as error:
            raise SignInRefused("provider_code", problem=str(error.error)[:ERROR_CHARS_MAX]) from error
        except (HTTPError, InvalidURL, TimeoutError, ValueError) as error:
            raise ProviderUnavailable(_reason(error)) from error

    async def logout(self, logout_token: str) -> ProviderLogout:
        """Return which sessions the provider ends by a logout token.

        Raises:
            LogoutRefused: the token is not a logout token of this provider for this client, or is not valid now.
            ProviderUnavailable: the provider's keys cannot be read.
        """
        from httpx2 import HTTPError, InvalidURL
        from joserfc.errors import JoseError

        try:
            async with asyncio.timeout(PROVIDER_TIMEOUT_S), self._client() as client:
                header, claims = await self._signed(client, logout_token)
        except JoseError as error:
            raise LogoutRefused(error.error) from error
        except (HTTPError, InvalidURL, TimeoutError, ValueError) as error:
            raise ProviderUnavailable(_reason(error)) from error
        return logout_of_claims(header, claims, self.config, self._clock())

    def _check_answer(self, answer: Mapping[str, str], description: Mapping[str, Any]) -> None:
        if "error" in answer:
            raise SignInRefused("provider_refused", problem=answer["error"][:ERROR_CHARS_MAX])
        issuer = answer.get("iss")  # RFC 9207: protects against answers of another provider
        named = description.get("authorization_response_iss_parameter_supported") is True
        if issuer != self.config.issuer and (named or issuer is not None):
            raise SignInRefused("provider_token", problem="iss")
        if not answer.get("code"):
            raise SignInRefused("provider_code", problem="code")

    async def _person(self, client: "AsyncOAuth2Client", code: str, started: StartedSignIn) -> ProviderPerson:
        description = await self._described()
        token = await client.fetch_token(
            description["token_endpoint"],
            grant_type="authorization_code",
            code=code,
            code_verifier=started.code_verifier,
            redirect_uri=self.config.redirect_uri,
        )
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise SignInRefused("provider_token", problem="id_token")
        claims = await self._checked(client, id_token, started.nonce, token.get("access_token"))
        subject = str(claims["sub"])
        if missing_claims(claims, self.config) and description.get("userinfo_endpoint") and token.get("access_token"):
            more = await self._userinfo(client, description["userinfo_endpoint"], token["access_token"])
            if more.get("sub") != subject:
                raise SignInRefused("provider_token", problem="sub")
            claims = {**more, **claims}
        session_id = claims.get("sid")
        account = account_of_claims(claims, self.config)
        return ProviderPerson(subject, account, id_token, session_id if isinstance(session_id, str) else None)

    async def _checked(
        self, client: "AsyncOAuth2Client", id_token: str, nonce: str, access_token: str | None
    ) -> Mapping[str, Any]:
        """Return the claims of an ID token that is valid for this sign-in. Raises :class:`SignInRefused`."""
        from authlib.oidc.core import CodeIDToken
        from joserfc.errors import ClaimError, JoseError

        try:
            header, claims = await self._signed(client, id_token)
            options = {
                "iss": {"essential": True, "value": self.config.issuer},
                "aud": {"essential": True, "value": self.config.client_id},
            }
            parameters = {"nonce": nonce, "client_id": self.config.client_id, "access_token": access_token}
            token = CodeIDToken(claims, header, options, parameters)
            token.validate(now=int(self._clock()), leeway=CLOCKS_DIFFER_S_MAX)
        except JoseError as error:
            problem = f"{error.error}: {error.claim}" if isinstance(error, ClaimError) else error.error
            raise SignInRefused("provider_token", problem=problem) from error
        return claims

    async def _signed(self, client: "AsyncOAuth2Client", token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the header and the claims of a token that a key of the provider has signed. Raises ``JoseError``."""
        from joserfc.errors import BadSignatureError, InvalidKeyIdError

        try:
            return _verified(token, await self._read_keys(client))
        except (InvalidKeyIdError, BadSignatureError):
            return _verified(token, await self._read_keys(client, again=True))

    async def _userinfo(self, client: "AsyncOAuth2Client", url: str, access_token: str) -> Mapping[str, Any]:
        return await _json(client, url, {"authorization": f"Bearer {access_token}"})

    async def _described(self) -> Mapping[str, Any]:
        """Return the provider's description of itself. Raises :class:`ProviderUnavailable`."""
        from httpx2 import HTTPError, InvalidURL

        async with self._reading:
            now = self._clock()
            if self._description is not None and now - self._description.at < KEPT_S_MAX:
                return self._description.content
            if self._failure is not None and 0 <= now - self._failure[1] < RETRY_S:
                raise self._failure[0]
            try:
                async with asyncio.timeout(PROVIDER_TIMEOUT_S), self._client() as client:
                    found = await _json(client, self.config.issuer.rstrip("/") + DISCOVERY_PATH)
                self._check_description(found)
            except (HTTPError, InvalidURL, TimeoutError, ValueError) as error:
                failure = ProviderUnavailable(_reason(error))
                self._failure = (failure, now)
                raise failure from error
            self._description = _Kept(found, now)
            return found

    def _check_description(self, found: Mapping[str, Any]) -> None:
        if found.get("issuer") != self.config.issuer:
            raise ValueError(
                f"issuer: must be {self.config.issuer!r}, as in BURSAR_OIDC_ISSUER; got {found.get('issuer')!r}"
            )
        for name in (*_ENDPOINTS, *(each for each in _OPTIONAL_ENDPOINTS if each in found)):
            if not is_provider_url(found.get(name)):
                raise ValueError(f"{name}: must be an https URL; got {found.get(name)!r}")

    async def _read_keys(self, client: "AsyncOAuth2Client", *, again: bool = False) -> Mapping[str, Any]:
        """Return the provider's public keys; ``again``: read them now."""
        description = await self._described()
        async with self._reading:
            now = self._clock()
            kept = self._keys
            if kept is None or now - kept.at >= (KEYS_AGE_S_MIN if again else KEPT_S_MAX):
                found = await _json(client, description["jwks_uri"])
                if not isinstance(found.get("keys"), list):
                    raise ValueError("jwks_uri: must lead to an object with keys")
                kept = self._keys = _Kept(found, now)
            return kept.content

    def _client(self) -> "AsyncOAuth2Client":
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        config = self.config
        return AsyncOAuth2Client(
            config.client_id,
            config.client_secret,
            token_endpoint_auth_method=self._authentication,
            scope=config.scopes,
            redirect_uri=config.redirect_uri,
            code_challenge_method="S256",
            timeout=PROVIDER_TIMEOUT_S,
            transport=self._transport,
            verify=self._trust,
        )

    @property
    def _authentication(self) -> str:
        """The client's authentication method: HTTP Basic, unless the provider accepts the secret only in the form."""
        if self.config.client_secret is None:
            return "none"
        described = {} if self._description is None else self._description.content
        methods = described.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def is_provider_url(url: object) -> bool:
    """Return whether ``url`` is absolute and uses https; on loopback, http is accepted too."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    )


def _verified(compact: str, keys: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token that one of the keys has signed. Raises ``JoseError``."""
    from joserfc import jwt
    from joserfc.jwk import KeySet
    from joserfc.jws import JWSRegistry

    registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
    token = jwt.decode(compact, KeySet.import_key_set({"keys": keys["keys"]}), registry=registry)
    return token.header, token.claims


async def _json(client: "AsyncOAuth2Client", url: str, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Return the JSON object at ``url``. Raises ``httpx2.HTTPError`` and ``ValueError``."""
    reply = await client.request("GET", url, headers=dict(headers or {}), withhold_token=True)
    reply.raise_for_status()
    found = reply.json()
    if not isinstance(found, dict):
        raise ValueError(f"{urlsplit(url).path}: must be a JSON object; got {type(found).__name__}")
    return found


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
