"""Payments that are there before the load: whole ones, as the ledger would have left them, written in big batches.

Each is an obligation, its processed attempt, the four events that led there, and one sentinel for every unique value:
ten items. The rules are put last, so the table is judged whole and ``bursar audit`` finds nothing.

    python stored.py FOLDER COUNT       makes FOLDER/bursar.db, or adds nothing to one that is there
"""

import asyncio
import random
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bursar.bootstrap.composition import Composition
from bursar.dynamo import AsyncEngine, Engine
from bursar.payments.attempt_ids import new_agency_tracking_id
from bursar.payments.journal import event_of
from bursar.payments.records import Attempt, Obligation, attempt_to_item, event_to_item, obligation_to_item
from bursar.payments.status import Status
from bursar.payments.table import TABLE_NAME, create_table
from bursar.rules import Rules
from bursar.rules.sentinels import sentinel_item
from bursar.settings import Settings

BATCH_ITEMS: Final = 25
BATCHES_AT_ONCE: Final = 80
"""In one commit: two thousand items."""
FIRST_AT: Final = 1_760_000_000.0
APART_S: Final = 7.0
STEPS: Final[tuple[tuple[str, Status], ...]] = (
    ("started", "received"),
    ("token_given", "initiated"),
    ("claimed", "processing"),
)
Item = dict[str, Any]


def store_payments(folder: Path, count: int) -> float:
    """Makes the store; gives the seconds that it took. Does nothing when there is one."""
    file = folder / "bursar.db"
    if file.exists():
        return 0.0
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    asyncio.run(_store(file, count))
    asyncio.run(_adopt(folder))
    return time.perf_counter() - began


async def _store(file: Path, count: int) -> None:
    engine = AsyncEngine(Engine.open(str(file)))
    try:
        await create_table(engine, TABLE_NAME)
        rules = _rules()
        draw = random.Random(count)
        feed = (item for number in range(count) for item in payment(number, rules, draw))
        while batches := list(islice(_batches(feed), BATCHES_AT_ONCE)):
            await asyncio.gather(*(engine.call("BatchWriteItem", batch) for batch in batches))
    finally:
        await engine.close()


async def _adopt(folder: Path) -> None:
    """Puts the rules, which reads every item and takes every unique value."""
    async with Composition(Settings(data=str(folder))) as parts:
        await parts.ledger()


def _rules() -> Rules:
    from bursar.payments.fees import FeeCatalogue
    from bursar.payments.rules import payment_rules

    return payment_rules(FeeCatalogue.default())


def payment(number: int, rules: Rules, draw: random.Random) -> Iterator[Item]:
    """The items of one payment."""
    at = FIRST_AT + number * APART_S
    reference = str(uuid.UUID(int=draw.getrandbits(128), version=4))
    metadata = {"docketNumber": f"{number}-26"}
    obligation = Obligation("development", reference, "PETITION_FILING_FEE", metadata, at)
    attempt = Attempt(
        agency_tracking_id=new_agency_tracking_id(draw),
        client=obligation.client,
        reference=reference,
        fee=obligation.fee,
        fee_version="1",
        tcs_app_id="TCSUSTAXCOURTPETITION",
        amount=Decimal("60.00"),
        metadata=metadata,
        url_success="https://court.example/paid",
        url_cancel="https://court.example/cancelled",
        created_at=at,
        updated_at=at,
        status="received",
    )
    yield obligation_to_item(obligation)
    source: Status | None = None
    for seq, (name, status) in enumerate(STEPS, 1):
        attempt = replace(attempt, status=status, event_seq=seq, version=seq, updated_at=at + seq)
        yield event_to_item(event_of(source, attempt, name, "portal", {}))
        source = attempt.status
    attempt = replace(
        attempt,
        status="processed",
        token=f"{draw.getrandbits(128):032x}",
        token_at=at + 1,
        paygov_tracking_id=f"P{number:020d}",
        transaction_status="Success",
        payment_method="PLASTIC_CARD",
        event_seq=4,
        version=4,
        updated_at=at + 4,
    )
    yield event_to_item(event_of(source, attempt, "completed", "portal", {"transaction_status": "Success"}))
    item = attempt_to_item(attempt)
    yield item
    plan = rules.plan
    kind = plan.kind_of(item)
    assert kind is not None
    for hold in kind.holds:
        partition = hold.partition(item)
        assert partition is not None
        yield sentinel_item(plan.key_names, plan.kind_attribute, partition, hold.rule.name, plan.key(item))


def _batches(items: Iterator[Item]) -> Iterator[dict[str, Any]]:
    while chunk := list(islice(items, BATCH_ITEMS)):
        yield {"RequestItems": {TABLE_NAME: [{"PutRequest": {"Item": item}} for item in chunk]}}


if __name__ == "__main__":
    print(f"{store_payments(Path(sys.argv[1]), int(sys.argv[2])):.1f} s")
