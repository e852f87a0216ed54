"""The simulator over HTTP: the payer's page, the payer's script, the books, misbehaviours, and bad requests."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import uvicorn

from bursar.paygov import HttpTransport, Lost, Nonsense
from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator, SimulatorSettings, hosted_pages
from bursar.paygov.simulator.app import simulator_app
from bursar.paygov.simulator.server import Addresses, addresses, listen, serving, serving_config, simulator_config
from bursar.web.binding import CannotBind
from tests.support.paygov.world import AGENCY_ID, APP, HandClock, World, client


@dataclass
class Browser:
    """A browser without JavaScript: it fetches pages and posts forms, and does not follow redirects."""

    base: str
    session: aiohttp.ClientSession

    async def __call__(self, method: str, path: str, **options: Any) -> tuple[int, str, str]:
        """Return the status, the text and the Location header."""
        async with self.session.request(method, self.base + path, allow_redirects=False, **options) as reply:
            return reply.status, await reply.text(), reply.headers.get("Location", "")

    async def json(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.base + path, **options) as reply:
            assert reply.content_type == "application/json"
            return reply.status, await reply.json()


@pytest.fixture
async def browser(simulator: Simulator) -> AsyncIterator[Browser]:
    async with serving(simulator) as at, aiohttp.ClientSession() as session:
        yield Browser(at.base, session)


def started(simulator: Simulator, amount: str = "60.00", agency_tracking_id: str = AGENCY_ID) -> str:
    return simulator.start(
        {
            "tcs_app_id": APP,
            "agency_tracking_id": agency_tracking_id,
            "transaction_type": "Sale",
            "transaction_amount": amount,
            "language": "en",
            "url_success": "https://app.example/back?a=1&b=2",
            "url_cancel": "https://app.example/cancel",
        }
    )


async def test_the_page_shows_the_payment_and_names_the_simulator(browser: Browser, simulator: Simulator) -> None:
    token = started(simulator, "1234.50", "<script>&")
    status, page, _ = await browser("GET", f"/pay?token={token}&tcsAppID={APP}")
    assert status == 200
    assert "This is a simulator." in page
    assert "1,234.50" in page
    assert APP in page
    assert "&lt;script&gt;&amp;" in page
    assert {"PLASTIC_CARD", "ACH", "PAYPAL", "Success", "Failed"} <= set(re.findall(r'value="(\w+)"', page))
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!#)', page), "no external assets"


async def test_the_page_has_its_security_headers(browser: Browser, simulator: Simulator) -> None:
    async with browser.session.get(f"{browser.base}/pay?token={started(simulator)}") as reply:
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("payment_type", [name for name, _, _ in hosted_pages.PAYMENT_TYPES])
@pytest.mark.parametrize("outcome", [name for name, _, _ in hosted_pages.OUTCOMES])
async def test_the_form_pays_and_sends_the_payer_back(
    browser: Browser, simulator: Simulator, payment_type: str, outcome: str
) -> None:
    token = started(simulator)
    form = {"token": token, "payment_type": payment_type, "outcome": outcome, "action": "pay"}
    assert (await browser("POST", "/pay", data=form))[::2] == (303, "https://app.example/back?a=1&b=2")
    entry = simulator.books.entry(token)
    assert entry is not None
    assert (entry.payment_type, entry.outcome) == (payment_type, outcome)
    assert list(simulator.books.all_charges()) == []

    status, page, _ = await browser("POST", "/pay", data=form)
    assert (status, "Already paid" in page) == (409, True)
    assert (await browser("GET", f"/pay?token={token}"))[0] == 409


async def test_the_form_cancels(browser: Browser, simulator: Simulator) -> None:
    token = started(simulator)
    form = {"token": token, "payment_type": "ACH", "outcome": "Success", "action": "cancel"}
    assert (await browser("POST", "/pay", data=form))[::2] == (303, "https://app.example/cancel")
    assert (await browser("GET", f"/pay?token={token}"))[0] == 200, "the token is as good as before"


async def test_the_pages_for_an_unknown_and_an_expired_token(
    browser: Browser, simulator: Simulator, clock: HandClock
) -> None:
    assert (await browser("GET", "/pay"))[0] == 404
    assert (await browser("POST", "/pay", data=b"\xff" * 9_000))[0] == 400
    token = started(simulator)
    clock.move(3 * 3600)
    status, page, _ = await browser("GET", f"/pay?token={token}")
    assert status == 410
    assert "https://app.example/cancel" in page, "a way back"


async def test_a_script_pays(browser: Browser, simulator: Simulator) -> None:
    token = started(simulator)
    assert await browser.json("POST", f"/pay/ACH/Failed?token={token}") == (
        200,
        {"redirectUrl": "https://app.example/back?a=1&b=2"},
    )
    status, answer = await browser.json("POST", f"/pay/ACH/Failed?token={token}")
    assert status == 409
    assert answer == {"message": "This payment has already been made.", "errors": []}


async def test_a_script_cancels(browser: Browser, simulator: Simulator) -> None:
    assert await browser.json("POST", f"/pay/cancel?token={started(simulator)}") == (
        200,
        {"redirectUrl": "https://app.example/cancel"},
    )
    assert (await browser.json("POST", "/pay/cancel"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/pay/CASH/Success?token={token}", 400),
        ("POST", "/pay/ACH/Perhaps?token={token}", 400),
        ("POST", "/pay/ACH/Success?token=nobody", 404),
        ("POST", "/pay/ACH/Success", 404),
        ("GET", "/pay/ACH/Success?token={token}", 405),
        ("GET", "/services/TCSOnlineService", 405),
        ("GET", "/nowhere", 404),
        ("POST", "/books", 405),
    ],
)
async def test_errors_are_json(browser: Browser, simulator: Simulator, method: str, path: str, status: int) -> None:
    answered, answer = await browser.json(method, path.format(token=started(simulator)))
    assert answered == status
    assert set(answer) == {"message", "errors"}


async def test_the_books_list_the_charges(browser: Browser, simulator: Simulator) -> None:
    for _ in range(2):
        token = started(simulator)
        simulator.pay(token, "PAYPAL", "Success")
        simulator.complete(APP, token)
    _, answer = await browser.json("GET", f"/books?agency_tracking_id={AGENCY_ID}")
    assert (answer["collections"], answer["charges"], answer["total"]) == (2, 2, "120.00")
    assert answer["newest"][0]["amount"] == "60.00"
    assert answer["newest"][0]["token"] == token
    assert (await browser.json("GET", "/books"))[1]["charges"] == 2
    assert (await browser.json("GET", "/books?agency_tracking_id=nobody"))[1]["charges"] == 0


async def test_a_debit_is_returned_by_a_script(browser: Browser, simulator: Simulator) -> None:
    token = started(simulator)
    simulator.pay(token, "ACH", "Success")
    name = simulator.complete(APP, token).paygov_tracking_id
    assert (await browser.json("POST", f"/return?paygov_tracking_id={name}"))[0] == 409
    simulator.settings = replace(simulator.settings, ach_settle_s=0.0)
    assert await browser.json("POST", f"/return?paygov_tracking_id={name}") == (
        200,
        {"agencyTrackingId": AGENCY_ID, "amount": "60.00"},
    )
    assert (await browser.json("POST", "/return?paygov_tracking_id=other"))[0] == 404
    _, books = await browser.json("GET", "/books")
    assert (books["total"], books["returned"]) == ("60.00", "60.00")
    assert books["newest"][0]["returned_at"] is not None


async def test_misbehaviours_are_added_to_a_running_simulator(browser: Browser, simulator: Simulator) -> None:
    paygov = client(browser.base, HttpTransport())
    token = started(simulator)
    simulator.pay(token, "ACH", "Success")
    added = [{"kind": "http", "status": 502}, {"kind": "fault", "times": 1, "operations": ["query"]}]
    status, answered = await browser.json("POST", "/misbehave", json=added)
    assert (status, [each["kind"] for each in answered["inForce"]]) == (200, ["http", "fault"])
    with pytest.raises(Nonsense):
        await paygov.complete(tcs_app_id=APP, token=token)
    assert (await browser.json("GET", "/health"))[1] == {"status": "ok", "misbehaviours": 2}
    assert (await browser.json("DELETE", "/misbehave"))[1]["inForce"] == []
    assert await paygov.complete(tcs_app_id=APP, token=token)
    await paygov.close()


@pytest.mark.parametrize("body", [b"", b"{", b"[]x", b"1", b'{"kind": "explode"}', b'[{"kind": "drop"}, 3]', b"\xff"])
async def test_an_invalid_misbehaviour_changes_nothing(browser: Browser, body: bytes) -> None:
    assert (await browser.json("POST", "/misbehave", data=body))[0] == 400
    assert (await browser.json("GET", "/misbehave"))[1]["inForce"] == []


async def test_large_bodies_are_refused(browser: Browser) -> None:
    big = b" " * 100_000
    assert (await browser.json("POST", "/misbehave", data=big))[0] == 413
    assert (await browser("POST", "/services/TCSOnlineService", data=big))[0] == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        b"<a>" * 20_000,
        b"<Envelope><Body><unheardOf><unheardOfRequest/></unheardOf></Body></Envelope>",
        b"<Envelope><Body><singleQuery><singleQueryRequest/></singleQuery></Body></Envelope>",
    ],
)
async def test_hostile_soap_gets_a_fault_without_a_code(browser: Browser, body: bytes) -> None:
    status, answer, _ = await browser("POST", "/services/TCSOnlineService", data=body)
    assert status == 500
    assert "<faultcode>S:Client</faultcode>" in answer
    assert "return_code" not in answer
    assert "root:" not in answer


async def test_a_completion_without_a_token_is_4117_on_http_400(browser: Browser) -> None:
    inner = "completeOnlineCollectionRequest"
    body = (
        f"<Envelope><Body><completeOnlineCollection><{inner}><tcs_app_id>A</tcs_app_id></{inner}>"
        "</completeOnlineCollection></Body></Envelope>"
    )
    status, answer, _ = await browser("POST", "/services/TCSOnlineService", data=body)
    assert (status, "<return_code>4117</return_code>" in answer) == (400, True)


async def test_complete_without_details_charges_too(browser: Browser, simulator: Simulator) -> None:
    token = started(simulator)
    simulator.pay(token, "ACH", "Success")
    inner = "completeOnlineCollectionRequest"
    body = (
        f"<Envelope><Body><completeOnlineCollection><{inner}><tcs_app_id>{APP}</tcs_app_id><token>{token}</token>"
        f"</{inner}></completeOnlineCollection></Body></Envelope>"
    )
    status, answer, _ = await browser("POST", "/services/TCSOnlineService", data=body)
    (charge,) = simulator.books.charges(AGENCY_ID)
    assert status == 200
    assert f"<paygov_tracking_id>{charge.paygov_tracking_id}</paygov_tracking_id>" in answer
    assert "transaction_status" not in answer


async def test_the_front_page_names_the_simulator(browser: Browser) -> None:
    status, page, _ = await browser("GET", "/")
    assert (status, "Pay.gov simulator" in page) == (200, True)


async def test_callers_must_send_the_bearer_token_that_is_configured(clock: HandClock) -> None:
    simulator = Simulator(clock, random.Random(1), settings=SimulatorSettings(bearer="s3cret"))
    transport = HttpTransport()
    async with serving(simulator) as at, aiohttp.ClientSession() as session:
        browser = Browser(at.base, session)
        for bearer in (None, "wrong", "s3cre", "s3crets"):
            with pytest.raises(Nonsense) as denied:
                await client(at.base, transport, bearer=bearer).find("query", tcs_app_id=APP, agency_tracking_id="a")
            assert denied.value.status == 401
        assert (
            await client(at.base, transport, bearer="s3cret").find("query", tcs_app_id=APP, agency_tracking_id="a")
            == ()
        )
        for path in ("/books", "/misbehave"):
            assert (await browser.json("GET", path))[0] == 401
            assert (await browser.json("GET", path, headers={"Authentication": "Bearer s3cret"}))[0] == 200
        assert (await browser.json("GET", "/health"))[0] == 200
        assert (await browser("GET", "/pay"))[0] == 404, "a payer needs no bearer token"
    await transport.close()


async def test_a_full_disk_is_a_503_and_nothing_took_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await world.paid()

    def full(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(world.books, "_append", full)
    with pytest.raises(Nonsense) as caught:
        await world.paygov.complete(tcs_app_id=APP, token=token)
    monkeypatch.undo()
    assert caught.value.status == 503
    assert world.books.charges(AGENCY_ID) == ()
    assert await world.paygov.complete(tcs_app_id=APP, token=token)


async def test_a_planned_misbehaviour_is_no_error_in_the_log(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    plan = MisbehaviourPlan(random.Random(1))
    async with serving(simulator, plan) as at:
        for kind in ("reset", "cut", "refuse"):
            plan.add(Misbehaviour(kind=kind, times=1))
            transport = HttpTransport()
            with pytest.raises(Lost):
                await client(at.base, transport).find("query", tcs_app_id=APP, agency_tracking_id="a")
            await transport.close()
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["reset", "cut", "refuse"])
async def test_a_server_that_cannot_reset_loses_the_reply_too(simulator: Simulator, kind: str) -> None:
    """Serve the app with uvicorn's protocol instead of the simulator's."""
    plan = MisbehaviourPlan(random.Random(1), [Misbehaviour(kind=kind)])
    server = uvicorn.Server(uvicorn.Config(simulator_app(simulator, plan), lifespan="off", ws="none", log_config=None))
    with listen() as listening:
        transport = HttpTransport()
        running = asyncio.create_task(server.serve(sockets=[listening]))
        paygov = client(addresses(listening).base, transport)
        with pytest.raises(Lost):
            await paygov.find("query", tcs_app_id=APP, agency_tracking_id="a")
        await transport.close()
        server.should_exit = True
        await running


def test_a_busy_port_is_reported_at_once() -> None:
    with listen() as first, pytest.raises(CannotBind, match="in use"):
        listen(port=first.getsockname()[1])


async def test_requests_under_way_finish_when_the_simulator_stops(simulator: Simulator) -> None:
    async with serving(simulator) as at, aiohttp.ClientSession() as session:
        token = started(simulator)
        paying = [
            asyncio.create_task(Browser(at.base, session)("POST", f"/pay/ACH/Success?token={token}")) for _ in range(9)
        ]
        statuses = [(await each)[0] for each in paying]
    assert sorted(statuses) == [200] + [409] * 8


def test_addresses_are_those_of_the_clients_configuration() -> None:
    at = Addresses("http://127.0.0.1:3366")
    assert urlsplit(at.url).path == "/services/TCSOnlineService"
    assert urlsplit(at.query_url).path == "/tcssinglequery/services/TCSSingleQueryService"
    assert urlsplit(at.payment_url).path == "/pay"


def test_the_templates_are_packaged_beside_the_code() -> None:
    folder = Path(hosted_pages.__file__).parent / "pages"
    assert {each.name for each in folder.iterdir()} == {"frame.html", "pay.html", "notice.html"}


async def test_an_answer_that_is_under_way_is_sent_before_the_simulator_stops() -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await asyncio.sleep(0.5)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        answered.set()

    config = simulator_config(slow)
    config.timeout_graceful_shutdown = 120  # a loaded machine may need long
    async with aiohttp.ClientSession() as session:
        async with serving_config(config) as where:
            asking = asyncio.create_task(_text(session, where.base))
            await asked.wait()
        assert answered.is_set(), "a caller may end the event loop now"
        assert await asking == "ok"


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as reply:
        return await reply.text()
