"""The options of `bursar dynamo` as parts of a server: weather, buckets, Kinesis, access keys, seeds, stores."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bursar.dynamo.command_inputs import DynamoCommandRefused, opener
from bursar.dynamo.regions import check_region
from bursar.dynamo.server.serve import MEMORY
from bursar.startup import CannotStart

if TYPE_CHECKING:
    from bursar.dynamo.buckets.port import Buckets
    from bursar.dynamo.engine.engine import Engine
    from bursar.dynamo.engine.group_commit import AsyncEngine
    from bursar.dynamo.server.credentials import AccessKeys
    from bursar.dynamo.server.serve import Beside
    from bursar.dynamo.weather.settings import Weather
    from bursar.web.aws import AwsKeySource

_DUMMY_KEY = "bursar"


def weather_of(name: str, seed: int | None, workers: int) -> "Weather":
    """Return the weather that the options name."""
    from bursar.dynamo.weather.settings import WeatherError, named_weather

    if workers > 1:
        raise DynamoCommandRefused(f"--workers: must be 1 in the weather; got {workers}")
    try:
        return named_weather(name, seed)
    except WeatherError as error:
        raise DynamoCommandRefused(f"--weather {error}") from None


def weather_for_a_loop(reports: list[Callable[[], str]]) -> "Callable[[Engine], AsyncEngine]":
    """Return the function that makes the event loop's engine with weather, and that adds its report."""

    def shared_by_loop(engine: "Engine") -> "AsyncEngine":
        from bursar.dynamo.weather.engine import WeatherEngine
        from bursar.dynamo.weather.event_loop import AsyncWeatherEngine

        assert isinstance(engine, WeatherEngine)  # as command_inputs.opener opens it
        reports.append(engine.weather_report)
        return AsyncWeatherEngine(engine)

    return shared_by_loop


def open_isolated(context: click.Context, path: str, files: tuple[Path, ...]) -> "Callable[[str], Engine]":
    """Return the function that opens the store of a name: in memory, or in a file of the folder ``path``."""
    if path != MEMORY and not Path(path).is_dir():
        raise DynamoCommandRefused(f"--data: must be a folder or {MEMORY} with --isolated; got {path}")

    def open_store(name: str) -> "Engine":
        return seeding(opener(context), files)(MEMORY if path == MEMORY else str(Path(path) / f"{name}.db"))

    return open_store


def buckets_of(folder: Path | None, endpoint: str | None) -> "Buckets | None":
    """Return the buckets of exports, imports and bulk operations, by the options."""
    if folder is None and endpoint is None:
        return None
    from bursar.dynamo.buckets.buckets import EndpointBuckets, FolderBuckets

    if folder is not None and endpoint is not None:
        raise DynamoCommandRefused("--s3-folder and --s3-endpoint: only one of them may be given")
    if folder is not None:
        if not folder.is_dir():
            raise DynamoCommandRefused(f"--s3-folder: must be a folder; got {folder}")
        return FolderBuckets(folder)
    try:
        return EndpointBuckets(str(endpoint))
    except ImportError:
        raise DynamoCommandRefused("--s3-endpoint: needs boto3; pip install 'bursar[aws]'") from None


def kinesis_beside(url: str, region: str, path: str) -> "Beside":
    """Return what delivers the changes of the tables in the store at ``path`` to the server of Kinesis at ``url``."""
    import asyncio

    from bursar.clock import system_clock
    from bursar.dynamo.engine.captured_changes import CapturedChanges
    from bursar.dynamo.tools.delivering.kinesis_destinations import LOCK_SUFFIX, KinesisDestinations
    from bursar.dynamo.tools.delivering.kinesis_target import KinesisTarget

    try:
        target = KinesisTarget(url, region, _kinesis_keys(), system_clock)
    except ValueError as error:
        raise DynamoCommandRefused(f"--kinesis-endpoint: {error}") from None
    lock = None if path == MEMORY else path + LOCK_SUFFIX

    async def start(engine: "AsyncEngine") -> Callable[[], Awaitable[None]]:
        destinations = KinesisDestinations(CapturedChanges(engine), target, clock=system_clock, lock=lock)
        delivering = asyncio.create_task(destinations.run())

        async def end() -> None:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
            await target.close()

        return end

    return start


def _kinesis_keys() -> "AwsKeySource":
    """Return the access keys that boto3 would find, or dummy keys for a server that does not verify them."""
    from bursar.web.aws import FixedKeys, KeysNotFound, find_keys
    from bursar.web.sigv4_signing import AwsKeys

    try:
        keys = find_keys()
    except ImportError:  # without boto3, only the environment can have keys
        keys = None
    except KeysNotFound as error:
        raise DynamoCommandRefused(f"--kinesis-endpoint: AWS credentials: {error}") from None
    return keys or FixedKeys(AwsKeys(_DUMMY_KEY, _DUMMY_KEY))


def region_of(name: str) -> str:
    """Return the region that the option names."""
    try:
        return check_region(name)
    except ValueError as error:
        raise DynamoCommandRefused(f"--{error}") from None


def access_of(credentials: Path, region: str, *, only_region: bool) -> "AccessKeys":
    """Return the access keys of a credentials file; their policies are on the ARNs of ``region``.

    With ``only_region``, a request that is signed for another region is refused.
    """
    # Imported here: a server without access keys starts faster without it.
    from bursar.dynamo.server.credentials import AccessKeys, CredentialsError

    try:
        return AccessKeys.load(credentials, region, only_region=only_region)
    except CredentialsError as error:
        raise DynamoCommandRefused(str(error)) from None


def seeding(opening: "Callable[[str], Engine]", files: tuple[Path, ...]) -> "Callable[[str], Engine]":
    """Return an opener that makes the tables of ``files`` when it is first called, before any worker is forked."""
    waiting = list(files)

    def open_engine(path: str) -> "Engine":
        engine = opening(path)
        if not waiting:
            return engine
        from bursar.dynamo.tools.seeding import SeedError, seed

        try:
            with engine.calm(), progress_bar("seeding", None) as advance:
                rules, region = engine.put_rules_document, engine.region
                seed(engine.execute, waiting, keep=True, progress=advance, put_rules=rules, region=region)
        except SeedError as error:
            engine.close()
            raise CannotStart(f"--init {error}") from None
        waiting.clear()
        return engine

    return open_engine


@contextmanager
def progress_bar(word: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error when it is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn(word), BarColumn(), MofNCompleteColumn(), TextColumn("items"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(word, total=total)
        yield lambda count: bar.update(task, advance=count)
