"""A view over the tables of queries."""

from dataclasses import dataclass

from bursar.reports.lake.schema import Column


@dataclass(frozen=True, slots=True)
class View:
    """A view: its meaning, its columns, and the SELECT that makes it over ``reads``. The columns have no source."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    select: str
    reads: tuple[str, ...]
