"""The port through which the tail reads a store: a position in the order of changes, the changes after it, all rows.

Two sources exist: the change stream of the embedded engine (:mod:`bursar.reports.tail.stream_source`), and the index of
changes of any other DynamoDB (:mod:`bursar.reports.tail.index_source`).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from bursar.reports.lake.position import Position
from bursar.reports.lake.rows import RowKey, TableRow
from bursar.reports.lake.schema import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa


class SourceLost(Exception):
    """The source cannot continue at a position: the lake must be built again."""


SAFETY_MARGIN_S: Final = 300.0
"""It is longer than a write, the usual difference of clocks and the lag of an index together."""
FOUND_ORDER: Final = 0
"""The order of a row with an unknown place before every later change."""


class RowChange(NamedTuple):
    """One changed row.

    ``order`` is the place of the change; ``inserted`` is True if the source knows that the row is new.

    ``version`` grows with each change of an attempt; a source that always reads the present state may leave it 0.
    """

    schema: TableSchema
    key: RowKey
    row: TableRow
    order: int
    inserted: bool = False
    version: int = 0

    @property
    def changed_at(self) -> int:
        """The time of the row's last change, in Unix microseconds."""
        at: int = self.row[self.schema.position(self.schema.change_time)]
        return at


class ChangePage(NamedTuple):
    """Consecutive changes in their order, and the position after them."""

    changes: Sequence[RowChange]
    position: Position


class FoundPage(NamedTuple):
    """Rows that a scan found: final ones as Arrow by table name, which the lake gets first, and all others."""

    finals: "Mapping[str, pa.Table]"
    others: Sequence[RowChange]


class ChangeSource(Protocol):
    """The source of changes of one store."""

    @property
    def is_ordered(self) -> bool:
        """Whether a change that becomes visible is after all that were visible before."""
        ...

    async def position(self) -> Position:
        """Return a position from which :meth:`changes` yields every change that is acknowledged after this call."""
        ...

    def accepts(self, position: Position) -> bool:
        """Return whether :meth:`changes` can continue at this position."""
        ...

    def changes(self, position: Position) -> AsyncIterator[ChangePage]:
        """Yield every change since ``position`` that is committed already. A change may be yielded again.

        Raises :class:`SourceLost`.
        """
        ...

    def scan(self, *, consistent: bool = True) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every row of the store, each once, with its order as far as the source knows it.

        Without ``consistent``, a store on the network may answer with rows that are slightly behind, at half the price.
        """
        ...

    def changed_since(self, since: int) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every row that changed at or after ``since`` (Unix microseconds), each once; rows of live attempts too.

        A store with an index of changes reads only this index and the attempts of its events.
        """
        ...

    def scan_columns(self) -> AsyncIterator[FoundPage] | None:
        """Return the pages of :meth:`scan`, made without a Python object for each row; None if the source cannot.

        Every row has the order :data:`FOUND_ORDER`.
        """
        ...
