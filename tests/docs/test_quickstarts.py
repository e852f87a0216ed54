"""The quickstarts run as they are, against a portal that verifies signatures, and Pay.gov's simulator."""

import asyncio
import contextlib
import os
import random
import re
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from bursar.bootstrap.composition import Composition
from bursar.clock import system_clock
from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator, SimulatorSettings
from bursar.paygov.simulator.server import serving
from bursar.portal.api.authentication import sigv4
from bursar.portal.doors.asgi import portal_app
from bursar.settings import Settings
from bursar.web.asgi_server import start_asgi_server
from bursar.web.binding import listen
from tests.support.docs.programs import ANSWER_S_MAX, EXAMPLES, LANGUAGES, command, line_of, running
from tests.support.dynamo.peers import ORACLES

AWS4FETCH = ORACLES / "node_modules" / "aws4fetch"
LOOKUPS_AT_ONCE = 4
"""The questions of a call whose reply was lost: each of two lookups, twice."""
KEY = {"AWS_ACCESS_KEY_ID": "AKIADAWSON", "AWS_SECRET_ACCESS_KEY": "at least sixteen characters"}
CLIENTS = f"""
[clients.dawson]
role_arn = "arn:aws:iam::123456789012:role/dawson"
fees = ["PETITION_FILING_FEE"]
[[clients.dawson.access_keys]]
access_key_id = "{KEY["AWS_ACCESS_KEY_ID"]}"
secret = "{KEY["AWS_SECRET_ACCESS_KEY"]}"
"""


@pytest.fixture(params=LANGUAGES)
def quickstart(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the path of the program. The one for Node is a copy beside the package that it needs."""
    if request.param == "py":
        return str(EXAMPLES / "quickstart.py")
    if not AWS4FETCH.is_dir():
        pytest.skip("aws4fetch is not installed: tools/install-oracles")
    (tmp_path / "node_modules").symlink_to(AWS4FETCH.parent, target_is_directory=True)
    return str(shutil.copy(EXAMPLES / "quickstart.mjs", tmp_path))


class Served:
    """A portal that verifies signatures, on a socket, and the simulator that it calls."""

    def __init__(self, url: str, simulator: Simulator, plan: MisbehaviourPlan) -> None:
        self.url = url
        self.simulator = simulator
        self.plan = plan


@contextlib.asynccontextmanager
async def portal_served(tmp_path: Path) -> AsyncIterator[Served]:
    clients = tmp_path / "clients.toml"
    clients.touch(0o600)
    clients.write_text(CLIENTS)
    simulator = Simulator(system_clock, random.Random(1), settings=SimulatorSettings(ach_settle_s=0.5))
    plan = MisbehaviourPlan(random.Random(2))
    async with serving(simulator, plan) as paygov:
        settings = Settings(
            data=str(tmp_path / "data"),
            clients=str(clients),
            paygov_url=paygov.url,
            paygov_query_url=paygov.query_url,
            payment_url=paygov.payment_url,
            refresh_min_s=0.1,
        )
        async with Composition(settings) as parts:
            portal = await parts.portal()
            app = portal_app(portal, sigv4(parts.clients, clock=parts.clock))
            listening = listen("127.0.0.1", 0, 16)
            server = await start_asgi_server(app, listening, refuse=app.refuse)
            try:
                yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", simulator, plan)
            finally:
                await portal.drain()
                await server.close(1)


async def collected(
    served: Served, quickstart: str, method: str, outcome: str, misbehaviours: Iterable[Misbehaviour] = ()
) -> list[str]:
    """Run the quickstart to its end, with a payer who pays on the hosted page, and return what it printed last."""
    async with running(quickstart, PORTAL_URL=served.url, **KEY) as program:
        redirect = await line_of(program)
        token = re.search(r"token=(\w{32})", redirect)
        assert token, redirect
        served.simulator.pay(token.group(1), method, outcome)
        for each in misbehaviours:
            served.plan.add(each)
        async with asyncio.timeout(ANSWER_S_MAX):
            printed, _ = await program.communicate(b"\n")
        assert program.returncode == 0
        return printed.decode().replace("Press Enter when the payer is back. ", "").splitlines()


async def test_the_quickstart_collects_a_fee(quickstart: str, tmp_path: Path) -> None:
    async with portal_served(tmp_path) as served:
        assert await collected(served, quickstart, "PLASTIC_CARD", "Success") == ["The payment is success"]
        assert await collected(served, quickstart, "PAYPAL", "Failed") == ["The payment is failed"]
        assert await collected(served, quickstart, "ACH", "Success") == ["The payment is success"]
        assert len(list(served.simulator.books.all_charges())) == 2


async def test_the_quickstart_never_charges_twice_when_an_answer_is_lost(quickstart: str, tmp_path: Path) -> None:
    async with portal_served(tmp_path) as served:
        lost = Misbehaviour(kind="reset", operations=("complete",), times=1)
        unanswered = Misbehaviour(kind="fault", operations=("details_by_agency_id", "query"), times=LOOKUPS_AT_ONCE)
        printed = await collected(served, quickstart, "PLASTIC_CARD", "Success", [lost, unanswered])
        assert printed == ["process: outcome_unknown", "The payment is success"]
        assert len(list(served.simulator.books.all_charges())) == 1
        assert await collected(served, quickstart, "PLASTIC_CARD", "Success", [lost]) == ["The payment is success"]
        assert len(list(served.simulator.books.all_charges())) == 2


async def test_the_quickstart_names_the_code_of_a_refusal(quickstart: str, tmp_path: Path) -> None:
    async with portal_served(tmp_path) as served:
        wrong = {**KEY, "AWS_SECRET_ACCESS_KEY": "another secret"}
        process = await asyncio.create_subprocess_exec(
            *command(quickstart),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **wrong, "PORTAL_URL": served.url},
        )
        async with asyncio.timeout(ANSWER_S_MAX):
            _, error = await process.communicate()
        assert process.returncode == 1
        assert b"init: signature_refused: The request signature we calculated does not match" in error
