"""Read the changes of tables that are on their way to data streams of Kinesis, and remove those that have arrived.

    capture 7:   41 │ 42 │ 43 │ 44          page: 41, 42 ──► data stream has them ──► remove up to 42: 43 is the next

The first record of a capture is the checkpoint of its delivery: it is removed in a transaction of the store when the
data stream has received it. So a process that dies in between sends it again.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bursar.dynamo.core.catalogue import UNKNOWN_VERSION, Core
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.operations.control_plane.kinesis import ACTIVE, ENABLE_FAILED, ENABLING
from bursar.dynamo.operations.data_plane.streams import RECORDS_BYTES_MAX
from bursar.dynamo.operations.dispatch import Operation
from bursar.dynamo.operations.requests.shapes import Request
from bursar.dynamo.storage.change_streams import Record, Stream


class CapturedChanges:
    """The captures of one store. Its writes join those of other requests, so they share a commit."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._all: tuple[int, list[Stream]] = (UNKNOWN_VERSION, [])
        """A version of the catalogue, and the captures in it."""

    def all(self) -> list[Stream]:
        """Return every capture, oldest first. This is cheap while no definition changes."""

        def read(core: Core) -> list[Stream]:
            version = core.storage.catalogue_version()
            if version != self._all[0]:
                with core.storage.snapshot():
                    self._all = (core.storage.catalogue_version(), core.streams.captures())
            return self._all[1]

        return self._engine.engine.read_committed(read)

    def find(self, capture_id: int) -> Stream | None:
        """Return a capture as it is now, or None if it no longer exists."""

        def read(core: Core) -> Stream | None:
            return core.streams.capture(capture_id)

        return self._engine.engine.read_committed(read)

    def page(self, capture_id: int, limit: int) -> tuple[Stream, list[Record]] | None:
        """Return a capture and its first records: at most ``limit``, and 1 MB. None if it no longer exists."""

        def read(core: Core) -> tuple[Stream, list[Record]] | None:
            with core.storage.snapshot():
                found = core.streams.capture(capture_id)
                return None if found is None else (found, core.streams.captured(capture_id, limit, RECORDS_BYTES_MAX))

        return self._engine.engine.read_committed(read)

    async def remove_up_to(self, capture_id: int, sequence: int) -> None:
        """Remove the records up to one, which have arrived. Raises ``DynamoError`` if the file cannot be written."""

        def remove(core: Core, capture: Stream) -> None:
            core.streams.trim(capture.id, sequence + 1)

        await self._change(capture_id, remove)

    async def enabled(self, capture_id: int) -> None:
        """Record that the data stream exists."""

        def change(core: Core, capture: Stream) -> None:
            if (capture.destination or {}).get("Status") == ENABLING:
                core.streams.change_destination(capture, Status=ACTIVE)
                core.changed()

        await self._change(capture_id, change)

    async def failed(self, capture_id: int, description: str) -> None:
        """Record why the data stream cannot be used, and remove the records that were captured for it."""

        def change(core: Core, capture: Stream) -> None:
            core.streams.stop(capture, core.clock(), Status=ENABLE_FAILED, StatusDescription=description)
            core.streams.trim(capture.id, core.streams.last(capture.id) + 1)
            core.changed()

        await self._change(capture_id, change)

    async def _change(self, capture_id: int, change: Callable[[Core, Stream], None]) -> None:
        """Change a capture in a transaction, if it still exists."""

        def run(core: Core, _request: Mapping[str, Any]) -> dict[str, Any]:
            found = core.streams.capture(capture_id)
            if found is not None:
                change(core, found)
            return {}

        await self._engine.write(Operation(Request({}), run, writes=True), {})
