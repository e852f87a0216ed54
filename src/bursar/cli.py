"""The command ``bursar``. It mounts the commands of every room and imports a room only when its command runs."""

import copy
import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import click

from bursar import __version__

COMMANDS: Mapping[str, tuple[str, str]] = {
    # command: (module:object, the line that `bursar --help` shows without importing the module)
    "up": (
        "bursar.bootstrap.commands:up",
        "Run the portal, Pay.gov's simulator and the pages.",
    ),
    "demo": (
        "bursar.bootstrap.commands:demo",
        "Make payments against a running `bursar up` and print the report.",
    ),
    "generate": (
        "bursar.bootstrap.generate.commands:generate",
        "Make a new store with a made-up history of payments.",
    ),
    "portal": (
        "bursar.bootstrap.commands:portal",
        "Run the portal and its sweeper against the configured store.",
    ),
    "dashboard": (
        "bursar.bootstrap.commands:dashboard",
        "Serve the dashboard alone, beside a portal.",
    ),
    "backup": ("bursar.bootstrap.store_commands:backup", "Copy the store while the portal runs, and check the copy."),
    "restore": (
        "bursar.bootstrap.store_commands:restore",
        "Put a backup in the place of the store, and mark the store as restored.",
    ),
    "move": (
        "bursar.bootstrap.move.commands:move",
        "Move the store to another place while the portal runs.",
    ),
    "restored": (
        "bursar.portal.restore_commands:restored",
        "Show the restores of the store, or clear their mark after comparing with Pay.gov.",
    ),
    "shards": (
        "bursar.portal.shard_commands:shards",
        "Show or raise the number of shards of the index of changes.",
    ),
    "simulator": ("bursar.paygov.commands:simulator", "Run only Pay.gov's simulator."),
    "paygov": ("bursar.paygov.commands:paygov", "Probe which assumptions about Pay.gov hold."),
    "sql": ("bursar.reports.commands:sql", "Query all payments in SQL."),
    "report": ("bursar.reports.commands:report", "Run a named report, or list the reports."),
    "reconcile": (
        "bursar.reports.reconciliation.commands:reconcile",
        "Compare Pay.gov's activity files with the payments; keep and sign off the runs.",
    ),
    "lake": ("bursar.reports.commands:lake", "Write the lake, or prove that it equals the table."),
    "reports": (
        "bursar.bootstrap.commands:reports",
        "Serve SQL over every payment to the other processes of this machine.",
    ),
    "audit": ("bursar.rules.commands:audit", "Read the whole table and report every broken rule."),
    "rules": (
        "bursar.rules.commands:rules",
        "Show the rules of the payments table, or the IAM policy that they need.",
    ),
    "sweep": ("bursar.portal.commands:sweep", "Settle, resolve and expire the attempts that are due."),
    "attention": ("bursar.portal.commands:attention", "List the attempts that only a person can settle."),
    "resolve": (
        "bursar.portal.commands:resolve",
        "Settle an attempt by hand; an event records the person and the reason.",
    ),
    "erase": (
        "bursar.portal.commands:erase",
        "Erase the personal data of obligations that ended long ago.",
    ),
    "import": (
        "bursar.portal.import_commands:import_",
        "Import another portal's records.",
    ),
    "reverse": (
        "bursar.portal.reversal_commands:reverse",
        "Record money that went back: a return, a chargeback, or a request for a refund.",
    ),
    "refunds": ("bursar.portal.reversal_commands:refunds", "List, approve and reject the requests for refunds."),
    "deposit": ("bursar.portal.deposit_commands:deposit", "Record the payments that a deposit ticket holds."),
    "user": (
        "bursar.bootstrap.user_commands:user",
        "Manage the people that may sign in to the dashboard.",
    ),
    "webhooks": (
        "bursar.portal.webhook_commands:webhooks",
        "List and retry deliveries and dead letters of webhooks.",
    ),
    "dynamo": ("bursar.dynamo.commands:dynamo", "DynamoDB in a file: serve, inspect and copy it."),
    "cost": ("bursar.bootstrap.bill.commands:cost", "Print what Bursar costs on AWS in a month, line by line."),
    "settings": ("bursar.bootstrap.commands:settings", "List every setting with its value and meaning."),
}


MOUNTED: Mapping[str, tuple[str, str, str]] = {
    # command of a lower room: (name below it, group of an upper room, line in --help)
    "dynamo": ("rules", "bursar.rules.commands:dynamo_rules", "Store, show and check the rules of a table."),
}


EXTRAS_WITH: Mapping[str, tuple[str, ...]] = {
    "argon2": ("portal",),
    "authlib": ("portal",),
    "httpx2": ("portal",),
    "itsdangerous": ("portal",),
    "jinja2": ("portal", "console"),
    "joserfc": ("portal",),
    "jsonschema_rs": ("portal", "reports"),
    "prometheus_client": ("portal",),
    "python_multipart": ("portal",),
    "segno": ("portal",),
    "starlette": ("portal", "console"),
    "uvicorn": ("portal", "console"),
    "duckdb": ("reports",),
    "fpdf": ("reports",),
    "matplotlib": ("reports",),
    "prompt_toolkit": ("reports",),
    "pyarrow": ("reports",),
    "pygments": ("reports",),
    "pyiceberg": ("reports",),
    "xlsxwriter": ("reports",),
    "boto3": ("aws",),
    "botocore": ("aws",),
    "amazon": ("ion",),
}
"""Top-level module → the extras of Bursar that install it. All other modules belong to the base install."""


class NeedsExtra(click.ClickException):
    """The command needs an extra that is not installed. It ends with one line and exit code 2."""

    exit_code = 2

    def __init__(self, command: str, extra: str) -> None:
        super().__init__(f"bursar: {command} needs bursar[{extra}]: pip install 'bursar[{extra}]'")

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line on standard error."""
        click.echo(self.message, err=True)


def _load(target: str) -> click.Command:
    module, _, name = target.partition(":")
    command = getattr(importlib.import_module(module), name)
    assert isinstance(command, click.Command)
    return command


def _load_guard(document: str) -> Any:
    """Return the guard for a rules document. ``bursar dynamo`` enforces rules but must not import ``rules``."""
    from bursar.rules.native import load_guard

    return load_guard(document)


class Factories(Mapping[str, Any]):
    """The factories of the objects that commands use, by name.

    The composition root is imported when the first one is used.
    """

    def __getitem__(self, name: str) -> Any:
        return self._factories()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._factories())

    def __len__(self) -> int:
        return len(self._factories())

    def _factories(self) -> Mapping[str, Any]:
        from bursar.bootstrap.factories import FACTORIES

        return FACTORIES


class LazyMount(click.Group):
    """A group of an upper room, mounted under a command of a lower room. It is imported on first use."""

    def __init__(self, name: str, target: str, help_line: str) -> None:
        super().__init__(name, help=help_line)
        self._target = target

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the group's commands."""
        return self._group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None if the group has no such command."""
        return self._group().get_command(ctx, cmd_name)

    def _group(self) -> click.Group:
        group = _load(self._target)
        assert isinstance(group, click.Group)
        return group


def _with_mounted(group: click.Group, mounted: click.Command) -> click.Group:
    # A copy, because the room's tests and other programs use the group without the mounted command.
    extended = copy.copy(group)
    extended.commands = dict(group.commands)
    extended.add_command(mounted)
    return extended


class LazyGroup(click.Group):
    """A click group that imports the module of a command when the command is looked up."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. If a package is missing, raise :class:`NeedsExtra` with the extra that installs it."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            extras = EXTRAS_WITH.get((error.name or "").partition(".")[0])
            if extras is None:
                raise
            command = str(ctx.invoked_subcommand)
            room = COMMANDS[command][0].split(".")[1]
            raise NeedsExtra(command, room if room in extras else extras[0]) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, with its mounted group if it has one; None for an unknown name."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        command = _load(target[0])
        if isinstance(command, click.Group) and cmd_name in MOUNTED:
            return _with_mounted(command, LazyMount(*MOUNTED[cmd_name]))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        # The lines come from the table, so `bursar --help` imports no room.
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bursar")
@click.pass_context
def bursar(ctx: click.Context) -> None:
    """Run a payment portal on DynamoDB that cannot charge a payer twice, and answer finance's questions in SQL."""
    ctx.obj = Factories()
    ctx.meta["bursar.dynamo.guard_loader"] = _load_guard


def main(arguments: Sequence[str] | None = None, **extra: Any) -> None:
    """Run the command line. Exit codes: 0 done; 1 the answer is no; 2 bad usage, settings or environment."""
    bursar.main(args=list(arguments) if arguments is not None else None, prog_name="bursar", **extra)
