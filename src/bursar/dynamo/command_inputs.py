"""The parts that the commands of `bursar dynamo` share: the store of ``--data``, and errors in one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.server.serve import MEMORY, open_or_explain
from bursar.startup import CannotStart

if TYPE_CHECKING:
    from bursar.dynamo.buckets.port import Buckets
    from bursar.dynamo.core.guards import GuardLoader
    from bursar.dynamo.engine.engine import Engine
    from bursar.dynamo.weather.settings import Weather

PATH = "bursar.dynamo.path"
BUCKETS = "bursar.dynamo.buckets"
KINESIS = "bursar.dynamo.kinesis"
WEATHER = "bursar.dynamo.weather"
READ_ONLY = "bursar.dynamo.read_only"
REGION = "bursar.dynamo.region"
GUARD_LOADER = "bursar.dynamo.guard_loader"
"""The key of the click context's ``meta`` under which the rooms above put their guard loader."""

data_option = click.option(
    "--data",
    "path",
    metavar="FILE",
    help="The store's file, created if missing; :memory: for a store that ends with the process.",
)


class DynamoCommandRefused(click.ClickException):
    """The command cannot run with this file, folder or port. It ends with one line and exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message as one line."""
        click.echo(f"bursar dynamo: {self.message}", err=True)


def opener(context: click.Context) -> "Callable[[str], Engine]":
    """Return the function that opens a store with the guard loader, the buckets and the weather of the command."""
    guard_loader: GuardLoader | None = context.meta.get(GUARD_LOADER)
    weather: Weather | None = context.meta.get(WEATHER)
    region: str = context.meta.get(REGION, DEFAULT_REGION)

    def open_engine(path: str) -> "Engine":
        from bursar.dynamo.engine.engine import Engine

        if context.meta.get(READ_ONLY):
            engine = Engine.open_for_reading(path, guard_loader=guard_loader, region=region)
        elif weather is None:
            engine = Engine.open(path, guard_loader=guard_loader, region=region)
        else:
            from bursar.dynamo.weather.engine import WeatherEngine

            engine = WeatherEngine.open(path, guard_loader=guard_loader, region=region, weather=weather)
        buckets: Buckets | None = context.meta.get(BUCKETS)
        if buckets is not None:
            engine.set_buckets(buckets)
        if context.meta.get(KINESIS):
            engine.set_kinesis()
        return engine

    return open_engine


def existing_file(context: click.Context, path: str | None, *, create: bool = False) -> str:
    """Return the path of a command's store. The store must exist unless ``create``."""
    path = path or context.meta[PATH]
    if path is None:
        raise click.UsageError("--data FILE: must be given")
    if not create and (path == MEMORY or not Path(path).exists()):
        raise DynamoCommandRefused(f"there is no store at {path}")
    return path


@contextmanager
def store(context: click.Context, path: str | None, *, create: bool = False) -> "Iterator[Engine]":
    """Open the store of a command; an error of the engine ends the command with one line."""
    from bursar.dynamo.engine.engine import RulesRefused
    from bursar.dynamo.errors import DynamoError

    path = existing_file(context, path, create=create)
    try:
        engine = open_or_explain(opener(context), path)
    except CannotStart as error:
        raise DynamoCommandRefused(str(error)) from None
    try:
        yield engine
    except (DynamoError, RulesRefused) as error:
        raise DynamoCommandRefused(str(error)) from None
    finally:
        engine.close()
