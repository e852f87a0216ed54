"""The client and the simulator without misbehaviours, over both transports."""

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest

from bursar.paygov import ArgumentRefused, Fault, HttpReply, Nonsense, NotSent, PayGov, PayGovConfig, QueryUnavailable
from bursar.paygov import client as client_module
from bursar.paygov.client import wire_amount
from bursar.paygov.protocol import LOOKUPS, URL_CHARACTERS_MAX, LookupName
from bursar.paygov.simulator import Misbehaviour, PayerRefused, Simulator, SimulatorSettings, SimulatorTransport
from bursar.paygov.soap import escape
from tests.support.paygov.world import AGENCY_ID, APP, BASE, HandClock, World, client, soap_reply


async def test_a_card_payment_succeeds(world: World) -> None:
    token = await world.start()
    assert len(token) == 32
    world.simulator.pay(token, "PLASTIC_CARD", "Success")
    assert world.books.charges(AGENCY_ID) == (), "paying on the page charges nobody yet"

    collection = await world.paygov.complete(tcs_app_id=APP, token=token)

    assert collection.agency_tracking_id == AGENCY_ID
    assert collection.transaction_amount == Decimal("60.00")
    assert str(collection.transaction_amount) == "60.00"
    assert collection.transaction_status == "Success"
    assert collection.payment_type == "PLASTIC_CARD"
    assert collection.transaction_type == "Sale"
    assert collection.payment_frequency == "ONE_TIME"
    assert collection.number_of_installments == "1"
    assert collection.transaction_date is not None
    assert collection.payment_date is not None
    assert [charge.amount for charge in world.books.charges(AGENCY_ID)] == [Decimal("60.00")]


async def test_a_classification_is_sent_with_the_start(world: World) -> None:
    token = await world.start(classification=[("1234567", Decimal("24.00")), ("<&>", Decimal("36.00"))])
    entry = world.books.entry(token)
    assert entry is not None
    assert entry.classification == [["1234567", "24.00"], ["<&>", "36.00"]]


@pytest.mark.parametrize("parts", [[("1234567", Decimal("59.99"))], [("", Decimal("60.00"))]])
async def test_a_bad_classification_is_not_sent(world: World, parts: list[tuple[str, Decimal]]) -> None:
    with pytest.raises(ArgumentRefused, match="classification"):
        await world.start(classification=parts)
    assert len(world.books) == 0


async def test_a_settled_debit_is_returned_later(world: World) -> None:
    completed = await world.paygov.complete(tcs_app_id=APP, token=await world.paid("ACH"))
    assert completed.paygov_tracking_id is not None
    with pytest.raises(PayerRefused, match="Only an ACH debit that has settled can be returned"):
        world.simulator.return_debit(completed.paygov_tracking_id)
    world.clock.move(20)
    world.simulator.return_debit(completed.paygov_tracking_id)
    (now,) = await world.paygov.details(tcs_app_id=APP, paygov_tracking_id=completed.paygov_tracking_id)
    assert now.transaction_status == "Retired"
    (charge,) = world.books.charges(AGENCY_ID)
    assert charge.returned_at == world.clock.now


async def test_paypal_is_a_payment_type(world: World) -> None:
    token = await world.paid("PAYPAL")
    assert (await world.paygov.complete(tcs_app_id=APP, token=token)).payment_type == "PAYPAL"


@pytest.mark.parametrize("outcome", ["Success", "Failed"])
async def test_ach_is_received_and_settles_later(world: World, outcome: str) -> None:
    completed = await world.paygov.complete(tcs_app_id=APP, token=await world.paid("ACH", outcome))
    assert completed.transaction_status == "Received"
    assert completed.paygov_tracking_id is not None

    world.clock.move(14.9)
    (before,) = await world.paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID)
    world.clock.move(0.2)
    (after,) = await world.paygov.details(tcs_app_id=APP, paygov_tracking_id=completed.paygov_tracking_id)

    assert before.transaction_status == "Received"
    assert after.transaction_status == outcome
    assert len(world.books.charges(AGENCY_ID)) == (1 if outcome == "Success" else 0)


async def test_a_declined_card_completes_as_failed_and_charges_no_payer(world: World) -> None:
    token = await world.paid("PLASTIC_CARD", "Failed")
    collection = await world.paygov.complete(tcs_app_id=APP, token=token)
    assert collection.transaction_status == "Failed"
    assert collection.paygov_tracking_id is not None
    assert world.books.charges(AGENCY_ID) == ()


async def test_a_second_complete_is_4117_and_does_not_charge_again(world: World) -> None:
    token = await world.paid()
    await world.paygov.complete(tcs_app_id=APP, token=token)
    with pytest.raises(Fault) as refused:
        await world.paygov.complete(tcs_app_id=APP, token=token)
    assert refused.value.return_code == "4117"
    assert refused.value.token_unusable
    assert len(world.books.charges(AGENCY_ID)) == 1


async def test_a_token_is_valid_for_three_hours(world: World) -> None:
    token = await world.paid()
    world.clock.move(3 * 3600)
    with pytest.raises(Fault, match="4117"):
        await world.paygov.complete(tcs_app_id=APP, token=token)


async def test_a_token_of_another_application_is_4117(world: World) -> None:
    with pytest.raises(Fault, match="4117"):
        await world.paygov.complete(tcs_app_id="SOMEBODYELSE", token=await world.paid())


async def test_an_unpaid_token_is_4117_and_stays_usable(world: World) -> None:
    token = await world.start()
    with pytest.raises(Fault, match=r"4117.*has not paid"):
        await world.paygov.complete(tcs_app_id=APP, token=token)
    world.simulator.pay(token, "PLASTIC_CARD", "Success")
    assert (await world.paygov.complete(tcs_app_id=APP, token=token)).transaction_status == "Success"


@pytest.mark.parametrize("lookup", LOOKUPS)
async def test_a_lookup_finds_a_fresh_completion_once_it_is_visible(world: World, lookup: LookupName) -> None:
    world.simulator.settings = SimulatorSettings(lookup_delay_s=30.0)
    completed = await world.paygov.complete(tcs_app_id=APP, token=await world.paid())
    assert await world.paygov.find(lookup, tcs_app_id=APP, agency_tracking_id=AGENCY_ID) == ()
    world.clock.move(30.0)
    assert await world.paygov.find(lookup, tcs_app_id=APP, agency_tracking_id=AGENCY_ID) == (completed,)
    assert await world.paygov.find(lookup, tcs_app_id="ANOTHER", agency_tracking_id=AGENCY_ID) == ()


@pytest.mark.parametrize("offered", LOOKUPS)
async def test_a_lookup_that_paygov_does_not_offer_is_no_answer(world: World, offered: LookupName) -> None:
    world.simulator.settings = SimulatorSettings(lookups=frozenset((offered,)))
    await world.paygov.complete(tcs_app_id=APP, token=await world.paid())
    for lookup in LOOKUPS:
        if lookup == offered:
            assert len(await world.paygov.find(lookup, tcs_app_id=APP, agency_tracking_id=AGENCY_ID)) == 1
        else:
            with pytest.raises(Nonsense):
                await world.paygov.find(lookup, tcs_app_id=APP, agency_tracking_id=AGENCY_ID)


@pytest.mark.parametrize("lookup", LOOKUPS)
async def test_a_fault_of_a_lookup_means_none_only_if_the_protocol_says_so(world: World, lookup: LookupName) -> None:
    world.plan.add(Misbehaviour(kind="fault", code="4044"))
    with pytest.raises(Fault):
        await world.paygov.find(lookup, tcs_app_id=APP, agency_tracking_id=AGENCY_ID)
    with patch.object(client_module, "LOOKUP_FAULTS_MEANING_NONE", frozenset(("4044",))):
        assert await world.paygov.find(lookup, tcs_app_id=APP, agency_tracking_id=AGENCY_ID) == ()


async def test_get_details_has_two_names_in_a_plan(world: World) -> None:
    completed = await world.paygov.complete(tcs_app_id=APP, token=await world.paid())
    assert completed.paygov_tracking_id is not None
    world.plan.add(Misbehaviour(kind="fault", operations=("details_by_agency_id",)))
    await world.paygov.details(tcs_app_id=APP, paygov_tracking_id=completed.paygov_tracking_id)
    with pytest.raises(Fault):
        await world.paygov.find("details", tcs_app_id=APP, agency_tracking_id=AGENCY_ID)


@pytest.mark.parametrize(
    ("config", "available"),
    [
        ({}, [("details", False), ("query", True)]),
        ({"query_url": None}, [("details", False)]),
        ({"lookups": ()}, []),
        ({"lookups": ("query", "details"), "confirmed_lookups": LOOKUPS}, [("query", True), ("details", True)]),
    ],
)
def test_the_configuration_says_which_lookups_there_are(config: Any, available: list[tuple[str, bool]]) -> None:
    usual = {"url": BASE, "payment_url": BASE, "query_url": BASE}
    found = PayGovConfig(**(usual | config)).available_lookups
    assert [(each.name, each.confirmed) for each in found] == available


@pytest.mark.parametrize("wrong", [{"lookups": ("guess",)}, {"lookups": ("query", "query")}])
def test_a_lookup_that_does_not_exist_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be of details, query, each once"):
        PayGovConfig(url=BASE, payment_url=BASE, **wrong)


async def test_the_query_finds_none_until_a_collection_is_completed(world: World) -> None:
    token = await world.paid()
    assert await world.paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID) == ()
    completed = await world.paygov.complete(tcs_app_id=APP, token=token)
    assert await world.paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID) == (completed,)


async def test_the_query_lists_every_collection_of_an_id(world: World) -> None:
    for token in [await world.paid(), await world.paid()]:
        await world.paygov.complete(tcs_app_id=APP, token=token)
    assert len(await world.paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID)) == 2
    assert len(world.books.charges_for([AGENCY_ID, "another"])) == 2


async def test_details_of_an_unknown_tracking_id_are_refused(world: World) -> None:
    with pytest.raises(Fault):
        await world.paygov.details(tcs_app_id=APP, paygov_tracking_id="NOSUCHID")


async def test_ids_with_markup_and_urls_with_ampersands_arrive_unchanged(world: World) -> None:
    agency_id = "<a>&\"'x]]>"
    token = await world.start(agency_id)
    redirect = world.simulator.pay(token, "PLASTIC_CARD", "Success")
    assert redirect == "https://app.example/back?a=1&b=2"
    assert (await world.paygov.complete(tcs_app_id=APP, token=token)).agency_tracking_id == agency_id


def simulated(settings: SimulatorSettings) -> tuple[Simulator, PayGov]:
    simulator = Simulator(HandClock(), random.Random(1), settings=settings)
    return simulator, client(BASE, SimulatorTransport(simulator))


START: dict[str, Any] = {
    "tcs_app_id": APP,
    "agency_tracking_id": AGENCY_ID,
    "amount": Decimal("60"),
    "url_success": "https://app.example/a",
    "url_cancel": "https://app.example/b",
}


async def test_an_unknown_application_is_4019() -> None:
    _, paygov = simulated(SimulatorSettings(applications=frozenset(("OTHER",))))
    with pytest.raises(Fault, match="4019"):
        await paygov.start(**START)


async def test_unpaid_tokens_can_complete_as_on_the_public_test_server() -> None:
    simulator, paygov = simulated(SimulatorSettings(unpaid_code=None))
    completed = await paygov.complete(tcs_app_id=APP, token=await paygov.start(**START))
    assert (completed.transaction_status, completed.payment_type) == ("Success", "PLASTIC_CARD")
    assert len(simulator.books.charges(AGENCY_ID)) == 1


async def test_without_a_query_service_nothing_is_sent() -> None:
    config = PayGovConfig(url=BASE, payment_url=BASE)
    paygov = PayGov(config, SimulatorTransport(Simulator(HandClock(), random.Random(1))))
    with pytest.raises(QueryUnavailable):
        await paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tcs_app_id", ""),
        ("tcs_app_id", "has space"),
        ("agency_tracking_id", ""),
        ("agency_tracking_id", "x" * 22),
        ("agency_tracking_id", "tab\there"),
        ("agency_tracking_id", "nul\0"),
        ("agency_tracking_id", "ünïcode"),
        ("amount", Decimal("0")),
        ("amount", Decimal("-1")),
        ("amount", Decimal("0.001")),
        ("amount", Decimal("NaN")),
        ("amount", Decimal("Infinity")),
        ("amount", Decimal("1000000000.00")),
        ("amount", 60.0),
        ("url_success", "javascript:alert(1)"),
        ("url_success", "/relative"),
        ("url_success", "http://[broken"),
        ("url_cancel", "https://app.example/" + "x" * 3000),
        ("url_cancel", "https://app.example/\x07"),
    ],
)
async def test_arguments_that_pay_gov_could_not_accept_are_refused_before_sending(name: str, value: object) -> None:
    simulator, paygov = simulated(SimulatorSettings())
    with pytest.raises(ArgumentRefused, match=name) as refused:
        await paygov.start(**START | {name: value})
    assert isinstance(refused.value, NotSent)
    assert len(simulator.books) == 0


@pytest.mark.parametrize("token", ["", "x" * 31, "x" * 33, "x" * 31 + " "])
async def test_a_token_has_32_characters_and_is_not_repeated_in_an_error(token: str) -> None:
    _, paygov = simulated(SimulatorSettings())
    with pytest.raises(ArgumentRefused) as refused:
        await paygov.complete(tcs_app_id=APP, token=token)
    assert "xxx" not in str(refused.value)


@pytest.mark.parametrize(
    ("amount", "wire"),
    [
        (Decimal("60"), "60.00"),
        (Decimal("0.01"), "0.01"),
        (Decimal("1E+3"), "1000.00"),
        (Decimal("1.500"), "1.50"),
        (Decimal("999999999.99"), "999999999.99"),
    ],
)
def test_amounts_have_exactly_two_decimals(amount: Decimal, wire: str) -> None:
    assert wire_amount(amount) == wire


@pytest.mark.parametrize("tracking_id", ["7", "3FPAID", "two  words", "<&>", "x" * 33, "x" * 255])
async def test_every_tracking_id_that_is_read_can_be_looked_up(tracking_id: str) -> None:
    paygov = client(BASE, Answering(tracking_id))
    completed = await paygov.complete(tcs_app_id=APP, token="t" * 32)
    assert completed.paygov_tracking_id == tracking_id
    assert await paygov.details(tcs_app_id=APP, paygov_tracking_id=tracking_id) == (completed,)


@pytest.mark.parametrize("tracking_id", ["x" * 256, "line\nbreak", "ünïcode"])
async def test_a_tracking_id_that_cannot_be_looked_up_is_nonsense(tracking_id: str) -> None:
    paygov = client(BASE, Answering(tracking_id))
    with pytest.raises(Nonsense, match="paygov_tracking_id"):
        await paygov.complete(tcs_app_id=APP, token="t" * 32)
    with pytest.raises(ArgumentRefused, match="paygov_tracking_id"):
        await paygov.details(tcs_app_id=APP, paygov_tracking_id=tracking_id)


async def test_an_answer_about_an_id_that_differs_in_case_is_nonsense() -> None:
    paygov = client(BASE, Answering("3Fpaid", AGENCY_ID.upper()))
    with pytest.raises(Nonsense, match="another agency_tracking_id"):
        await paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID)
    with pytest.raises(Nonsense, match="another paygov_tracking_id"):
        await paygov.details(tcs_app_id=APP, paygov_tracking_id="3FPAID")


async def test_the_longest_url_is_sent_and_a_longer_one_is_not() -> None:
    simulator, paygov = simulated(SimulatorSettings())
    longest = "https://app.example/".ljust(URL_CHARACTERS_MAX, "x")
    assert await paygov.start(**START | {"url_success": longest, "url_cancel": longest})
    with pytest.raises(ArgumentRefused, match="url_cancel"):
        await paygov.start(**START | {"url_cancel": f"{longest}x"})
    assert len(simulator.books) == 1


async def test_the_bearer_token_is_sent_with_every_call() -> None:
    settings = SimulatorSettings(bearer="a token of the agency")
    transport = SimulatorTransport(Simulator(HandClock(), random.Random(1), settings=settings))
    with pytest.raises(Nonsense, match="401"):
        await client(BASE, transport).start(**START)
    assert await client(BASE, transport, bearer="a token of the agency").start(**START)


async def test_every_call_has_the_timeout_of_the_configuration() -> None:
    answering = Answering("3FPAID")
    paygov = client(BASE, answering, timeout_s=7.5)
    await paygov.complete(tcs_app_id=APP, token="t" * 32)
    await paygov.details(tcs_app_id=APP, paygov_tracking_id="3FPAID")
    await paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID)
    assert answering.timeouts_s == [7.5, 7.5, 7.5]


class Answering:
    """A Pay.gov whose transactions all have the same tracking ids; it notes the timeout of each call."""

    def __init__(self, tracking_id: str, agency_id: str = AGENCY_ID) -> None:
        self.timeouts_s: list[float] = []
        self.fields = (
            f"<paygov_tracking_id>{escape(tracking_id)}</paygov_tracking_id>"
            f"<agency_tracking_id>{escape(agency_id)}</agency_tracking_id>"
            "<transaction_status>Received</transaction_status>"
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        self.timeouts_s.append(timeout_s)
        if b"completeOnlineCollectionWithDetails" in body:
            reply = soap_reply("completeOnlineCollectionWithDetails", self.fields)
        else:
            operation = "singleQuery" if b"singleQuery" in body else "getDetails"
            reply = soap_reply(operation, f"<transactions><transaction>{self.fields}</transaction></transactions>")
        return HttpReply(200, {"content-type": "text/xml; charset=utf-8"}, reply)

    async def close(self) -> None: ...


@pytest.mark.parametrize("token", ["t" * 32, "&=#%+;?/" + "t" * 24])
def test_the_payer_is_sent_to_the_hosted_pages(token: str) -> None:
    _, paygov = simulated(SimulatorSettings())
    parts = urlsplit(paygov.payment_redirect(tcs_app_id="A&B", token=token))
    assert parse_qs(parts.query) == {"token": [token], "tcsAppID": ["A&B"]}
    assert parts.path == "/pay"


@pytest.mark.parametrize(
    "wrong",
    [{"timeout_s": 0.0}, {"client_key": "key.pem"}, {"bearer": "two\nlines"}],
)
def test_a_configuration_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        PayGovConfig(url=BASE, payment_url=BASE, **wrong)  # type: ignore[arg-type]  # wrong values are the subject


def test_the_bearer_token_is_not_shown() -> None:
    assert "secret" not in repr(PayGovConfig(url=BASE, payment_url=BASE, bearer="secret"))
