"""The file that a command writes: standard output, or a file that appears when it is complete."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from bursar.private_files import replacing_private
from bursar.reports.output.forms import BINARY


@contextmanager
def output_file(path: Path | None) -> Iterator[BinaryIO]:
    """Open the file at ``path`` for writing, None for standard output. Only its owner may read it.

    The file appears under its name when everything is written, so an error leaves no partial file.
    """
    if path is None:
        stream: BinaryIO = sys.stdout.buffer
        yield stream
        stream.flush()
        return
    try:
        with replacing_private(path) as file:
            yield file
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from error


def refuse_terminal(form: str, path: Path | None) -> None:
    """Raise a usage error if a binary form would be written to a terminal."""
    if form in BINARY and path is None and sys.stdout.isatty():
        raise click.UsageError(f"--format {form}: a terminal cannot show it; use --output FILE")
