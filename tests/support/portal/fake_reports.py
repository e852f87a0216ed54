"""Reports that have no payments: each answer is an error, or has no rows."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pyarrow as pa

from bursar.reports.sql.answer import AnswerStream, Question, SqlAnswer


class EmptyReports:
    """Answers each question without rows."""

    async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        return [SqlAnswer(("kind", "name"), ("VARCHAR", "VARCHAR"), [], 0.0) for _ in questions]

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[AnswerStream]:
        async def batches() -> AsyncIterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pylist([], pa.schema([("kind", pa.string()), ("name", pa.string())]))

        yield AnswerStream(("kind", "name"), ("VARCHAR", "VARCHAR"), 0.0, batches())


class FailingReports(EmptyReports):
    """Raises ``error`` at each question."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        raise self._error

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[AnswerStream]:
        await self.answers([question])
        async with super().stream(question) as answer:
            yield answer
