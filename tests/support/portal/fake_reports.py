"""Reports that have no payments: each answer is an error, or has no rows."""

from collections.abc import Sequence

from bursar.reports.sql.answer import Question, SqlAnswer


class FailingReports:
    """Raises ``error`` at each question."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        raise self._error


class EmptyReports:
    """Answers each question without rows."""

    async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        return [SqlAnswer(("kind", "name"), ("VARCHAR", "VARCHAR"), [], 0.0) for _ in questions]
