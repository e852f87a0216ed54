"""Print docs/reports.md, from the tables and the named reports. A test checks that the file is current.

python -m tools.pages.reports_page > docs/reports.md
"""

import sys
from collections.abc import Iterator, Sequence

from bursar.reports.current import COMMIT_AGE_MAX_S, COMMIT_ROWS_MIN
from bursar.reports.lake.lake import POSITION
from bursar.reports.lake.retention import EVENTS_LONGER_MONTHS, RETENTION_YEARS
from bursar.reports.lake.schema import PAYMENTS, TABLES, Column, TableSchema
from bursar.reports.lake.twin import DAY_COLUMNS, DAYS, NEW_ROWS_MIN
from bursar.reports.lake.vacuum import SNAPSHOTS_MAX
from bursar.reports.named_reports import NamedReport, named_reports
from bursar.reports.output.forms import FORMS
from bursar.reports.output.pdf import PDF_ROWS_MAX
from bursar.reports.output.table import TABLE_ROWS_MAX
from bursar.reports.query_threads import QUERY_TIMEOUT_S
from bursar.reports.sql.answer import ROWS_MAX
from bursar.reports.sql.session import MEMORY_MAX
from bursar.reports.sql.statement import STATEMENT_BYTES_MAX
from bursar.reports.sql.view import View
from bursar.reports.sql.views import DERIVED_COLUMNS, VIEWS
from bursar.reports.tail.index_source import OVERLAP_S

EXAMPLES = (
    (
        "Payments by fee type and month",
        "SELECT date_trunc('month', final_on) AS month, fee, count(*), sum(amount)\n"
        "FROM payments WHERE payment_status = 'success' GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "The same from the daily sums, which is faster",
        "SELECT date_trunc('month', final_on) AS month, fee, sum(attempts), sum(amount)\n"
        "FROM payment_days WHERE payment_status = 'success' GROUP BY 1, 2 ORDER BY 1, 2",
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
        "Money that came back, by month and kind",
        "SELECT date_trunc('month', recorded_on) AS month, kind, count(*), sum(amount)\n"
        "FROM reversals GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "Collected and net, by month of settlement",
        "SELECT date_trunc('month', final_on) AS month, sum(amount) AS collected, sum(net_amount) AS net\n"
        "FROM payments WHERE status = 'processed' GROUP BY 1 ORDER BY 1",
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
    yield f"### {DAYS}"
    yield ""
    yield "The attempts of `payments`, counted and summed: one row or more per combination of the first seven columns."
    yield f"Columns: {', '.join(DAY_COLUMNS)}, attempts, amount."
    yield "It exists in DuckDB only; in Athena, group `payments`."
    for view in VIEWS:
        yield from _view(view)
    yield ""
    yield "## Examples"
    for title, statement in EXAMPLES:
        yield from ("", f"{title}:", "", "```sql", statement, "```")
    yield ""
    yield "## Named reports"
    yield ""
    yield _REPORTS.strip()
    for report in named_reports().values():
        yield from _report(report)


def _table(schema: TableSchema) -> Iterator[str]:
    yield ""
    yield f"### {schema.name}"
    yield ""
    yield f"{schema.meaning[0].upper()}{schema.meaning[1:]}."
    yield f"Key: {', '.join(schema.key)}."
    yield f"Partitioned by the month of {schema.partition_day}."
    yield ""
    yield from _columns(schema.columns)
    if schema is PAYMENTS:
        yield ""
        yield "Queries see these columns too; they are derived, and not in the lake:"
        yield ""
        yield from _columns(DERIVED_COLUMNS)


def _view(view: View) -> Iterator[str]:
    yield ""
    yield f"### {view.name}"
    yield ""
    yield f"{view.meaning[0].upper()}{view.meaning[1:]}."
    yield "It is a view, and not in the lake."
    yield ""
    yield from _columns(view.columns)


def _columns(columns: Sequence[Column]) -> Iterator[str]:
    yield "| column | type | null | meaning |"
    yield "|---|---|---|---|"
    for column in columns:
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
    for column in report.columns:
        yield f"- column `{column.name}` ({column.unit}{', with a total' if column.is_total else ''}): {column.meaning}"


_INTRODUCTION = f"""
`bursar sql "SELECT …"` reads the lake and every later change, in one query.
A payment that was acknowledged before the query is in the answer.
Each answer includes the time as of which it holds, and all parts of one answer come from one state.


```sh
bursar sql "SELECT fee, sum(amount) FROM payments GROUP BY fee"    # an answer
bursar sql --file question.sql --format parquet --output all.parquet
bursar sql --file questions.sql                                    # several, with ; between them, answered in turn
bursar sql < question.sql                                          # from standard input
bursar sql                                                         # a prompt, at a terminal
bursar sql --schema                                                # the tables and their columns
bursar sql "EXPLAIN SELECT …"                                      # how DuckDB runs a statement
```

The prompt keeps its history in a private file and completes tables and columns with Tab.
A statement may have several lines, and ends with a semicolon or an empty line.
Ctrl-C stops a statement, Ctrl-D ends the prompt.
Rows that are wider than the terminal are turned on their side, one column a line.

## How it works

    store ── changes since the lake's position ──► tail, in memory ──────────┐
                                                      │                      ├─ UNION ALL ─► DuckDB ─► answer
                                               bursar lake write             │
                                                      ▼                      │
    lake    payments        finals, append-only, by month of settlement ─────┤
                            live attempts, replaced by each commit           │
            payment_events  append-only, by month ───────────────────────────┤
            reversals       append-only, by month ───────────────────────────┤
            deposits        append-only, by month ───────────────────────────┤
            twin.duckdb     the same rows in DuckDB's format, and daily sums ┘

- **Final is final.**
  An attempt that is `processed` or `failed` never changes, and nor does an event, a reversal or a deposit.
  So their rows are written once, and the sum of an attempt's reversals is computed when a query reads it.
  Every other attempt is *live*: each commit replaces the small partition of live attempts (`final_on` is null).
  The tail has the live attempts, and the final rows that the lake does not hold yet.
  So lake and tail are disjoint, and a query is their union.
- **A position, not a clock.**
  Each commit contains the position of the last change that it holds.
  It is `{POSITION}` in the summary of the Iceberg snapshot.
  On the embedded store it is a sequence number of the table's change stream, which follows the order of commits.
  The clocks of this machine and of others do not matter.
  Reports enable the stream (KEYS_ONLY) at their first use.
  On Amazon's DynamoDB it is a time in the index of changes.
  The {OVERLAP_S / 3600:.0f} hours before it are read again at each look, so clocks may differ by that much.
- **Build.**
  The first writer of a lake reads the whole table by a scan.
  The age of the table does not matter: a table may have been restored, copied or loaded.
  Found rows wait in a file without a name in the lake's folder.
  Each month is then sorted and stored once, in parts of at most 200,000 rows.
  So the memory does not grow with the table or with its months.
  A lake is also built again when its position is lost.
  That is so when the store was replaced, or when its stream was not read for 24 hours.
  A lake of an older version gets the tables and columns that it lacks, and is built again.
  On Amazon's DynamoDB a lake can also be built from an export ([below](#from-exports-to-s3)).
- **The twin** holds rows of the lake in DuckDB's own format, which is several times faster to read than Parquet.
  It is derived: it may be deleted, and is made again with the next {NEW_ROWS_MIN:,} rows.
  Until then, a process that is asked more than once keeps the newer rows in its memory.
  The ids of payments are not compressed in it: that makes it a quarter larger, and a search by id four times as fast.
- `bursar up` and `bursar portal` commit after {COMMIT_ROWS_MIN:,} rows or {COMMIT_AGE_MAX_S / 60:.0f} minutes.
  `bursar lake write` commits at once.
  The writer may be killed at any point, and the next one continues.
  Small files are merged, and a month that has ended becomes one file.
  Questions are answered meanwhile, except over Amazon's DynamoDB, where they wait for the write.
- Payments get the processor first: the reports process has the lowest priority (niceness 19).
  So have commands that read or write the lake without it.
- `bursar lake verify` reads table and lake completely and compares them by month: counts, sums, a checksum.
  On DynamoDB it first reads eventually consistent, and only what still differs after a strongly consistent read counts.
  A month that differs is reported and written again from the table.
  It names the first 20 keys that differ in each month and table, and how each of them differs.
  The reports process does the same once a day (`BURSAR_LAKE_VERIFY_INTERVAL_S`), while it answers questions.
  On AWS this is done once a week, and daily with the changes of two days ([aws.md](aws.md#proofs-of-the-lake)).
  `GET /health` is `degraded` after a verification that found differences, and when none has ended for two days.
  Three metrics report the lake: its watermark's age, its last verification, and the rows that differed then.
- A lake is derived data.
  Delete a damaged lake, and the next query or `bursar lake write` builds it again.
  A missing data file, or a disk that is full or read-only, does not stop answers: they come from the store.

## From exports to S3

On Amazon's DynamoDB, an export reads a large table without its read capacity.
`bursar lake build` builds a lake from a full export, and `bursar lake follow` adds an incremental one.
They read the export and no store.

```sh
aws dynamodb export-table-to-point-in-time --table-arn ARN --s3-bucket BUCKET --s3-prefix nightly
bursar lake build --from-export s3://BUCKET/nightly/AWSDynamoDB/EXPORT-ID      # or a folder with a copy of it
aws dynamodb export-table-to-point-in-time --table-arn ARN --s3-bucket BUCKET --s3-prefix nightly \\
    --export-type INCREMENTAL_EXPORT --incremental-export-specification ExportFromTime=FROM,ExportToTime=TO
bursar lake follow --from-export s3://BUCKET/nightly/AWSDynamoDB/EXPORT-ID
```

- The export has the format DYNAMODB_JSON, the view NEW_IMAGE or NEW_AND_OLD_IMAGES, and no filter.
- Its manifests, checksums and numbers of items are checked, and every line is read, before the lake changes.
  A damaged or incomplete export, and one of another table, is refused.
- An incremental export must begin at or before the end of the last one.
  An export whose changes the lake has already changes nothing.
- The lake can be followed by the index of changes as well.
  `bursar sql` and the writer continue where the last export ended.
- A lake of an embedded store follows its change stream, and needs no exports.

## As of

`bursar sql --as-of INSTANT` and `bursar report NAME --as-of INSTANT` give the state at an instant of the past.
It is exact to the event.
A month that was reported in January is reproduced to the cent in December.
INSTANT is an ISO date-time with its offset, or a day, which means its end in New York.
`POST /sql` and `GET /reports/NAME` take it as `asOf` ([api.md](api.md#ask-about-your-payments)).

- An attempt that has changed since gets its earlier row from its events.
- Reversals and deposits count from the time at which they were recorded.
- Metadata that were erased since are empty at every instant.
- Times are those that the writers stamped.
  Where machines' clocks differ, an instant that is younger than the difference may still gain changes.

## Retention

A month leaves the lake when all its days are older than the retention, by default {RETENTION_YEARS} years.
`BURSAR_LAKE_RETENTION_YEARS` sets it.
The store keeps its records: their retention is another decision.

- The writer removes the month with an Iceberg commit.
  The vacuum deletes its data files at most {SNAPSHOTS_MAX + 1} commits later, and the twin is made again without it.
- A row leaves with the month of its partition, and a live attempt never does.
  Events stay {EVENTS_LONGER_MONTHS} months longer, so the state at any instant since the horizon is exact.
  An attempt that was live for longer than that has lost its first events.
- An `--as-of` before the horizon is an error that names the horizon.
- A payment that has left is in no report.
  Money of it that goes back later is a row of `reversals`, and in no report that needs the payment.
- A build reads no older month, and `bursar lake verify` expects none.
  After a longer retention is set, the next verification reports the missing months and writes them again.
- Never let a lifecycle rule of the bucket expire objects of the lake: a table needs old files as much as new ones.
  Rules that are safe are in `deploy/lake-lifecycle.json` ([aws.md](aws.md#lifecycle-rules-of-the-lakes-bucket)).

## Limits

- Statements are read-only: one SELECT over the tables below.
  Limits: {STATEMENT_BYTES_MAX // 1024} KiB, {QUERY_TIMEOUT_S:.0f} s, {MEMORY_MAX} of memory and {ROWS_MAX:,} rows.
  They cannot read files, use the network or change settings.
- On the embedded store the tail has no lag.
  On Amazon's DynamoDB it is read from an index that lags behind the table, usually by milliseconds.
- Money is DECIMAL(18,2) in US dollars.
  Times are UTC; days and months are New York's.
  No table contains tokens.
  `metadata` contains the data that payers entered: treat exports as personal data.
"""

_REPORTS = f"""
```sh
bursar report                                              # lists the reports
bursar report monthly_finance --month 2026-10              # a table, with units and totals
bursar report trend --from -90 --client dawson --plot trend.svg --theme dark
bursar report failed_above --param above=100 --fee COPY_FEE --format xlsx --output failed.xlsx
```

| flag | meaning |
|---|---|
| `--from DAY`, `--to DAY` | the first and the last day in New York: `2026-10-01`, or `-90` for 90 days ago |
| `--month YYYY-MM` | a whole month, instead of both |
| `--fee KEY`, `--client NAME` | only this fee or client; an unknown one is an error that lists the known ones |
| `--param NAME=VALUE` | any other parameter |
| `--format`, `--output FILE` | {", ".join(FORMS)}; the file is private, and appears when it is complete |
| `--plot FILE.svg` or `FILE.png`, `--theme light` or `dark` | a chart of the report, for reports that have one |
| `--engine athena` | asks Amazon Athena about the lake alone ([athena.md](athena.md)) |
| `--sql duckdb` or `athena` | prints the SQL and does not run it ([athena.md](athena.md)) |

- *Started* is by the day on which an attempt started, *collected* by the day on which it settled.
- In a report, times are New York's, with their offset from UTC; in `bursar sql` they are UTC.
- Tables and workbooks have units in their headings and a row of totals.
  JSON has `totals` beside the rows.
  CSV, JSON lines and Parquet have the names of the columns and nothing but rows, for programs.
- A PDF is a document to file: title, question, frame, totals, page numbers, at most {PDF_ROWS_MAX:,} rows.
- A duration is shown in hours and minutes; programs get seconds.
- A table has at most {TABLE_ROWS_MAX:,} rows, and says so when there are more.
  The other formats have every row and are written as the rows come.
- Lines of CSV end with LF.
  A text that a spreadsheet would take for a formula gets an apostrophe first.
"""


if __name__ == "__main__":
    sys.stdout.write(page())
