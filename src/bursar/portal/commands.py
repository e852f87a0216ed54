"""The commands ``bursar sweep``, ``bursar attention`` and ``bursar resolve``.

Each command takes its parts from click's context, so that only the composition root reads settings. ``ctx.obj`` holds
functions that return async context managers: under :data:`PORTAL` of a
:class:`~bursar.portal.state.portal.Portal`, and under :data:`RECORD` of a portal that works on the record alone,
for which Pay.gov need not be configured.
Exit codes: 0 done; 1 refused, or an attempt needs a person; 2 bad usage.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Literal, TypeVar

import click

from bursar.clock import iso_ms
from bursar.portal.contract.errors import portal_error
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import ATTENTION_MAX
from bursar.portal.upkeep.attention import acknowledge as acknowledge_contradiction
from bursar.portal.upkeep.attention import attention as find_attention
from bursar.portal.upkeep.attention import resolve as resolve_attempt
from bursar.portal.upkeep.erasure import ErasureReport, erase_metadata
from bursar.portal.upkeep.sweep import SWEEP_LIMIT, SweepReport
from bursar.portal.upkeep.sweep import sweep as sweep_once
from bursar.portal.upkeep.sweep_loop import SWEEP_INTERVAL_S, run_sweeper

PORTAL: Final = "portal"
RECORD: Final = "record"

T = TypeVar("T")


@click.command()
@click.option("--once", is_flag=True, help="Make one pass, then end; for a schedule.")
@click.option("--limit", default=SWEEP_LIMIT, show_default=True, type=click.IntRange(1), help="Attempts in one pass.")
@click.option(
    "--interval-s",
    default=SWEEP_INTERVAL_S,
    show_default=True,
    type=click.FloatRange(0.1),
    help="Pause between passes, seconds.",
)
@click.pass_context
def sweep(ctx: click.Context, once: bool, limit: int, interval_s: float) -> None:
    """Resolve the attempts that are due: settle or expire them. Without --once, until Ctrl-C.

    Several sweepers may run at once. When it is stopped, work that has begun is finished.
    """
    if once:
        report = _with_portal(ctx, lambda portal: _until_stopped(portal, sweep_once(portal, limit)))
        click.echo("Stopped." if report is None else _report_text(report))
        return
    with suppress(KeyboardInterrupt):
        _with_portal(ctx, lambda portal: _until_stopped(portal, run_sweeper(portal, interval_s, limit)))


@click.command()
@click.option(
    "--limit", default=ATTENTION_MAX, show_default=True, type=click.IntRange(1), help="Live attempts to read."
)
@click.pass_context
def attention(ctx: click.Context, limit: int) -> None:
    """List the attempts that only a person can settle, and those whose record Pay.gov contradicts.

    Exit code 1 when there are any.
    """
    items = run_with(ctx, RECORD, lambda portal: find_attention(portal, limit))
    if not items:
        click.echo("Nothing needs attention.")
        return
    for each in items:
        attempt = each.attempt
        click.echo(
            f"{attempt.agency_tracking_id}  {attempt.status:<10}  since {iso_ms(each.since)}  "
            f"{attempt.amount} USD  {attempt.client}  {each.reason}"
        )
    click.echo()
    if any(not each.contradicted for each in items):
        click.echo(
            "Find each in Pay.gov's reports, then: bursar resolve ATTEMPT --as processed|failed --by … --reason …"
        )
    if any(each.contradicted for each in items):
        click.echo(
            'If the reason begins with "Pay.gov says", correct the difference, then: '
            "bursar resolve ATTEMPT --acknowledge --by … --reason …"
        )
    sys.exit(1)


@click.command()
@click.argument("attempt")
@click.option("--as", "settled_as", type=click.Choice(["processed", "failed"]), help="The status to settle it with.")
@click.option(
    "--acknowledge", is_flag=True, help="Instead: acknowledge its contradictions, after they have been corrected."
)
@click.option("--by", required=True, metavar="NAME", help="The person who decides.")
@click.option("--reason", required=True, metavar="TEXT", help="The evidence, or what was done.")
@click.option("--paygov-tracking-id", metavar="ID", help="With --as: Pay.gov's id of the collection that was found.")
@click.pass_context
def resolve(
    ctx: click.Context,
    attempt: str,
    settled_as: Literal["processed", "failed"] | None,
    acknowledge: bool,
    by: str,
    reason: str,
    paygov_tracking_id: str | None,
) -> None:
    """Settle ATTEMPT (an agency tracking id) by hand, or acknowledge that Pay.gov contradicts its record.

    The name and the reason are stored permanently. Acknowledging does not change the attempt: `bursar attention` only
    stops listing it.
    """
    if acknowledge == (settled_as is not None):
        raise click.UsageError("give one of --as and --acknowledge")
    if acknowledge and paygov_tracking_id is not None:
        raise click.UsageError("--paygov-tracking-id: must be given together with --as")

    def work(portal: Portal) -> Awaitable[object]:
        if settled_as is None:
            return acknowledge_contradiction(portal, attempt, by=by, reason=reason)
        return resolve_attempt(
            portal,
            attempt,
            settled_as=settled_as,
            by=by,
            reason=reason,
            paygov_tracking_id=paygov_tracking_id,
        )

    run_with(ctx, RECORD, work)
    click.echo(f"{attempt} is {settled_as or 'acknowledged'}.")


@click.command()
@click.option(
    "--ended-before-days",
    required=True,
    type=click.IntRange(0),
    metavar="DAYS",
    help="Only obligations whose attempts all ended more than this many days ago.",
)
@click.option("--client", metavar="NAME", help="Only obligations of this client.")
@click.option("--fee", metavar="KEY", help="Only obligations of this fee.")
@click.option("--dry-run", is_flag=True, help="Erase nothing; print what would be erased.")
@click.option("--by", required=True, metavar="NAME", help="The person who decides.")
@click.option("--reason", required=True, metavar="TEXT", help="The reason, without personal data of payers.")
@click.pass_context
def erase(
    ctx: click.Context,
    ended_before_days: int,
    client: str | None,
    fee: str | None,
    dry_run: bool,
    by: str,
    reason: str,
) -> None:
    """Erase the metadata, which are personal data, of obligations that ended long ago.

    It cannot be undone. Amounts, statuses and the history stay; the name and the reason are stored permanently.
    """

    def work(portal: Portal) -> Awaitable[ErasureReport]:
        return erase_metadata(
            portal,
            ended_before_days=ended_before_days,
            client=client,
            fee=fee,
            dry_run=dry_run,
            by=by,
            reason=reason,
        )

    report = run_with(ctx, RECORD, work)
    count = report.obligations
    verb = "would erase" if dry_run else "erased"
    click.echo(f"{verb} the metadata of {count['erased']} obligations with {report.attempts} attempts")
    click.echo(f"kept {count['too recent']} that ended too recently and {count['live']} with a live attempt")


def _report_text(report: SweepReport) -> str:
    results = ", ".join(f"{name} {count}" for name, count in sorted(report.results.items())) or "nothing due"
    lines = [f"swept {report.swept}: {results}"]
    if report.breaker_open:
        lines.append("Pay.gov does not answer: the sweeper waits before it asks again")
    if report.attention:
        lines.append(f"{len(report.attention)} need attention: see `bursar attention`")
    return "\n".join(lines)


_STOPS: Final = (signal.SIGINT, signal.SIGTERM)


async def _until_stopped(portal: Portal, work: Awaitable[T]) -> T | None:
    """Return the result of ``work``; None after the first SIGINT or SIGTERM. Work that has begun is finished."""
    loop, running = asyncio.get_running_loop(), asyncio.current_task()
    assert running is not None
    # SIGINT too: shells start background processes with SIGINT ignored, and then asyncio does not handle it.
    for number in _STOPS:
        loop.add_signal_handler(number, running.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        return None
    finally:
        for number in _STOPS:
            loop.remove_signal_handler(number)
        await portal.drain()


def _with_portal(ctx: click.Context, work: Callable[[Portal], Awaitable[T]]) -> T:
    return run_with(ctx, PORTAL, work)


def run_with(ctx: click.Context, made_by: str, work: Callable[[Any], Awaitable[T]]) -> T:
    """Return the result of ``work`` for the object that the factory ``made_by`` of click's context makes.

    An error of the portal ends the command with its message and exit code 1; a bug is raised.
    """
    factories = ctx.obj or {}
    try:
        factory: Callable[[], AbstractAsyncContextManager[Any]] = factories[made_by]
    except KeyError:
        raise click.UsageError(f"{made_by}: must be configured for this command") from None

    async def within() -> T:
        async with factory() as given:
            return await work(given)

    try:
        return asyncio.run(within())
    except Exception as error:
        known = portal_error(error)
        if known.status == 500:
            raise  # a bug of the portal: the trace helps
        raise click.ClickException(known.message) from error
