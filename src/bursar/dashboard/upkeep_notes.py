"""Notes of the last audit and the last backup: small private files in the data folder, which the pages show.

``bursar audit``, ``bursar audit --chain`` and ``bursar backup`` write them; a new note replaces the old one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import orjson

from bursar.private_files import replacing_private

UpkeepKind = Literal["audit", "chain_audit", "backup"]
KINDS: Final[tuple[UpkeepKind, ...]] = get_args(UpkeepKind)
LINES_KEPT_MAX: Final = 200
LINE_CHARS_MAX: Final = 500
NOTE_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class UpkeepNote:
    """The result of one run. ``at``: Unix seconds. ``findings``: how many are open; ``lines``: the first of them.

    ``facts``: further numbers and names, such as the target of a backup.
    """

    kind: UpkeepKind
    at: float
    findings: int = 0
    lines: tuple[str, ...] = ()
    facts: Mapping[str, str] | None = None


class UpkeepNotes:
    """The notes in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(
        self, kind: UpkeepKind, at: float, *, findings: int = 0, lines: Sequence[str] = (), **facts: object
    ) -> None:
        """Write the note of this kind. Raises ``OSError``."""
        shown = [line[:LINE_CHARS_MAX] for line in lines[:LINES_KEPT_MAX]]
        texts = {name: str(value) for name, value in facts.items()}
        with replacing_private(self._path(kind)) as file:
            file.write(orjson.dumps({"at": at, "findings": findings, "lines": shown, "facts": texts}))

    def read(self, kind: UpkeepKind) -> UpkeepNote | None:
        """Return the note of this kind; None if there is none that can be read."""
        try:
            with self._path(kind).open("rb") as file:
                stored: Any = orjson.loads(file.read(NOTE_BYTES_MAX))
            return UpkeepNote(
                kind, float(stored["at"]), int(stored["findings"]), tuple(map(str, stored["lines"])), stored["facts"]
            )
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def all(self) -> list[UpkeepNote]:
        """Return all notes that exist."""
        return [note for kind in KINDS if (note := self.read(kind)) is not None]

    def _path(self, kind: UpkeepKind) -> Path:
        return self._folder / f"last_{kind}.json"
