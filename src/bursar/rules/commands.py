"""The commands ``bursar audit``, ``bursar rules`` and ``bursar dynamo rules`` (a group that ``dynamo`` mounts).

Rules come from ``--rules FILE`` (TOML), else from the :class:`Defaults` that ``ctx.obj["rules"]()`` returns, else from
the document stored with the table. Exit codes: 0 nothing is wrong, 1 a rule is broken, 2 bad usage or environment.
"""

import asyncio
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import orjson

from bursar.clock import system_clock
from bursar.private_files import TooOpen
from bursar.rules.language.named_rule import RulesInvalid
from bursar.rules.language.render import rules_table, transitions_diagram
from bursar.rules.language.ruleset import Rules
from bursar.rules.language.toml import rules_from_toml, rules_to_toml
from bursar.rules.language.vocabulary import Transitions

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store
    from bursar.rules.audit.table_audit import Finding, Report

BROKEN = 1
UNUSABLE = 2
SHOWN_FINDINGS_MAX = 200

DYNAMO_PATH = "bursar.dynamo.path"
"""The key in click's ``meta`` under which the dynamo command keeps its ``--data``."""

REPAIRED = {"stale sentinel": " (removed)", "missing sentinel": " (written)"}
"""The text for the repair of a finding, by its kind."""

FORMS = ("table", "toml", "mermaid", "ascii")


@dataclass(frozen=True)
class Defaults:
    """Values that the program around these commands knows already; each may be None.

    ``store_setting``: the name of the setting that names the store when ``--store`` is absent.
    """

    store_url: str | None = None
    store_setting: str | None = None
    table: str | None = None
    rules: Callable[[], Rules] | None = None


_STORE = click.option("--store", "store_url", envvar="BURSAR_STORE", metavar="URL", help="The store's URL.")
_TABLE = click.option("--table", envvar="BURSAR_TABLE", metavar="NAME", help="The table's name.")
_RULES = click.option("--rules", "file", type=click.Path(path_type=Path, dir_okay=False), help="A TOML file of rules.")


@click.command()
@_STORE
@_TABLE
@_RULES
@click.option("--segments", type=click.IntRange(1, 1_000_000), default=4, show_default=True, help="Parallel scans.")
@click.option("--repair", is_flag=True, help="Remove stale sentinels, and report them.")
@click.option("--adopt", is_flag=True, help="Write missing sentinels, and report them.")
@click.option("--native", is_flag=True, help="Expect no sentinels: only the engine enforces this table's rules.")
@click.option(
    "--changes",
    type=click.File("rb"),
    help="Audit a change stream instead: stream records, one JSON object per line, `-` for stdin.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def audit(
    context: click.Context,
    store_url: str | None,
    table: str | None,
    file: Path | None,
    segments: int,
    repair: bool,
    adopt: bool,
    native: bool,
    changes: Any,
    form: str,
) -> None:
    """Read a whole table and report every broken rule, orphan and missing sentinel.

    Exit code 0: nothing is wrong (or all was repaired); 1: a rule is broken; 2: the audit could not run.
    """
    defaults = _defaults(context)
    if adopt and native:
        raise click.UsageError("--adopt: must not be combined with --native, which expects no sentinels")
    if changes is not None:
        _audit_lines(changes, _rules_for(defaults, file, None, None), form)
        return

    async def run() -> "Report":
        from bursar.rules.audit.table_audit import audit_table

        name = _required(table or defaults.table, "--table")
        store = await _open_store(store_url, defaults, "--store")
        try:
            rules = _rules_for(defaults, file, store, name)
            with _Progress(await _item_count(store, name)) as progress:
                return await audit_table(
                    store,
                    name,
                    rules,
                    randomness=random.SystemRandom(),
                    segments=segments,
                    on_progress=progress,
                    sentinels=not native,
                    repair=repair,
                    adopt=adopt,
                )
        finally:
            await store.close()

    report = asyncio.run(_exit_on_errors(run()))
    _print_findings(report.findings, form)
    summary = f"{report.items_read} items and {report.sentinels_read} sentinels read, {report.count} findings"
    if report.repaired:
        summary += f", {report.repaired} of them repaired"
    if form == "text":
        click.echo(summary)
    else:
        click.echo(orjson.dumps({"items": report.items_read, "findings": report.count, "repaired": report.repaired}))
    if not report.clean:
        context.exit(BROKEN)


@click.group()
def rules() -> None:
    """Show a table's rules, or the IAM policies that they need."""


@rules.command()
@_STORE
@_TABLE
@_RULES
@click.option("--form", type=click.Choice(FORMS), default="table", show_default=True, help="The form to print.")
@click.option("--name", help="The transitions rule to draw, if there are several.")
@click.pass_context
def show(
    context: click.Context, store_url: str | None, table: str | None, file: Path | None, form: str, name: str | None
) -> None:
    """Print the rules as a table, as TOML, or a transitions rule as a diagram."""
    shown = _found_rules(context, store_url, table, file)
    match form:
        case "table":
            click.echo(rules_table(shown), nl=False)
        case "toml":
            click.echo(rules_to_toml(shown), nl=False)
        case _:
            graphs = [rule.name for rule in shown.rules if isinstance(rule, Transitions)]
            if name is None and len(graphs) != 1:
                _exit_unusable(
                    f"choose one with --name: {', '.join(graphs)}" if graphs else "no transitions rule to draw"
                )
            try:
                click.echo(transitions_diagram(shown, name or graphs[0], form), nl=False)
            except (KeyError, ValueError) as fault:
                _exit_unusable(str(fault.args[0]))


@rules.command(name="iam-policy")
@_STORE
@_TABLE
@_RULES
@click.option("--table-arn", required=True, metavar="ARN", help="The table on AWS.")
@click.option("--writer", "writers", multiple=True, required=True, metavar="ARN", help="A role that may write.")
@click.pass_context
def iam_policy(
    context: click.Context,
    store_url: str | None,
    table: str | None,
    file: Path | None,
    table_arn: str,
    writers: tuple[str, ...],
) -> None:
    """Print the policies that leave rule-keeping transactions as the only way to write."""
    from bursar.rules.transactions.iam_policy import iam_policies

    policies = iam_policies(_found_rules(context, store_url, table, file), table_arn, writers)
    click.echo(orjson.dumps(policies, option=orjson.OPT_INDENT_2))


@click.group(name="rules")
def dynamo_rules() -> None:
    """Manage the rules that a DynamoDB file enforces on every writer of a table."""


_DATA = click.option("--data", required=True, type=click.Path(exists=True, dir_okay=False), help="The DynamoDB file.")
_GUARDED = click.option("--table", required=True, metavar="NAME", help="The table.")
_DOCUMENT = click.option(
    "--rules", "file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A TOML file."
)


@dynamo_rules.command()
@_DATA
@_GUARDED
@_DOCUMENT
@click.pass_context
def put(context: click.Context, data: str | None, table: str, file: Path) -> None:
    """Store rules with a table, which then refuses writes that break them.

    Fails while the table itself breaks them.
    """
    _rules_from_file(file)
    _on_engine(_path(context, data), lambda engine: engine.put_rules_document(table, file.read_text()))
    click.echo(f"{table} now has the rules of {file}")


@dynamo_rules.command(name="show")
@_DATA
@_GUARDED
@click.option("--form", type=click.Choice(FORMS[:2]), default="toml", show_default=True)
@click.pass_context
def show_stored(context: click.Context, data: str | None, table: str, form: str) -> None:
    """Print the rules that are stored with a table."""
    document = _on_engine(_path(context, data), lambda engine: engine.rules_document(table))
    if document is None:
        _exit_unusable(f"{table} has no rules")
    click.echo(document if form == "toml" else rules_table(rules_from_toml(document)), nl=False)


@dynamo_rules.command()
@_DATA
@_GUARDED
@_DOCUMENT
@click.pass_context
def check(context: click.Context, data: str | None, table: str, file: Path) -> None:
    """Report what in a table breaks the rules of FILE; store nothing."""
    context.invoke(
        audit, store_url=f"file:{Path(_path(context, data)).absolute()}", table=table, file=file, native=True
    )


@dynamo_rules.command()
@_DATA
@_GUARDED
@click.pass_context
def drop(context: click.Context, data: str | None, table: str) -> None:
    """Remove a table's rules: writes are no longer checked."""
    _on_engine(_path(context, data), lambda engine: engine.put_rules_document(table, None))
    click.echo(f"{table} has no rules now")


# --- where the commands take their input from ------------------------------------------------------------------------


def _defaults(context: click.Context) -> Defaults:
    # The program around these commands puts a factory into click's context object, under "rules".
    return context.obj["rules"]() if context.obj else Defaults()


def _path(context: click.Context, data: str | None) -> str:
    return _required(data or context.meta.get(DYNAMO_PATH), "--data")


def _required(value: str | None, option: str) -> str:
    if not value:
        _exit_unusable(f"{option}: must be given")
    return value


def _exit_unusable(message: str) -> NoReturn:
    click.echo(f"bursar: {message}", err=True)
    sys.exit(UNUSABLE)


def _rules_from_file(file: Path) -> Rules:
    try:
        return rules_from_toml(file.read_text())
    except (OSError, RulesInvalid, UnicodeDecodeError) as fault:
        _exit_unusable(f"{file}: {fault}")


def _rules_for(defaults: Defaults, file: Path | None, store: "Store | None", table: str | None) -> Rules:
    if file is not None:
        return _rules_from_file(file)
    if defaults.rules is not None:
        return defaults.rules()
    from bursar.dynamo.engine.group_commit import AsyncEngine

    if isinstance(store, AsyncEngine) and table is not None:
        document = store.engine.rules_document(table)
        if document is not None:
            return rules_from_toml(document)
    _exit_unusable("no rules found; give a file with --rules")


def _found_rules(context: click.Context, store_url: str | None, table: str | None, file: Path | None) -> Rules:
    defaults = _defaults(context)
    if file is not None or defaults.rules is not None:
        return _rules_for(defaults, file, None, None)

    async def stored() -> Rules:
        store = await _open_store(store_url, defaults, "--rules or --store")
        try:
            return _rules_for(defaults, None, store, _required(table or defaults.table, "--table"))
        finally:
            await store.close()

    found: Rules = asyncio.run(_exit_on_errors(stored()))
    return found


async def _open_store(given: str | None, defaults: Defaults, option: str) -> "Store":
    """Return the store, which must exist: the audit of a new, empty store would find nothing wrong."""
    from bursar.dynamo.clients.store import open_store
    from bursar.rules.native import load_guard

    url = _required(given or defaults.store_url, option)
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
        _exit_unusable(f"{'BURSAR_STORE or --store' if given else defaults.store_setting}: {error}")


async def _exit_on_errors(work: Any) -> Any:
    """Return the result of ``work``; print the environment's errors as one line and exit with code 2."""
    import apsw

    from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
    from bursar.dynamo.storage.sqlite_file import StoreFormatError

    try:
        return await work
    except* (DynamoError, StoreOutcomeUnknown, StoreUnreachable) as group:
        _exit_unusable(str(_first(group)))
    except* (apsw.Error, StoreFormatError, ValueError, OSError) as group:
        _exit_unusable(str(_first(group)))


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


def _on_engine(data: str, work: Callable[[Any], Any]) -> Any:
    """Return the result of ``work`` on the engine of the file ``data``."""
    import apsw

    from bursar.dynamo.engine.engine import Engine, RulesRefused
    from bursar.dynamo.errors import DynamoError
    from bursar.dynamo.storage.sqlite_file import StoreFormatError
    from bursar.rules.native import load_guard

    try:
        engine = Engine.open(data, guard_loader=load_guard)
    except (apsw.Error, StoreFormatError) as fault:
        _exit_unusable(f"{data}: {fault}")
    try:
        return work(engine)
    except DynamoError as fault:
        _exit_unusable(str(fault))
    except RulesRefused as refused:
        for violation in refused.violations:
            click.echo(violation, err=True)
        click.echo("bursar: the table breaks these rules; nothing was stored", err=True)
        sys.exit(BROKEN)
    finally:
        engine.close()


# --- what is printed -------------------------------------------------------------------------------------------------


def _audit_lines(lines: Any, judged: Rules, form: str) -> None:
    from bursar.rules.audit.stream_audit import NotAChange, audit_changes, changes_from_lines
    from bursar.rules.judging.plan import RulesPlan

    plan, found = RulesPlan(judged), 0
    try:
        for finding in audit_changes(plan, changes_from_lines(lines, plan)):
            found += 1
            _print_findings([finding], form)
    except NotAChange as fault:
        _exit_unusable(str(fault))
    if form == "text":
        click.echo(f"{found} findings")
    if found:
        sys.exit(BROKEN)


def _print_findings(findings: "list[Finding]", form: str) -> None:
    for finding in findings if form == "json" else findings[:SHOWN_FINDINGS_MAX]:
        if form == "json":
            finding_json = {"kind": finding.kind, "rule": finding.rule, "key": finding.key, "message": finding.message}
            click.echo(orjson.dumps({**finding_json, "repaired": finding.repaired}))
        else:
            click.echo(f"{finding.kind}: {finding.message}{REPAIRED[finding.kind] if finding.repaired else ''}")
    if form == "text" and len(findings) > SHOWN_FINDINGS_MAX:
        click.echo(f"… {len(findings) - SHOWN_FINDINGS_MAX} more; --format json lists them")


async def _item_count(store: "Store", table: str) -> int:
    described = await store.call("DescribeTable", {"TableName": table})
    return int(described["Table"].get("ItemCount", 0))


class _Progress:
    """A progress bar on stderr, shown only on a terminal."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("audit"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("audit", total=total)

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, items_read: int) -> None:
        self._bar.update(self._task, completed=items_read)
