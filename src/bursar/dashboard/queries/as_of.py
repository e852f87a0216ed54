"""The instant of the past that a page answers for, as a URL has it: a day, which means the day's end, or an instant."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from bursar.reports.errors import BadParameter
from bursar.reports.report_parameters import past_instant

AS_OF: Final = "as_of"
"""The name of the parameter in a URL."""
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class AsOf:
    """An instant of the past, or the present: ``text`` as the URL has it, ``instant`` in Unix seconds."""

    text: str = ""
    instant: float | None = None

    @property
    def day(self) -> str:
        """The day, for a field of a form; an empty text for the present and for an instant within a day."""
        return self.text if _DAY.fullmatch(self.text) else ""

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameter of a URL; no parameter for the present."""
        return [(AS_OF, self.text)] if self.text else []


PRESENT: Final = AsOf()


def read_as_of(text: str, today: date, now: float) -> AsOf:
    """Return the instant in ``text``. The end of ``today`` is in the future, so ``today`` means the present.

    Raises :class:`bursar.reports.errors.BadParameter` for any other text, and for an instant after ``now``.
    """
    if text in ("", today.isoformat()):
        return PRESENT
    instant = past_instant(text)
    if instant > now:
        raise BadParameter(f"as of: must not be after the present; got {text[:40]!r}")
    return AsOf(text, instant)


def as_of_text(instant: float) -> str:
    """Return the text that names an instant, Unix seconds, in a URL: UTC, to the millisecond, rounded down."""
    moment = datetime.fromtimestamp(int(instant * 1000) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
