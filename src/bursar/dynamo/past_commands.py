"""The commands of `bursar dynamo` on a file's past: branch, snapshot, rollback, reset, log, diff."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from bursar.clock import system_clock
from bursar.dynamo.command_inputs import READ_ONLY, DynamoCommandRefused, data_option, existing_file, store


@click.command("branch")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
def branch_command(source: Path, target: Path) -> None:
    """Make TARGET an independent copy of the store SOURCE, instantly where the file system shares blocks."""
    from bursar.dynamo.tools.branches import branch

    if not source.exists():
        raise DynamoCommandRefused(f"there is no store at {source}")
    with _refusals():
        cloned = branch(source, target, _no_progress)
    click.echo(f"{target}: {'shares the blocks of' if cloned else 'a copy of'} {source}", err=True)


@click.command("snapshot")
@data_option
@click.argument("name", required=False)
@click.option("--remove", is_flag=True, help="Remove the snapshot NAME.")
@click.pass_context
def snapshot_command(context: click.Context, path: str | None, name: str | None, remove: bool) -> None:
    """Keep the store's present state under NAME; list the snapshots if no name is given."""
    from bursar.dynamo.tools.branches import remove_snapshot, snapshot_names, take_snapshot

    file = Path(existing_file(context, path))
    if name is None:
        for known in snapshot_names(file):
            click.echo(known)
        return
    with _refusals():
        if remove:
            remove_snapshot(file, name)
        else:
            click.echo(f"snapshot {name}: {take_snapshot(file, name, _no_progress)}", err=True)


@click.command("rollback")
@data_option
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask: every later change is lost.")
@click.pass_context
def rollback_command(context: click.Context, path: str | None, name: str, yes: bool) -> None:
    """Restore the state of the snapshot NAME; servers that have the store open continue."""
    from bursar.dynamo.tools.branches import roll_back

    file = Path(existing_file(context, path))
    if not yes:
        click.confirm(f"Every change of {file} since the snapshot {name} will be lost. Continue?", abort=True)
    with _refusals():
        roll_back(file, name, _no_progress)


@click.command("reset")
@data_option
@click.option("--yes", is_flag=True, help="Do not ask: every table is lost.")
@click.pass_context
def reset_command(context: click.Context, path: str | None, yes: bool) -> None:
    """Remove every table, backup, export and import from the store."""
    file = existing_file(context, path)
    if not yes:
        click.confirm(f"Every table of {file} will be lost. Continue?", abort=True)
    with store(context, path) as engine:
        engine.reset()


@click.command("log")
@data_option
@click.argument("table")
@click.argument("key", nargs=-1, required=True)
@click.pass_context
def log_command(context: click.Context, path: str | None, table: str, key: tuple[str, ...]) -> None:
    """Print the versions of an item, oldest first; KEY is the key as name=value, once for each key attribute."""
    import orjson

    from bursar.dynamo.tools.item_versions import iso_micros, item_versions

    with _refusals():
        file, read_only = existing_file(context, path), context.meta.get(READ_ONLY, False)
        for version in item_versions(file, table, key, read_only=read_only):
            since = "before the past" if version.at is None else iso_micros(version.at)
            click.echo(f"{since}  {'deleted' if version.item is None else orjson.dumps(version.item).decode()}")


@click.command("diff")
@data_option
@click.argument("table")
@click.argument("earlier")
@click.argument("later", default="now")
@click.pass_context
def diff_command(context: click.Context, path: str | None, table: str, earlier: str, later: str) -> None:
    """Print the items that differ between two instants: ISO 8601 (UTC), seconds since the epoch, or `now`."""
    import orjson

    from bursar.dynamo.tools.item_versions import differences

    with _refusals():
        now = system_clock()
        start, end = _instant(earlier, now), _instant(later, now)
        file, read_only = existing_file(context, path), context.meta.get(READ_ONLY, False)
        for old, new in differences(file, table, start, end, now, read_only=read_only):
            for sign, item in (("-", old), ("+", new)):
                if item is not None:
                    click.echo(f"{sign} {orjson.dumps(item).decode()}")


PAST_COMMANDS = (branch_command, snapshot_command, rollback_command, reset_command, log_command, diff_command)


def _instant(text: str, now: float) -> float:
    from bursar.dynamo.tools.item_versions import parse_instant

    try:
        return parse_instant(text, now)
    except ValueError:
        raise DynamoCommandRefused(f"instant: must be ISO 8601, seconds since the epoch, or now; got {text}") from None


@contextmanager
def _refusals() -> Iterator[None]:
    """End the command with one line for a refusal of the tools or an unreadable store."""
    import apsw

    from bursar.dynamo.storage.sqlite_file import StoreFormatError
    from bursar.dynamo.tools.item_versions import PastRefused
    from bursar.dynamo.tools.store_copies import CopyRefused

    try:
        yield
    except (CopyRefused, PastRefused, StoreFormatError, apsw.Error) as error:
        raise DynamoCommandRefused(str(error)) from None


def _no_progress(_done: int, _total: int) -> None:
    """Show nothing, because copying a test's store takes less than a second."""
