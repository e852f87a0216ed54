"""The command ``bursar simulator``: Pay.gov's simulator in a separate process."""

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bursar.clock import system_clock
from bursar.paygov.protocol import LOOKUPS, LookupName
from bursar.paygov.simulator.core import ACH_SETTLE_S

if TYPE_CHECKING:
    from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator

PORT = 3366
JOURNAL = "paygov-books.jsonl"
"""The file name of the books in the data folder."""


class CannotServe(click.ClickException):
    """The simulator cannot start here: one line, exit code 2."""

    exit_code = 2


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=PORT,
    show_default=True,
    help="The port to listen on; 0: any free port.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of its books, which survive restarts (default: only memory).",
)
@click.option(
    "--ach-settle-s",
    type=click.FloatRange(0),
    default=ACH_SETTLE_S,
    show_default=True,
    help="The seconds for which an ACH debit stays Received.",
)
@click.option("--bearer", help="The token that callers must send as `Authentication: Bearer TOKEN`.")
@click.option(
    "--application",
    "applications",
    multiple=True,
    help="A tcs app id that exists; can be repeated (default: all exist).",
)
@click.option(
    "--misbehave",
    "misbehaviours",
    multiple=True,
    metavar="'KIND [FIELD=VALUE …]'",
    help="A misbehaviour, such as 'drop operations=complete probability=0.1'; can be repeated.",
)
@click.option(
    "--lookups",
    default=",".join(LOOKUPS),
    show_default=True,
    callback=lambda _context, _option, value: _lookups(value),
    help="The lookups by agency tracking id to offer: a comma list of details and query, or none.",
)
@click.option(
    "--lookup-delay-s",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="The seconds for which the lookups do not show a fresh completion.",
)
@click.option("--seed", type=int, help="The seed that makes ids, tokens and misbehaviours repeatable.")
def simulator(
    port: int,
    host: str,
    data: Path | None,
    ach_settle_s: float,
    bearer: str | None,
    applications: tuple[str, ...],
    misbehaviours: tuple[str, ...],
    lookups: frozenset[LookupName],
    lookup_delay_s: float,
    seed: int | None,
) -> None:
    """Run Pay.gov's simulator alone."""
    from bursar.paygov.simulator import Books, BooksError, MisbehaviourPlan, Simulator, SimulatorSettings

    randomness = random.SystemRandom() if seed is None else random.Random(seed)
    plan = MisbehaviourPlan(randomness, _misbehaviours(misbehaviours))
    try:
        books = Books(None if data is None else data / JOURNAL)
    except BooksError as error:
        raise CannotServe(str(error)) from None
    settings = SimulatorSettings(
        ach_settle_s=ach_settle_s,
        bearer=bearer,
        applications=frozenset(applications) or None,
        lookups=lookups,
        lookup_delay_s=lookup_delay_s,
    )
    try:
        _serve(Simulator(system_clock, randomness, books, settings), plan, host, port)
    finally:
        books.close()


def _lookups(text: str) -> frozenset[LookupName]:
    names = [] if text == "none" else text.split(",")
    chosen = frozenset(each for each in LOOKUPS if each in names)
    if len(chosen) != len(names):
        raise click.BadParameter(f"must be none, or a comma list of {' and '.join(LOOKUPS)}; got {text!r}")
    return chosen


def _misbehaviours(texts: tuple[str, ...]) -> list["Misbehaviour"]:
    from bursar.paygov.simulator import Misbehaviour

    try:
        return [Misbehaviour.from_text(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--misbehave") from None


def _serve(simulator: "Simulator", plan: "MisbehaviourPlan", host: str, port: int) -> None:
    import uvloop

    from bursar.paygov.simulator.server import addresses, listen, simulator_server
    from bursar.web.binding import CannotBind

    try:
        listening = listen(host, port)
    except CannotBind as error:
        raise CannotServe(str(error)) from None
    where = addresses(listening)
    click.echo(f"Pay.gov's simulator is at {where.base} (Ctrl-C stops it)")
    click.echo(f"  BURSAR_PAYGOV_URL={where.url}")
    offered = simulator.settings.lookups
    if "query" in offered:
        click.echo(f"  BURSAR_PAYGOV_QUERY_URL={where.query_url}")
    click.echo(f"  BURSAR_PAYMENT_URL={where.payment_url}")
    lookups = ",".join(each for each in LOOKUPS if each in offered) or "none"
    click.echo(f"  BURSAR_PAYGOV_LOOKUPS={lookups}")
    click.echo(f"  BURSAR_PAYGOV_LOOKUPS_CONFIRMED={lookups}")
    server = simulator_server(simulator, plan)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listening]))
    except KeyboardInterrupt:
        # uvicorn has finished its shutdown and raises the signal again.
        click.echo("Stopped.")
