"""Kill a writer of the lake at one of its commits."""

from typing import Any
from unittest.mock import patch

from pyiceberg.table import Table


class Killed(BaseException):
    """The process was killed here."""


def killing(at: int, when: str) -> Any:
    """Return a catalog commit that kills the process ``before`` or ``after`` the ``at``-th commit of a write."""
    commit, made = Table._do_commit, 0

    def counted(table: Table, *arguments: Any, **values: Any) -> None:
        nonlocal made
        made += 1
        if made - 1 == at and when == "before":
            raise Killed
        commit(table, *arguments, **values)
        if made - 1 == at and when == "after":
            raise Killed

    return patch.object(Table, "_do_commit", counted)
