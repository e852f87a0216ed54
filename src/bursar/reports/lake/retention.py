"""How long the lake keeps rows: whole months leave it, and the store is not touched.

    now in New York   2026-11-30
    horizon           2019-11-01, with a retention of 7 years     months before it leave
    events            2018-11-01                                  they stay 12 months longer

A row leaves with the month of its partition, so a final attempt leaves by the month in which it became final, and a
live attempt stays. The state at an instant is made from events, and an attempt has events from before the month in
which it became final. So events are kept longer, and the state at any instant since the horizon is exact.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from bursar.clock import iso_ms
from bursar.payments.catalogue.fees import COURT_ZONE
from bursar.reports.errors import InstantForgotten
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.rows import TableRow, court_day
from bursar.reports.lake.schema import PAYMENT_EVENTS, TABLES, TableSchema

RETENTION_YEARS: Final = 7
EVENTS_LONGER_MONTHS: Final = 12
"""Events are kept this much longer than final attempts. An attempt that was live for longer loses its first events."""
_COURT: Final = ZoneInfo(COURT_ZONE)
_MONTH_OF_FILE: Final = re.compile(r"_month=([0-9]{4})-([0-9]{2})/")

FirstDays = Mapping[str, date]
"""Table name → the first day of its first month in the lake."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The retention in whole years; a month leaves when all its days are older."""

    years: int = RETENTION_YEARS

    def horizon(self, now: float) -> float:
        """Return the first instant whose state can be asked for, in Unix seconds."""
        return datetime.combine(_month_start(now, 12 * self.years), time(), _COURT).timestamp()

    def first_days(self, now: float) -> FirstDays:
        """Return the first day of each table that the lake keeps."""
        months = 12 * self.years
        longer = _month_start(now, months + EVENTS_LONGER_MONTHS)
        return {schema.name: longer if schema is PAYMENT_EVENTS else _month_start(now, months) for schema in TABLES}

    def check_instant(self, instant: float | None, now: float) -> None:
        """Raise :class:`InstantForgotten` for an instant before the horizon; None is the present."""
        horizon = self.horizon(now)
        if instant is not None and instant < horizon:
            raise InstantForgotten(
                f"as of: must not be before {iso_ms(horizon)}, the horizon of the lake, which keeps {self.years} "
                f"years; got {iso_ms(instant)}"
            )


def is_kept(schema: TableSchema, row: TableRow, first: FirstDays) -> bool:
    """Return whether the lake keeps a row. It keeps every live attempt."""
    day: date | None = row[schema.position(schema.partition_day)]
    return day is None or day >= first[schema.name]


def has_older_months(state: LakeState, first: FirstDays) -> bool:
    """Return whether a data file of the lake has a month before ``first``, as the names of the files show."""
    for name, table in state.items():
        for path in table.files:
            found = _MONTH_OF_FILE.search(path)
            if found is not None and date(int(found[1]), int(found[2]), 1) < first[name]:
                return True
    return False


def month_number(day: date) -> int:
    """Return the number of a day's month, counted from 1970-01, as in Iceberg's partitions."""
    return (day.year - 1970) * 12 + day.month - 1


def _month_start(now: float, months_ago: int) -> date:
    months = month_number(court_day(now)) - months_ago
    return date(1970 + months // 12, months % 12 + 1, 1)
