"""The commands, run as a user runs them."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bursar.clock import system_clock
from bursar.paygov import NotSent, PayGov, PayGovConfig
from bursar.payments import Clients, FeeCatalogue, Outcome, OutcomeContradicts
from bursar.portal import commands
from bursar.portal.commands import attention, erase, resolve, sweep
from bursar.portal.use_cases.portal import Portal
from tests.support.write_paths import WritePath

REFERENCE = "0b5c6f6e-0000-4000-8000-000000000001"
_SEEDS = count()
"""A seed for each simulated process, so that no two send the same request tokens to the store."""


class NoPayGov:
    async def post(self, *given: Any) -> Any:
        raise NotSent("there is none here")

    async def close(self) -> None: ...


@asynccontextmanager
async def _portal(write_path: WritePath, path: Path, ahead_s: float) -> AsyncIterator[Portal]:
    def clock() -> float:
        return system_clock() + ahead_s

    store = write_path.open(str(path), clock=clock, randomness=random.Random(1))
    ledger = write_path.ledger(store, clock=clock, randomness=random.Random(next(_SEEDS)))
    await write_path.create_table(store)
    config = PayGovConfig(url="http://paygov.example", payment_url="http://paygov.example/pay")
    try:
        yield Portal(
            ledger,
            PayGov(config, NoPayGov()),
            FeeCatalogue.default(),
            Clients([]),
            clock=clock,
            randomness=random.Random(3),
        )
    finally:
        await store.close()


@pytest.fixture
def run(write_path: WritePath, tmp_path: Path) -> Callable[..., Result]:
    def typed(command: Any, *arguments: str, ahead_s: float = 0.0) -> Result:
        factories = dict.fromkeys(("portal", "record"), lambda: _portal(write_path, tmp_path / "portal.db", ahead_s))
        return CliRunner().invoke(command, list(arguments), obj=factories)

    return typed


@pytest.fixture
def unknown(write_path: WritePath, tmp_path: Path) -> str:
    """Return an attempt with an unknown outcome, in the file."""

    async def prepare() -> str:
        async with _portal(write_path, tmp_path / "portal.db", 0.0) as portal:
            fee = portal.fees.fee("PETITION_FILING_FEE", portal.clock())
            assert fee is not None
            assert fee.amount is not None
            urls = ("https://client.example/a", "https://client.example/b")
            attempt = await portal.ledger.start_attempt(
                "dawson", REFERENCE, fee, fee.amount, {"docketNumber": "1"}, *urls
            )
            attempt = await portal.ledger.record_token(attempt, "0" * 32)
            attempt = await portal.ledger.take_lease(attempt, "owner", 90.0)
            await portal.ledger.record_unknown(attempt, "no whole answer from Pay.gov in time")
            return attempt.agency_tracking_id

    return asyncio.run(prepare())


def test_a_sweep_prints_its_results(run: Callable[..., Result], unknown: str) -> None:
    assert run(sweep, "--once").output == "swept 0: nothing due\n"
    later = run(sweep, "--once", ahead_s=600)
    assert (later.exit_code, later.output) == (0, "swept 1: unanswered 1\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("once", [True, False])
def test_a_stopped_sweep_finishes_its_work(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, number: signal.Signals, once: bool
) -> None:
    finished = []

    async def complete(portal: Portal, stopped: asyncio.Event) -> None:
        await stopped.wait()
        finished.append(await portal.ledger.obligation("dawson", REFERENCE))

    async def sweeping(portal: Portal, *given: Any) -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await portal.finish(complete(portal, stopped))
        finally:
            asyncio.get_running_loop().call_soon(stopped.set)

    monkeypatch.setattr(commands, "sweep_once" if once else "run_sweeper", sweeping)
    done = run(sweep, *(["--once"] if once else []))
    assert (done.exit_code, done.output, finished) == (0, "Stopped.\n" if once else "", [None])


def test_attention_lists_attempts_and_then_exits_with_1(run: Callable[..., Result], unknown: str) -> None:
    quiet = run(attention)
    assert (quiet.exit_code, quiet.output) == (0, "Nothing needs attention.\n")
    wanted = run(attention, ahead_s=2 * 3600)
    assert wanted.exit_code == 1
    assert unknown in wanted.output
    assert "60.00 USD" in wanted.output


def test_resolve_settles_and_refuses(run: Callable[..., Result], unknown: str) -> None:
    said = ("--as", "failed", "--by", "Ada", "--reason", "not in the report")
    done = run(resolve, unknown, *said)
    assert (done.exit_code, done.output) == (0, f"{unknown} is failed.\n")
    again = run(resolve, unknown, *said)
    assert again.exit_code == 1
    assert again.output.startswith("Error: ")
    assert run(resolve, "nobody", *said).exit_code == 1
    assert run(resolve, unknown, "--as", "maybe", "--by", "Ada", "--reason", "x").exit_code == 2


def test_erase_removes_the_metadata_of_what_ended(
    write_path: WritePath, run: Callable[..., Result], unknown: str, tmp_path: Path
) -> None:
    said = ("--by", "Ada", "--reason", "retention")
    assert run(erase, "--ended-before-days", "0", *said).output == (
        "erased the metadata of 0 obligations with 0 attempts\n"
        "kept 0 that ended too recently and 1 with a live attempt\n"
    )
    run(resolve, unknown, "--as", "failed", "--by", "Ada", "--reason", "not in the report")
    dry = run(erase, "--ended-before-days", "0", "--dry-run", *said, ahead_s=1)
    assert dry.output.startswith("would erase the metadata of 1 obligations with 1 attempts\n")
    done = run(erase, "--ended-before-days", "0", *said, ahead_s=1)
    assert (done.exit_code, done.output.splitlines()[0]) == (
        0,
        "erased the metadata of 1 obligations with 1 attempts",
    )
    assert run(erase, "--ended-before-days", "0", *said, ahead_s=1).output.startswith("erased the metadata of 0 ")


def test_erase_needs_an_age_a_person_and_a_reason(run: Callable[..., Result]) -> None:
    assert run(erase, "--by", "Ada", "--reason", "x").exit_code == 2
    assert run(erase, "--ended-before-days", "30", "--reason", "x").exit_code == 2
    assert run(erase, "--ended-before-days", "30", "--by", "Ada").exit_code == 2
    assert run(erase, "--ended-before-days", "-1", "--by", "Ada", "--reason", "x").exit_code == 2


def test_a_contradiction_is_listed_and_acknowledged(
    write_path: WritePath, run: Callable[..., Result], unknown: str, tmp_path: Path
) -> None:
    said = ("--by", "Ada", "--reason", "refunded")
    assert run(resolve, unknown, "--acknowledge", *said).exit_code == 1
    assert run(resolve, unknown, "--as", "failed", *said).exit_code == 0

    async def contradict() -> None:
        async with _portal(write_path, tmp_path / "portal.db", 0.0) as portal:
            attempt = await portal.ledger.attempt_by_agency_id(unknown)
            assert attempt is not None
            with pytest.raises(OutcomeContradicts):
                await portal.ledger.record_outcome(attempt, Outcome("processed", "3FLATE"), actor="portal")

    asyncio.run(contradict())
    wanted = run(attention)
    assert wanted.exit_code == 1
    assert "Pay.gov says processed as 3FLATE, recorded is failed" in wanted.output
    assert "--acknowledge" in wanted.output
    assert "--as" not in wanted.output
    done = run(resolve, unknown, "--acknowledge", *said)
    assert (done.exit_code, done.output) == (0, f"{unknown} is acknowledged.\n")
    assert run(attention).output == "Nothing needs attention.\n"


@pytest.mark.parametrize(
    "said", [(), ("--as", "failed", "--acknowledge"), ("--acknowledge", "--paygov-tracking-id", "3F")]
)
def test_resolve_takes_either_as_or_acknowledge(
    run: Callable[..., Result], unknown: str, said: tuple[str, ...]
) -> None:
    assert run(resolve, unknown, "--by", "Ada", "--reason", "x", *said).exit_code == 2
