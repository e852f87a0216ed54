"""The dashboard's endpoints over the real reports include a payment in the next answer after it."""

import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bursar.clock import Clock, system_clock
from bursar.paygov import PayGov, PayGovConfig
from bursar.paygov.protocol import ONLINE_PATH, QUERY_PATH
from bursar.paygov.simulator import Simulator, SimulatorTransport
from bursar.payments import Clients, FeeCatalogue
from bursar.payments.ledger.table import TABLE_NAME
from bursar.portal.api.authentication import without_signatures
from bursar.portal.doors.asgi import PortalApp, portal_app
from bursar.portal.state.portal import Portal
from bursar.reports.reports import Reports
from bursar.reports.tail.stream_source import StreamSource
from bursar.reports.transaction_log import SqlTransactionLog
from tests.support.portal.asgi import ask
from tests.support.portal.stage import EXAMS
from tests.support.write_paths import WritePath


async def _pay(app: PortalApp, simulator: Simulator, docket: str, method: str, outcome: str) -> None:
    body: dict[str, Any] = {
        "transactionReferenceId": str(uuid.UUID(int=random.Random(docket).getrandbits(128), version=4)),
        "fee": "PETITION_FILING_FEE",
        "urlSuccess": "https://client.example/success",
        "urlCancel": "https://client.example/cancel",
        "metadata": {"docketNumber": docket},
    }
    token = (await ask(app, "POST", "/init", body)).json["token"]
    simulator.pay(token, method, outcome)
    assert (await ask(app, "POST", "/process", {"token": token})).status == 200


@asynccontextmanager
async def _open_app(
    write_path: WritePath, tmp_path: Path, reports_clock: Clock = system_clock
) -> AsyncIterator[tuple[PortalApp, Simulator]]:
    store = write_path.open(str(tmp_path / "portal.db"), clock=system_clock, randomness=random.Random(1))
    fees = FeeCatalogue.default()
    ledger = write_path.ledger(store, clock=system_clock, randomness=random.Random(2), fees=fees)
    await write_path.create_table(store)
    simulator = Simulator(system_clock, random.Random(3))
    url = "http://paygov.example"
    config = PayGovConfig(url=f"{url}{ONLINE_PATH}", query_url=f"{url}{QUERY_PATH}", payment_url=f"{url}/pay")
    portal = Portal(
        ledger,
        PayGov(config, SimulatorTransport(simulator)),
        fees,
        Clients([EXAMS]),
        clock=system_clock,
        randomness=random.Random(4),
    )
    reports = Reports(StreamSource(store, TABLE_NAME), f"file:{tmp_path / 'lake'}", reports_clock)
    try:
        log = SqlTransactionLog(reports, lambda: {key: fees.name(key) for key in fees.keys})
        yield portal_app(portal, without_signatures(EXAMS, listens_on=["127.0.0.1"]), log=log), simulator
    finally:
        await reports.close()
        await store.close()


async def test_a_payment_made_a_moment_ago_is_listed_counted_and_totalled(
    write_path: WritePath, tmp_path: Path
) -> None:
    async with _open_app(write_path, tmp_path) as (app, simulator):
        await _pay(app, simulator, "1-26", "PLASTIC_CARD", "Success")
        await _pay(app, simulator, "2-26", "PAYPAL", "Failed")
        await _pay(app, simulator, "3-26", "ACH", "Success")

        newest = (await ask(app, "GET", "/transactions")).json
        assert {(e["metadata"]["docketNumber"], e["paymentStatus"]) for e in newest["data"]} == {
            ("1-26", "success"),
            ("2-26", "failed"),
            ("3-26", "pending"),
        }
        counts = (await ask(app, "GET", "/transaction-payment-status")).json
        assert counts == {"pending": 1, "success": 1, "failed": 1, "total": 3}
        page = (await ask(app, "GET", "/transaction-log?status=success&includeTotals=true")).json
        [entry] = page["data"]
        assert (entry["feeName"], entry["transactionAmount"], entry["paymentMethod"]) == (
            "Petition filing fee",
            60.0,
            "Credit/Debit Card",
        )
        assert (page["total"], page["counts"]["all"]) == (1, 3)
        assert {total["total"] for total in page["totals"].values()} == {60.0}
        beyond = await ask(app, "GET", "/transaction-log?page=1000000&pageSize=200")
        assert (beyond.status, beyond.json["data"]) == (200, [])
        assert (beyond.json["page"], beyond.json["total"], beyond.json["counts"]["all"]) == (1_000_000, 3, 3)


async def test_pages_with_the_as_of_of_the_first_do_not_shift_while_payments_arrive(
    write_path: WritePath, tmp_path: Path
) -> None:
    async with _open_app(write_path, tmp_path) as (app, simulator):
        for number in range(5):
            await _pay(app, simulator, f"{number}-26", "PLASTIC_CARD", "Success")
        target = "/transaction-log?pageSize=2&includeTotals=true"
        first = (await ask(app, "GET", target)).json
        pages = [first]
        for number in (2, 3):
            await _pay(app, simulator, f"1{number}-26", "PLASTIC_CARD", "Success")
            pages.append((await ask(app, "GET", f"{target}&page={number}&asOf={first['asOf']}")).json)
        listed = [entry["metadata"]["docketNumber"] for page in pages for entry in page["data"]]
        assert listed == [f"{number}-26" for number in (4, 3, 2, 1, 0)]
        for name in ("asOf", "counts", "total", "totals"):
            assert [page[name] for page in pages] == [first[name]] * 3
        assert (first["total"], first["totals"]["day"]["total"]) == (5, 300.0)
        assert first["totals"]["day"]["to"] == first["asOf"]
        assert (await ask(app, "GET", target)).json["total"] == 7


async def test_a_later_page_is_answered_also_if_the_clock_of_the_reports_is_behind(
    write_path: WritePath, tmp_path: Path
) -> None:
    async with _open_app(write_path, tmp_path, lambda: system_clock() - 5.0) as (app, simulator):
        for number in range(3):
            await _pay(app, simulator, f"{number}-26", "PLASTIC_CARD", "Success")
        target = "/transaction-log?pageSize=2&includeTotals=true"
        first = (await ask(app, "GET", target)).json
        second = await ask(app, "GET", f"{target}&page=2&asOf={first['asOf']}")
        assert (second.status, [entry["metadata"]["docketNumber"] for entry in second.json["data"]]) == (200, ["0-26"])
        for name in ("asOf", "counts", "total", "totals"):
            assert second.json[name] == first[name]
