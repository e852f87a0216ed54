"""Keep the note of an audit or a backup in the data folder, for the pages."""

from pathlib import Path
from typing import Any

import click

from bursar.dashboard.upkeep_notes import UpkeepKind, UpkeepNotes
from bursar.settings import Settings


def keep_note(settings: Settings, kind: UpkeepKind, at: float, **content: Any) -> None:
    """Write the note, if there is a data folder.

    If this fails, only warn, because the audit or backup itself is done.
    """
    folder = Path(settings.data)
    if not folder.is_dir():
        return
    try:
        UpkeepNotes(folder).keep(kind, at, **content)
    except OSError as error:
        click.echo(f"bursar: the note for the dashboard was not written: {error}", err=True)
