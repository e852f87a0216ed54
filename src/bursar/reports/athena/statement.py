"""A named report as a statement for Athena. Its file is in ``named/athena``; ``tools/athena_twins.py`` writes it.

Athena takes a parameter only in a WHERE clause. A value that the statement needs elsewhere is
written into it as a literal. Source: Athena user guide, "Use parameterized queries".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from bursar.reports.named_reports import NamedReport
from bursar.reports.sql.views import VIEWS

_PARAMETERS: Final = "-- parameters: "
_BRACES: Final = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class AthenaStatement:
    """One SELECT.

    The question marks are replaced by ``parameters`` (SQL literals) in order; ``names`` are the names of these.
    """

    text: str
    parameters: tuple[str, ...]
    names: tuple[str, ...]


def athena_statement(report: NamedReport, bound: Mapping[str, str]) -> AthenaStatement:
    """Return the report with the checked texts of its parameters (:meth:`NamedReport.bind`)."""
    header, _, body = _file(report.name).partition("\n\n")
    [listed] = [line.removeprefix(_PARAMETERS) for line in header.splitlines() if line.startswith(_PARAMETERS)]
    names = tuple(listed.split(", ")) if listed else ()
    literals = {name: _literal(value) for name, value in bound.items()}
    selects = {view.name: view_select(view.name) for view in VIEWS}

    def value(found: re.Match[str]) -> str:
        return selects[found[1]] if found[1] in selects else literals[found[1]]

    return AthenaStatement(_BRACES.sub(value, body).strip(), tuple(literals[name] for name in names), names)


def view_select(name: str) -> str:
    """Return the SELECT of a view of :data:`bursar.reports.sql.views.VIEWS` for Athena."""
    return _file(f"views/{name}").strip()


def view_statements() -> str:
    """Return a statement for each view, which creates it in Athena's current database."""
    return "\n\n".join(f"CREATE OR REPLACE VIEW {view.name} AS\n{view_select(view.name)};" for view in VIEWS)


def _file(name: str) -> str:
    return (files("bursar.reports") / "named" / "athena" / f"{name}.sql").read_text(encoding="utf-8")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
