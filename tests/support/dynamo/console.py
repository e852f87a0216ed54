"""A console over an engine in memory, its pages read in process, as a browser sends forms."""

import random
import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import httpx2

from bursar.dynamo.console.application import console_app
from bursar.dynamo.console.visit import ConsoleSite
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.server.admission import Access

ORIGIN = "http://localhost:8001"
NOW = 1_800_000_000.0
NOTES: dict[str, Any] = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "at", "AttributeType": "N"},
        {"AttributeName": "day", "AttributeType": "S"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-day",
            "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


def engine_with_notes(count: int = 30) -> Engine:
    """Return an engine with the table ``notes``: a past, a stream, an index, and ``count`` items under one key."""
    engine = Engine.open(":memory:", clock=lambda: NOW, randomness=random.Random(1))
    engine.execute("CreateTable", NOTES)
    enabled = {"TableName": "notes", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    engine.execute("UpdateContinuousBackups", enabled)
    for number in range(count):
        item = {"pk": {"S": "a"}, "at": {"N": str(number)}, "day": {"S": f"d{number % 3}"}, "n": {"N": str(number * 2)}}
        engine.execute("PutItem", {"TableName": "notes", "Item": item})
    return engine


class ConsoleBrowser:
    """A browser of the console: keeps cookies, and sends a form of the page that it has with its token."""

    def __init__(self, engine: Engine, access: Access | None = None) -> None:
        self.engine = engine
        self.site = ConsoleSite(AsyncEngine(engine), store="in memory", clock=lambda: NOW, access=access)
        transport = httpx2.ASGITransport(console_app(self.site))
        self.client = httpx2.AsyncClient(transport=transport, base_url=ORIGIN)
        self.page = ""

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """Open a page."""
        return self._shown(await self.client.get(path, headers=headers))

    async def send(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx2.Response:
        """Send a form with the hidden fields of the page, over which ``fields`` go."""
        sent = {"origin": ORIGIN, "sec-fetch-site": "same-origin"} | headers
        return self._shown(await self.client.post(path, data=hidden(self.page) | dict(fields), headers=sent))

    def _shown(self, response: httpx2.Response) -> httpx2.Response:
        self.page = response.text
        return response


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of a page."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}
