"""The head of an answer: its columns, and for a named report its title, its units and the columns that have a total."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from bursar.payments.catalogue.fees import COURT_ZONE
from bursar.reports.sql.answer import AnswerStream, SqlAnswer, distinct_names

COURT: Final = ZoneInfo(COURT_ZONE)
USD: Final = "USD"
SHARE: Final = "share"
"""The unit of a number from 0 to 1, which people read as a percentage."""
DURATION: Final = "duration"
"""The unit of a number of seconds, which people read as hours and minutes."""
COUNTED_UNITS: Final = frozenset({"attempts", "payments", "reversals", "requests", "collections", "events"})
"""Units that a heading leaves out, because the names of their columns say what they count."""


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """A column of a named report: its unit and meaning; ``is_total``: its values may be added up."""

    name: str
    unit: str
    is_total: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a file. ``lines`` are shown below the title: the question and the parameters.

    ``is_report``: times are shown in New York, and columns with their units.
    """

    title: str
    lines: tuple[str, ...] = ()
    columns: Mapping[str, ReportColumn] = field(default_factory=dict)
    is_report: bool = True


NO_SUBJECT: Final = Subject("Answer", is_report=False)


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The columns of an answer, their SQL types, and the time as of which it holds (epoch s)."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    as_of: float
    subject: Subject = NO_SUBJECT

    @classmethod
    def of(cls, answer: SqlAnswer | AnswerStream, subject: Subject = NO_SUBJECT) -> "AnswerHead":
        """Return the head of ``answer``."""
        return cls(answer.columns, answer.types, answer.as_of, subject)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, each once."""
        return distinct_names(self.columns)

    @property
    def headings(self) -> tuple[str, ...]:
        """The columns' names for people, with units: ``collected (USD)``."""
        return tuple(heading(self.subject.columns.get(name), name, self._zone_of(kind)) for name, kind in self._typed)

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone in which times are shown; None for UTC."""
        return COURT if self.subject.is_report else None

    def unit(self, place: int) -> str | None:
        """Return the unit of the column at ``place``; None if it has none."""
        column = self.subject.columns.get(self.columns[place])
        return None if column is None else column.unit

    def _zone_of(self, kind: str) -> str | None:
        return "New York" if self.subject.is_report and kind.startswith("TIMESTAMP") else None

    @property
    def _typed(self) -> Iterable[tuple[str, str]]:
        return zip(self.columns, self.types, strict=True)


def heading(column: ReportColumn | None, name: str, zone: str | None = None) -> str:
    """Return a column's name for people, with its unit."""
    if zone is not None:
        return f"{name} ({zone})"
    if column is None or column.unit in COUNTED_UNITS:
        return name
    if column.unit == DURATION:
        return name.removesuffix("_s")
    return f"{name} (%)" if column.unit == SHARE else f"{name} ({column.unit})"


class Totals:
    """The sums of the columns that have a total, over all added rows."""

    def __init__(self, head: AnswerHead) -> None:
        columns = head.subject.columns
        self._sums: dict[int, Decimal | int] = {
            place: 0 for place, name in enumerate(head.columns) if name in columns and columns[name].is_total
        }
        self._names = head.names
        self.rows = 0

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add the values of ``rows``; null values are ignored."""
        self.rows += len(rows)
        for place in self._sums:
            self._sums[place] += sum((row[place] for row in rows if row[place] is not None), 0)

    @property
    def has_any(self) -> bool:
        """Whether any column has a total and any row was added."""
        return bool(self._sums) and self.rows > 0

    def value(self, place: int) -> Decimal | int | None:
        """Return the total of the column at ``place``; None if it has none."""
        return self._sums.get(place)

    def by_name(self) -> dict[str, Decimal | int]:
        """Return the totals by the names of their columns."""
        return {self._names[place]: total for place, total in self._sums.items()}
