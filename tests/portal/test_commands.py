"""The commands, run as a user runs them."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from bursar.payments import Outcome, OutcomeContradicts
from bursar.portal import commands
from bursar.portal.commands import attention, erase, resolve, sweep
from bursar.portal.deposit_commands import deposit
from bursar.portal.reversal_commands import refunds, reverse
from bursar.portal.state.portal import Portal
from tests.support.portal.commands import REFERENCE, portal_on
from tests.support.write_paths import WritePath


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
        async with portal_on(write_path, tmp_path / "portal.db", 0.0) as portal:
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


BY_ADA = ("--by", "Ada", "--reason", "asked the bank")


@pytest.fixture
def paid(run: Callable[..., Result], unknown: str) -> str:
    """Return a processed attempt, in the file."""
    assert run(resolve, unknown, "--as", "processed", *BY_ADA).exit_code == 0
    return unknown


def test_reverse_records_a_chargeback_once(run: Callable[..., Result], paid: str) -> None:
    said = ("--kind", "charged_back", "--amount", "20", *BY_ADA, "--effective", "2026-12-01", "--voucher", "123456")
    first = run(reverse, paid, *said)
    assert (first.exit_code, first.output) == (
        0,
        f"{paid}: 20.00 USD charged back, recorded as reversal 1; 40.00 USD are left.\n",
    )
    assert run(reverse, paid, *said).output == first.output
    rest = run(reverse, paid, "--kind", "charged_back", *BY_ADA)
    assert rest.output == f"{paid}: 40.00 USD charged back, recorded as reversal 2; 0.00 USD are left.\n"
    assert run(reverse, paid, "--kind", "returned", *BY_ADA).exit_code == 1


def test_a_refund_takes_two_people(run: Callable[..., Result], paid: str) -> None:
    assert run(refunds).output == "No refund waits for a decision.\n"
    asked = run(reverse, paid, "--kind", "refunded", "--amount", "15.00", *BY_ADA)
    assert asked.output.startswith(f"The refund of 15.00 USD is requested as {paid}/1. Another person must approve it")
    listed = run(refunds)
    assert (listed.exit_code, "15.00 USD  dawson  by Ada: asked the bank" in listed.output) == (0, True)
    own = run(refunds, "approve", f"{paid}/1", *BY_ADA)
    assert (own.exit_code, "must be approved by another person than Ada" in own.output) == (1, True)
    done = run(refunds, "approve", f"{paid}/1", "--by", "Bob", "--reason", "checked")
    assert (done.exit_code, "15.00 USD are recorded as refunded" in done.output) == (0, True)
    assert run(reverse, paid, "--kind", "refunded", *BY_ADA).exit_code == 0
    rejected = run(refunds, "reject", f"{paid}/2", *BY_ADA)
    assert (rejected.exit_code, rejected.output) == (0, f"{paid}/2 is rejected.\n")
    assert run(refunds).output == "No refund waits for a decision.\n"


def test_deposit_records_a_ticket_once(run: Callable[..., Result], paid: str) -> None:
    said = ("--ticket", " 000123", "--on", "2026-12-01", "--by", "Ada")
    first = run(deposit, paid, *said)
    assert (first.exit_code, first.output) == (0, "Ticket 000123 holds 1 of these attempts: 60.00 USD.\n")
    assert run(deposit, paid, *said).output == first.output
    other = run(deposit, paid, "--ticket", "000124", *said[2:])
    assert other.exit_code == 1
    assert other.output == f"Error: {paid}: its deposit is recorded as ticket 000123 of 2026-12-01\n"
    assert run(deposit, "unknown", *said).output == "Error: There is no attempt unknown\n"
    assert run(deposit, paid, "--ticket", " ", *said[2:]).exit_code == 2


def test_an_attempt_that_is_not_paid_has_no_deposit(run: Callable[..., Result], unknown: str) -> None:
    refused = run(deposit, unknown, "--ticket", "000123", "--on", "2026-12-01", "--by", "Ada")
    assert (refused.exit_code, "must be of a processed attempt" in refused.output) == (1, True)


@pytest.mark.parametrize(
    "said", [("--kind", "charged_back", "--amount", "1.001"), ("--kind", "refunded", "--voucher", "1"), ("--kind", "x")]
)
def test_reverse_rejects_bad_usage(run: Callable[..., Result], paid: str, said: tuple[str, ...]) -> None:
    assert run(reverse, paid, *BY_ADA, *said).exit_code == 2


@pytest.mark.parametrize(
    "said", [(), ("--as", "failed", "--acknowledge"), ("--acknowledge", "--paygov-tracking-id", "3F")]
)
def test_resolve_takes_either_as_or_acknowledge(
    run: Callable[..., Result], unknown: str, said: tuple[str, ...]
) -> None:
    assert run(resolve, unknown, "--by", "Ada", "--reason", "x", *said).exit_code == 2


def test_each_option_of_reverse_is_recorded(
    run: Callable[..., Result], paid: str, write_path: WritePath, tmp_path: Path
) -> None:
    options = {
        "--kind": "charged_back",
        "--amount": "20.00",
        "--by": "Ada",
        "--reason": "disputed",
        "--reason-code": "4837",
        "--effective": "2026-12-01",
        "--ticket": "000123",
        "--voucher": "654321",
        "--report-id": "case 1",
    }
    assert {each for option in reverse.params for each in option.opts if each.startswith("--")} == set(options)
    assert run(reverse, paid, *(word for pair in options.items() for word in pair)).exit_code == 0

    async def found() -> Any:
        async with portal_on(write_path, tmp_path / "portal.db", 0.0) as portal:
            attempt = await portal.ledger.attempt_by_agency_id(paid)
            assert attempt is not None
            return await portal.ledger.reversals.of(attempt)

    [reversal] = asyncio.run(found())
    assert (reversal.kind, str(reversal.amount)) == ("charged_back", "20.00")
    assert (reversal.by, reversal.reason) == ("Ada", "disputed")
    assert (reversal.reason_code, reversal.effective_on) == ("4837", "2026-12-01")
    assert (reversal.deposit_ticket, reversal.debit_voucher) == ("000123", "654321")
    assert reversal.reversal_id.endswith("#operator#case 1")
