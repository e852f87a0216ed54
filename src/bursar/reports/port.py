"""The port of the reports room: SQL over every payment, in this process or in the reports process."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from bursar.reports.sql.answer import ROWS_MAX, AnswerStream, Question, SqlAnswer


class Answers(Protocol):
    """The port for questions; reports in this process and in another one implement it."""

    async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        """Return the answers to several statements on one state of all payments."""
        ...


class StreamedAnswers(Answers, Protocol):
    """The port that can also stream an answer with all its rows."""

    def stream(self, question: Question) -> AbstractAsyncContextManager[AnswerStream]:
        """Open the answer to a statement, with all its rows, for the length of a ``with``."""
        ...


class WrittenLake(Protocol):
    """The result of a write of the lake."""

    @property
    def rows(self) -> Mapping[str, int]:
        """The rows that were written to each table."""
        ...

    @property
    def watermark(self) -> float | None:
        """The lake's watermark (epoch s), None if it is empty."""
        ...


class VerifiedLake(Protocol):
    """The result of a verification of the lake."""

    @property
    def equal(self) -> bool:
        """Whether the lake equalled the table."""
        ...

    def lines(self) -> list[str]:
        """Return lines for people."""
        ...


class PaymentReports(Protocol):
    """The port of the reports room.

    :class:`bursar.reports.reports.Reports` and :class:`bursar.reports.server.client.RemoteReports` implement it.

    Every method raises the errors of :mod:`bursar.reports.errors`.
    """

    async def sql(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        rows_max: int | None = ROWS_MAX,
        cuts: bool = False,
        as_of: float | None = None,
    ) -> SqlAnswer:
        """Return the answer to one SELECT; ``$name`` is a parameter."""
        ...

    async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        """Return the answers to several statements on one state of all payments."""
        ...

    def stream(self, question: Question) -> AbstractAsyncContextManager[AnswerStream]:
        """Open the answer to a statement, with all its rows, for the length of a ``with``."""
        ...

    async def report(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        rows_max: int | None = ROWS_MAX,
        cuts: bool = False,
        as_of: float | None = None,
    ) -> SqlAnswer:
        """Return the answer of a named report."""
        ...

    async def lake_watermark(self) -> float | None:
        """Return the lake's watermark (epoch s), None if it is empty."""
        ...

    async def write_lake(self, *, only_if_due: bool = False) -> WrittenLake:
        """Move changes into the lake."""
        ...

    async def verify_lake(self, *, repairs: bool = True) -> VerifiedLake:
        """Compare the lake with the table."""
        ...

    async def close(self) -> None:
        """Release threads, files and connections."""
        ...
