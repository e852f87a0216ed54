"""The command line as a newcomer sees it: the output of `--help`, the docs of every command, and missing extras."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from bursar.bootstrap.composition import Composition
from bursar.cli import COMMANDS, EXTRAS_WITH, bursar
from bursar.settings import Settings
from tests.support.bootstrap.whole_system import clean_environment

WITHOUT = """
import json, os, sys
asked = json.load(sys.stdin)
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in asked["modules"]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NotInstalled())
from click.testing import CliRunner
from bursar.cli import bursar
ran = []
for command in asked["commands"]:
    result = CliRunner().invoke(bursar, command, prog_name="bursar")
    failure = None if isinstance(result.exception, SystemExit) else result.exception
    ran.append([result.exit_code, result.stdout, result.stderr + (repr(failure) if failure else "")])
json.dump(ran, sys.stdout)
"""
"""A program that runs commands in one process as if the packages of some extras were not installed."""

Ran = tuple[int, str, str]
"""Exit code, standard output, standard error followed by the exception that left the command, if any."""

GROUPS = {
    "lake": ("ddl", "verify", "write"),
    "reconcile": ("run", "list", "show", "sign-off"),
    "paygov": ("probe",),
    "rules": ("show", "iam-policy"),
    "refunds": ("approve", "reject"),
    "user": ("add", "list", "remove", "role"),
    "webhooks": ("retry", "deliver", "test", "replay"),
    "dynamo": ("ls", "shell", "rules"),
}

EXTRA_FOR_COMMAND: Mapping[str, str | None] = {
    "up": "portal",
    "demo": "reports",
    "portal": "portal",
    "portal --workers 2": "portal",
    "dashboard": "portal",
    "backup backup.db": "portal",
    "restore data/bursar.db --data elsewhere": "portal",
    "move file:data/bursar.db file:elsewhere/bursar.db": "portal",
    "restored": "portal",
    "shards": "portal",
    "generate --payments 1 --data elsewhere": "portal",
    "simulator --port 0": "portal",
    "paygov probe": "portal",
    "sql 'SELECT 1'": "reports",
    "report": None,
    "report fees_by_month": "reports",
    "report fees_by_month --sql duckdb": None,
    "report fees_by_month --sql athena": None,
    "report fees_by_month --engine athena": "aws",
    "lake ddl": "reports",
    "reconcile list": "reports",
    "lake write": "reports",
    "lake verify": "reports",
    "reports": "portal",
    "audit": "portal",
    "rules show": "portal",
    "sweep --once": "portal",
    "attention": "portal",
    "resolve x --as failed --by me --reason test": "portal",
    "erase --ended-before-days 1 --by me --reason test": "portal",
    "refunds": "portal",
    "deposit x --ticket 1 --on 2026-12-01 --by me": "portal",
    "import webhooks.toml --by me": "portal",
    "reverse x --kind returned --by me --reason test": "portal",
    "user list": None,
    "webhooks": "portal",
    "webhooks deliver": "portal",
    "dynamo ls --data data/bursar.db": None,
    "dynamo dump --data data/bursar.db": None,
    "dynamo check --data data/bursar.db": None,
    "dynamo rules show --table bursar-payments --data data/bursar.db": None,
    "dynamo shell --data data/bursar.db -c 'SELECT * FROM \"bursar-payments\"'": None,
    "dynamo shell --endpoint dynamodb:?region=us-east-1 -c x": "aws",
    "cost --payments-per-month 1000": None,
    "settings": None,
}
"""Command → the extra that it names in the base install, None where the base install is enough."""

DOCS = Path(__file__).parent.parent / "docs" / "commands.md"


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(bursar, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(bursar, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: bursar {name}" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    assert f"bursar {name}" in DOCS.read_text()


def test_an_unknown_command_is_bad_usage() -> None:
    result = CliRunner().invoke(bursar, ["pay"])
    assert result.exit_code == 2
    assert "No such command 'pay'" in result.output


def test_help_loads_no_room() -> None:
    probe = (
        "import sys; from bursar.cli import main; main(['--help'], standalone_mode=False);"
        "heavy = [m for m in sys.modules if m.split('.')[0] in "
        "{'duckdb', 'pyarrow', 'pyiceberg', 'boto3', 'botocore', 'aiohttp', 'starlette', 'apsw'}];"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_mounting_a_group_leaves_the_group_below_unchanged() -> None:
    from bursar.dynamo.commands import dynamo

    assert CliRunner().invoke(bursar, ["dynamo", "rules", "--help"]).exit_code == 0
    assert "rules" not in dynamo.commands


def run_without(modules: Iterable[str], commands: Iterable[str], cwd: Path) -> dict[str, Ran]:
    """Run each command line where ``modules`` are not installed."""
    settings = {
        "BURSAR_PAYGOV_URL": "http://127.0.0.1:9/",
        "BURSAR_PAYMENT_URL": "http://127.0.0.1:9/",
        "BURSAR_DEVELOPMENT_CLIENT": "true",
        "BURSAR_WEBHOOKS": "webhooks.toml",
        "BURSAR_PORT": "0",
        "BURSAR_SIMULATOR_PORT": "0",
    }
    commands = list(commands)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        input=json.dumps({"modules": list(modules), "commands": [shlex.split(command) for command in commands]}),
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
        env=clean_environment() | settings,
        timeout=200,
    )
    return {command: tuple(ran) for command, ran in zip(commands, json.loads(done.stdout), strict=True)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a portal's store and a file of subscriptions."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "webhooks.toml").touch(0o600)
    (folder / "webhooks.toml").write_text(
        '[webhooks.test]\nclient = "development"\nurl = "https://court.example/"\n'
        'secret = "at least thirty-two characters long"\n'
    )

    async def make() -> None:
        async with Composition(Settings(data=str(folder / "data"))) as parts:
            await parts.ledger()

    asyncio.run(make())
    return folder


def test_the_base_install_runs_a_command_or_names_its_extra_in_one_line(folder: Path) -> None:
    ran = run_without(EXTRAS_WITH, EXTRA_FOR_COMMAND, folder)
    for command, (code, _, error) in ran.items():
        name, extra = command.split()[0], EXTRA_FOR_COMMAND[command]
        line = "" if extra is None else f"bursar: {name} needs bursar[{extra}]: pip install 'bursar[{extra}]'\n"
        assert (command, code, error) == (command, 0 if extra is None else 2, line)


def test_no_command_is_left_out() -> None:
    assert {command.split()[0] for command in EXTRA_FOR_COMMAND} == set(COMMANDS)


def test_every_help_works_in_the_base_install(tmp_path: Path) -> None:
    groups = [f"{group} {name}" for group, names in GROUPS.items() for name in names]
    ran = run_without(EXTRAS_WITH, [f"{command} --help".strip() for command in ("", *COMMANDS, *groups)], tmp_path)
    for command, (code, output, error) in ran.items():
        assert (command, code, error) == (command, 0, "")
        assert output.startswith(f"Usage: bursar {command.removesuffix('--help')}".strip())


def test_reports_need_no_other_extra(folder: Path) -> None:
    others = [module for module, extras in EXTRAS_WITH.items() if "reports" not in extras]
    question = "sql 'SELECT count(*) AS n FROM payments' --format json"
    code, output, error = run_without(others, [question], folder)[question]
    assert (code, error) == (0, "")
    assert '"n":0' in output.replace(" ", "")


def test_a_missing_module_of_the_base_install_is_not_hidden(tmp_path: Path) -> None:
    code, _, error = run_without(["rich"], ["settings"], tmp_path)["settings"]
    assert code == 1
    assert "ModuleNotFoundError(\"No module named 'rich'\")" in error


def test_the_table_of_extras_is_the_one_in_pyproject() -> None:
    project = tomllib.loads((DOCS.parent.parent / "pyproject.toml").read_text())["project"]
    declared = {
        (re.split(r"[^\w-]", requirement)[0].replace("-", "_"), extra)
        for extra, requirements in project["optional-dependencies"].items()
        for requirement in requirements
    }
    module_names = {"argon2_cffi": "argon2", "fpdf2": "fpdf"}
    declared = {(module_names.get(module, module), extra) for module, extra in declared}
    listed = {(module, extra) for module, extras in EXTRAS_WITH.items() for extra in extras}
    assert listed - {("botocore", "aws")} == declared  # botocore comes with boto3
