"""The dashboard's endpoints over a log in memory: shapes, authorisation, exports."""

from typing import Any

import pytest

from bursar.clock import iso_ms
from bursar.portal.api.authentication import without_signatures
from bursar.portal.contract.periods import court_day, day_of
from bursar.portal.doors.asgi import PortalApp, portal_app
from tests.support.portal.asgi import Answer, ask
from tests.support.portal.fake_log import ENTRY, FakeLog
from tests.support.portal.stage import DAWSON, EXAMS, Stage, on_stage
from tests.support.write_paths import WritePath

PATHS = ("/transactions", "/transactions/failed", "/transaction-payment-status", "/transaction-log")


def _app(stage: Stage, log: FakeLog, client: Any = EXAMS) -> PortalApp:
    return portal_app(stage.portal, without_signatures(client, listens_on=["127.0.0.1"]), log=log)


async def _get(stage: Stage, target: str, log: FakeLog | None = None) -> Answer:
    return await ask(_app(stage, log or FakeLog()), "GET", target)


@on_stage
async def test_the_newest_transactions(stage: Stage) -> None:
    log = FakeLog()
    answer = await _get(stage, "/transactions", log)
    assert answer.status == 200
    assert answer.json == {
        "data": [{**ENTRY, "transactionAmount": 60.0, "paymentMethod": "Credit/Debit Card"}],
        "total": 1,
    }
    assert b'"transactionAmount":60.00' in answer.body
    await _get(stage, "/transactions/failed", log)
    assert [asked["status"] for _, asked in log.asked] == [None, "failed"]


@on_stage
async def test_an_unknown_status_is_400(stage: Stage) -> None:
    answer = await _get(stage, "/transactions/nonsense")
    assert (answer.status, answer.json["errors"][0]["path"]) == (400, ["paymentStatus"])


@on_stage
async def test_the_status_counts(stage: Stage) -> None:
    answer = await _get(stage, "/transaction-payment-status")
    assert answer.json == {"pending": 1, "success": 3, "failed": 2, "total": 6}


@on_stage
async def test_a_page_of_the_log(stage: Stage) -> None:
    log = FakeLog([{**ENTRY, "returnCode": "4117", "paymentMethod": None}])
    target = "/transaction-log?from=11/22/2026&to=11/22/2026&status=failed&page=3&pageSize=20&sort=feeName&order=asc"
    reply = (await _get(stage, target, log)).json
    assert reply["data"][0]["returnCode"] == 4117
    assert {name: value for name, value in reply.items() if name != "data"} == {
        "counts": {"all": 6, "success": 3, "failed": 2, "pending": 1},
        "from": "2026-11-22T05:00:00.000Z",
        "to": "2026-11-23T05:00:00.000Z",
        "page": 3,
        "pageSize": 20,
        "sort": "feeName",
        "order": "asc",
        "asOf": iso_ms(stage.portal.clock()),
        "total": 2,
    }
    asked = dict(log.asked)["page"]
    assert (asked["limit"], asked["offset"], asked["status"]) == (20, 40, "failed")


@on_stage
async def test_numbers_of_any_length_do_not_spoil_a_page(stage: Stage) -> None:
    metadata, code = {"docketNumber": "123-26", "big": 10**30, "small": -(2**63) - 1}, "9" * 32
    for target in ("/transactions", "/transaction-log"):
        answer = await _get(stage, target, FakeLog([{**ENTRY, "metadata": metadata, "returnCode": code}]))
        assert answer.status == 200
        texts = {name: str(value) for name, value in metadata.items()}
        assert (answer.json["data"][0]["metadata"], answer.json["data"][0]["returnCode"]) == (texts, code)


@on_stage
async def test_metadata_values_are_texts(stage: Stage) -> None:
    metadata = {"docketNumber": "123-26", "pages": 3, "certified": True, "none": None, "names": ["Ada", "É"], "o": {}}
    data = (await _get(stage, "/transactions", FakeLog([{**ENTRY, "metadata": metadata}]))).json["data"]
    assert data[0]["metadata"] == {
        "docketNumber": "123-26",
        "pages": "3",
        "certified": "true",
        "none": "null",
        "names": '["Ada","É"]',
        "o": "{}",
    }


@on_stage
async def test_a_later_page_is_of_the_instant_that_it_names(stage: Stage) -> None:
    log, now = FakeLog(), stage.portal.clock()
    for at in (now - 86_400, now, now + 1):
        target = f"/transaction-log?page=2&includeTotals=true&asOf={iso_ms(at)}"
        reply = (await _get(stage, target, log)).json
        assert reply["asOf"] == iso_ms(at)
        assert {period["to"] for period in reply["totals"].values()} == {iso_ms(at)}
        assert log.asked[-1][1]["as_of"] == at
        frame = day_of(court_day(at))
        assert (reply["from"], reply["to"]) == (iso_ms(frame.begin), iso_ms(frame.end))


@on_stage
async def test_totals_are_of_the_current_periods_to_date(stage: Stage) -> None:
    reply = (await _get(stage, "/transaction-log?includeTotals=true")).json
    assert list(reply["totals"]) == ["day", "week", "month", "quarter", "fiscalYear"]
    assert {period["total"] for period in reply["totals"].values()} == {60.0}
    assert len({period["to"] for period in reply["totals"].values()}) == 1
    assert reply["totals"]["fiscalYear"]["from"] == "2026-10-01T04:00:00.000Z"


@on_stage
async def test_later_pages_of_an_export_leave_out_counts_and_totals(stage: Stage) -> None:
    first = (await _get(stage, "/transaction-log?export=true&pageSize=5000&includeTotals=true")).json
    later = (await _get(stage, "/transaction-log?export=true&pageSize=5000&includeTotals=true&page=2")).json
    assert {"counts", "total", "totals"} <= set(first)
    assert not {"counts", "total", "totals"} & set(later)


@on_stage
async def test_only_a_client_that_may_see_every_payment_may_ask(stage: Stage) -> None:
    for path in PATHS:
        answer = await ask(_app(stage, FakeLog(), DAWSON), "GET", path)
        assert (answer.status, answer.json["message"]) == (403, "Client not authorized to see every payment")


@on_stage
async def test_without_a_log_the_endpoints_are_not_there(stage: Stage) -> None:
    app = portal_app(stage.portal, without_signatures(EXAMS, listens_on=["127.0.0.1"]))
    assert {(await ask(app, "GET", path)).status for path in PATHS} == {404}


@on_stage
async def test_a_busy_log_is_503_and_says_nothing_of_its_sql(stage: Stage) -> None:
    from bursar.reports.errors import QueryTooLong

    class Busy(FakeLog):
        async def recent(self, *given: Any, **named: Any) -> Any:
            raise QueryTooLong("SELECT secret")

    answer = await _get(stage, "/transactions", Busy())
    assert (answer.status, b"SELECT" in answer.body) == (503, False)


@pytest.mark.parametrize("path", PATHS)
def test_no_entry_holds_a_token(write_path: WritePath, path: str) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        assert b"token" not in (await _get(stage, path)).body

    scene(write_path)
