"""Authenticate callers, in one of three ways that depend on where the portal runs.

| where | how the caller is known | authenticator |
|---|---|---|
| behind API Gateway | Amazon has verified the signature and passes the caller's ARN | :func:`api_gateway` |
| as a server | the portal verifies the request's SigV4 signature with the clients' keys | :func:`sigv4` |
| local development | every caller is one client; on loopback only | :func:`without_signatures` |
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from bursar.clock import Clock
from bursar.payments.catalogue.clients import Client, Clients
from bursar.portal.contract.error_catalogue import MISSING_PRINCIPAL, NOT_REGISTERED, NOT_SIGNED, NOT_THIS_MACHINE
from bursar.portal.contract.errors import Forbidden
from bursar.portal.contract.messages import Call
from bursar.web.binding import is_loopback
from bursar.web.sigv4 import SignatureRefused, UnknownAccessKey, verify

SERVICE: Final = "execute-api"

Authenticate = Callable[[Call], Awaitable[Client | None]]
"""Returns the client that makes a call; None if it is not registered. Raises ``Forbidden`` for a bad signature."""

HOSTS_CACHED_MAX: Final = 64
"""The cache is small, because callers use few names for this machine."""

_log = logging.getLogger(__name__)


def without_signatures(client: Client, *, listens_on: Iterable[str]) -> Authenticate:
    """Treat every caller as ``client``, except pages of other sites in the developer's browser.

    Raises ``ValueError`` unless every address in ``listens_on`` is loopback.
    """
    outside = [address for address in listens_on if not is_loopback(address)]
    if outside:
        raise ValueError(f"must listen on loopback only, because signatures are off; got {', '.join(outside)}")
    _log.warning("SIGNATURES ARE NOT VERIFIED: every caller on loopback acts as client %r", client.name)

    async def authenticate(call: Call) -> Client | None:
        if is_from_another_site(call.headers):
            raise Forbidden(NOT_THIS_MACHINE)
        return client

    return authenticate


def is_from_another_site(headers: Mapping[str, str]) -> bool:
    """Return whether a browser sends the request for another site: its page (``Origin``) or its name (``Host``)."""
    return any(not _names_loopback(headers[name]) for name in ("host", "origin") if name in headers)


def sigv4(clients: Clients, *, clock: Clock, region: str | None = None) -> Authenticate:
    """Verify AWS4-HMAC-SHA256 signatures for the service ``execute-api`` with the clients' access keys.

    The clocks may differ by ``bursar.web.sigv4.CLOCK_SKEW_S_MAX``, so an intercepted request can be replayed for at
    most twice that time. The portal does not remember signatures: SigV4 has no nonce, two honest retries within a
    second have the same signature, and every endpoint is safe to repeat.
    """

    def secret_for(access_key_id: str) -> str | None:
        found = clients.by_access_key(access_key_id)
        return None if found is None else found[1].secret

    async def authenticate(call: Call) -> Client | None:
        try:
            identity = verify(
                call.method,
                call.path,
                call.query,
                call.headers,
                call.body,
                secret_for=secret_for,
                service=SERVICE,
                region=region,
                now=clock(),
            )
        except UnknownAccessKey:
            raise Forbidden(NOT_REGISTERED) from None
        except SignatureRefused as refused:
            raise Forbidden(NOT_SIGNED.saying(_message_of(refused))) from None
        found = clients.by_access_key(identity.access_key)
        return None if found is None else found[0]

    return authenticate


def api_gateway(clients: Clients) -> Authenticate:
    """Trust the ARN that API Gateway passes in requestContext.identity; the Lambda door puts it into the call."""

    async def authenticate(call: Call) -> Client | None:
        if call.role_arn is None:
            raise Forbidden(MISSING_PRINCIPAL)
        return clients.by_role_arn(call.role_arn)

    return authenticate


def _message_of(refused: SignatureRefused) -> str:
    # One of Amazon's messages quotes the Authorization header, which must not be sent back.
    return str(refused).partition(" Authorization=")[0]


@lru_cache(HOSTS_CACHED_MAX)
def _names_loopback(text: str) -> bool:
    return is_loopback(_host_of(text))


def _host_of(text: str) -> str:
    try:
        return urlsplit(f"//{text.rpartition('//')[2]}").hostname or ""
    except ValueError:
        return ""
