"""Each kind of event of the transition table is delivered: signed, once, with the body that docs/webhooks.md shows."""

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from bursar.clock import iso_ms
from bursar.payments.status import EDGES, EventName, event_names
from bursar.portal.webhooks import dispatcher as dispatching
from bursar.portal.webhooks.dispatcher import EVENT_HEADER, TEST_TYPE, Dispatcher
from bursar.portal.webhooks.queue import WebhookQueue
from bursar.portal.webhooks.sender import ReceiverReply
from bursar.portal.webhooks.signing import SIGNATURE_HEADER, verified
from bursar.portal.webhooks.subscriptions import Subscription, Subscriptions
from tests.support.portal.every_event import ONE, OTHER, REASON, WAYS
from tests.support.portal.stage import Stage, on_stage
from tests.support.write_paths import WritePath

SECRET = "a secret of more than thirty-two characters"
URL = "https://dawson.example/bursar"
DOCS = Path(__file__).parents[3] / "docs"


class Receiver:
    """A subscriber that keeps each delivery whose signature is good."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.bodies: list[dict[str, Any]] = []
        self.ids: list[str] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> ReceiverReply:
        assert url == URL
        assert headers["Content-Type"] == "application/json"
        assert verified(SECRET, body, headers[SIGNATURE_HEADER], self.stage.loop.clock())
        assert not verified(SECRET, body + b" ", headers[SIGNATURE_HEADER], self.stage.loop.clock())
        self.bodies.append(json.loads(body))
        self.ids.append(headers[EVENT_HEADER])
        return ReceiverReply(204)


def _documented_body() -> dict[str, Any]:
    text = (DOCS / "webhooks.md").read_text()
    found = re.search(r"^Bursar-Signature: .*?\n\n(\{.*?\})\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    body: dict[str, Any] = json.loads(found[1])
    return body


def test_there_is_a_way_to_each_kind_of_event() -> None:
    names = {step.event for step in EDGES}
    assert names == set(get_args(EventName))
    assert WAYS.keys() == names


@pytest.mark.parametrize("event", event_names())
def test_it_is_delivered_signed_with_the_documented_body(write_path: WritePath, event: EventName) -> None:
    @on_stage
    async def play(stage: Stage) -> None:
        receiver = Receiver(stage)
        queue = WebhookQueue(stage.store)
        await queue.create_table()
        dispatcher = Dispatcher(
            stage.ledger,
            queue,
            Subscriptions([Subscription("status", "dawson", URL, SECRET)]),
            receiver,
            clock=stage.loop.clock,
            randomness=random.Random(5),
        )
        await dispatcher.run_once()
        if not write_path.swaps:  # the deliveries are the same from one shard of the index of changes and from eight
            await stage.ledger.change_shards.raise_to(8, by=ONE)
            await stage.ledger.change_shards.learn()
        attempt = await WAYS[event](stage)
        await dispatcher.run_once()
        await dispatcher.run_once()
        view = await stage.ledger.obligation(attempt.client, attempt.reference)
        assert view is not None
        assert view.events[-1].name == event
        expected = [
            {
                "id": f"{attempt.agency_tracking_id}-{each.seq}",
                "type": f"payment.{each.name}",
                "at": iso_ms(each.at),
                "transactionReferenceId": attempt.reference,
                "agencyTrackingId": attempt.agency_tracking_id,
                "seq": each.seq,
                "fromStatus": each.from_status,
                "toStatus": each.to_status,
            }
            for each in view.events
        ]
        assert receiver.bodies == expected
        assert receiver.ids == [each["id"] for each in expected]
        assert list(expected[-1]) == list(_documented_body())
        sent = json.dumps(receiver.bodies)
        for kept in (ONE, OTHER, REASON, "123-26", "P1", "t" * 32):
            assert kept not in sent

    play(write_path)


def test_each_kind_of_event_is_in_the_list_that_the_page_names() -> None:
    listed = (DOCS / "payments.md").read_text()
    assert [name for name in event_names() if f"`{name}`" not in listed] == []


def test_a_test_delivery_has_the_same_fields() -> None:
    body = json.loads(dispatching.test_body("test-1", 0.0))
    assert body["type"] == TEST_TYPE
    assert list(body) == list(_documented_body())
