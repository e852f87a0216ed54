"""The commands ``bursar audit``, ``bursar rules`` and ``bursar dynamo rules`` (a group that ``dynamo`` mounts).

Rules come from ``--rules FILE`` (TOML), else from the :class:`Defaults` that ``ctx.obj["rules"]()`` returns, else from
the document stored with the table. Exit codes: 0 nothing is wrong, 1 a rule is broken, 2 bad usage or environment.
"""

import asyncio
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from bursar.rules.command_inputs import (
    BROKEN,
    HistoryReport,
    data_path,
    defaults_of,
    exit_on_errors,
    exit_unusable,
    found_rules,
    item_count,
    on_engine,
    open_store,
    required,
    rules_for,
    rules_from_file,
)
from bursar.rules.language.render import rules_table, transitions_diagram
from bursar.rules.language.ruleset import Rules
from bursar.rules.language.toml import rules_from_toml, rules_to_toml
from bursar.rules.language.vocabulary import Transitions

if TYPE_CHECKING:
    from bursar.rules.audit.table_audit import Finding, Report

SHOWN_FINDINGS_MAX = 200

REPAIRED = {"stale sentinel": " (removed)", "missing sentinel": " (written)"}
"""The text for the repair of a finding, by its kind."""

FORMS = ("table", "toml", "mermaid", "ascii")


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
@click.option("--chain", is_flag=True, help="Check the chains of events and the daily roots instead of the rules.")
@click.option(
    "--root",
    "day",
    is_flag=False,
    flag_value="yesterday",
    metavar="[DATE]",
    help="Compute the root of one day (UTC) from the table instead.  [default: yesterday]",
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
    chain: bool,
    day: str | None,
    form: str,
) -> None:
    """Read a whole table and report every broken rule, orphan and missing sentinel.

    With --chain, report instead every event that was altered, removed or reordered.

    Exit code 0: nothing is wrong (or all was repaired); 1: something is wrong; 2: the audit could not run.
    """
    defaults = defaults_of(context)
    if chain or day is not None:
        if repair or adopt or native or changes is not None or file is not None or (chain and day is not None):
            raise click.UsageError("--chain, --root: must be given without other kinds of audit")
        _audit_history(context, store_url, table, segments, day, form)
        return
    if adopt and native:
        raise click.UsageError("--adopt: must not be combined with --native, which expects no sentinels")
    if changes is not None:
        _audit_lines(changes, rules_for(defaults, file, None, None), form)
        return

    async def run() -> "Report":
        from bursar.rules.audit.table_audit import audit_table

        name = required(table or defaults.table, "--table")
        store = await open_store(store_url, defaults, "--store")
        try:
            rules = rules_for(defaults, file, store, name)
            with _Progress(await item_count(store, name)) as progress:
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

    report = asyncio.run(exit_on_errors(run()))
    is_own = store_url in (None, defaults.store_url) and table in (None, defaults.table) and file is None
    if is_own and defaults.keep_audit is not None:
        lines = [_finding_line(finding) for finding in report.findings if not finding.repaired]
        defaults.keep_audit(False, report.count - report.repaired, lines)
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


def _audit_history(
    context: click.Context, store_url: str | None, table: str | None, segments: int, day: str | None, form: str
) -> None:
    """Check the table's history and print the findings, or print the root of ``day``."""
    defaults = defaults_of(context)
    if defaults.history is None:
        raise click.UsageError("--chain, --root: must be used on the payments table")
    make_history = defaults.history

    async def run() -> "HistoryReport | Mapping[str, Any]":
        name = required(table or defaults.table, "--table")
        store = await open_store(store_url, defaults, "--store")
        try:
            history = make_history(store, name)
            if day is not None:
                return await history.root(day)
            with _Progress(await item_count(store, name)) as progress:
                return await history.check(segments=segments, on_progress=progress)
        finally:
            await store.close()

    found: Any = asyncio.run(exit_on_errors(run()))
    if day is not None:
        click.echo(orjson.dumps(found) if form == "json" else "  ".join(f"{name} {found[name]}" for name in found))
        return
    if store_url in (None, defaults.store_url) and table in (None, defaults.table) and defaults.keep_audit is not None:
        defaults.keep_audit(True, found.count, [line for line, _ in found.lines()])
    for number, (line, finding_json) in enumerate(found.lines()):
        if form == "json":
            click.echo(orjson.dumps(finding_json))
        elif number < SHOWN_FINDINGS_MAX:
            click.echo(line)
    if form == "json":
        click.echo(orjson.dumps(found.totals))
    else:
        if found.count > SHOWN_FINDINGS_MAX:
            click.echo(f"… {found.count - SHOWN_FINDINGS_MAX} more; --format json lists them")
        click.echo(", ".join(f"{count} {name}" for name, count in found.totals.items()))
    if found.count:
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
    shown = found_rules(context, store_url, table, file)
    match form:
        case "table":
            click.echo(rules_table(shown), nl=False)
        case "toml":
            click.echo(rules_to_toml(shown), nl=False)
        case _:
            graphs = [rule.name for rule in shown.rules if isinstance(rule, Transitions)]
            if name is None and len(graphs) != 1:
                exit_unusable(
                    f"choose one with --name: {', '.join(graphs)}" if graphs else "no transitions rule to draw"
                )
            try:
                click.echo(transitions_diagram(shown, name or graphs[0], form), nl=False)
            except (KeyError, ValueError) as fault:
                exit_unusable(str(fault.args[0]))


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
    """Print the policies that allow only transactions that keep the rules to write."""
    from bursar.rules.transactions.iam_policy import iam_policies

    policies = iam_policies(found_rules(context, store_url, table, file), table_arn, writers)
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
    rules_from_file(file)
    on_engine(data_path(context, data), lambda engine: engine.put_rules_document(table, file.read_text()))
    click.echo(f"{table} now has the rules of {file}")


@dynamo_rules.command(name="show")
@_DATA
@_GUARDED
@click.option("--form", type=click.Choice(FORMS[:2]), default="toml", show_default=True)
@click.pass_context
def show_stored(context: click.Context, data: str | None, table: str, form: str) -> None:
    """Print the rules that are stored with a table."""
    document = on_engine(data_path(context, data), lambda engine: engine.rules_document(table))
    if document is None:
        exit_unusable(f"{table} has no rules")
    click.echo(document if form == "toml" else rules_table(rules_from_toml(document)), nl=False)


@dynamo_rules.command()
@_DATA
@_GUARDED
@_DOCUMENT
@click.pass_context
def check(context: click.Context, data: str | None, table: str, file: Path) -> None:
    """Report the items of a table that break the rules of FILE. Nothing is stored."""
    context.invoke(
        audit, store_url=f"file:{Path(data_path(context, data)).absolute()}", table=table, file=file, native=True
    )


@dynamo_rules.command()
@_DATA
@_GUARDED
@click.pass_context
def drop(context: click.Context, data: str | None, table: str) -> None:
    """Remove a table's rules: writes are no longer checked."""
    on_engine(data_path(context, data), lambda engine: engine.put_rules_document(table, None))
    click.echo(f"{table} has no rules now")


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
        exit_unusable(str(fault))
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
            click.echo(_finding_line(finding))
    if form == "text" and len(findings) > SHOWN_FINDINGS_MAX:
        click.echo(f"… {len(findings) - SHOWN_FINDINGS_MAX} more; --format json lists them")


def _finding_line(finding: "Finding") -> str:
    return f"{finding.kind}: {finding.message}{REPAIRED[finding.kind] if finding.repaired else ''}"


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
