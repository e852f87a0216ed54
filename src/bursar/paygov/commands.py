"""The commands ``bursar simulator``, Pay.gov's simulator in a separate process, and ``bursar paygov probe``.

``probe`` takes its parts from click's context: ``ctx.obj`` holds, under :data:`CONNECTION`, a function that returns an
async context manager of a :class:`Connection`. Exit codes: 0 done; 1 the configuration relies on an assumption that
does not hold; 2 bad usage.
"""

import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import click

from bursar.clock import system_clock
from bursar.paygov.probe import WAIT_S
from bursar.paygov.protocol import LOOKUPS, LookupName
from bursar.paygov.simulator.core import ACH_SETTLE_S

if TYPE_CHECKING:
    from bursar.paygov.config import PayGovConfig
    from bursar.paygov.probe import ProbeRow
    from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator
    from bursar.paygov.transport import Transport

PORT = 3366
PAGE = "docs/paygov.md"
TABLE_COLUMNS = 160
"""The width of the probe's table."""
JOURNAL = "paygov-books.jsonl"
"""The file name of the books in the data folder."""


CONNECTION: Final = "paygov"


@dataclass(frozen=True)
class Connection:
    """The configured Pay.gov. ``tcs_app_ids``: those of the fees, in the order of the fees' keys."""

    config: "PayGovConfig"
    transport: "Transport"
    tcs_app_ids: tuple[str, ...]


class CannotServe(click.ClickException):
    """The simulator cannot start. The command ends with one line and exit code 2."""

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


@click.group()
def paygov() -> None:
    """Probe which assumptions about Pay.gov hold."""


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise click.BadParameter(f"must be dollars with at most two decimals; got {text!r}") from None
    return amount


@paygov.command()
@click.option("--tcs-app-id", help="The application to ask as.  [default: the first one of the fee catalogue]")
@click.option("--agency-tracking-id", metavar="ID", help="A completed collection that the lookups must find.")
@click.option(
    "--complete-unpaid", is_flag=True, help="Start a token and complete it unpaid; it should charge no payer."
)
@click.option("--charge", is_flag=True, help="Make a test payment. Print the hosted page and wait for the payer.")
@click.option("--pay-with-simulator", is_flag=True, help="With --charge: pay at Bursar's simulator instead of waiting.")
@click.option(
    "--amount",
    default="1.00",
    show_default=True,
    callback=lambda _context, _option, value: _amount(value),
    help="The amount of the test payment, dollars.",
)
@click.option(
    "--wait-s",
    type=click.FloatRange(0),
    default=WAIT_S,
    show_default=True,
    help="How long to wait until the lookups show the test payment, seconds.",
)
@click.option(
    "--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="The output."
)
@click.pass_context
def probe(ctx: click.Context, /, charge: bool, pay_with_simulator: bool, output: str, **asked: Any) -> None:
    """Report which assumptions of docs/paygov.md hold at the configured Pay.gov. Use its QA environment.

    Without flags it charges no payer and starts nothing. Exit code 1: the configuration relies on an assumption that
    does not hold.
    """
    if pay_with_simulator and not charge:
        raise click.UsageError("--pay-with-simulator needs --charge")
    rows = asyncio.run(_probe(ctx.obj[CONNECTION], charge, pay_with_simulator, asked))
    click.echo(_json(rows) if output == "json" else _table(rows))
    sys.exit(int(any(row.contradicts for row in rows)))


async def _probe(
    connect: Callable[[], Any], charge: bool, pay_with_simulator: bool, asked: dict[str, Any]
) -> "tuple[ProbeRow, ...]":
    from bursar.paygov.probe import Probe, ProbeRequest

    async with connect() as connection:
        if not (asked["tcs_app_id"] or connection.tcs_app_ids):
            raise click.UsageError("no fee is active: name the application with --tcs-app-id")
        request = ProbeRequest(
            tcs_app_id=asked["tcs_app_id"] or connection.tcs_app_ids[0],
            agency_tracking_id=asked["agency_tracking_id"],
            completes_unpaid=asked["complete_unpaid"],
            pay=_payer(connection, pay_with_simulator) if charge else None,
            amount=asked["amount"],
            wait_s=asked["wait_s"],
        )
        clock, randomness = system_clock, random.SystemRandom()
        return await Probe(connection.config, connection.transport, request, clock=clock, randomness=randomness).run()


def _payer(connection: Connection, with_simulator: bool) -> Callable[[str], Awaitable[None]]:
    async def ask_person(address: str) -> None:
        question = f"Pay the test payment at\n  {address}\nthen press Enter"
        await asyncio.to_thread(click.prompt, question, default="", show_default=False, err=True)

    async def pay_at_simulator(address: str) -> None:
        parts = urlsplit(address)
        token = parse_qs(parts.query)["token"][0]
        url = f"{parts.scheme}://{parts.netloc}{parts.path}/PLASTIC_CARD/Success?token={token}"
        await connection.transport.post(url, b"", {}, connection.config.timeout_s)

    return pay_at_simulator if with_simulator else ask_person


def _json(rows: "tuple[ProbeRow, ...]") -> str:
    listed = [{_camel(name): value for name, value in asdict(row).items()} for row in rows]
    return json.dumps(listed, indent=2, ensure_ascii=False)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _table(rows: "tuple[ProbeRow, ...]") -> str:
    from io import StringIO

    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("name", "assumption", "sent", "answered", "verdict", PAGE):
        table.add_column(column, overflow="fold", no_wrap=column in ("name", "verdict", PAGE))
    for row in rows:
        section = row.documented.removeprefix(PAGE)
        table.add_row(row.name, row.assumption, row.sent, row.answered, row.verdict, section)
    page = StringIO()
    Console(file=page, width=TABLE_COLUMNS, markup=False, highlight=False).print(table)
    contradicting = ", ".join(row.name for row in rows if row.contradicts)
    if contradicting:
        page.write(f"The configuration relies on assumptions that do not hold: {contradicting}\n")
    return page.getvalue()
