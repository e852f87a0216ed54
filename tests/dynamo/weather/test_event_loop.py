"""Slow answers in an event loop delay their callers alone."""

import asyncio
import dataclasses
import time

import orjson
import pytest

from bursar.dynamo import DynamoError
from bursar.dynamo.weather.event_loop import AsyncWeatherEngine
from bursar.dynamo.weather.settings import CALM
from sim.loop import run_virtual
from tests.support.dynamo.in_weather import in_weather
from tests.support.dynamo.tables import item, table

SLOW = dataclasses.replace(CALM, slow_answer_share=1.0, slow_answer_ms=60_000)
GET = {"TableName": "orders", "Key": item(pk="a", sk="x")}


def test_a_slow_answer_comes_late_by_both_doors() -> None:
    async def run(_loop: object) -> list[float]:
        loop = asyncio.get_running_loop()
        engine = AsyncWeatherEngine(in_weather(SLOW))
        engine.engine.execute("CreateTable", table())
        took = []
        started = loop.time()
        await engine.call("PutItem", {"TableName": "orders", "Item": GET["Key"]})
        took.append(loop.time() - started)
        with pytest.raises(DynamoError):
            await engine.call("GetItem", {**GET, "Key": {}})
        started = loop.time()
        answers = [loop.create_future() for _ in range(3)]
        for answer in answers:
            engine.submit("GetItem", GET, answer.set_result)
        assert orjson.loads(await answers[0]) == {"Item": GET["Key"]}
        await asyncio.gather(*answers)
        took.append(loop.time() - started)
        await engine.close()
        return took

    before = time.monotonic()
    took = run_virtual(run)
    assert all(0 < seconds <= 60 for seconds in took)
    assert time.monotonic() - before < 60
