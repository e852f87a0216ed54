"""The page "Access log": who viewed, exported or changed which data; searchable, and downloadable as CSV."""

import asyncio
import csv
import io
from dataclasses import dataclass
from datetime import date
from typing import Final, TypedDict

from starlette.responses import Response

from bursar.dashboard.access_log import ENTRIES_MAX, AccessEntry
from bursar.dashboard.exports.downloads import MEDIA_TYPES, download_headers
from bursar.dashboard.formatting import eastern
from bursar.dashboard.queries.periods import PERIODS, period_of_days
from bursar.dashboard.queries.url_reader import FilterProblem, UrlReader
from bursar.dashboard.visit import Visit
from bursar.portal.contract.periods import court_day, day_of
from bursar.web.pages.harmless_text import cell_text

EXPORT_ENTRIES_MAX: Final = 100_000
COLUMNS: Final = ("at", "name", "roles", "address", "action", "target", "detail")


class Bounds(TypedDict, total=False):
    """The bounds of the entries in Unix seconds: ``since`` is included, ``until`` is not."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class LogFilter:
    """The entries that a URL asks for.

    They contain ``search``, and are of the days ``first`` to ``last`` in Eastern time.
    """

    search: str
    first: date | None
    last: date | None

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the URL."""
        pairs = [("search", self.search)] if self.search else []
        pairs += [("from", self.first.isoformat())] if self.first else []
        return pairs + ([("to", self.last.isoformat())] if self.last else [])

    @property
    def bounds(self) -> Bounds:
        """The instants at which the days begin and end."""
        bounds = Bounds()
        if self.first is not None:
            bounds["since"] = day_of(self.first).begin
        if self.last is not None:
            bounds["until"] = day_of(self.last).end
        return bounds


async def show_access_log(visit: Visit) -> Response:
    """Show the newest entries of the filter.

    A period that was chosen by name is replaced by its two days in the URL.
    """
    today = court_day(visit.parts.clock())
    found, problems = _asked(visit, today)
    asked = [(name, value) for name, value in visit.query if name != "before"]
    if not problems and asked != found.query:
        return visit.redirect(visit.path("access_log", found.query))
    entries = await asyncio.to_thread(
        visit.site.access_log.entries,
        search=found.search,
        before=visit.number("before"),
        limit=ENTRIES_MAX,
        **found.bounds,
    )
    return visit.page(
        "access_log.html",
        http_status=400 if problems else 200,
        entries=entries,
        filter=found,
        problems=problems,
        periods=list(PERIODS),
        period=period_of_days(found.first, found.last, today) or ("any" if found.first is found.last is None else ""),
        older=[*found.query, ("before", str(entries[-1].number))] if len(entries) == ENTRIES_MAX else [],
    )


async def export_access_log(visit: Visit) -> Response:
    """Send the entries of the filter, newest first. The export becomes an entry too."""
    found, problems = _asked(visit, court_day(visit.parts.clock()))
    if problems:
        return visit.redirect(visit.path("access_log", visit.query))  # that page shows the problem
    await visit.log("exported", "access log", **dict(found.query), form="csv")
    entries = await asyncio.to_thread(
        visit.site.access_log.entries, search=found.search, limit=EXPORT_ENTRIES_MAX, **found.bounds
    )
    content = await asyncio.to_thread(_csv, entries)
    return Response(content, headers=download_headers("access-log.csv"), media_type=MEDIA_TYPES["csv"])


def _asked(visit: Visit, today: date) -> tuple[LogFilter, list[FilterProblem]]:
    read = UrlReader(visit.query)
    return LogFilter(read.one("search"), *read.days(today)), read.problems


def _csv(entries: list[AccessEntry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for each in entries:
        at = eastern(each.at).isoformat(timespec="milliseconds")
        facts = "; ".join(f"{name}: {value}" for name, value in each.detail.items())
        cells = (each.name, " ".join(each.roles), each.address, each.action, each.target, facts)
        writer.writerow([at, *map(cell_text, cells)])
    return text.getvalue()
