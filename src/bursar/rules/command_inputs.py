"""Find the store and the rules for the commands of this room, and end a command that cannot run."""

import asyncio
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import click

from bursar.clock import system_clock
from bursar.private_files import TooOpen
from bursar.rules.language.named_rule import RulesInvalid
from bursar.rules.language.ruleset import Rules
from bursar.rules.language.toml import rules_from_toml

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

BROKEN = 1
UNUSABLE = 2
DYNAMO_PATH = "bursar.dynamo.path"
"""The key in click's ``meta`` under which the dynamo command keeps its ``--data``."""


class HistoryReport(Protocol):
    """The result of a check of a table's history."""

    @property
    def count(self) -> int:
        """The number of findings."""

    @property
    def totals(self) -> Mapping[str, int]:
        """How much was checked and found, by name."""

    def lines(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the findings, each as one line of text and as a JSON object."""


class HistoryAudit(Protocol):
    """The check that no item of a table's history was changed by another writer."""

    async def check(self, *, segments: int, on_progress: Callable[[int], None]) -> HistoryReport:
        """Read the whole table and report what does not fit."""

    async def root(self, day: str) -> Mapping[str, Any]:
        """Return the root of ``day`` (``2026-11-28``, or ``yesterday``), and whether it is the stored one."""


@dataclass(frozen=True)
class Defaults:
    """Values that the program around these commands provides; each may be None.

    ``store_setting``: the name of the setting that names the store when ``--store`` is absent. ``history``: makes the
    check of a table's history for ``bursar audit --chain``. ``keep_audit``: keeps the result of an audit of that table:
    whether its history was checked, how many findings are open, and the lines of the first.
    """

    store_url: str | None = None
    store_setting: str | None = None
    table: str | None = None
    rules: Callable[[], Rules] | None = None
    history: "Callable[[Store, str], HistoryAudit] | None" = None
    keep_audit: "Callable[[bool, int, list[str]], None] | None" = None


def defaults_of(context: click.Context) -> Defaults:
    """Return the values that the program around these commands provides."""
    # The program around these commands puts a factory into click's context object, under "rules".
    return context.obj["rules"]() if context.obj else Defaults()


def data_path(context: click.Context, data: str | None) -> str:
    """Return the path of the DynamoDB file, from this command or from the group that mounts it."""
    return required(data or context.meta.get(DYNAMO_PATH), "--data")


def required(value: str | None, option: str) -> str:
    """Return ``value``; end the command if it is missing."""
    if not value:
        exit_unusable(f"{option}: must be given")
    return value


def exit_unusable(message: str) -> NoReturn:
    """End the command with one line and the exit code for bad usage or environment."""
    click.echo(f"bursar: {message}", err=True)
    sys.exit(UNUSABLE)


def rules_from_file(file: Path) -> Rules:
    """Return the rules in ``file``; end the command if it has none."""
    try:
        return rules_from_toml(file.read_text())
    except (OSError, RulesInvalid, UnicodeDecodeError) as fault:
        exit_unusable(f"{file}: {fault}")


def rules_for(defaults: Defaults, file: Path | None, store: "Store | None", table: str | None) -> Rules:
    """Return the rules of the file, of the program around this command, or of the table.

    The command ends if there are none.
    """
    if file is not None:
        return rules_from_file(file)
    if defaults.rules is not None:
        return defaults.rules()
    from bursar.dynamo.engine.group_commit import AsyncEngine

    if isinstance(store, AsyncEngine) and table is not None:
        document = store.engine.rules_document(table)
        if document is not None:
            return rules_from_toml(document)
    exit_unusable("no rules found; give a file with --rules")


def found_rules(context: click.Context, store_url: str | None, table: str | None, file: Path | None) -> Rules:
    """Return the rules for a command that needs no store, opening it only if the rules are in it."""
    defaults = defaults_of(context)
    if file is not None or defaults.rules is not None:
        return rules_for(defaults, file, None, None)

    async def stored() -> Rules:
        store = await open_store(store_url, defaults, "--rules or --store")
        try:
            return rules_for(defaults, None, store, required(table or defaults.table, "--table"))
        finally:
            await store.close()

    found: Rules = asyncio.run(exit_on_errors(stored()))
    return found


async def open_store(given: str | None, defaults: Defaults, option: str) -> "Store":
    """Return the store, which must exist.

    A misspelt path would otherwise create an empty store, whose audit finds nothing.
    """
    from bursar.dynamo.clients.store import open_store
    from bursar.rules.native import load_guard

    url = required(given or defaults.store_url, option)
    try:
        return await open_store(
            url,
            clock=system_clock,
            randomness=random.SystemRandom(),
            guard_loader=load_guard,
            must_exist=True,
            private=True,
        )
    except (FileNotFoundError, TooOpen) as error:
        exit_unusable(f"{'BURSAR_STORE or --store' if given else defaults.store_setting}: {error}")


async def exit_on_errors(work: Any) -> Any:
    """Return the result of ``work``; print the environment's errors as one line and exit with code 2."""
    import apsw

    from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
    from bursar.dynamo.storage.sqlite_file import StoreFormatError

    try:
        return await work
    except* (DynamoError, StoreOutcomeUnknown, StoreUnreachable) as group:
        exit_unusable(str(_first(group)))
    except* (apsw.Error, StoreFormatError, ValueError, OSError) as group:
        exit_unusable(str(_first(group)))


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


def on_engine(data: str, work: Callable[[Any], Any]) -> Any:
    """Return the result of ``work`` on the engine of the file ``data``."""
    import apsw

    from bursar.dynamo.engine.engine import Engine, RulesRefused
    from bursar.dynamo.errors import DynamoError
    from bursar.dynamo.storage.sqlite_file import StoreFormatError
    from bursar.rules.native import load_guard

    try:
        engine = Engine.open(data, guard_loader=load_guard)
    except (apsw.Error, StoreFormatError) as fault:
        exit_unusable(f"{data}: {fault}")
    try:
        return work(engine)
    except DynamoError as fault:
        exit_unusable(str(fault))
    except RulesRefused as refused:
        for violation in refused.violations:
            click.echo(violation, err=True)
        click.echo("bursar: the table breaks these rules; nothing was stored", err=True)
        sys.exit(BROKEN)
    finally:
        engine.close()


async def item_count(store: "Store", table: str) -> int:
    """Return about how many items the table has, for a progress bar."""
    described = await store.call("DescribeTable", {"TableName": table})
    return int(described["Table"].get("ItemCount", 0))
