"""An SQLite that can lose commits is refused by every command that opens a store."""

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from bursar.dynamo import Engine, StoreFormatError

OLD_SQLITE = """
import sys
import apsw
from bursar.cli import main
apsw.sqlite_lib_version = lambda: "3.51.2"
main(sys.argv[1:])
"""
REASON = (
    "SQLite: must be 3.51.3 or newer, because older versions can lose commits in WAL mode; got 3.51.2: "
    "install apsw 3.51.3 or newer"
)


@pytest.mark.parametrize(
    "command",
    [
        "dynamo --data store.db --port 0",
        "dynamo --data store.db --port 0 --workers 2",
        "dynamo --data store.db ls",
        "dynamo --data store.db check",
        "portal",
        "up",
    ],
)
def test_a_command_ends_with_one_line_and_exit_code_2(command: str, tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    done = subprocess.run(
        [sys.executable, "-c", OLD_SQLITE, *command.split()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"BURSAR_DEVELOPMENT_CLIENT": "true"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    # The portal logs, as JSON, that it accepts the development client.
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert line.endswith(REASON)
    assert (tmp_path / "store.db").read_bytes() == b""


@pytest.mark.parametrize(
    ("version", "accepted"),
    [("3.45.1", False), ("3.50.7", False), ("3.51.2", False), ("3.51.3", True), ("3.100.0", True), ("4.0.0", True)],
)
def test_the_engine_in_process_checks_the_version_too(
    version: str, accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: version)
    if accepted:
        Engine.open(":memory:").close()
        return
    with pytest.raises(StoreFormatError, match=f"must be 3.51.3 or newer.*got {version}"):
        Engine.open(":memory:")
