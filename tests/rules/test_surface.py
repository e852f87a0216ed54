"""The public names, and that importing them loads nothing heavy."""

import subprocess
import sys

import bursar.rules


def test_the_names_are_sorted_and_there() -> None:
    assert bursar.rules.__all__ == sorted(bursar.rules.__all__)
    assert all(hasattr(bursar.rules, name) for name in bursar.rules.__all__)


def test_importing_the_room_is_cheap() -> None:
    script = "import sys, bursar.rules; print([m for m in ('click', 'rich', 'botocore', 'duckdb') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
