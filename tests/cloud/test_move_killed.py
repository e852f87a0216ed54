"""``bursar move`` from a file to a server in a storm, killed with SIGKILL again and again while payments are made.

MOVE_KILLS=40 kills it more often; ``pytest -s`` prints the counts.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bursar.bootstrap.composition import Composition
from bursar.dynamo.errors import EXPLICIT_DENY, DynamoError
from bursar.payments.records import Attempt
from bursar.settings import Settings
from tests.support.dynamo.served import Served

KILLS = int(os.environ.get("MOVE_KILLS", "6"))
LIFE_S = (0.3, 2.0)
"""How long the move may live before it is killed; it needs more than the first to start."""
PAUSE_S = 0.02
OLD = "file:data/bursar.db"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in [name for name in os.environ if name.startswith("BURSAR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    served = Served(str(tmp_path / "new.db"), options=("--weather=storm", "--weather-seed=4"))
    try:
        yield f"dynamodb+http://127.0.0.1:{served.port}"
    finally:
        served.stop()


def test_a_move_that_is_killed_again_and_again_loses_no_acknowledged_payment(server: str) -> None:
    acknowledged, refused = asyncio.run(move_while_paying(server))
    found = asyncio.run(stored("file:new.db", acknowledged))  # the server's file, read without its weather
    assert found == len(acknowledged) > 0
    assert refused > 0, "the writer was refused when the store closed"
    print(f"{KILLS} kills, {len(acknowledged)} acknowledged payments, {refused} refused, 0 lost")


async def move_while_paying(server: str) -> tuple[list[Attempt], int]:
    """Start payments until the store is closed; return those that were acknowledged, and the number of refusals."""
    acknowledged: list[Attempt] = []
    async with Composition(Settings(store=OLD)) as parts:
        ledger, fee = await parts.ledger(), parts.fees.fee("PETITION_FILING_FEE", parts.clock())
        assert fee is not None
        assert fee.amount is not None
        moving = asyncio.create_task(move_with_kills(server))
        refused = 0
        while not moving.done():
            try:
                attempt = await ledger.start_attempt(
                    "dawson", str(uuid.uuid4()), fee, fee.amount, {"docketNumber": "1-26"}, "https://a/s", "https://a/c"
                )
                acknowledged.append(await ledger.record_token(attempt, uuid.uuid4().hex))
            except DynamoError as error:
                if EXPLICIT_DENY not in error.message:
                    raise
                refused += 1
            await asyncio.sleep(PAUSE_S)
        await moving
    return acknowledged, refused


async def move_with_kills(server: str) -> None:
    """Run the command and kill it :data:`KILLS` times, then let it come to its end."""
    chosen = random.Random(3)
    command = (sys.executable, "-m", "bursar", "move", OLD, server)
    for _ in range(KILLS):
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        await asyncio.sleep(chosen.uniform(*LIFE_S))
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def stored(store: str, attempts: list[Attempt]) -> int:
    """Return how many of the attempts are in the store as they were acknowledged."""
    async with Composition(Settings(store=store), creates_store=False) as parts:
        ledger = await parts.ledger()
        found = [await ledger.attempt_by_token(attempt.token or "") for attempt in attempts]
        return sum(each == attempt for each, attempt in zip(found, attempts, strict=True))
