"""The page "Access log": who viewed, exported or changed which data; searchable, and downloadable as CSV."""

import asyncio
import csv
import io
from typing import Final

from starlette.responses import Response

from bursar.dashboard.access_log import ENTRIES_MAX, AccessEntry
from bursar.dashboard.exports.downloads import MEDIA_TYPES, download_headers
from bursar.dashboard.formatting import eastern
from bursar.dashboard.visit import Visit
from bursar.web.pages.harmless_text import cell_text

SEARCH_CHARS_MAX: Final = 200
EXPORT_ENTRIES_MAX: Final = 100_000
COLUMNS: Final = ("at", "name", "roles", "address", "action", "target", "detail")


async def show_access_log(visit: Visit) -> Response:
    """Show the newest entries that contain the search text."""
    search = visit.request.query_params.get("search", "")[:SEARCH_CHARS_MAX]
    entries = await asyncio.to_thread(visit.site.access_log.entries, search=search, before=visit.number("before"))
    older = [("search", search), ("before", str(entries[-1].number))] if len(entries) == ENTRIES_MAX else []
    return visit.page("access_log.html", entries=entries, search=search, older=older)


async def export_access_log(visit: Visit) -> Response:
    """Send the entries that contain the search text, newest first. The export is an entry itself."""
    search = visit.request.query_params.get("search", "")[:SEARCH_CHARS_MAX]
    await visit.log("exported", "access log", search=search, form="csv")
    entries = await asyncio.to_thread(visit.site.access_log.entries, search=search, limit=EXPORT_ENTRIES_MAX)
    content = await asyncio.to_thread(_csv, entries)
    return Response(content, headers=download_headers("access-log.csv"), media_type=MEDIA_TYPES["csv"])


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
