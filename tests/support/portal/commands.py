"""A portal without a Pay.gov on a store in a file, as each run of a command opens it."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from bursar.clock import system_clock
from bursar.paygov import NotSent, PayGov, PayGovConfig
from bursar.payments import Clients, FeeCatalogue
from bursar.portal.state.portal import Portal
from tests.support.write_paths import WritePath

REFERENCE = "0b5c6f6e-0000-4000-8000-000000000001"
_SEEDS = count()
"""A seed for each simulated process, so that no two send the same request tokens to the store."""


class NoPayGov:
    async def post(self, *given: Any) -> Any:
        raise NotSent("there is none here")

    async def close(self) -> None: ...


@asynccontextmanager
async def portal_on(write_path: WritePath, path: Path, ahead_s: float) -> AsyncIterator[Portal]:
    def clock() -> float:
        return system_clock() + ahead_s

    store = write_path.open(str(path), clock=clock, randomness=random.Random(1))
    ledger = write_path.ledger(store, clock=clock, randomness=random.Random(next(_SEEDS)))
    await write_path.create_table(store)
    config = PayGovConfig(url="http://paygov.example", payment_url="http://paygov.example/pay")
    try:
        yield Portal(
            ledger,
            PayGov(config, NoPayGov()),
            FeeCatalogue.default(),
            Clients([]),
            clock=clock,
            randomness=random.Random(3),
        )
    finally:
        await store.close()
