"""Sends one delivery, to public addresses only: a webhook must not open a way into the private network.

Every address that a host name resolves to must be public. The client connects to an address that was checked, so a name
that resolves differently a moment later changes nothing. Redirects are not followed.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError, ReplyUnreadable

SEND_TIMEOUT_S: Final = 10.0
CONNECTIONS_MAX: Final = 16
REPLY_BYTES_MAX: Final = 64 * 1024
"""The body of a receiver's reply is not used."""
GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""The addresses that IANA assigns to public hosts. Others are local, reserved, or represent an IPv4 address."""
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotDelivered(Exception):
    """A delivery failed. The text gives the reason, and holds nothing of the delivery."""


class Sender(Protocol):
    """Posts one delivery."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post ``body`` to ``url``. Raises :class:`NotDelivered` unless the receiver answers 2xx."""
        ...


def address_refusal(address: str) -> str | None:
    """Return the reason why nothing is sent to ``address`` (the text of an IP address); None if it is public."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    embedded = tuple(_embedded(ip))
    known = bool(embedded) or not isinstance(ip, ipaddress.IPv6Address) or ip in GLOBAL_UNICAST
    if not known or any(not each.is_global or each.is_multicast for each in (ip, *embedded)):
        return f"{address} is not a public address"
    return None


def _embedded(ip: Address) -> Iterator[Address]:
    """Yield the IPv4 address that an IPv6 address represents: mapped, 6to4, or translated (RFC 6052)."""
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
