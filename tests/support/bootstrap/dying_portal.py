"""A portal that kills itself at one exact point of a payment. Run it as a program: DATA POINT [STORE].

STORE is the URL of a store, by default the store in the data folder.
POINT  before-complete   the lease is written, Pay.gov is not called yet
       after-complete    Pay.gov has charged and answered, the answer is not written yet
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import orjson

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.up import BOOKS_FILE
from bursar.clock import system_clock
from bursar.paygov.client import PayGov
from bursar.paygov.config import PayGovConfig
from bursar.paygov.simulator import Books, Simulator, SimulatorTransport
from bursar.paygov.simulator.server import Addresses
from bursar.paygov.transport import HttpReply, Transport
from bursar.portal.contract.validation import read_init
from bursar.portal.state.portal import Portal, PortalSettings
from bursar.portal.use_cases.init_payment import init_payment
from bursar.portal.use_cases.process_payment import process_payment
from bursar.settings import Settings

REFERENCE = "7f6d2b1e-3c4a-4d5e-8f60-718293a4b5c6"
LEASE_S = 6.0
"""A slow disk must not let it end before the call of Pay.gov; the test waits for its end."""
PATIENT_S = 120.0
"""The simulator is in this process: only a slow disk makes it late."""
PAYGOV = Addresses("http://paygov")
COMPLETE = b"completeOnlineCollectionWithDetails"


class DyingTransport(Transport):
    """A transport that kills its process by SIGKILL, as a power cut would, at its point."""

    def __init__(self, inner: Transport, point: str) -> None:
        self._inner = inner
        self._point = point

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        if COMPLETE in body and self._point == "before-complete":
            os.kill(os.getpid(), signal.SIGKILL)
        reply = await self._inner.post(url, body, headers, timeout_s)
        if COMPLETE in body and self._point == "after-complete":
            os.kill(os.getpid(), signal.SIGKILL)
        return reply

    async def close(self) -> None:
        await self._inner.close()


async def main(data: Path, point: str, store: str | None = None) -> None:
    simulator = Simulator(system_clock, random.SystemRandom(), Books(data / BOOKS_FILE))
    config = PayGovConfig(
        url=PAYGOV.url, query_url=PAYGOV.query_url, payment_url=PAYGOV.payment_url, timeout_s=PATIENT_S
    )
    paygov = PayGov(config, DyingTransport(SimulatorTransport(simulator), point))
    async with Composition(Settings(data=str(data), store=store)) as parts:
        portal = Portal(
            await parts.ledger(),
            paygov,
            parts.fees,
            parts.clients,
            PortalSettings(paygov_timeout_s=LEASE_S / 2, lease_s=LEASE_S),
            clock=parts.clock,
            randomness=parts.randomness,
        )
        client = parts.clients.by_name("development")
        assert client is not None
        body = {
            "transactionReferenceId": REFERENCE,
            "fee": "PETITION_FILING_FEE",
            "urlSuccess": "http://court/done",
            "urlCancel": "http://court/cancelled",
            "metadata": {"docketNumber": "1-26"},
        }
        init = read_init(orjson.dumps(body), parts.fees, parts.clock())
        token = (await init_payment(portal, client, init)).token
        simulator.pay(token, "PLASTIC_CARD", "Success")
        await process_payment(portal, client, token)
        raise SystemExit("still alive")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
