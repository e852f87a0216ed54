"""What can go wrong between a question and its answer.

ReportError
├── BadSql               the statement cannot be run: a syntax error, an unknown column, not one SELECT
├── BadParameter         a named report got a parameter that it lacks, misses or cannot read
├── NoSuchReport         no report has that name; the message lists those that exist
├── QueryTooLong         the statement ran past its time
├── QueryTooLarge        the statement wants more memory, or answers more rows, than one query may have
├── LakeBusy             another process is writing the lake
└── LakeBroken           the lake's files cannot be read, or are of a newer format

``status`` is the HTTP status that a door answers with, so that doors need no table of their own.
"""

from typing import ClassVar


class ReportError(Exception):
    """A question that got no answer; the message is fit for the person who asked."""

    status: ClassVar[int] = 500


class BadSql(ReportError):
    status = 400


class BadParameter(ReportError):
    status = 400


class NoSuchReport(ReportError):
    status = 404


class QueryTooLong(ReportError):
    status = 422


class QueryTooLarge(ReportError):
    status = 422


class LakeBusy(ReportError):
    status = 503


class LakeBroken(ReportError):
    status = 500
