"""The errors of queries, reports and the lake.

ReportError
├── BadSql               the statement cannot run: a syntax error, an unknown column, not exactly one SELECT
├── BadParameter         a parameter of a named report is unknown, missing or unreadable
│   └── BadInstant       the instant whose state is asked for cannot be answered
│       ├── InstantToCome    it is after the present state
│       └── InstantForgotten it is before the horizon of the lake's retention
├── NoSuchReport         no report has that name; the message lists the names
├── QueryTooLong         the statement reached the time limit
├── QueryTooLarge        the statement needs more memory or returns more rows than a query may
├── BadExport            an export of the table is damaged, incomplete, of another table, or does not continue the lake
├── AthenaFailed         Athena cannot be reached, refused a call, or ended a statement without a result
├── LakeBusy             another process is writing the lake
└── LakeBroken           the lake's files cannot be read, or have a newer format

``status`` is the HTTP status with which a door answers.
"""

from typing import ClassVar


class ReportError(Exception):
    """A query or a write of the lake failed. The message is meant for the person who ran it."""

    status: ClassVar[int] = 500


class BadSql(ReportError):
    """The statement cannot run."""

    status = 400


class BadParameter(ReportError):
    """A parameter of a named report is unknown, missing or unreadable."""

    status = 400


class BadInstant(BadParameter):
    """The state at the requested instant is not available."""


class InstantToCome(BadInstant):
    """The requested instant is after the present state, by the clock of the reports."""


class InstantForgotten(BadInstant):
    """The requested instant is before the horizon of the lake's retention."""


class NoSuchReport(ReportError):
    """No report has that name."""

    status = 404


class QueryTooLong(ReportError):
    """The statement reached the time limit, or its caller was cancelled."""

    status = 422


class QueryTooLarge(ReportError):
    """The statement needs more memory or returns more rows than a query may."""

    status = 422


class BadExport(ReportError):
    """An export of the table is damaged, incomplete, of another table, or does not continue the lake."""

    status = 400


class AthenaFailed(ReportError):
    """Athena cannot be reached, refused a call, or ended a statement without a result."""

    status = 503


class LakeBusy(ReportError):
    """Another process is writing the lake."""

    status = 503


class LakeBroken(ReportError):
    """The lake's files cannot be read, or have a newer format."""

    status = 500
