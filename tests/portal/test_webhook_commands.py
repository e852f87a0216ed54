"""`bursar webhooks`, run as a user runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bursar.clock import system_clock
from bursar.portal.webhook_commands import webhooks
from bursar.portal.webhooks.dispatcher import DispatchReport
from bursar.portal.webhooks.replay import ReplayReport
from bursar.portal.webhooks.sender import NotDelivered, ReceiverReply


class FakeDispatcher:
    """A dispatcher with fixed answers that records what it was asked."""

    def __init__(self, reply: ReceiverReply | NotDelivered | None = None) -> None:
        self.reply = reply
        self.ranges: list[tuple[float, float, str | None]] = []

    async def run_once(self) -> DispatchReport:
        return DispatchReport(queued=4, delivered=3, postponed=2, died=1)

    async def send_test(self, name: str) -> ReceiverReply:
        if isinstance(self.reply, NotDelivered):
            raise self.reply
        if self.reply is None:
            raise LookupError(f"must be the name of a webhook (status); got {name}")
        return self.reply

    async def replay(self, since: float, until: float, client: str | None) -> ReplayReport:
        if until <= since:
            raise ValueError("--from and --to: must be a range")
        self.ranges.append((since, until, client))
        return ReplayReport(events=7, items=3)


def _run(dispatcher: FakeDispatcher, *arguments: str) -> Result:
    @asynccontextmanager
    async def made() -> AsyncIterator[FakeDispatcher]:
        yield dispatcher

    return CliRunner().invoke(webhooks, list(arguments), obj={"webhooks": made})


def test_without_webhooks_the_command_says_so() -> None:
    result = CliRunner().invoke(webhooks, [], obj={})
    assert result.exit_code == 2
    assert "webhooks: must be configured for this command" in result.output


def test_a_pass_of_the_webhooks_prints_its_counts() -> None:
    assert _run(FakeDispatcher(), "deliver").output == "queued 4, delivered 3, postponed 2, dead 1\n"


@pytest.mark.parametrize(
    ("reply", "code", "output"),
    [
        (ReceiverReply(204), 0, "status: HTTP 204\n"),
        (ReceiverReply(200, "thanks, Aimée\x1b[2J".encode()), 0, "status: HTTP 200\nthanks, Aimée\ufffd[2J\n"),
        (ReceiverReply(200, b"x" * 5000), 0, f"status: HTTP 200\n{'x' * 2000}\n"),
        (NotDelivered("HTTP 401", ReceiverReply(401, b"who?")), 1, "status: HTTP 401\nwho?\n"),
        (NotDelivered("no connection to dawson.example"), 1, "status: no connection to dawson.example\n"),
    ],
)
def test_a_test_delivery_prints_the_receivers_answer(reply: Any, code: int, output: str) -> None:
    result = _run(FakeDispatcher(reply), "test", "status")
    assert (result.exit_code, result.output) == (code, output)


def test_a_test_of_an_unknown_webhook_names_the_known_ones() -> None:
    result = _run(FakeDispatcher(), "test", "other")
    assert result.exit_code == 2
    assert "NAME: must be the name of a webhook (status); got other" in result.output


def test_a_replay_reads_its_range_as_the_log_does() -> None:
    dispatcher = FakeDispatcher()
    result = _run(dispatcher, "replay", "--from", "11/01/2026", "--to", "11/02/2026", "--client", "dawson")
    assert result.output == "queued 7 events again, for 3 attempts of all webhooks\n"
    _run(dispatcher, "replay", "--from", "2026-11-01T00:00:00-04:00")
    (since, until, client), (exact, now, everyone) = dispatcher.ranges
    assert (until - since, client, exact, everyone) == (49 * 3600.0, "dawson", since, None), "summer time ends"
    assert abs(now - system_clock()) < 60


@pytest.mark.parametrize(
    "range_", [("--from", "yesterday"), ("--from", "11/02/2026", "--to", "11/01/2026"), ("--to", "11/01/2026")]
)
def test_a_range_that_cannot_be_read_is_bad_usage(range_: tuple[str, ...]) -> None:
    result = _run(FakeDispatcher(), "replay", *range_)
    assert (result.exit_code, "--from" in result.output) == (2, True)
