"""A receiver of webhooks that accepts deliveries, or refuses them while it is down."""

import json
from collections.abc import Mapping
from typing import Any

from bursar.portal.webhooks.dispatcher import GIVE_UP_AFTER_S, Dispatcher
from bursar.portal.webhooks.sender import NotDelivered, ReceiverReply
from tests.support.dashboard.office import Office


class FakeReceiver:
    """The receiver; ``bodies`` are what it has accepted."""

    def __init__(self) -> None:
        self.down = False
        self.bodies: list[dict[str, Any]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> ReceiverReply:
        if self.down:
            raise NotDelivered("HTTP 503", ReceiverReply(503, b"<b>busy</b>"))
        self.bodies.append(json.loads(body))
        return ReceiverReply(200, b"thanks")


async def with_dead_letter(office: Office, receiver: FakeReceiver) -> tuple[Dispatcher, str]:
    """Return webhooks that have given up one delivery, and the letter's id."""
    webhooks = await office.webhooks(receiver)
    receiver.down = True
    await office.start("PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    office.wall.pass_s(60)
    await webhooks.run_once()
    office.wall.pass_s(GIVE_UP_AFTER_S + 60)
    await webhooks.run_once()
    [letter] = (await webhooks.status()).dead
    return webhooks, letter.letter_id
