"""Misbehaviours: their forms as text and JSON, and (the matrix) the effect of each kind on the caller and the payer."""

import asyncio
import random

import pytest

from bursar.paygov import Fault, Lost, Nonsense, NotSent, PayGovError, TimedOut
from bursar.paygov.simulator import KINDS, Misbehaviour, MisbehaviourPlan
from bursar.paygov.simulator.answers import SPOIL
from bursar.paygov.simulator.misbehaviour import PLAN_MAX
from tests.support.paygov.world import AGENCY_ID, APP, HASTY_S, World

# kind: (the caller's result in process, over HTTP). They differ only where a real socket cannot behave so.
FAILING: dict[str, tuple[type[PayGovError], type[PayGovError]]] = {
    "delay": (TimedOut, TimedOut),
    "refuse": (NotSent, Lost),
    "drop": (TimedOut, TimedOut),
    "reset": (Lost, Lost),
    "cut": (Lost, Lost),
    "http": (Nonsense, Nonsense),
    "garbage": (Nonsense, Nonsense),
    "truncated": (Nonsense, Nonsense),
    "wrong_shape": (Nonsense, Nonsense),
    "fault": (Fault, Fault),
    "duplicated": (Nonsense, Nonsense),
    "drip": (TimedOut, TimedOut),
    "twice": (Fault, Fault),
}
FALSE_REPLIES = {"wrong_agency", "wrong_amount"}
SLOW = {"delay": 2 * HASTY_S, "drip": 60.0}
"""delay_s of the kinds that need a delay to exceed the timeout of the hasty client."""

MATRIX = [
    (kind, takes_place)
    for kind in FAILING
    for takes_place in ([KINDS[kind].takes_place] if KINDS[kind].fixed else [True, False])
]


@pytest.mark.parametrize(("kind", "takes_place"), MATRIX)
async def test_matrix(world: World, request: pytest.FixtureRequest, kind: str, takes_place: bool) -> None:
    """Check for any result of the caller that the books and the query agree on whether the payer was charged."""
    token = await world.paid()
    world.plan.add(
        Misbehaviour(kind=kind, takes_place=takes_place, delay_s=SLOW.get(kind, 0.0), operations=("complete",))
    )
    in_process = "in process" in request.node.callspec.id
    caller = world.hasty if FAILING[kind][0] is TimedOut else world.paygov

    with pytest.raises(PayGovError) as caught:
        await caller.complete(tcs_app_id=APP, token=token)
    assert type(caught.value) is FAILING[kind][0 if in_process else 1]

    async with asyncio.timeout(120):
        # A delayed request takes place long after its caller has timed out.
        while len(world.books.charges(AGENCY_ID)) != int(takes_place):  # noqa: ASYNC110 - the server tells no event
            await asyncio.sleep(0.02)
    found = await world.paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID)
    assert len(found) == int(takes_place)


def test_every_kind_is_in_the_matrix_and_has_an_effect() -> None:
    assert set(FAILING) | FALSE_REPLIES == set(KINDS) == set(SPOIL)


async def test_a_reply_of_another_payer_and_one_with_another_amount(world: World) -> None:
    first, second = await world.paid(), await world.paid()
    world.plan.add(Misbehaviour(kind="wrong_agency", token=first), Misbehaviour(kind="wrong_amount", token=second))
    other = await world.paygov.complete(tcs_app_id=APP, token=first)
    less = await world.paygov.complete(tcs_app_id=APP, token=second)
    assert other.agency_tracking_id == "another-payer"
    assert str(less.transaction_amount) == "0.01"
    assert {str(charge.amount) for charge in world.books.charges(AGENCY_ID)} == {"60.00"}


async def test_a_query_answered_with_another_payers_collection_is_nonsense(world: World) -> None:
    completed = await world.paygov.complete(tcs_app_id=APP, token=await world.paid())
    assert completed.paygov_tracking_id is not None
    world.plan.add(Misbehaviour(kind="wrong_agency"))
    with pytest.raises(Nonsense, match="another agency_tracking_id"):
        await world.paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID)


async def test_a_slow_reply_within_the_timeout_is_a_reply(world: World) -> None:
    token = await world.paid()
    world.plan.add(Misbehaviour(kind="drip", delay_s=0.2), Misbehaviour(kind="delay", delay_s=0.05))
    assert (await world.paygov.complete(tcs_app_id=APP, token=token)).transaction_status == "Success"


async def test_a_fault_with_any_code(world: World) -> None:
    world.plan.add(Misbehaviour(kind="fault", code="4242", operations=("start",)))
    with pytest.raises(Fault) as refused:
        await world.start()
    assert refused.value.return_code == "4242"


async def test_an_http_error_with_any_status(world: World) -> None:
    world.plan.add(Misbehaviour(kind="http", status=502, times=1))
    with pytest.raises(Nonsense) as caught:
        await world.start()
    assert caught.value.status == 502
    assert await world.start(), "once was enough"


async def test_only_the_named_calls_misbehave(world: World) -> None:
    first, second = await world.paid(), await world.paid()
    world.plan.add(Misbehaviour(kind="fault", token=first, operations=("complete",)))
    assert await world.paygov.complete(tcs_app_id=APP, token=second)
    with pytest.raises(Fault):
        await world.paygov.complete(tcs_app_id=APP, token=first)
    world.plan.clear()
    assert await world.paygov.complete(tcs_app_id=APP, token=first)


async def test_details_misbehave_by_the_agency_tracking_id_of_their_collection(world: World) -> None:
    completed = await world.paygov.complete(tcs_app_id=APP, token=await world.paid())
    assert completed.paygov_tracking_id is not None
    world.plan.add(Misbehaviour(kind="fault", agency_tracking_id=AGENCY_ID, operations=("details",)))
    with pytest.raises(Fault):
        await world.paygov.details(tcs_app_id=APP, paygov_tracking_id=completed.paygov_tracking_id)


# The plan


def test_a_seed_repeats_the_choices_of_a_plan() -> None:
    def run() -> list[str | None]:
        plan = MisbehaviourPlan(
            random.Random(3),
            [Misbehaviour(kind="drop", probability=0.3), Misbehaviour(kind="reset", probability=0.3)],
        )
        chosen = [plan.choose("getDetails", None, None) for _ in range(50)]
        return [each.kind if each else None for each in chosen]

    assert run() == run()
    assert {"drop", "reset", None} == set(run())


def test_times_are_counted_down() -> None:
    plan = MisbehaviourPlan(random.Random(1), [Misbehaviour(kind="drop", times=2)])
    assert plan.choose("getDetails", None, None)
    assert [each.times for each in plan.in_force()] == [1]
    assert plan.choose("getDetails", None, None)
    assert plan.choose("getDetails", None, None) is None
    assert len(plan) == 0


def test_a_plan_is_bounded() -> None:
    plan = MisbehaviourPlan(random.Random(1), [Misbehaviour(kind="drop")] * PLAN_MAX)
    with pytest.raises(ValueError, match="at most"):
        plan.add(Misbehaviour(kind="drop"))


# The forms of a misbehaviour


def test_the_command_lines_form() -> None:
    assert Misbehaviour.from_text(
        "http operations=start,complete probability=0.25 status=500 times=3 delay_s=1.5 takes_place=yes token=t"
    ) == Misbehaviour(
        kind="http",
        operations=("start", "complete"),
        probability=0.25,
        status=500,
        times=3,
        delay_s=1.5,
        takes_place=True,
        token="t",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_of_a_misbehaviour_can_be_read_back(kind: str) -> None:
    one = Misbehaviour(kind=kind, operations=("start",), agency_tracking_id="a", times=2)
    assert Misbehaviour.from_mapping(one.to_mapping()).to_mapping() == one.to_mapping()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "kind"),
        ("explode", "kind"),
        ("drop twice", "'twice'"),
        ("drop colour=red", "colour"),
        ("drop operations=pay", "operations"),
        ("drop probability=2", "probability"),
        ("drop probability=often", "probability"),
        ("drop times=0", "times"),
        ("drop delay_s=-1", "delay_s"),
        ("drop takes_place=maybe", "takes_place"),
        ("http status=200", "status"),
        ("refuse takes_place=yes", "takes_place"),
        ("duplicated takes_place=no", "takes_place"),
    ],
)
def test_an_invalid_field_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Misbehaviour.from_text(text)
