"""The simulator's activity files: every completed collection of the asked days, and differences on request."""

import csv
import io
import random
from typing import Any

import pytest

from bursar.clock import from_iso_ms
from bursar.paygov.safe_xml import parse_xml
from bursar.paygov.simulator import Simulator
from bursar.paygov.simulator.activity_file import (
    FIELDS,
    GROUPS,
    PLANTINGS,
    ActivityRecord,
    activity_records,
    as_csv,
    as_xml,
    planted,
)
from bursar.paygov.simulator.server import serving
from tests.support.paygov.world import APP, HandClock

DAY_S = 86_400.0
YEARS = ("2000-01-01", "2199-12-31")


def paid(simulator: Simulator, number: int, method: str = "PLASTIC_CARD", outcome: str = "Success") -> str:
    """Complete a collection and return its Pay.gov tracking id."""
    token = simulator.start(
        {
            "tcs_app_id": APP,
            "agency_tracking_id": f"a{number}",
            "transaction_type": "Sale",
            "transaction_amount": "60.00",
            "language": "en",
            "url_success": "https://app.example/back",
            "url_cancel": "https://app.example/cancel",
        }
    )
    simulator.pay(token, method, outcome)
    found = simulator.complete(APP, token).paygov_tracking_id
    assert found is not None
    return found


def lines(simulator: Simulator) -> list[tuple[str, str, str]]:
    return [
        (each.agency_tracking_id, each.transaction_status, each.payment_type)
        for each in activity_records(simulator, *YEARS)
    ]


def test_each_completed_collection_is_a_line(simulator: Simulator, clock: HandClock) -> None:
    paid(simulator, 1)
    paid(simulator, 2, outcome="Failed")
    paid(simulator, 3, "ACH")
    assert lines(simulator) == [
        ("a1", "Success", "PLASTIC_CARD"),
        ("a2", "Failed", "PLASTIC_CARD"),
        ("a3", "Received", "ACH"),
    ]


def test_a_deposit_ticket_is_of_a_day_in_new_york(simulator: Simulator, clock: HandClock) -> None:
    for number, at in enumerate(("2026-11-22T05:00:00.000Z", "2026-11-23T04:59:59.999Z", "2026-11-23T05:00:00.000Z")):
        clock.now = from_iso_ms(at)
        paid(simulator, number)
    tickets = [each.ticket for each in activity_records(simulator, *YEARS)]
    assert tickets[0] == tickets[1] != tickets[2]


def test_a_returned_debit_has_a_second_line_on_the_day_of_its_return(simulator: Simulator, clock: HandClock) -> None:
    paygov_id = paid(simulator, 1, "ACH")
    clock.now += 3 * DAY_S
    simulator.return_debit(paygov_id)
    charge, returned = activity_records(simulator, *YEARS)
    assert (charge.transaction_status, returned.transaction_status) == ("Success", "Retired")
    assert (returned.at.date() - charge.at.date()).days == 3
    day = returned.at.date().isoformat()
    assert activity_records(simulator, day, day) == [returned]


def test_both_forms_have_the_same_values(simulator: Simulator) -> None:
    for number, method in enumerate(GROUPS):
        paid(simulator, number, method)
    records = activity_records(simulator, *YEARS)
    root = parse_xml(as_xml(records).encode())
    in_xml = [tuple(field.text for field in record) for group in root for record in group.findall("item_detail_record")]
    rows = list(csv.DictReader(io.StringIO(as_csv(records))))
    assert [group.tag for group in root] == list(GROUPS.values())
    assert in_xml == [tuple(row[field] for field in FIELDS) for row in rows] == [each.values() for each in records]
    assert [row["payment_type"] for row in rows] == list(GROUPS)


@pytest.mark.parametrize("kind", PLANTINGS)
def test_a_planted_difference_changes_the_lines_of_one_paid_collection(simulator: Simulator, kind: str) -> None:
    for number in range(3):
        paid(simulator, number)
    paid(simulator, 9, outcome="Failed")
    records = activity_records(simulator, *YEARS)
    changed, ((planted_kind, at),) = planted(records, [kind], random.Random(1))
    assert (planted_kind, at.transaction_status) == (kind, "Success")
    untouched = [each for each in records if each != at]
    assert [each for each in changed if each in untouched] == untouched
    assert changed != records


def test_plantings_need_known_kinds_and_enough_collections(simulator: Simulator) -> None:
    records: list[ActivityRecord] = []
    with pytest.raises(ValueError, match=r"plant: must be some of .*; got 'gift'"):
        planted(records, ["gift"], random.Random(1))
    with pytest.raises(ValueError, match="at most as many kinds as paid collections, 0; got 1"):
        planted(records, ["repeated"], random.Random(1))


async def test_the_file_is_served(simulator: Simulator) -> None:
    import aiohttp

    paid(simulator, 1)
    day = activity_records(simulator, *YEARS)[0].at.date().isoformat()

    async def get(**query: Any) -> tuple[int, str, str]:
        async with session.get(f"{at.base}/activity", params=query) as reply:
            return reply.status, reply.content_type, await reply.text()

    async with serving(simulator) as at, aiohttp.ClientSession() as session:
        status, kind, text = await get(date=day)
        assert (status, kind, "<item_detail_record>" in text) == (200, "application/xml", True)
        status, kind, text = await get(date=day, format="csv", plant="repeated", seed="3")
        assert (status, kind, text.count("\n")) == (200, "text/csv", 3)
        for wrong in ({}, {"date": "x"}, {"date": day, "format": "pdf"}, {"date": day, "plant": "gift"}):
            assert (await get(**wrong))[0] == 400
