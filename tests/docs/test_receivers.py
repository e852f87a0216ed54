"""The receivers of webhooks run as they are: they take each genuine event once, and refuse everything else."""

import asyncio
import contextlib
import ipaddress
import json
import time
from collections.abc import AsyncIterator

import pytest

from bursar.portal.webhooks.dispatcher import EVENT_HEADER
from bursar.portal.webhooks.sender import HttpSender, NotDelivered, ReceiverReply
from bursar.portal.webhooks.signing import SIGNATURE_HEADER, signature
from bursar.portal.webhooks.targets import AllowedTargets
from tests.support.docs.programs import ANSWER_S_MAX, LANGUAGES, line_of, running

SECRET = "at least thirty-two characters, at random"


@contextlib.asynccontextmanager
async def received_by(language: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, HttpSender]]:
    """Start the receiver; yield its process, its address, and a sender that may reach it."""
    loopback = AllowedTargets([ipaddress.ip_network("127.0.0.0/8")])
    async with running(f"receiver.{language}", "0", WEBHOOK_SECRET=SECRET) as program:
        url = (await line_of(program)).rpartition(" ")[2].strip()
        async with HttpSender(ANSWER_S_MAX, allowed=loopback) as sender:
            yield program, url, sender


def delivery(event_id: str) -> bytes:
    event = {"id": event_id, "type": "payment.completed", "transactionReferenceId": "r-1", "toStatus": "processed"}
    return json.dumps(event).encode()


async def deliver(url: str, sender: HttpSender, body: bytes, header: str) -> ReceiverReply:
    return await sender.post(url, body, {EVENT_HEADER: "x", SIGNATURE_HEADER: header})


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_receiver_takes_each_event_once(language: str) -> None:
    async with received_by(language) as (program, url, sender):
        for event_id in ("a-1", "a-1", "a-2"):
            body = delivery(event_id)
            reply = await deliver(url, sender, body, signature(SECRET, body, time.time()))
            assert (reply.status, reply.body) == (204, b"")
        assert [await line_of(program) for _ in range(2)] == ["payment.completed r-1 processed\n"] * 2


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_receiver_refuses_what_is_not_genuine(language: str) -> None:
    body, now = delivery("a-1"), time.time()
    forged = [
        signature("another secret of thirty-two characters", body, now),
        signature(SECRET, body + b" ", now),
        signature(SECRET, body, now - 301),
        signature(SECRET, body, now + 310),
        signature(SECRET, body, now).upper(),
        "t=,v1=",
        "v1",
        "",
    ]
    async with received_by(language) as (_, url, sender):
        for header in forged:
            with pytest.raises(NotDelivered, match="HTTP 401"):
                await deliver(url, sender, body, header)
