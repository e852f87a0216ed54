"""Which addresses webhooks may be sent to: public ones, and private ones that the operator allows by network.

A webhook must not open a way into the private network. Every address that a host name resolves to is checked, at start
(:func:`refused_targets`) and again at each connection (:class:`AllowedTargets` as the client's address check).
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from bursar.portal.webhooks.subscriptions import Subscription

RESOLVE_TIMEOUT_S: Final = 5.0
GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""The addresses that IANA assigns to public hosts. Others are local, reserved, or represent an IPv4 address."""
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_log = logging.getLogger(__name__)


class AllowedTargets:
    """The addresses that may be connected to. ``private``: networks in which addresses need not be public."""

    def __init__(self, private: Sequence[Network] = ()) -> None:
        self._private = tuple(private)

    def __call__(self, address: str) -> str | None:
        """Return the reason why nothing is sent to ``address`` (the text of an IP address); None if it is allowed."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        if any(ip in network for network in self._private):  # never an address of another IP version
            return None
        embedded = tuple(_embedded(ip))
        known = bool(embedded) or not isinstance(ip, ipaddress.IPv6Address) or ip in GLOBAL_UNICAST
        if not known or any(not each.is_global or each.is_multicast for each in (ip, *embedded)):
            return f"{address} is not a public address"
        return None


async def refused_targets(subscriptions: Iterable[Subscription], allowed: AllowedTargets) -> list[str]:
    """Return one problem for each subscription whose host has an address that is not allowed.

    A host name that cannot be resolved now is only logged, because its receiver may start later.
    """
    each = list(subscriptions)
    found = await asyncio.gather(*(_refusal(subscription, allowed) for subscription in each))
    return [f"webhooks.{s.name}.url: {reason}" for s, reason in zip(each, found, strict=True) if reason]


async def _refusal(subscription: Subscription, allowed: AllowedTargets) -> str | None:
    parts = urlsplit(subscription.url)
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
        _log.warning("webhook %s: its host cannot be resolved now: %s", subscription.name, type(error).__name__)
        return None
    reasons = (allowed(str(address[0])) for *_, address in found)
    return next((reason for reason in reasons if reason), None)


def _embedded(ip: Address) -> Iterator[Address]:
    """Yield the IPv4 address that an IPv6 address represents: mapped, 6to4, or translated (RFC 6052)."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in NAT64:
            yield ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        for found in (ip.ipv4_mapped, ip.sixtofour):
            if found is not None:
                yield found
