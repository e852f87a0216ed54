"""The command line as a stranger meets it: what `--help` shows, and that the docs name every command."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bursar.cli import COMMANDS, bursar

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
