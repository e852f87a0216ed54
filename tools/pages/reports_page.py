"""Print docs/reports.md, from the tables and the named reports. A test checks that the file is current.

python -m tools.pages.reports_page > docs/reports.md
"""

import sys
from collections.abc import Iterator

from bursar.reports.lake.lake import WATERMARK
from bursar.reports.lake.schema import TABLES, TableSchema
from bursar.reports.lake.tail import SAFETY_MARGIN_S
from bursar.reports.named_reports import NamedReport, named_reports
from bursar.reports.reports import QUERY_TIMEOUT_S
from bursar.reports.sql.session import MEMORY_MAX, ROWS_MAX
from bursar.reports.sql.statement import STATEMENT_BYTES_MAX

EXAMPLES = (
    (
        "Payments by fee type and month",
        "SELECT date_trunc('month', created_at AT TIME ZONE 'America/New_York') AS month, fee, count(*), sum(amount)\n"
        "FROM payments WHERE payment_status = 'success' GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "Failed payments above $100",
        "SELECT updated_at, client, reference, amount, return_code, return_detail\n"
        "FROM payments WHERE status = 'failed' AND amount > 100 ORDER BY updated_at DESC",
    ),
    (
        "`metadata`, the data that the fee requires of the payer, is JSON",
        "SELECT metadata ->> '$.docketNumber' AS docket, count(*) AS attempts\n"
        "FROM payments GROUP BY 1 HAVING count(*) > 1 ORDER BY attempts DESC",
    ),
    (
        "The steps of all attempts, counted",
        "SELECT from_status, to_status, event, count(*) FROM payment_events GROUP BY ALL ORDER BY 4 DESC",
    ),
    (
        "Obligations that took more than one attempt",
        "SELECT client, reference, count(*) AS attempts, max(status) FILTER (WHERE status = 'processed') AS paid\n"
        "FROM payments GROUP BY client, reference HAVING count(*) > 1",
    ),
)


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Reports: SQL over every payment"
    yield ""
    yield "<!-- Written by `python -m tools.pages.reports_page > docs/reports.md`; a test checks it. -->"
    yield ""
    yield _INTRODUCTION.strip()
    yield ""
    yield "## Tables"
    for schema in TABLES:
        yield from _table(schema)
    yield ""
    yield "## Examples"
    for title, statement in EXAMPLES:
        yield from ("", f"{title}:", "", "```sql", statement, "```")
    yield ""
    yield "## Named reports"
    yield ""
    yield "`bursar report NAME --param name=value --format table|csv|json`; `--sql athena` prints its SQL for Athena."
    for report in named_reports().values():
        yield from _report(report)


def _table(schema: TableSchema) -> Iterator[str]:
    yield ""
    yield f"### {schema.name}"
    yield ""
    yield f"{schema.meaning[0].upper()}{schema.meaning[1:]}."
    yield f"Key: {', '.join(schema.key)}."
    yield f"Partitioned by the UTC month of {schema.partition_time}."
    yield ""
    yield "| column | type | null | meaning |"
    yield "|---|---|---|---|"
    for column in schema.columns:
        yield f"| {column.name} | {column.sql_type} | {'' if column.required else 'yes'} | {column.meaning} |"


def _report(report: NamedReport) -> Iterator[str]:
    yield ""
    yield f"### {report.name}"
    yield ""
    yield report.question.replace("? (", "?\n(")  # one sentence a line
    yield ""
    for parameter in report.parameters:
        default = "required" if parameter.default is None else f"default {parameter.default}"
        yield f"- `{parameter.name}` {parameter.kind} ({default}): {parameter.meaning}"
    if report.needs_activity_file:
        yield "- `--activity FILE`: Pay.gov's activity file, CSV (format: `bursar/reports/paygov_activity_file.py`)"


_INTRODUCTION = f"""
`bursar sql "SELECT …"` reads the lake up to its watermark and every later change, in one query.
A payment that was acknowledged before the query is in the answer.
Each answer includes the time as of which it holds.

    store (DynamoDB)  ── changes since the watermark ──►  tail ─┐
         │                                                      ├─► DuckDB ─► answer, as of now
         └── bursar lake write ──►  Iceberg tables, watermark ──┘        (a row of the tail replaces the lake's)

- `bursar lake write` moves changes older than {SAFETY_MARGIN_S:.0f} s into the lake.
  `bursar up` and `bursar portal` do this periodically.
  Each commit contains its watermark (`{WATERMARK}` in the summary of the Iceberg snapshot).
  So the command may be killed at any point, and continues at its next run.
- `bursar lake verify` reads the table and the lake completely and compares them by month: counts, sums, a checksum.
  A lake is derived data: delete a damaged lake, and the next `bursar lake write` writes all of it again.
- Statements are read-only: one SELECT over the two tables.
  Limits: {STATEMENT_BYTES_MAX // 1024} KiB, {QUERY_TIMEOUT_S:.0f} s, {MEMORY_MAX} of memory and {ROWS_MAX:,} rows.
  They cannot read files, use the network or change settings.
- On the embedded store the tail has no lag.
  On Amazon's DynamoDB it is read from an index that lags behind the table, usually by milliseconds.
- Money is DECIMAL(18,2) in US dollars.
  Times are UTC; months and days of the named reports are New York's.
  Neither table contains tokens.
  `metadata` contains the data that payers entered: treat exports as personal data.
"""


if __name__ == "__main__":
    sys.stdout.write(page())
