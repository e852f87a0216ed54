"""The command ``bursar webhooks``: list deliveries and dead letters; test a webhook; deliver, retry and replay events.

Click's context holds under :data:`WEBHOOKS` a function that returns an async context manager of a
:class:`~bursar.portal.webhooks.dispatcher.Dispatcher`. Exit codes: 0 done; 1 not delivered; 2 bad usage.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import click

from bursar.clock import iso_ms, system_clock
from bursar.portal.commands import run_with
from bursar.portal.contract.periods import read_moment

if TYPE_CHECKING:
    from bursar.portal.webhooks.dispatcher import Dispatcher
    from bursar.portal.webhooks.sender import ReceiverReply

WEBHOOKS: Final = "webhooks"
REPLY_SHOWN_BYTES_MAX: Final = 2000

T = TypeVar("T")


@click.group(invoke_without_command=True)
@click.pass_context
def webhooks(ctx: click.Context) -> None:
    """List the webhooks' deliveries and dead letters; test a webhook; deliver, retry and replay events."""
    if ctx.invoked_subcommand is not None:
        return
    report = _with_webhooks(ctx, lambda dispatcher: dispatcher.status())
    for each in report.waiting:
        click.echo(
            f"waiting  {each.subscription}  {each.agency_tracking_id}  next {iso_ms(each.due_at)}  {each.problem}"
        )
    for letter in report.dead:
        click.echo(
            f"dead     {letter.subscription}  {letter.letter_id}  since {iso_ms(letter.died_at)}  {letter.problem}"
        )
    if not report.waiting and not report.dead:
        click.echo("Everything is delivered.")


@webhooks.command()
@click.argument("letter")
@click.pass_context
def retry(ctx: click.Context, letter: str) -> None:
    """Deliver the dead LETTER (SUBSCRIPTION/ATTEMPT/NUMBER as listed) once more, now."""
    if not _with_webhooks(ctx, lambda dispatcher: dispatcher.retry(letter)):
        raise click.ClickException(f"{letter} was not delivered, or is not a dead letter")
    click.echo(f"{letter} is delivered.")


@webhooks.command()
@click.pass_context
def deliver(ctx: click.Context) -> None:
    """Queue new deliveries and send the due ones, in one pass."""
    report = _with_webhooks(ctx, lambda dispatcher: dispatcher.run_once())
    click.echo(
        f"queued {report.queued}, delivered {report.delivered}, postponed {report.postponed}, dead {report.died}"
    )


@webhooks.command("test")
@click.argument("name")
@click.pass_context
def send_test(ctx: click.Context, name: str) -> None:
    """Send a signed test delivery to the webhook NAME, and print the receiver's answer.

    Exit code 1 unless the receiver answers 2xx.
    """
    from bursar.portal.webhooks.sender import NotDelivered

    async def send(dispatcher: "Dispatcher") -> "tuple[str, ReceiverReply | None]":
        try:
            reply = await dispatcher.send_test(name)
            return f"HTTP {reply.status}", reply
        except NotDelivered as failed:
            return str(failed), failed.reply

    try:
        result, reply = _with_webhooks(ctx, send)
    except LookupError as unknown:
        raise click.UsageError(f"NAME: {unknown.args[0]}") from None
    click.echo(f"{name}: {result}")
    if reply is not None and reply.body:
        click.echo(_printable(reply.body))
    if reply is None or not 200 <= reply.status < 300:
        sys.exit(1)


@webhooks.command("replay")
@click.option("--from", "since", required=True, metavar="MOMENT", help="ISO date-time with offset, or MM/DD/YYYY.")
@click.option("--to", "until", metavar="MOMENT", help="The same; a day includes its end.  [default: now]")
@click.option("--client", metavar="NAME", help="Only this client's payments.  [default: all clients]")
@click.pass_context
def replay_events(ctx: click.Context, since: str, until: str | None, client: str | None) -> None:
    """Queue again the events of a time range, for a receiver that lost them or that subscribed later.

    A running portal delivers them, or `bursar webhooks deliver`. Later events of the same payments follow again, in
    order: a receiver remembers each id.
    """
    begin = _moment("--from", since, ends=False)
    end = system_clock() if until is None else _moment("--to", until, ends=True)
    try:
        report = _with_webhooks(ctx, lambda dispatcher: dispatcher.replay(begin, end, client))
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None
    click.echo(f"queued {report.events} events again, for {report.items} attempts of all webhooks")


@webhooks.command("iam-policy")
@click.option("--table-arn", required=True, metavar="ARN", help="The table `bursar-webhooks` on AWS.")
def show_iam_policy(table_arn: str) -> None:
    """Print the IAM policy of a role that delivers webhooks."""
    import orjson

    from bursar.portal.webhooks.queue import iam_policy

    click.echo(orjson.dumps(iam_policy(table_arn), option=orjson.OPT_INDENT_2))


def _moment(option: str, text: str, *, ends: bool) -> float:
    try:
        return read_moment(text, ends=ends)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}; got {text}") from None


def _printable(body: bytes) -> str:
    """Return the beginning of a receiver's reply, without characters that control a terminal."""
    text = body[:REPLY_SHOWN_BYTES_MAX].decode("utf-8", "replace")
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def _with_webhooks(ctx: click.Context, work: "Callable[[Dispatcher], Awaitable[T]]") -> T:
    return run_with(ctx, WEBHOOKS, work)
