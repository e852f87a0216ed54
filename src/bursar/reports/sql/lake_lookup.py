"""Find the rows of given keys in the lake, without DuckDB.

The lake's writer needs no other query, so a process that only writes and verifies the lake, such as a Lambda function,
needs no SQL engine. Iceberg's scan skips the files whose rows are all older than the oldest of the keys.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from bursar.reports.errors import LakeBroken
from bursar.reports.lake.iceberg import in_schema
from bursar.reports.lake.lake import NAMESPACE, Lake
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.rows import RowKey, TableRow, plain_rows
from bursar.reports.lake.schema import table_named
from bursar.reports.sql.session import Session
from bursar.reports.sql.shared_session import Sessions, SharedSession

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LookupSessions(Sessions):
    """Opens a :class:`LakeLookup` for each state of the lake."""

    def open(self, state: LakeState) -> SharedSession:
        """Return a lookup over ``state``; without opening anything."""
        return SharedSession(LakeLookup(self._lake, state))


class LakeLookup(Session):
    """A session that can only :meth:`find`."""

    def __init__(self, lake: Lake, state: LakeState) -> None:
        """Store the lake and its state without opening anything."""
        self.state = state
        self._lake = lake

    def find(self, name: str, rows: list[TableRow]) -> dict[RowKey, TableRow]:
        """Return the lake's rows with the keys of ``rows``, by key. Raises :class:`LakeBroken`."""
        schema = table_named(name)
        snapshot_id = self.state[name].snapshot_id
        if snapshot_id is None:
            return {}
        # The earliest start time lets Iceberg skip older files; a row's start time never changes.
        started = schema.start_time
        since = _EPOCH + timedelta(microseconds=min(row[schema.position(started)] for row in rows))
        places = [schema.position(column) for column in schema.key]
        wanted = {tuple(row[place] for place in places) for row in rows}
        try:
            with self._lake.catalog() as catalog:
                table = catalog.load_table((NAMESPACE, name))
                found = table.scan(f"{started} >= '{since.isoformat()}'", snapshot_id=snapshot_id).to_arrow()
        except Exception as error:  # pyiceberg, the catalog and Arrow have no common base class
            raise LakeBroken(f"the lake at {self._lake.warehouse} cannot be read: {error}") from error
        final = schema.position(schema.partition_day)
        return {
            key: row
            for row in plain_rows(schema, in_schema(schema, found))
            if row[final] is not None and (key := tuple(row[place] for place in places)) in wanted
        }

    def close(self) -> None:
        """Do nothing: no DuckDB is open."""
