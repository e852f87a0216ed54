"""Build a lake from a full export of the table to S3, and follow the table by incremental exports.

The store is not read, and an export is checked as a whole before the lake changes.
"""

from typing import Final

from bursar.clock import iso_ms
from bursar.reports.errors import BadExport
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.position import Position
from bursar.reports.lake.retention import Retention
from bursar.reports.reports import Reports, Written
from bursar.reports.tail.export_files import Export, open_export
from bursar.reports.tail.export_source import ExportSource, reached, table_id_of
from bursar.reports.tail.index_source import SOURCE
from bursar.reports.tail.sources import SAFETY_MARGIN_S

_MICROS: Final = 1_000_000


class ExportedLake:
    """The lake at ``lake_url`` of the store's table named ``table``."""

    def __init__(self, lake_url: str, table: str, retention: Retention) -> None:
        """Create the object without opening the lake.

        Raises ``ValueError`` if ``lake_url`` is not the URL of a lake.
        """
        self._lake_url = lake_url
        self._lake = Lake.at(lake_url)
        self._table = table
        self._retention = retention

    async def build(self, place: str) -> Written:
        """Build the lake from the full export at ``place``. Raises :class:`BadExport`, ``LakeBusy``, ``LakeBroken``."""
        export = self._opened(place)
        if export.since is not None:
            raise BadExport("the export: must be a full one to build a lake; got an incremental one")
        if self._position() is not None:
            raise BadExport(f"the lake at {self._lake.warehouse}: must not exist yet")
        return await self._written(export)

    async def follow(self, place: str) -> Written:
        """Add the changes of the incremental export at ``place``; do nothing if the lake has them already.

        Raises as :meth:`build`.
        """
        export, position = self._opened(place), self._position()
        if export.since is None:
            raise BadExport("the export: must be an incremental one to follow; got a full one")
        if position is None:
            raise BadExport(
                f"the lake at {self._lake.warehouse}: must exist; build it first, from a full export for example"
            )
        if position.source != SOURCE:
            raise BadExport("the lake: must follow exports or the index of changes; it follows an embedded store")
        if table_id_of(position) not in (None, export.table_id):
            raise BadExport(f"the export: must be of the table whose rows the lake has; got the id {export.table_id}")
        at_s = reached(position) / _MICROS
        if export.since > at_s:
            raise BadExport(f"the export: must begin at {iso_ms(at_s)} or earlier; got {iso_ms(export.since)}")
        if export.until <= at_s:
            return Written({}, at_s)
        return await self._written(export)

    def _opened(self, place: str) -> Export:
        export = open_export(place)
        if export.table != self._table:
            raise BadExport(f"the export: must be of the table {self._table}; got {export.table}")
        return export

    def _position(self) -> Position | None:
        """Return the earliest position of the lake's tables; None if the lake is not built."""
        positions = [table.position for table in self._lake.state().values()]
        known = [position for position in positions if position is not None]
        return min(known, key=reached) if len(known) == len(positions) else None

    async def _written(self, export: Export) -> Written:
        def clock() -> float:
            return export.until + SAFETY_MARGIN_S  # so the watermark of a built lake is the end of the export

        source = ExportSource.checked(export)
        reports = Reports(source, self._lake_url, clock, answers=False, retention=self._retention)
        try:
            return await reports.write_lake()
        finally:
            await reports.close()
