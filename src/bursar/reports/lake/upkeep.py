"""The upkeep of the lake, in one small file: how far the lake is complete, and how it was verified last.

    reports process ── after each write and verification ──► FILE ◄── /health, /metrics of every portal

When the reports process does not run, the figures are not updated, and an alarm reports their age.
"""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from bursar.private_files import make_private_folder, replacing_private

OVERDUE_INTERVALS: Final = 2.0
"""A verification is overdue after this many intervals."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The last figures; None for a figure that does not exist yet. Times are Unix seconds.

    ``complete_at``: the lake has every change before this time. ``verified_at``: the end of the last verification.
    ``differences``: the rows that differed then.
    """

    complete_at: float | None = None
    verified_at: float | None = None
    differences: int = 0

    def problem(self, now: float, interval_s: float, running_since: float) -> str | None:
        """Return why the lake needs a person, or None. It is verified every ``interval_s``.

        ``running_since``: if the lake was never verified, the interval begins at this time.
        """
        if self.differences:
            return f"the last verification found {self.differences} differences, and repaired them"
        since = running_since if self.verified_at is None else self.verified_at
        if now - since > OVERDUE_INTERVALS * interval_s:
            return f"the verification is overdue: the last was {(now - since) / 3600:.0f} hours ago"
        return None

    def is_due(self, now: float, interval_s: float) -> bool:
        """Return whether the lake must be verified now. It is also due if the clock was set back."""
        return self.verified_at is None or not 0 <= now - self.verified_at < interval_s


class UpkeepFile:
    """The file with the figures. Each write replaces it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Upkeep:
        """Return the figures; none of them if the file is missing or damaged."""
        try:
            found: dict[str, Any] = orjson.loads(self._path.read_bytes())
            return Upkeep(**found)
        except FileNotFoundError:
            return Upkeep()
        except (OSError, ValueError, TypeError) as error:
            _log.warning("the record of the lake's upkeep cannot be read: %s", error)
            return Upkeep()

    def note_complete(self, at: float) -> None:
        """Record that the lake has every change before ``at``."""
        self._write(replace(self.read(), complete_at=at))

    def note_verified(self, at: float, differences: int) -> None:
        """Record the end of a verification, and how many rows differed."""
        self._write(replace(self.read(), verified_at=at, differences=differences))

    def _write(self, upkeep: Upkeep) -> None:
        """Replace the file.

        If the disk is full, the figures are lost, but the work that they report is not affected.
        """
        try:
            make_private_folder(self._path.parent)
            with replacing_private(self._path) as file:
                file.write(orjson.dumps(asdict(upkeep)))
        except OSError as error:
            _log.warning("the record of the lake's upkeep cannot be written: %s", error)
