"""A dashboard over a store with some months of payments, and people who visit it without a socket."""

import asyncio
import random
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette

from bursar.clock import from_iso_ms
from bursar.dashboard.access_log import AccessEntry, AccessLog
from bursar.dashboard.application import dashboard_app
from bursar.dashboard.parts import DashboardParts, SandboxParts
from bursar.dashboard.sign_in.accounts import Account, Accounts, DevelopmentAccounts
from bursar.dashboard.sign_in.roles import Role
from bursar.dashboard.sign_in.sessions import PersonSessions
from bursar.dashboard.state_file import StateFile
from bursar.dashboard.visit import SESSION_COOKIE
from bursar.dynamo.clients.store import Store
from bursar.paygov import PayGov, PayGovConfig
from bursar.paygov.protocol import ONLINE_PATH, QUERY_PATH
from bursar.paygov.simulator import Simulator, SimulatorTransport
from bursar.payments import Attempt, Clients, Fee, Ledger, Outcome
from bursar.payments.catalogue.clients import Client
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.reversals import ReversalReport
from bursar.portal.state.portal import Portal, PortalSettings
from bursar.portal.webhooks.dispatcher import Dispatcher
from bursar.portal.webhooks.queue import WebhookQueue
from bursar.portal.webhooks.sender import Sender
from bursar.portal.webhooks.subscriptions import Subscription, Subscriptions
from bursar.reports.reports import Reports
from bursar.reports.tail.stream_source import StreamSource
from tests.support.payments.stage import Wall
from tests.support.write_paths import SWAP, shipped_fees

BEGIN = from_iso_ms("2026-08-03T14:00:00.000Z")
END = from_iso_ms("2026-11-22T19:30:00.000Z")
HOST = "127.0.0.1:8080"
PATIENT_S = 120.0
CLIENTS = ("dawson", "exams")
HOSTILE = '<script>alert("x")</script>=1+1\u202egnp.exe'
CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


@dataclass
class Page:
    """An answer of the dashboard."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    @property
    def csrf(self) -> str:
        found = CSRF.search(self.text)
        return found[1] if found else ""


@dataclass
class Visitor:
    """A browser: it keeps cookies and sends no script."""

    app: Starlette
    cookies: dict[str, str] = field(default_factory=dict)
    host: str = HOST
    peer: str = "127.0.0.1"
    last: Page | None = None

    async def get(self, target: str, **headers: str) -> Page:
        """Request a page and follow no redirect."""
        return await self.send("GET", target, b"", headers)

    async def post(self, target: str, fields: Mapping[str, str] | None = None, **headers: str) -> Page:
        """Send a form with the token of the page that was loaded last."""
        known = {"csrf": self.last.csrf} if self.last else {}
        body = urlencode({**known, **(fields or {})}).encode()
        return await self.send("POST", target, body, {"origin": f"http://{self.host}", **headers})

    async def send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Page:
        """Send a request."""
        path, _, query = target.partition("?")
        sent = {"host": self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body:
            sent.setdefault("content-type", "application/x-www-form-urlencoded")
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
            "client": (self.peer, 50_000), "server": ("127.0.0.1", 8080), "scheme": "http",
        }  # fmt: skip
        page = await _answered(self.app, scope, body)
        for name, value in page.headers:
            if name == "set-cookie":
                cookie, _, rest = value.partition(";")
                key, _, content = cookie.partition("=")
                if "max-age=0" in rest.lower():
                    self.cookies.pop(key, None)
                else:
                    self.cookies[key] = content.strip('"')
        if page.csrf:
            self.last = page
        return page


async def _answered(app: Starlette, scope: dict[str, Any], body: bytes) -> Page:
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        if not incoming:
            await asyncio.Event().wait()  # the browser stays connected until it has the answer
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = [(name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]]
    return Page(sent[0]["status"], headers, b"".join(each.get("body", b"") for each in sent[1:]))


class Office:
    """A store with payments, its reports, and the dashboard over both."""

    def __init__(self, wall: Wall, store: Store, ledger: Ledger, reports: Reports, folder: Path) -> None:
        self.wall = wall
        self.ledger = ledger
        self._store = store
        self.reports = reports
        self.folder = folder
        self.state = StateFile(folder / "dashboard.db")
        self.clients = Clients(
            [Client(name, f"arn:aws:iam::123456789012:role/{name}", frozenset({"*"}), ()) for name in CLIENTS]
        )
        self.attempts: list[Attempt] = []
        self.served_at = ""
        """The address at which a browser reaches the pages, if they are served."""

    def parts(self, accounts: Accounts | None = None, **more: Any) -> DashboardParts:
        """Return the parts of a dashboard; without passwords unless ``accounts`` are given."""
        return DashboardParts(
            ledger=self.ledger,
            fees=shipped_fees(),
            clients=self.clients,
            accounts=accounts or DevelopmentAccounts(),
            state=self.state,
            clock=self.wall,
            environment="test",
            **{"reports": self.reports, "record": self.portal(), **more},
        )

    def portal(self) -> Portal:
        """Return a portal over the ledger and a simulated Pay.gov."""
        url = "http://paygov.example"
        config = PayGovConfig(
            url=f"{url}{ONLINE_PATH}", query_url=f"{url}{QUERY_PATH}", payment_url=f"{url}/pay", timeout_s=PATIENT_S
        )
        simulator = Simulator(self.wall, random.Random(3))
        return Portal(
            self.ledger,
            PayGov(config, SimulatorTransport(simulator)),
            shipped_fees(),
            self.clients,
            PortalSettings(),
            clock=self.wall,
            randomness=random.Random(4),
        )

    def sandbox(self) -> SandboxParts:
        """Return the parts of a sandbox that acts as the first client."""
        client = self.clients.by_name(CLIENTS[0])
        assert client is not None
        return SandboxParts(client=client, portal_url=f"http://{HOST}", payment_url="http://127.0.0.1:3366/pay")

    async def webhooks(self, receiver: Sender) -> Dispatcher:
        """Return the dispatcher of one webhook of the first client, which has queued what there is."""
        queue = WebhookQueue(self._store)
        await queue.create_table()
        subscriptions = Subscriptions([Subscription("status", CLIENTS[0], "https://dawson.example/hook", "s" * 40)])
        made = Dispatcher(self.ledger, queue, subscriptions, receiver, clock=self.wall, randomness=random.Random(6))
        await made.run_once()
        return made

    def visitor(self, role: Role | Account, **more: Any) -> Visitor:
        """Return a browser in which a person of this role, or with this account, has signed in."""
        account = role if isinstance(role, Account) else Account(role, frozenset({role}))
        parts = self.parts(more.pop("accounts", None) or OnePerson(account), **more)
        app = dashboard_app(parts)
        _, cookie = PersonSessions(self.state, parts.accounts, self.wall).begin(account, "127.0.0.1")
        return Visitor(app, {SESSION_COOKIE: cookie})

    def visitor_log(self, action: str = "") -> list[AccessEntry]:
        """Return the entries of the access log with this action, or all of them, oldest first."""
        entries = AccessLog(self.state, self.wall).entries()
        return [entry for entry in reversed(entries) if action in ("", entry.action)]

    async def start(self, fee_key: str, amount: str, client: str = CLIENTS[0], **metadata: Any) -> Attempt:
        """Start an attempt now."""
        fee = shipped_fees().fee(fee_key, self.wall())
        assert isinstance(fee, Fee)
        reference = str(uuid.UUID(int=random.Random(len(self.attempts) + 1).getrandbits(128), version=4))
        urls = ("https://app.example/ok", "https://app.example/no")
        attempt = await self.ledger.start_attempt(client, reference, fee, Decimal(amount), metadata, *urls)
        self.attempts.append(attempt)
        return attempt

    async def initiated(self, *arguments: Any, **metadata: Any) -> Attempt:
        """Start an attempt and give it a token."""
        attempt = await self.start(*arguments, **metadata)
        return await self.ledger.record_token(attempt, f"{len(self.attempts):032d}")

    async def completed(self, outcome: Outcome, *arguments: Any, **metadata: Any) -> Attempt:
        """Start an attempt and complete it with ``outcome``."""
        attempt = await self.ledger.take_lease(await self.initiated(*arguments, **metadata), "worker-1", 30)
        return await self.ledger.record_outcome(attempt, outcome, actor="portal")

    async def fill(self, count: int, seed: int = 5) -> None:
        """Add ``count`` payments of every kind between BEGIN and END."""
        draw = random.Random(seed)
        self.wall.now = BEGIN
        for number in range(count):
            self.wall.now = BEGIN + (END - BEGIN) * number / count
            fee, amount, metadata = _order(draw, number)
            client = CLIENTS[number % 2]
            method = draw.choice(("PLASTIC_CARD", "ACH", "PAYPAL"))
            paid = Outcome("processed", f"P{number:012d}", "Success", method)
            ending = draw.random()
            if ending < 0.1:
                declined = Outcome("failed", f"P{number:012d}", "Failed", method, "4019", "Declined")
                attempt = await self.completed(declined, fee, amount, client, **metadata)
            elif ending < 0.15:
                attempt = await self.initiated(fee, amount, client, **metadata)
            elif method == "ACH":
                attempt = await self.completed(
                    Outcome("pending", f"P{number:012d}", "Received", method), fee, amount, client, **metadata
                )
                if ending < 0.9:
                    self.wall.pass_s(2 * 86_400)
                    attempt = await self.ledger.record_outcome(attempt, paid, actor="sweeper")
            else:
                attempt = await self.completed(paid, fee, amount, client, **metadata)
                if ending > 0.95:
                    report = ReversalReport("charged_back", attempt.amount, "operator", by="ada", reason="disputed")
                    attempt, _ = await self.ledger.reversals.record(attempt, report, actor="operator")
            self.attempts[-1] = attempt
        self.wall.now = END


class OnePerson:
    """Accounts with one person, who signs in with a password."""

    needs_password = True

    def __init__(self, account: Account) -> None:
        self.account = account

    def named(self, name: str) -> Account | None:
        return self.account if name == self.account.name else None

    def all(self) -> list[Account]:
        return [self.account]


def _order(draw: random.Random, number: int) -> tuple[str, str, dict[str, Any]]:
    kind = draw.random()
    if kind < 0.6:
        return "PETITION_FILING_FEE", "60.00", {"docketNumber": f"{number}-26"}
    if kind < 0.75:
        return (
            "NONATTORNEY_EXAM_REGISTRATION_FEE",
            "250.00",
            {"email": f"person{number}@example.com", "fullName": f"Pérson {number}", "accessCode": HOSTILE},
        )
    cents = draw.randrange(50, 9_000_00)
    return "COPY_FEE", f"{cents / 100:.2f}", {"copyRequestId": f"CR-{number}", "numberOfPages": number + 1}


@asynccontextmanager
async def open_office(folder: Path) -> AsyncIterator[Office]:
    """Open an office without payments, with its files in ``folder``."""
    wall = Wall(BEGIN)
    store = SWAP.open(clock=wall, randomness=random.Random(1))
    await SWAP.create_table(store)
    ledger = SWAP.ledger(store, clock=wall, randomness=random.Random(2))
    reports = Reports(StreamSource(store, TABLE_NAME), f"file:{folder / 'lake'}", wall)
    try:
        yield Office(wall, store, ledger, reports, folder)
    finally:
        await reports.close()
        await store.close()
