"""Sending one delivery, to public addresses only: a webhook must not become a way into our own network.

Every address that the name resolves to must be public, and the connection goes to one of those that were looked at:
a name that resolves to something else a moment later gains nothing. Redirects are not followed.
"""

import ipaddress
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import aiohttp

SEND_TIMEOUT_S: Final = 10.0
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


def refusal(address: str) -> str | None:
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


class AioHttpSender:
    """The sender over aiohttp. ``async with`` it."""

    def __init__(self, timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "AioHttpSender":
        import aiohttp

        connector = aiohttp.TCPConnector(resolver=_public_resolver(), limit=16, ttl_dns_cache=0, use_dns_cache=False)
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *ended: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        import aiohttp
        from yarl import URL

        assert self._session is not None, "the sender is not open"
        try:
            host = URL(url).host or ""
            # aiohttp asks no resolver about an address written as one.
            if _is_address(host) and (why := refusal(host)):
                raise NotDelivered(why)
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as reply:
                if not 200 <= reply.status < 300:
                    raise NotDelivered(f"HTTP {reply.status}")
        # ValueError: a port or a name that there cannot be (UnicodeError is one).
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            said = str(error) if isinstance(error.__cause__, PermissionError) else type(error).__name__
            raise NotDelivered(said) from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _public_resolver() -> Any:
    from aiohttp.abc import AbstractResolver, ResolveResult
    from aiohttp.resolver import ThreadedResolver

    class PublicResolver(AbstractResolver):
        def __init__(self) -> None:
            self._behind = ThreadedResolver()

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            found = await self._behind.resolve(host, port, family)
            for each in found:
                if why := refusal(each["host"]):
                    raise PermissionError(why)
            return found

        async def close(self) -> None:
            await self._behind.close()

    return PublicResolver()
