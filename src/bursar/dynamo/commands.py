"""The command ``bursar dynamo``: serve a store over HTTP; list, describe, check, dump and load its tables."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bursar.dynamo.command_inputs import (
    BUCKETS,
    KINESIS,
    PATH,
    READ_ONLY,
    REGION,
    WEATHER,
    DynamoCommandRefused,
    data_option,
    existing_file,
    opener,
    store,
)
from bursar.dynamo.console_option import DEFAULT_CONSOLE_PORT, console_beside
from bursar.dynamo.past_commands import PAST_COMMANDS
from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.server.serve import DEFAULT_PORT, MEMORY, ServerSettings, serve
from bursar.dynamo.server_options import (
    access_of,
    buckets_of,
    kinesis_beside,
    open_isolated,
    progress_bar,
    region_of,
    seeding,
    weather_for_a_loop,
    weather_of,
)
from bursar.startup import CannotStart

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Mapping
    from gzip import GzipFile

    from bursar.dynamo.clients.remote_store import RemoteStore
    from bursar.dynamo.tools.delivering.table_stream import AsyncExecute
    from bursar.dynamo.tools.dump_and_load import Execute


endpoint_option = click.option(
    "--endpoint", metavar="URL", help="A server of DynamoDB's API instead of a file, as in http://127.0.0.1:8000."
)


EXIT_CODES = """\b
Exit codes:
  0  done; a server ends with it after Ctrl-C or SIGTERM
  1  `check` found a problem, a statement of `shell -c` failed, or the answer to a question was no
  2  a wrong option, file, port or table; the last line on standard error gives the reason
"""
READ_ONLY_COMMANDS = ("ls", "describe", "check", "dump", "shell", "deliver", "log", "diff")
"""The commands that work with ``--read-only``."""


@click.group(invoke_without_command=True, epilog=EXIT_CODES)
@data_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that serve the file."
)
@click.option(
    "--credentials",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A TOML file of access keys and policies; every signature is verified.",
)
@click.option(
    "--init",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Make the missing tables of this file, with their items; may be repeated.",
)
@click.option(
    "--region",
    metavar="NAME",
    default=DEFAULT_REGION,
    show_default=True,
    help="The region in ARNs, stream records and the words of errors; the file does not store it.",
)
@click.option("--read-only", is_flag=True, help="Open the file for reading; it may be on read-only media.")
@click.option(
    "--isolated",
    is_flag=True,
    help="Give each access key and region separate tables; --data is a folder, or :memory:.",
)
@click.option("--open-to-anyone", is_flag=True, help="Let other machines read and write without access keys.")
@click.option(
    "--s3-folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Exports and imports: each folder in DIR represents an S3 bucket.",
)
@click.option("--s3-endpoint", metavar="URL", help="Exports and imports: a server of S3's API (needs boto3).")
@click.option(
    "--kinesis-endpoint",
    metavar="URL",
    help="Tables may have Kinesis streaming destinations: data streams of this server of Kinesis' API.",
)
@click.option(
    "--weather",
    metavar="NAME|FILE",
    default="calm",
    show_default=True,
    help="How Amazon's service behaves: calm, typical, storm, or a TOML file.",
)
@click.option("--weather-seed", metavar="N", type=click.IntRange(0), help="The seed of the weather.")
@click.option("--console", is_flag=True, help="Serve a web console of the tables too (needs bursar[console]).")
@click.option(
    "--console-port",
    default=DEFAULT_CONSOLE_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the console; 0 takes a free one.",
)
@click.pass_context
def dynamo(
    context: click.Context,
    path: str | None,
    host: str,
    port: int,
    workers: int,
    credentials: Path | None,
    files: tuple[Path, ...],
    region: str,
    read_only: bool,
    isolated: bool,
    open_to_anyone: bool,
    s3_folder: Path | None,
    s3_endpoint: str | None,
    kinesis_endpoint: str | None,
    weather: str,
    weather_seed: int | None,
    console: bool,
    console_port: int,
) -> None:
    """Serve DynamoDB in a file over HTTP until Ctrl-C, or run one of the commands below."""
    context.meta[PATH] = path
    context.meta[READ_ONLY] = read_only
    context.meta[REGION] = region_of(region)
    context.meta[BUCKETS] = buckets_of(s3_folder, s3_endpoint)
    context.meta[KINESIS] = kinesis_endpoint is not None
    if context.invoked_subcommand is not None:
        if read_only and context.invoked_subcommand not in READ_ONLY_COMMANDS:
            reading = ", ".join(READ_ONLY_COMMANDS)
            raise DynamoCommandRefused(f"--read-only: must be given with {reading}; got {context.invoked_subcommand}")
        return
    if read_only and (files or kinesis_endpoint or weather != "calm"):
        raise DynamoCommandRefused("--read-only: must be given without --init, --kinesis-endpoint and --weather")
    if read_only:
        existing_file(context, path)
    settings = ServerSettings(path or MEMORY, host, port, workers, open_to_anyone)
    if isolated:
        if workers > 1 or credentials or console or read_only or kinesis_endpoint or weather != "calm":
            alone = "--workers, --credentials, --console, --read-only, --kinesis-endpoint and --weather"
            raise DynamoCommandRefused(f"--isolated: must be given without {alone}")
        settings = replace(settings, path=MEMORY, open_isolated=open_isolated(context, path or MEMORY, files))
        files = ()
    reports: list[Callable[[], str]] = []
    if weather != "calm":
        context.meta[WEATHER] = weather_of(weather, weather_seed, workers)
        settings = replace(settings, shared_by_loop=weather_for_a_loop(reports))
    # Without --region, clients of every region are served: SDKs are configured with any.
    only_region = context.get_parameter_source("region") is not ParameterSource.DEFAULT
    access = access_of(credentials, region, only_region=only_region) if credentials else None
    try:
        if kinesis_endpoint is not None:
            settings = replace(settings, beside=(kinesis_beside(kinesis_endpoint, region, settings.path),))
        if console:
            settings = replace(settings, beside=(*settings.beside, console_beside(settings, access, console_port)))
        serve(
            settings,
            open_engine=seeding(opener(context), files),
            access=access,
            announce=_announcer(path or MEMORY, access is not None),
        )
    except CannotStart as error:
        raise DynamoCommandRefused(str(error)) from None
    for report in reports:
        click.echo(report(), err=True)


@dynamo.command("ls")
@data_option
@click.pass_context
def list_command(context: click.Context, path: str | None) -> None:
    """List the tables: items, bytes, keys and indexes."""
    from rich.console import Console
    from rich.table import Table

    from bursar.dynamo.tools.dump_and_load import describe, table_names

    drawn = Table("table", "items", "bytes", "key", "indexes")
    for column in drawn.columns[1:3]:
        column.justify = "right"
    with store(context, path) as engine:
        for name in table_names(engine.execute):
            described = describe(engine.execute, name)
            kinds = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes", "VectorIndexes")
            indexes = [index for kind in kinds for index in described.get(kind, [])]
            drawn.add_row(
                name,
                f"{described['ItemCount']:,}",
                f"{described['TableSizeBytes']:,}",
                ", ".join(key["AttributeName"] for key in described["KeySchema"]),
                ", ".join(index["IndexName"] for index in indexes),
            )
    Console().print(drawn)


@dynamo.command("describe")
@data_option
@click.argument("table")
@click.pass_context
def describe_command(context: click.Context, path: str | None, table: str) -> None:
    """Print a table's description, as DescribeTable gives it."""
    import orjson

    from bursar.dynamo.tools.dump_and_load import describe

    with store(context, path) as engine:
        click.echo(orjson.dumps(describe(engine.execute, table), option=orjson.OPT_INDENT_2).decode())


@dynamo.command("dump")
@data_option
@click.argument("tables", nargs=-1)
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    help="File to write to, compressed if it ends with .gz; standard output by default.",
)
@endpoint_option
@click.pass_context
def dump_command(
    context: click.Context, path: str | None, tables: tuple[str, ...], target: str, endpoint: str | None
) -> None:
    """Write tables (all, if none is named) as lines of JSON, which `load` reads."""
    from bursar.dynamo.tools.dump_and_load import describe, dump, table_names

    with _read(context, path, endpoint) as (execute, rules_of):
        names = tables or tuple(table_names(execute))
        total = sum(describe(execute, name)["ItemCount"] for name in names)
        with progress_bar("dumping", total) as advance, _opened(target) as file:
            for line in dump(execute, names, advance, rules_of):
                file.write(line)


@contextmanager
def _opened(target: str) -> "Iterator[IO[bytes] | GzipFile]":
    """Open the file of a dump, or ``-``; a name that ends with ``.gz`` compresses it."""
    from gzip import GzipFile

    try:
        with ExitStack() as stack:
            plain = target == "-"
            file = sys.stdout.buffer if plain else stack.enter_context(Path(target).open("wb"))
            if target.endswith(".gz"):
                yield stack.enter_context(GzipFile(fileobj=file, mode="wb", filename="", mtime=0))
            else:
                yield file
            file.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of the pipe has closed it
            raise
        raise DynamoCommandRefused(f"--to {target}: {error.strerror}; the dump is not complete") from None


@dynamo.command("load")
@data_option
@click.argument("source", type=click.File("rb"), default="-")
@click.option("--add", is_flag=True, help="Put items into existing tables, over items with the same key.")
@click.pass_context
def load_command(context: click.Context, path: str | None, source: IO[bytes], add: bool) -> None:
    """Create the tables of a dump, which gzip may have compressed, and put their items."""
    from bursar.dynamo.tools.dump_and_load import DumpError, lines_of, load

    with store(context, path, create=True) as engine, progress_bar("loading", None) as advance:
        try:
            counts = load(engine.execute, lines_of(source), advance, add=add, put_rules=engine.put_rules_document)
        except DumpError as error:
            raise DynamoCommandRefused(f"loading stopped: {error}") from None
    for table, count in counts.items():
        click.echo(f"{table}: {count:,} items", err=True)


@dynamo.command("check")
@data_option
@click.pass_context
def check_command(context: click.Context, path: str | None) -> None:
    """Compare items, indexes, expiry times, counters and streams; exit code 1 and one line per problem."""
    from bursar.dynamo.storage.integrity_check import check_store

    with store(context, path):
        problems = check_store(str(path or context.meta[PATH]), read_only=context.meta[READ_ONLY])
    for problem in problems:
        click.echo(problem)
    if problems:
        raise SystemExit(1)
    click.echo("sound")


@dynamo.command("shell")
@data_option
@endpoint_option
@click.option(
    "-c", "statements", metavar="STATEMENT", multiple=True, help="Run this statement and exit; may be repeated."
)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def shell_command(
    context: click.Context, path: str | None, endpoint: str | None, statements: tuple[str, ...], form: str
) -> None:
    """Open a PartiQL prompt over a file or an endpoint."""
    from rich.console import Console

    from bursar.dynamo.tools.partiql_shell import Shell, prompt

    with _read(context, path, endpoint) as (execute, _):
        shell = Shell(execute, Console(), Console(stderr=True), as_json=form == "json")
        failed = [statement for statement in statements if not shell.run(statement)]
        succeeded = prompt(shell) if not statements else not failed
    if not succeeded:
        raise SystemExit(1)


@dynamo.command("deliver")
@data_option
@endpoint_option
@click.argument("table")
@click.argument("target")
@click.option(
    "--checkpoint",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file with the last accepted record; made if missing.",
)
@click.option(
    "--batch", metavar="N", default=100, show_default=True, type=click.IntRange(1, 1000), help="Records in a POST."
)
@click.option("--once", is_flag=True, help="End when no record is left.")
@click.pass_context
def deliver_command(
    context: click.Context,
    path: str | None,
    endpoint: str | None,
    table: str,
    target: str,
    checkpoint: Path,
    batch: int,
    once: bool,
) -> None:
    """Send the records of TABLE's stream to the URL TARGET, in order and at least once, as Lambda's event."""
    import asyncio

    from bursar.dynamo.errors import DynamoError
    from bursar.dynamo.tools.delivering.delivery import Delivery
    from bursar.dynamo.tools.delivering.http_target import HttpTarget
    from bursar.dynamo.tools.delivering.table_stream import Checkpoint, DeliveryRefused, TableStream

    try:
        destination = HttpTarget(target)
    except ValueError as error:
        raise DynamoCommandRefused(str(error)) from None

    async def deliver(call: "AsyncExecute") -> int:
        try:
            source = await TableStream.open(call, table, Checkpoint(checkpoint), batch)
            report = partial(click.echo, err=True)
            return await Delivery(source, destination.send, sleep=asyncio.sleep, report=report).run(once=once)
        finally:
            await destination.close()

    with _calls(context, path, endpoint) as (call, run):
        try:
            delivered = run(deliver(call))
        except (DeliveryRefused, DynamoError, OSError) as error:
            raise DynamoCommandRefused(str(error)) from None
    click.echo(f"{delivered} records", err=True)


@contextmanager
def _read(
    context: click.Context, path: str | None, endpoint: str | None
) -> "Iterator[tuple[Execute, Callable[[str], str | None] | None]]":
    """Open the store or the endpoint of a command; the second value returns a table's rules, if it can have any."""
    if endpoint is None:
        with store(context, path) as engine:
            yield engine.execute, engine.rules_document
        return
    with _endpoint(endpoint) as (remote, runner):
        yield lambda operation, request: runner.run(remote.call(operation, request)), None


@contextmanager
def _calls(
    context: click.Context, path: str | None, endpoint: str | None
) -> "Iterator[tuple[AsyncExecute, Callable[[Coroutine[Any, Any, int]], int]]]":
    """Open the store or the endpoint of a command that has an event loop; the second value runs the loop."""
    import asyncio

    if endpoint is not None:
        with _endpoint(endpoint) as (remote, runner):
            yield remote.call, runner.run
        return
    with store(context, path) as engine:

        async def call(operation: str, request: "Mapping[str, Any]") -> dict[str, Any]:
            return engine.execute(operation, request)

        yield call, asyncio.run


@contextmanager
def _endpoint(url: str) -> "Iterator[tuple[RemoteStore, asyncio.Runner]]":
    """Open a server of DynamoDB's API, and the loop to call it in; ``http://…`` is short for ``dynamodb+http://…``."""
    import asyncio

    from bursar.dynamo.clients.remote_store import open_remote_store
    from bursar.dynamo.clients.store import REMOTE_SCHEMES
    from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable

    store_url = f"dynamodb+{url}" if url.startswith("http") else url
    if not store_url.startswith(REMOTE_SCHEMES):
        raise DynamoCommandRefused(f"endpoint: must begin with http:, https:, {', '.join(REMOTE_SCHEMES)}; got {url}")
    with asyncio.Runner() as runner:
        try:
            remote = runner.run(open_remote_store(store_url))
        except ValueError as error:
            raise DynamoCommandRefused(str(error)) from None
        try:
            yield remote, runner
        except (DynamoError, StoreUnreachable, StoreOutcomeUnknown) as error:
            raise DynamoCommandRefused(f"{url}: {error or type(error).__name__}") from None
        finally:
            runner.run(remote.close())


for command in PAST_COMMANDS:
    dynamo.add_command(command)


def _announcer(path: str, signed: bool) -> Callable[[str], None]:
    where = "in memory, until the process ends" if path == MEMORY else f"in {path}"
    keys = "its access keys" if signed else "any credentials"

    def announce(url: str) -> None:
        click.echo(f'DynamoDB {where}, at {url}: boto3.client("dynamodb", endpoint_url="{url}"), any region, {keys}')
        sys.stdout.flush()

    return announce
