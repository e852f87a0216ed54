"""Sends one delivery, to allowed addresses only (:mod:`bursar.portal.webhooks.targets`).

The client connects to an address that was checked, so a name that resolves differently a moment later changes nothing.
Redirects are not followed.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from bursar.portal.webhooks.targets import AllowedTargets
from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError, ReplyUnreadable

SEND_TIMEOUT_S: Final = 10.0
CONNECTIONS_MAX: Final = 16
REPLY_BYTES_MAX: Final = 64 * 1024
"""The body of a receiver's reply is shown after a test delivery, and is not used otherwise."""


class ReceiverReply(NamedTuple):
    """The answer of a receiver. ``body`` is empty for a reply that is too large."""

    status: int
    body: bytes = b""


class NotDelivered(Exception):
    """A delivery failed. The text gives the reason, and contains no part of the delivery.

    ``reply``: the answer that is not 2xx; None if the receiver did not answer.
    """

    def __init__(self, reason: str, reply: ReceiverReply | None = None) -> None:
        super().__init__(reason)
        self.reply = reply


class Sender(Protocol):
    """Posts one delivery."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> ReceiverReply:
        """Post ``body`` to ``url``. Raises :class:`NotDelivered` unless the receiver answers 2xx."""
        ...


class HttpSender:
    """A sender over HTTP, in one event loop. ``async with`` it. ``allowed``: the addresses that it may connect to."""

    def __init__(self, timeout_s: float = SEND_TIMEOUT_S, *, allowed: AllowedTargets | None = None) -> None:
        self._timeout_s = timeout_s
        self._client = HttpClient(
            connections_max=CONNECTIONS_MAX,
            reply_bytes_max=REPLY_BYTES_MAX,
            address_refusal=allowed or AllowedTargets(),
        )

    async def __aenter__(self) -> "HttpSender":
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self._client.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> ReceiverReply:
        """Post one delivery. See :meth:`Sender.post`."""
        try:
            answered = await self._client.post(url, body, headers, self._timeout_s)
            reply = ReceiverReply(answered.status, answered.body)
        except ReplyUnreadable as error:
            if error.status is None:
                raise NotDelivered(str(error)) from error
            reply = ReceiverReply(error.status)  # the status of a reply that is too large still counts
        except HttpClientError as error:
            raise NotDelivered(str(error)) from error
        if not 200 <= reply.status < 300:
            raise NotDelivered(f"HTTP {reply.status}", reply)
        return reply
