"""The one place that binds TCP ports, and that decides whether an address is loopback."""

import errno
import ipaddress
import socket
from typing import Final

from bursar.startup import CannotStart

LOCALHOST: Final = "localhost"

_REASONS: Final = {
    errno.EACCES: "this user may not use the port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}
"""Reasons that are clearer than the operating system's own text."""


class CannotBind(CannotStart):
    """The address cannot be bound. The text is one line: the address and the reason.

    ``in_use``: another socket has the port, so another port would do.
    """

    def __init__(self, text: str, *, in_use: bool) -> None:
        super().__init__(text)
        self.in_use = in_use


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach ``host``: a loopback IP address, or exactly ``localhost``.

    Any other name is not loopback, also if it resolves to a loopback address. An IPv4-mapped IPv6 address counts as
    the IPv4 address.
    """
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host == LOCALHOST
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped.is_loopback  # Python before 3.13 does not look through the mapping itself
    return found.is_loopback


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a bound, non-blocking TCP socket that does not listen yet. Port 0 takes any free port.

    ``shared`` lets several processes bind the port (SO_REUSEPORT). The kernel gives connections to every socket that
    listens, so a socket that only keeps the port must not listen.

    Raises:
        CannotBind: the name cannot be resolved, or the address cannot be bound.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError, UnicodeError) as error:
        raise _cannot_bind(host, port, error) from error
    # A name such as localhost may have addresses of both families. Clients that know only IPv4 must reach it.
    family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except (OSError, OverflowError) as error:
        bound.close()
        raise _cannot_bind(host, port, error) from error
    bound.setblocking(False)
    return bound


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a listening, non-blocking TCP socket. Port 0 takes any free port.

    Raises:
        CannotBind: as :func:`bind`; another socket may also have started to listen after the bind.
    """
    listening = bind(host, port)
    try:
        listening.listen(backlog)
    except OSError as error:
        listening.close()
        raise _cannot_bind(host, port, error) from error
    return listening


def _cannot_bind(host: str, port: int, error: Exception) -> CannotBind:
    number = error.errno if isinstance(error, OSError) else None
    said = error.strerror if isinstance(error, OSError) else None
    reason = _REASONS.get(number or 0) or said or str(error)
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return CannotBind(f"cannot listen on {where}: {reason}", in_use=number == errno.EADDRINUSE)
