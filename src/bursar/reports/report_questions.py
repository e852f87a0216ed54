"""Turn the name of a report and its parameters into a question, and check that its fee and its client exist.

A fee or a client exists if a payment has it, or if it is in the catalogue or the clients' file of this process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bursar.reports.errors import BadParameter
from bursar.reports.named_reports import NamedReport, named_report
from bursar.reports.port import Answers
from bursar.reports.report_parameters import CLIENT, EVERY, FEE
from bursar.reports.sql.answer import Question, SqlAnswer

_NAMES: Final = Question(
    "SELECT DISTINCT 'FEE' AS kind, fee AS name FROM payment_days "
    "UNION ALL SELECT DISTINCT 'CLIENT', client FROM payment_days ORDER BY 1, 2",
    rows_max=None,
)


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The fees and the clients in the files of this process."""

    fees: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()


def no_names() -> KnownNames:
    """Return no names, so only the fees and clients of payments are known."""
    return KnownNames()


async def report_question(
    reports: Answers,
    name: str,
    given: Mapping[str, Any],
    *,
    known: Callable[[], KnownNames] = no_names,
    as_of: float | None = None,
) -> Question:
    """Return a named report as a question about the state at ``as_of``, Unix seconds, or about the present state.

    Raises :class:`bursar.reports.errors.NoSuchReport`, ``BadParameter``, which lists the known fees or clients, and the
    errors of a query.
    """
    report = named_report(name)
    [names] = await reports.answers([_NAMES])
    bound = report.bind(given, names.as_of if as_of is None else as_of)
    check_names(report, bound, names, known)
    return Question(report.sql, bound, as_of=as_of)


def check_names(
    report: NamedReport, bound: Mapping[str, str], names: SqlAnswer, known: Callable[[], KnownNames]
) -> None:
    """Raise :class:`BadParameter` for a fee or a client that neither ``names`` nor ``known`` has.

    ``names`` has rows of a kind (FEE, CLIENT) and a name.
    """
    for parameter in report.parameters:
        value = bound[parameter.name]
        if parameter.kind not in (FEE, CLIENT) or value == EVERY or (parameter.kind, value) in names.rows:
            continue
        of_files = known().fees if parameter.kind == FEE else known().clients
        if value not in of_files:
            every = sorted({name for kind, name in names.rows if kind == parameter.kind}.union(of_files))
            raise BadParameter(f"{parameter.name}: must be one of {', '.join(every) or 'none yet'}; got {value!r}")
