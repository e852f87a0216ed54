"""Sending one delivery, to public addresses only: a webhook must not become a way into our own network.

Every address that the name resolves to must be public, and the connection goes to one of those that were looked at:
a name that resolves to something else a moment later gains nothing. Redirects are not followed.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError, ReplyUnreadable

SEND_TIMEOUT_S: Final = 10.0
CONNECTIONS_MAX: Final = 16
REPLY_BYTES_MAX: Final = 64 * 1024
"""Receivers answer with a status; their bodies are not used."""
GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given to public hosts. What is elsewhere is local, reserved, or stands for an IPv4 address."""
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotDelivered(Exception):
    """A delivery that failed; the text says why and never what was sent."""


class Sender(Protocol):
    """Posts one delivery."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Returns when the receiver answered 2xx. Raises :class:`NotDelivered`."""
        ...


def address_refusal(address: str) -> str | None:
    """Why nothing is sent to ``address`` (text of an IP address); None when it is public."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    embedded = tuple(_embedded(ip))
    known = bool(embedded) or not isinstance(ip, ipaddress.IPv6Address) or ip in GLOBAL_UNICAST
    if not known or any(not each.is_global or each.is_multicast for each in (ip, *embedded)):
        return f"{address} is not a public address"
    return None


def _embedded(ip: Address) -> Iterator[Address]:
    """The IPv4 address that an IPv6 address stands for: mapped, 6to4, or translated (RFC 6052)."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in NAT64:
            yield ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        for found in (ip.ipv4_mapped, ip.sixtofour):
            if found is not None:
                yield found


class HttpSender:
    """A sender over HTTPS, in one event loop. ``async with`` it."""

    def __init__(self, timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._client = HttpClient(
            connections_max=CONNECTIONS_MAX, reply_bytes_max=REPLY_BYTES_MAX, address_refusal=address_refusal
        )

    async def __aenter__(self) -> "HttpSender":
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self._client.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post one delivery. See :meth:`Sender.post`."""
        try:
            status = (await self._client.post(url, body, headers, self._timeout_s)).status
        except ReplyUnreadable as error:
            if error.status is None:
                raise NotDelivered(str(error)) from error
            status = error.status  # the status of a reply that is too large still counts
        except HttpClientError as error:
            raise NotDelivered(str(error)) from error
        if not 200 <= status < 300:
            raise NotDelivered(f"HTTP {status}")
