"""The probe reports which assumptions hold, charges no payer unless it is asked to, and shows no whole token."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from bursar.cli import bursar
from bursar.paygov import PayGovConfig
from bursar.paygov.probe import Probe, ProbeRequest, ProbeRow
from bursar.paygov.protocol import LOOKUPS, ONLINE_PATH, PAY_PATH, QUERY_PATH, LookupName
from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator, SimulatorSettings, SimulatorTransport
from bursar.paygov.simulator.server import serving
from tests.support.paygov.world import AGENCY_ID, APP, BASE, HandClock, World

CONFIG = PayGovConfig(
    url=BASE + ONLINE_PATH, query_url=BASE + QUERY_PATH, payment_url=BASE + PAY_PATH, confirmed_lookups=LOOKUPS
)
NOT_TRIED_BY_DEFAULT = {
    "details-found",
    "query-found",
    "unpaid-token",
    "complete",
    "details-visible",
    "query-visible",
    "details",
    "second-complete",
}


class Stand:
    """A simulator to probe. ``request``: what is asked beyond the harmless."""

    def __init__(self, **settings: Any) -> None:
        self.clock = HandClock()
        self.simulator = Simulator(self.clock, random.Random(7), settings=SimulatorSettings(**settings))
        self.plan = MisbehaviourPlan(random.Random(11))
        self.transport = SimulatorTransport(self.simulator, self.plan)

    async def pay(self, address: str) -> None:
        self.simulator.pay(address.split("token=")[1][:32], "PLASTIC_CARD", "Success")

    async def sleep(self, seconds: float) -> None:
        self.clock.move(seconds)

    async def probe(self, config: PayGovConfig = CONFIG, **request: Any) -> dict[str, ProbeRow]:
        probe = Probe(
            config,
            self.transport,
            ProbeRequest(tcs_app_id=APP, **request),
            clock=self.clock,
            randomness=random.Random(3),
            sleep=self.sleep,
        )
        return {row.name: row for row in await probe.run()}

    async def probe_all(self, config: PayGovConfig = CONFIG) -> dict[str, ProbeRow]:
        return await self.probe(config, completes_unpaid=True, pay=self.pay)


def _verdicts(rows: dict[str, ProbeRow]) -> dict[str, str]:
    return {name: row.verdict for name, row in rows.items()}


def _contradicts(rows: dict[str, ProbeRow]) -> list[str]:
    return [name for name, row in rows.items() if row.contradicts]


async def test_by_default_nothing_is_started_and_no_payer_is_charged() -> None:
    stand = Stand()
    rows = await stand.probe()
    assert len(stand.simulator.books) == 0
    assert {name for name, verdict in _verdicts(rows).items() if verdict == "not tried"} == NOT_TRIED_BY_DEFAULT
    assert {verdict for name, verdict in _verdicts(rows).items() if name not in NOT_TRIED_BY_DEFAULT} == {"holds"}


async def test_an_unpaid_token_charges_no_payer() -> None:
    stand = Stand()
    rows = await stand.probe(completes_unpaid=True)
    assert rows["unpaid-token"].verdict == "holds"
    assert list(stand.simulator.books.all_charges()) == []


async def test_a_paygov_that_completes_an_unpaid_token_is_reported() -> None:
    rows = await Stand(unpaid_code=None).probe(completes_unpaid=True)
    assert rows["unpaid-token"].verdict == "does not hold"
    assert "Success" in rows["unpaid-token"].answered


@pytest.mark.parametrize(
    ("offered", "lookups_that_hold"),
    [(LOOKUPS, {"details", "query"}), (("query",), {"query"}), ((), set())],
    ids=["both lookups", "query only", "none"],
)
async def test_a_test_payment_shows_which_lookups_work(
    offered: tuple[LookupName, ...], lookups_that_hold: set[str]
) -> None:
    stand = Stand(lookups=frozenset(offered))
    rows = await stand.probe_all()
    for lookup in LOOKUPS:
        verdict = "holds" if lookup in lookups_that_hold else "does not hold"
        assert {rows[f"{lookup}-none"].verdict, rows[f"{lookup}-visible"].verdict} == {verdict}
    for name in ("namespace", "application", "unpaid-token", "complete", "details", "second-complete"):
        assert rows[name].verdict == "holds", rows[name]
    assert len(list(stand.simulator.books.all_charges())) == 1
    assert bool(_contradicts(rows)) == (set(offered) != set(LOOKUPS)), "both lookups are relied on"


async def test_a_lookup_that_is_not_relied_on_contradicts_nothing() -> None:
    rows = await Stand(lookups=frozenset()).probe_all(replace(CONFIG, query_url=None, confirmed_lookups=()))
    assert (rows["details-none"].verdict, rows["query-none"].verdict) == ("does not hold", "not tried")
    assert _contradicts(rows) == []


async def test_a_fault_for_an_unknown_id_is_not_none() -> None:
    stand = Stand()
    stand.plan.add(Misbehaviour(kind="fault", operations=("details_by_agency_id",), code="4117"))
    rows = await stand.probe()
    assert (rows["details-none"].verdict, "4117" in rows["details-none"].answered) == ("does not hold", True)


async def test_a_given_collection_must_be_found() -> None:
    stand = Stand()
    rows = await stand.probe(agency_tracking_id=AGENCY_ID)
    assert {rows["details-found"].verdict, rows["query-found"].verdict} == {"does not hold"}
    token = stand.simulator.start(
        {
            "tcs_app_id": APP,
            "agency_tracking_id": AGENCY_ID,
            "transaction_type": "Sale",
            "transaction_amount": "60.00",
            "language": "en",
            "url_success": "https://app.example/",
            "url_cancel": "https://app.example/",
        }
    )
    stand.simulator.pay(token, "PAYPAL", "Success")
    stand.simulator.complete(APP, token)
    rows = await stand.probe(agency_tracking_id=AGENCY_ID)
    assert {rows["details-found"].verdict, rows["query-found"].verdict} == {"holds"}


@pytest.mark.parametrize(("delay_s", "verdict"), [(20.0, "holds"), (100.0, "does not hold")])
async def test_the_time_until_a_completion_is_visible_is_measured(delay_s: float, verdict: str) -> None:
    rows = await Stand(lookup_delay_s=delay_s).probe_all()
    assert rows["details-visible"].verdict == verdict
    assert ("after 20.0 s" if delay_s == 20 else "an empty list after 60.0 s") in rows["details-visible"].answered


async def test_an_application_that_does_not_exist_is_reported() -> None:
    rows = await Stand(applications=frozenset(("ANOTHER",))).probe()
    assert (rows["application"].verdict, rows["namespace"].verdict) == ("does not hold", "holds")


async def test_a_paygov_that_is_down_ends_the_probe_with_rows() -> None:
    stand = Stand()
    stand.plan.add(Misbehaviour(kind="refuse"))
    rows = await stand.probe_all()
    assert rows["complete"].verdict == "does not hold"
    assert "NotSent" in rows["namespace"].answered or rows["namespace"].verdict == "does not hold"
    assert rows["second-complete"].verdict == "not tried"


async def test_no_row_shows_a_whole_token() -> None:
    stand = Stand()
    rows = await stand.probe_all()
    tokens = list(stand.simulator.books._by_token)
    assert len(tokens) == 2
    for row in rows.values():
        assert not any(token in str(row) for token in tokens)


Command = Callable[..., Awaitable[tuple[int, str, str]]]


def _run(at: Any, *options: str, **environ: str) -> tuple[int, str, str]:
    usual = {"BURSAR_PAYGOV_URL": at.url, "BURSAR_PAYMENT_URL": at.payment_url, "BURSAR_PAYGOV_QUERY_URL": at.query_url}
    result = CliRunner().invoke(bursar, ["paygov", "probe", *options], env=usual | environ)
    return result.exit_code, result.stdout, result.stderr


async def test_the_command_pays_at_the_simulator_and_prints_json(simulator: Simulator) -> None:
    async with serving(simulator) as at:
        options = ("--charge", "--pay-with-simulator", "--complete-unpaid", "--format", "json")
        code, output, _ = await asyncio.to_thread(_run, at, *options)
    rows = {row["name"]: row for row in json.loads(output)}
    assert (code, {row["verdict"] for row in rows.values()}) == (0, {"holds", "not tried"})
    assert (rows["query-visible"]["reliedOn"], rows["details-visible"]["reliedOn"]) == (True, False)
    assert all(row["documented"].startswith("docs/paygov.md#") for row in rows.values())
    assert not any(token in output for token in simulator.books._by_token)


async def test_the_command_prints_a_table_and_fails_if_the_configuration_is_contradicted() -> None:
    stand = Stand(lookups=frozenset(("query",)))
    async with serving(stand.simulator) as at:
        code, output, _ = await asyncio.to_thread(_run, at, BURSAR_PAYGOV_LOOKUPS_CONFIRMED="details,query")
        assert code == 1
        assert "do not hold: details-none\n" in output
        assert "#the-lookups" in output
        code, _, _ = await asyncio.to_thread(_run, at)
        assert code == 0, "details is not relied on by default"


async def test_a_person_is_given_the_address_and_waited_for(simulator: Simulator) -> None:
    async with serving(simulator) as at:
        code, output, errors = await asyncio.to_thread(_run, at, "--charge", "--tcs-app-id", APP)
    assert (code, f"{at.payment_url}?token=" in errors, "token=" in output) == (1, True, False)


async def test_bad_usage_is_one_line(world: World) -> None:
    result = CliRunner().invoke(bursar, ["paygov", "probe", "--pay-with-simulator"])
    assert (result.exit_code, "needs --charge" in result.output) == (2, True)
