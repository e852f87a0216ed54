"""The current session: DuckDB over the lake's last known state, shared by the answers that are made now."""

from bursar.reports.errors import LakeBroken
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.rows import TableRow
from bursar.reports.lake.twin import twin_path
from bursar.reports.sql.local_files import LocalFiles
from bursar.reports.sql.session import Session


class SharedSession:
    """A session and the number of its users. The last one to leave closes it, once it is retired."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._users = 0
        self._retired = False

    def enter(self) -> None:
        """Count a user."""
        self._users += 1

    def leave(self) -> None:
        """Remove one user."""
        self._users -= 1
        self._close_if_done()

    def retire(self) -> None:
        """Close the session once it has no users."""
        self._retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and self._users == 0:
            self.session.close()


class Sessions:
    """Opens a session for each state of the lake. Its methods block."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._local_files = LocalFiles(lake)
        self._twin = None if lake.folder is None else twin_path(lake.folder)

    def open(self, state: LakeState) -> SharedSession:
        """Open a session over ``state``. Raises ``OSError`` if files of S3 cannot be read."""
        return SharedSession(Session(state, self._local_files.paths(state), self._twin))

    def live_rows(self, state: LakeState) -> list[TableRow]:
        """Return the live attempts of ``state``. Raises :class:`LakeBroken` if a file cannot be read."""
        try:
            return list(self._local_files.live_rows(state))
        except OSError as error:
            raise LakeBroken(f"a file of the lake cannot be read: {error}") from error

    def close(self) -> None:
        """Remove the local files."""
        self._local_files.close()
