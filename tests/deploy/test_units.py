"""The bill's measured units are those that the engine and the lake report for the functions' real work."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from bursar.bootstrap.bill.units import UNITS
from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions import environment as function_environment
from bursar.bootstrap.lambda_functions.lake import LakeWriting
from bursar.bootstrap.lambda_functions.portal import make_handler
from bursar.bootstrap.lambda_functions.sweep import ScheduledSweep
from bursar.dynamo.clients.remote_store import RemoteStore, open_remote_store
from bursar.dynamo.items.attribute_values import item_size
from bursar.payments.ledger.table import create_table
from tests.support.bootstrap.backend import Backend
from tests.support.bootstrap.function_calls import asked, begun
from tests.support.bootstrap.moto_aws import MotoAws

WRITES = {"TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"}
CONTROL = {"CreateTable", "DescribeTable"}


class Meter:
    """Adds up the units that the store reports for the requests of all remote stores of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes = self.reads = 0.0
        call = RemoteStore.call

        async def metered(store: RemoteStore, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            if operation in CONTROL:
                return await call(store, operation, request)
            answer = await call(store, operation, {**request, "ReturnConsumedCapacity": "TOTAL"})
            consumed = answer["ConsumedCapacity"]
            units = sum(each["CapacityUnits"] for each in (consumed if isinstance(consumed, list) else [consumed]))
            if operation in WRITES:
                self.writes += units
            else:
                self.reads += units
            return answer

        monkeypatch.setattr(RemoteStore, "call", metered)

    def taken(self) -> tuple[float, float]:
        """Return (write units, read units) since the last call."""
        units = self.writes, self.reads
        self.writes = self.reads = 0.0
        return units


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch, functions: None) -> Meter:
    monkeypatch.delenv("BURSAR_WEBHOOKS")
    return Meter(monkeypatch)


def test_the_units_of_calls_and_of_a_sweep(meter: Meter, backend: Backend, capfd: pytest.CaptureFixture[str]) -> None:
    door, sweep = make_handler(), ScheduledSweep()
    try:
        asked(door, "GET", "/health")
        meter.taken()
        reference, token = begun(door)
        assert meter.taken() == (UNITS.init_write_units, UNITS.init_read_units)
        backend.simulator.pay(token, "PLASTIC_CARD", "Success")
        asked(door, "POST", "/process", {"token": token})
        assert meter.taken() == (UNITS.process_write_units, UNITS.process_read_units)
        asked(door, "GET", f"/details/{reference}")
        assert meter.taken() == (0, UNITS.details_read_units)
        sweep({}, None)
        meter.taken()
        capfd.readouterr()
        sweep({}, None)
        assert meter.taken() == (0, UNITS.sweep_pass_read_units)
        assert capfd.readouterr() == ("", ""), "a pass that finds nothing costs no log"
    finally:
        door.instance.close()
        sweep.instance.close()


def test_the_units_of_a_question_about_a_debit(meter: Meter, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURSAR_TABLE", "bursar-questions")  # without the payments of other tests
    asyncio.run(_created(backend.store_url, "bursar-questions"))
    door = make_handler()
    _, token = begun(door)
    backend.simulator.pay(token, "ACH", "Success")
    asked(door, "POST", "/process", {"token": token})
    door.instance.close()
    ahead_s = 60.0
    monkeypatch.setattr(function_environment, "Composition", partial(Composition, clock=lambda: time.time() + ahead_s))
    sweep = ScheduledSweep()
    try:
        assert sweep({}, None)["swept"] == 1
        ahead_s = 7200.0
        meter.taken()
        assert sweep({}, None)["swept"] == 1
        assert meter.taken() == (4, UNITS.sweep_pass_read_units + UNITS.settling_question_read_units)
    finally:
        sweep.instance.close()


def test_the_units_of_the_lake(meter: Meter, backend: Backend, aws: MotoAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURSAR_LAKE", aws.lake_url("units"))
    monkeypatch.setenv("BURSAR_TABLE", "bursar-units")  # without the payments of other tests
    asyncio.run(_created(backend.store_url, "bursar-units"))
    door = make_handler()
    asked(door, "GET", "/health")  # the portal starts with the present time, and the lake's function at half past
    ahead_s = 3600.0 + 1800.0 - time.time() % 3600.0  # a pass near the full hour reads two buckets of changes
    later = partial(Composition, clock=lambda: time.time() + ahead_s)
    monkeypatch.setattr(function_environment, "Composition", later)
    lake = LakeWriting()
    try:
        lake({}, None)
        meter.taken()
        lake({}, None)
        _, before = meter.taken()
        assert before == UNITS.lake_pass_read_units
        assert lake({"verify": "recent"}, None)["equal"]
        assert meter.taken() == (0, UNITS.recent_proof_read_units)
        _, token = begun(door)
        backend.simulator.pay(token, "PLASTIC_CARD", "Success")
        asked(door, "POST", "/process", {"token": token})
        meter.taken()
        aws.actions.clear()
        assert lake({}, None)["rows"]["payments"] == 1
        _, after = meter.taken()
        assert 1 <= after - before <= UNITS.lake_payment_read_units
        # The bill has the mean of many passes, with their merges. This one writes four files for each of two tables.
        assert (aws.actions["s3:PutObject"], aws.actions["s3:ListBucket"]) == (8, 0)
        assert aws.actions["s3:GetObject"] <= UNITS.lake_pass_s3_reads / 2
    finally:
        door.instance.close()
        lake.instance.close()


async def _created(store_url: str, table: str) -> None:
    store = await open_remote_store(store_url)
    await create_table(store, table)
    await store.close()


def test_the_size_of_a_payment(backend: Backend, functions: None) -> None:
    door = make_handler()
    reference, token = begun(door)
    backend.simulator.pay(token, "PLASTIC_CARD", "Success")
    asked(door, "POST", "/process", {"token": token})
    begun(door)  # this attempt stays in the index of due ones
    door.instance.close()

    async def stored_items() -> list[dict[str, Any]]:
        store = await open_remote_store(backend.store_url)
        items: list[dict[str, Any]] = (await store.call("Scan", {"TableName": "bursar-payments"}))["Items"]
        await store.close()
        return items

    items = asyncio.run(stored_items())
    attempts = {each["agencyTrackingId"]["S"] for each in items if reference in each["pk"]["S"] and "token" in each}
    ours = [each for each in items if reference in str(each) or any(name in str(each) for name in attempts)]
    assert not [each for each in ours if "dueAt" in each]
    sizes = sum(map(item_size, ours)), sum(item_size(each) for each in ours if "changedAt" in each)
    assert sizes == pytest.approx((UNITS.payment_item_bytes, UNITS.payment_index_bytes), rel=0.02)
    due = next(each for each in items if "dueAt" in each)
    entry = item_size({name: due[name] for name in ("pk", "sk", "dueShard", "dueAt")})
    assert entry == pytest.approx(UNITS.due_entry_bytes, rel=0.05)  # a shard is named by a digit, or by `returns`
