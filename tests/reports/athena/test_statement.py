"""A named report as a statement for Athena: parameters are literals, and a value outside WHERE is written in."""

from bursar.reports.athena.statement import athena_statement
from bursar.reports.named_reports import NamedReport, named_report


def bound(name: str, **given: str) -> tuple[NamedReport, dict[str, str]]:
    report = named_report(name)
    return report, report.bind(given, 1_795_798_800.0)


def test_a_parameter_is_a_literal_whose_quotes_are_doubled() -> None:
    statement = athena_statement(*bound("payments_of_fee", fee="it's a fee", since="2026-11-01", until="2026-11-30"))
    assert statement.names == ("fee", "since", "until", "client")
    assert statement.parameters == (
        "'it''s a fee'",
        "'2026-11-01 04:00:00.000+00:00'",
        "'2026-12-01 05:00:00.000+00:00'",
        "'*'",
    )
    assert statement.text.startswith("SELECT")


def test_a_value_outside_a_where_clause_is_written_into_the_statement() -> None:
    statement = athena_statement(*bound("sla", init_target_s="2.5", stuck_days="9"))
    assert "CAST('2.5' AS DOUBLE) AS target_s" in statement.text
    assert "init_target_s" not in statement.names
    assert statement.parameters[statement.names.index("stuck_days")] == "'9'"


def test_a_view_is_part_of_the_statement() -> None:
    statement = athena_statement(*bound("came_back", fee="COPY_FEE"))
    assert statement.text.startswith("WITH payment_postings AS (\n  WITH moved AS (")
    assert statement.parameters[-2:] == ("'COPY_FEE'", "'*'")
