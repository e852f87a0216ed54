"""The people of a simulated run: applications that retry like real ones, and payers that behave in many ways.

An application collects one bill. It calls init until it has a token, sends the payer to Pay.gov, calls process when
the payer is back, asks details when in doubt, and starts again after a failure, but never after an unknown outcome.
Payers pay by any method, are declined, pay in two tabs, cancel, come back too late, or walk away.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from bursar.paygov.simulator import PayerRefused
from bursar.payments.catalogue.clients import Client
from bursar.portal.contract.answers import Payment, StartedPayment
from bursar.portal.contract.errors import PortalError, Unexpected, portal_error
from bursar.portal.contract.validation import read_init
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.init_payment import init_payment
from bursar.portal.use_cases.payment_details import details as payment_details
from bursar.portal.use_cases.process_payment import process_payment
from sim.world import LATE_S, Gone, World

STARTS_MAX = 3
PATIENCE = (2, 4, 30, 30)
"""The requests that an application makes before it gives up; one is drawn for each application."""
FIRST_WAIT_S = 2.0
WAIT_MAX_S = 600.0
ACTS: tuple[tuple[str, int], ...] = (
    ("pays", 50),
    ("pays in two tabs", 14),
    ("is declined", 8),
    ("walks away", 8),
    ("comes back without paying", 6),
    ("pays late", 6),
    ("comes back too late", 4),
    ("pays and never comes back", 4),
)
CHECKED_AFTER_S = (900.0, 3600.0, 4 * 3600.0)
"""How long after a restore an application asks again about its bills, at most."""
LOST = "lost"
"""The result of process for a token that a restored store does not know: the application calls init again."""
METHODS = ("PLASTIC_CARD", "PLASTIC_CARD", "ACH", "PAYPAL")


@dataclass
class Bill:
    """A debt to one client, and the answers that its applications got: the judge compares them with the books."""

    client: str
    reference: str
    fee: str
    metadata: dict[str, Any]
    amount: float | None = None
    tokens: list[str] = field(default_factory=list)
    received: list[tuple[float, str]] = field(default_factory=list)  # (Unix seconds, payment status)
    findings: list[str] = field(default_factory=list)


def bills(world: World, count: int) -> list[Bill]:
    """Return ``count`` bills of two clients; sometimes both use the same reference."""
    chance = world.randomness
    made: list[Bill] = []
    for number in range(count):
        reference = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        if made and chance.random() < 0.15:
            reference = made[-1].reference
        client = "registry" if made and reference == made[-1].reference and made[-1].client == "court" else "court"
        if made and reference == made[-1].reference and client == made[-1].client:
            reference = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        if chance.random() < 0.25:
            metadata = {"copyRequestId": f"CR-{number}", "numberOfPages": number + 1}
            made.append(Bill(client, reference, "COPY_FEE", metadata, chance.choice((0.5, 12.25, 1999.99))))
        else:
            made.append(Bill(client, reference, "PETITION_FILING_FEE", {"docketNumber": f"{number}-26"}))
    return made


def late_bill(world: World) -> Bill:
    """Return a bill that is collected only after a backup, so that the restored store does not know it."""
    reference = str(uuid.UUID(int=world.branch("late bill").getrandbits(128), version=4))
    return Bill("court", reference, "PETITION_FILING_FEE", {"docketNumber": "late"})


class Application:
    """One program (or one tab of it) that collects ``bill``."""

    def __init__(self, world: World, bill: Bill, name: str, act: str | None = None) -> None:
        """Create a program. ``act``: what its payers do; by default each draws one of ACTS."""
        self.world, self.bill, self.name, self.act = world, bill, name, act
        self.chance = world.branch(name)
        self.tries_max = self.chance.choice(PATIENCE) if act is None else max(PATIENCE)

    async def run(self, after_s: float) -> None:
        """Collect the bill, from ``after_s`` seconds on."""
        await asyncio.sleep(after_s)
        for _ in range(STARTS_MAX):
            token = await self.begin()
            if token is None:
                return
            status = await self.send_off(token)
            gives_up = self.act is None and self.chance.random() < 0.3
            if status not in ("failed", LOST) or gives_up:
                return
            await asyncio.sleep(self.chance.uniform(1, 600))

    async def check_again(self) -> None:
        """After a restore, ask whether the bill is paid, and collect it if the portal does not know that it is."""
        await asyncio.sleep(self.chance.choice(CHECKED_AFTER_S) * self.chance.random())
        answer = await self.ask("details", self.details)
        unknown = isinstance(answer, PortalError) and answer.status == 404
        if unknown or (isinstance(answer, Payment) and answer.status == "failed"):
            await self.run(0.0)

    async def begin(self) -> str | None:
        """Return a token for the payer; None if the bill is paid already or the application gives up."""
        wait_s = FIRST_WAIT_S
        for _ in range(self.tries_max):
            answer = await self.ask("init", self.init)
            if isinstance(answer, StartedPayment):
                self.bill.tokens.append(answer.token)
                return answer.token
            if isinstance(answer, PortalError) and answer.status == 409 and "already been paid" in answer.message:
                self.receive("success")
                return None
            wait_s = await self.pause(wait_s)
        return None

    async def send_off(self, token: str) -> str | None:
        """Let the payer act at Pay.gov, and return the payment's status as this application receives it."""
        (act,) = self.chance.choices([each for each, _ in ACTS], [share for _, share in ACTS])
        act = self.act or act
        self.world.note(f"{self.name}: payer {act}")
        await asyncio.sleep(self.chance.uniform(5, 300))
        if self.world.pays_late and self.world.is_storm:
            await self.wait_for_the_last_moment(token)
        match act:
            case "walks away":
                return None
            case "comes back without paying":
                return await self.process(token)
            case "is declined":
                self.pay(token, "Failed")
                return await self.process(token)
            case "pays late":
                await asyncio.sleep(self.chance.uniform(3600, 10_700))
            case "comes back too late":
                self.pay(token, "Success")
                await asyncio.sleep(self.chance.uniform(10_700, 12_000))
                return await self.process(token)
            case "pays and never comes back":
                self.pay(token, "Success")
                return None
        self.pay(token, "Success")
        if act != "pays in two tabs":
            return await self.process(token)
        first, _ = await asyncio.gather(self.process(token), self.process(token))
        return first

    async def wait_for_the_last_moment(self, token: str) -> None:
        """Wait until at most LATE_S before the end of ``token``, as the portal counts it."""
        attempt = await self.world.reader.attempt_by_token(token)
        if attempt is not None:
            end = self.world.reader.due_policy.token_expires_at(attempt)
            await asyncio.sleep(max(0.0, end - self.chance.uniform(0, LATE_S) - self.world.loop.clock()))

    def pay(self, token: str, outcome: str) -> None:
        """Pay at Pay.gov's pages by a random method."""
        self.pay_by(token, self.chance.choice(METHODS), outcome)

    def pay_by(self, token: str, method: str, outcome: str) -> None:
        """Pay at Pay.gov's pages."""
        try:
            self.world.paygov.pay(token, method, outcome)
            self.world.note(f"{self.name}: paid by {method}, {outcome}")
        except PayerRefused as refused:
            self.world.note(f"{self.name}: Pay.gov refused the payer: {refused}")

    async def process(self, token: str) -> str | None:
        """Call process until the payment is final, and return its status; None if the application gives up."""
        wait_s = FIRST_WAIT_S
        for _ in range(self.tries_max):
            answer = await self.ask_process(token)
            if isinstance(answer, Payment):
                if answer.status != "pending":
                    return self.receive(answer.status)
                return await self.follow()
            if isinstance(answer, PortalError):
                if answer.status == 404:
                    if self.world.restored_at is not None:
                        return LOST
                    self.bill.findings.append(f"{self.name}: an acknowledged token was answered with 404")
                    return None
                if answer.status == 410:
                    return await self.follow()
                # The outcome is unknown: some applications ask details, some call process again.
                if "was lost" in answer.message and self.chance.random() < 0.6:
                    return await self.follow()
            wait_s = await self.pause(wait_s)
        return None

    async def follow(self) -> str | None:
        """Ask details until the payment is no longer pending, and return its status; None if it gives up."""
        wait_s = FIRST_WAIT_S
        for _ in range(self.tries_max):
            answer = await self.ask("details", self.details)
            if isinstance(answer, Payment) and answer.status != "pending":
                return self.receive(answer.status)
            if isinstance(answer, PortalError) and answer.status == 404:
                if self.world.restored_at is not None:
                    return None  # a restored store may not know the payment
                self.bill.findings.append(f"{self.name}: an acknowledged payment was answered with 404")
                return None
            wait_s = await self.pause(wait_s)
        return None

    def receive(self, status: str) -> str:
        """Note ``status`` as the answer that the application received, and return it."""
        self.bill.received.append((self.world.loop.clock(), status))
        return status

    async def ask_process(self, token: str) -> Any:
        """Call process once; see :meth:`ask`."""
        return await self.ask("process", lambda portal: process_payment(portal, self._client, token))

    async def ask(self, what: str, use_case: Callable[[Portal], Awaitable[Any]]) -> Any:
        """Return the portal's answer or its error; None without an answer."""
        try:
            answer = await self.world.ask(use_case)
        except Gone:
            self.world.note(f"{self.name}: {what}: no answer")
            return None
        except Exception as error:  # the portal's table maps it to the error that a caller would receive
            received = portal_error(error)
            self.world.note(f"{self.name}: {what}: {received.status} {received.message} ({type(error).__name__})")
            if isinstance(received, Unexpected):
                self.bill.findings.append(f"{self.name}: {what} was answered with 500: {error!r}")
            return received
        self.world.note(f"{self.name}: {what}: 200 {answer.status if isinstance(answer, Payment) else 'token'}")
        return answer

    async def pause(self, wait_s: float) -> float:
        """Wait about ``wait_s`` seconds, and return the next wait."""
        await asyncio.sleep(wait_s * self.chance.uniform(0.5, 1.5))
        return min(wait_s * 2, WAIT_MAX_S)

    @property
    def _client(self) -> Any:
        return self.world.client(self.bill.client)

    async def init(self, portal: Portal, client: Client | None = None) -> StartedPayment:
        """Call init on ``portal``, as ``client`` instead of the bill's."""
        reference = self.bill.reference.upper() if self.chance.random() < 0.3 else self.bill.reference
        body: dict[str, Any] = {
            "transactionReferenceId": reference,
            "fee": self.bill.fee,
            "urlSuccess": "https://court.example/done",
            "urlCancel": "https://court.example/cancelled",
            "metadata": self.bill.metadata,
        }
        if self.bill.amount is not None:
            body["amount"] = self.bill.amount
        request = read_init(orjson.dumps(body), portal.fees, portal.clock())
        return await init_payment(portal, client or self._client, request)

    async def details(self, portal: Portal) -> Payment:
        """Ask ``portal`` for the payment's details."""
        return await payment_details(portal, self._client, self.bill.reference)
