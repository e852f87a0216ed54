"""A question in SQL, and its answer."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_MAX: Final = 100_000
"""The most rows of an answer, unless the question has another limit."""


@dataclass(frozen=True, slots=True)
class Question:
    """A statement and the values of its parameters.

    ``rows_max``: more rows are an error, or cut off if ``cuts``; None for no limit but the size of the answer.
    ``client``: every table has only the rows of this client. All questions of one call must have the same client.
    ``as_of``: an instant of the past, Unix seconds, whose state the answer shows; None for the present state.
    """

    text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rows_max: int | None = ROWS_MAX
    cuts: bool = False
    client: str | None = None
    as_of: float | None = None


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """The answer to a statement: columns, their SQL types, rows, and the time as of which it holds (epoch s).

    ``cut`` is True if there are more rows than the question asked for.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    as_of: float
    cut: bool = False

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row as column name → value. A name that occurs again has a number: ``x``, ``x_2``."""
        names = distinct_names(self.columns)
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class AnswerStream:
    """The answer to a statement, read batch by batch; the other fields are those of :class:`SqlAnswer`."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    as_of: float
    batches: "AsyncIterator[pa.RecordBatch]"


def distinct_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names, with a number added to each repeated name, so that no column is lost."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        result.append(candidate)
    return tuple(result)
