"""A small OpenID Connect provider without a socket, which can also send what an attacker or a mistake would send.

It follows OpenID Connect Core: a code is used once, by the client that asked for it, with the verifier of its PKCE
challenge. The dashboard reaches it through an HTTP transport that calls it.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from bursar.clock import Clock
from bursar.dashboard.application import dashboard_app
from bursar.dashboard.sign_in.accounts import Accounts, NoAccounts
from bursar.dashboard.sign_in.provider.config import ProviderConfig
from bursar.dashboard.sign_in.provider.provider import IdentityProvider
from bursar.dashboard.sign_in.roles import ROLES, Role
from tests.support.dashboard.office import HOST, Office, Page, Visitor

ISSUER: Final = "https://login.example.gov"
CLIENT_ID: Final = "bursar"
CLIENT_SECRET: Final = "the client's secret"
CALLBACK: Final = f"http://{HOST}/dashboard/sign-in/callback"
SIGN_IN: Final = "/dashboard/sign-in/provider?next=/dashboard/transactions"
TOKEN_S: Final = 300
LOGOUT_TOKEN_S: Final = 120

Claims = dict[str, Any]


class FakeProvider:
    """The provider. ``person``: the claims of the person who is signed in there; None counts as left out.

    ``in_token``: the claims that are in the ID token; the others are at the userinfo endpoint alone.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.person: Claims = {
            "sub": "248289761001", "email": "Ada@Example.gov", "email_verified": True, "roles": ["finance"],
        }  # fmt: skip
        self.in_token: frozenset[str] | None = None
        self.changes: Callable[[Claims], Claims] = dict
        self.sign: Callable[[Claims], str] = self.signed
        self.down: str | None = None
        self.key_number = 0
        self.described: Claims = {}
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._access: dict[str, Claims] = {}
        self._keys: list[ECKey] = []
        self.rotate()

    def rotate(self) -> None:
        """Replace the key that signs."""
        self.key_number += 1
        self._keys = [ECKey.generate_key("P-256", {"kid": f"key-{self.key_number}", "use": "sig", "alg": "ES256"})]

    def signed(self, claims: Claims, **header: Any) -> str:
        """Return the claims as a token that the provider's key has signed."""
        return jwt.encode({"alg": "ES256", "kid": f"key-{self.key_number}", **header}, claims, self._keys[0])

    def logout_claims(self, **changes: Any) -> Claims:
        """Return the claims of a new logout token of the person; a change to None leaves the claim out."""
        now = int(self.clock())
        claims = {
            "iss": ISSUER, "aud": CLIENT_ID, "iat": now, "exp": now + LOGOUT_TOKEN_S, "jti": secrets.token_urlsafe(16),
            "sub": self.person["sub"], "events": {"http://schemas.openid.net/event/backchannel-logout": {}}, **changes,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def approve(self, url: str) -> dict[str, str]:
        """Return the parameters of the callback, for the address to which the dashboard sent the person."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": ISSUER}

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request of the dashboard."""
        self.asked.append(request.url.path)
        if self.down is not None:
            raise httpx2.ConnectError(self.down, request=request)
        if request.url.path == "/.well-known/openid-configuration":
            return httpx2.Response(200, json=self._description())
        if request.url.path == "/keys":
            return httpx2.Response(200, json={"keys": [key.as_dict(private=False) for key in self._keys]})
        if request.url.path == "/userinfo":
            return httpx2.Response(200, json=self._access[request.headers["authorization"].removeprefix("Bearer ")])
        assert request.url.path == "/token"
        return self._token(request)

    def _description(self) -> Claims:
        names = {
            "authorization": "authorize", "token": "token", "userinfo": "userinfo", "end_session": "end",
        }  # fmt: skip
        description = {
            "issuer": ISSUER,
            **{f"{name}_endpoint": f"{ISSUER}/{path}" for name, path in names.items()},
            "jwks_uri": f"{ISSUER}/keys",
            "authorization_response_iss_parameter_supported": True,
            **self.described,
        }
        return {name: value for name, value in description.items() if value is not None}

    def _token(self, request: httpx2.Request) -> httpx2.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        asked = self._codes.pop(form["code"], None)
        secret = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {secret}":
            return httpx2.Response(401, json={"error": "invalid_client"})
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or form["redirect_uri"] != asked["redirect_uri"]:
            return httpx2.Response(400, json={"error": "invalid_grant"})
        now = int(self.clock())
        person = {name: value for name, value in self.person.items() if value is not None}
        shown = {name: person[name] for name in person if self.in_token is None or name in self.in_token | {"sub"}}
        claims = {"iss": ISSUER, "aud": CLIENT_ID, "iat": now, "exp": now + TOKEN_S, "nonce": asked["nonce"], **shown}
        access_token = secrets.token_urlsafe(16)
        self._access[access_token] = person
        reply = {"access_token": access_token, "token_type": "Bearer", "id_token": self.sign(self.changes(claims))}
        return httpx2.Response(200, json=reply)


def signed_with_a_shared_secret(claims: Claims) -> str:
    """Return the claims signed by the client's secret, which a client could forge itself."""
    return jwt.encode({"alg": "HS256", "kid": "key-1"}, claims, OctKey.import_key(CLIENT_SECRET * 2))


def signed_by_a_stranger(claims: Claims) -> str:
    """Return the claims signed by a key that is not the provider's, under the name of the provider's key."""
    return jwt.encode({"alg": "ES256", "kid": "key-1"}, claims, ECKey.generate_key("P-256"))


def unsigned(claims: Claims) -> str:
    """Return the claims with the algorithm ``none``."""
    parts = ({"alg": "none", "kid": "key-1"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def provider_of(fake: FakeProvider, roles: dict[str, Role] | None = None, **more: Any) -> IdentityProvider:
    """Return the dashboard's side of the provider."""
    config = ProviderConfig(
        issuer=ISSUER, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, redirect_uri=CALLBACK,
        signed_out_uri=f"http://{HOST}/dashboard/sign-in", roles=roles or {role: role for role in ROLES}, **more,
    )  # fmt: skip
    return IdentityProvider(config, fake.clock, httpx2.MockTransport(fake.answer))


def visitor_of(office: Office, fake: FakeProvider, accounts: Accounts | None = None, **more: Any) -> Visitor:
    """Return a browser in which no person has signed in, at a dashboard with this provider."""
    parts = office.parts(accounts or NoAccounts(), provider=provider_of(fake, **more), own_url=f"http://{HOST}")
    return Visitor(dashboard_app(parts))


async def come_back(browser: Visitor, answer: dict[str, str]) -> Page:
    """Return to the dashboard with an answer of the provider."""
    return await browser.get(f"/dashboard/sign-in/callback?{httpx2.QueryParams(answer)}")


async def sign_in(browser: Visitor, fake: FakeProvider) -> Page:
    """Sign in: go to the provider, be approved there, and come back."""
    sent = await browser.get(SIGN_IN)
    assert sent.status == 303, sent.text
    return await come_back(browser, fake.approve(sent.header("location")))
