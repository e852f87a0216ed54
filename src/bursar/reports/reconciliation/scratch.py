"""The working file of a reconciliation: lines and payments in SQLite, so that memory stays bounded.

    lines     each line of the files             payments  the attempts that concern them
    matched   line → attempt and group           results   line → class, or a payment without a line

It is a temporary file, which is deleted at the end.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from bursar.payments.status import FAILED, PENDING, PROCESSED
from bursar.reports.reconciliation.classes import (
    AT_THE_EDGE,
    IN_TRANSIT,
    MALFORMED,
    MATCHED,
    MISSING_THERE,
    NOT_COLLECTED,
)
from bursar.reports.reconciliation.classify import ClassifiedLine, GroupLine
from bursar.reports.reconciliation.lines import ActivityLine, LineProblem
from bursar.reports.reconciliation.mapping import MatchRule
from bursar.reports.reconciliation.our_payments import PaymentRow, ReversalRow

CACHE_KB: Final = 64 * 1024
"""The memory of SQLite's pages. Sorts beyond it use the disk."""
ROWS_AT_ONCE: Final = 10_000
LIFE_DAYS_MAX: Final = 14
"""The most days from a payment's start to its line's date, for a match by a rule: an attempt settles within days."""

_TABLES: Final = """
CREATE TABLE lines (
    id INTEGER PRIMARY KEY, file INTEGER, line INTEGER, kind TEXT, status TEXT, agency TEXT, paygov TEXT, cents INTEGER,
    day TEXT, moment TEXT, kind_word TEXT, status_word TEXT, method TEXT, ticket TEXT, deposited TEXT, voucher TEXT,
    code TEXT
);
CREATE TABLE problems (file INTEGER, line INTEGER, problem TEXT, agency TEXT, paygov TEXT, cents INTEGER);
CREATE TABLE payments (
    agency TEXT PRIMARY KEY, paygov TEXT, client TEXT, reference TEXT, cents INTEGER, status TEXT, unknown INTEGER,
    created_on TEXT, final_on TEXT
) WITHOUT ROWID;
CREATE TABLE reversals (agency TEXT, kind TEXT, cents INTEGER, day TEXT);
CREATE TABLE matched (line INTEGER PRIMARY KEY, attempt TEXT, rule TEXT, grouped TEXT);
CREATE TABLE results (
    class TEXT, day TEXT, cents INTEGER, attempt TEXT, why TEXT, line_id INTEGER, problem_id INTEGER
);
"""
_LINE: Final = ", ".join(f"l.{name}" for name in (
    "file", "line", "kind", "status", "agency", "paygov", "cents", "day", "moment", "kind_word", "status_word",
    "method", "ticket", "deposited", "voucher", "code",
))  # fmt: skip
_LINE_COLUMNS: Final = len(ActivityLine._fields)
_UNMATCHED: Final = """
SELECT id, agency, paygov FROM lines l
WHERE id > ? AND (agency IS NOT NULL OR paygov IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.agency = l.agency)
    AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.paygov = l.paygov)
ORDER BY id LIMIT ?
"""
_OBLIGATION: Final = "'o' || p.client || '#' || p.reference"
_MATCH_BY_IDS: Final = f"""
INSERT INTO matched
SELECT l.id, p.agency, NULL, coalesce({_OBLIGATION}, 'c' || coalesce(l.agency, l.paygov, l.id))
FROM lines l LEFT JOIN payments p ON p.agency = coalesce(
    (SELECT a.agency FROM payments a WHERE a.agency = l.agency),
    (SELECT min(a.agency) FROM payments a WHERE a.paygov = l.paygov)
)
"""
"""A group is an obligation, or the collection of a line without an attempt."""
_MISSING_THERE: Final = f"""
INSERT INTO results
SELECT CASE WHEN created_on >= :first THEN '{MISSING_THERE.name}' ELSE '{AT_THE_EDGE.name}' END,
    final_on, cents, agency, 'no line names it', NULL, NULL
FROM payments p
WHERE status = '{PROCESSED}' AND final_on BETWEEN :first AND :last
    AND NOT EXISTS (
        SELECT 1 FROM matched m JOIN lines l ON l.id = m.line
        WHERE m.attempt = p.agency AND (l.kind IS NULL OR l.kind = 'charge')
            AND NOT coalesce(l.status IN ('failed', 'returned') AND l.paygov <> p.paygov, FALSE)
    )
    AND NOT EXISTS (SELECT 1 FROM problems x WHERE x.agency = p.agency OR x.paygov = p.paygov)
"""
_SHARED: Final = "CREATE TEMP TABLE shared AS SELECT grouped FROM matched GROUP BY grouped HAVING count(*) > 1"
_ASK_REVERSALS: Final = """
SELECT m.attempt FROM lines l JOIN matched m ON m.line = l.id
WHERE (l.kind <> 'charge' OR l.status = 'returned') AND m.attempt IS NOT NULL
UNION
SELECT attempt FROM matched WHERE attempt IS NOT NULL AND grouped IN (
    SELECT grouped FROM matched WHERE grouped IN (SELECT grouped FROM shared)
    GROUP BY grouped HAVING count(DISTINCT attempt) > 1
)
"""
_PLAIN: Final = f"""
INSERT INTO results
SELECT CASE l.status
        WHEN 'processed' THEN '{MATCHED.name}' WHEN 'pending' THEN '{IN_TRANSIT.name}' ELSE '{NOT_COLLECTED.name}'
    END,
    l.day, l.cents, p.agency, '', l.id, NULL
FROM matched m JOIN lines l ON l.id = m.line JOIN payments p ON p.agency = m.attempt
WHERE m.grouped NOT IN (SELECT grouped FROM shared) AND m.rule IS NULL AND l.kind = 'charge' AND l.cents = p.cents
    AND (l.status = p.status AND l.status IN ('{PROCESSED}', '{FAILED}')
        OR l.status = '{PENDING}' AND p.status IN ('{PENDING}', '{PROCESSED}'))
    AND (l.paygov IS NULL OR p.paygov IS NULL OR l.paygov = p.paygov)
    AND (l.day IS NULL OR l.day >= p.created_on AND (p.final_on IS NULL OR l.day <= p.final_on))
"""
_PAYMENT: Final = "p.agency, p.paygov, p.client, p.reference, p.cents, p.status, p.unknown, p.created_on, p.final_on"


class Difference(NamedTuple):
    """One result that needs an explanation: a line, or a payment that no file has (``file`` and ``line`` are None).

    Amounts are in cents.
    """

    line_class: str
    day: str | None
    file: int | None
    line: int | None
    agency_id: str | None
    paygov_id: str | None
    client: str | None
    reference: str | None
    their_cents: int | None
    our_cents: int | None
    their_status: str | None
    our_status: str | None
    why: str
    kind: str | None = None
    line_day: str | None = None
    deposit_ticket: str | None = None
    deposited_on: str | None = None
    debit_voucher: str | None = None
    reason_code: str | None = None
    method: str | None = None
    status: str | None = None
    line_agency_id: str | None = None


class Scratch:
    """The working file of one reconciliation."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bursar-reconcile-")  # of mode 700
        self._file = sqlite3.connect(Path(self._folder.name) / "scratch.db", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KB}", "temp_store = FILE"):
            self._file.execute(f"PRAGMA {pragma}")
        self._file.execute(f"PRAGMA temp_store_directory = '{self._folder.name}'")
        self._file.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._folder.cleanup()

    def add_lines(self, found: Iterable[ActivityLine | LineProblem]) -> None:
        """Add the lines and problems of a file."""
        lines: list[tuple[Any, ...]] = []
        problems: list[LineProblem] = []
        for each in found:
            if isinstance(each, ActivityLine):
                lines.append((None, *each))
                if len(lines) >= ROWS_AT_ONCE:
                    self._insert("lines", lines)
                    lines.clear()
            else:
                problems.append(each)
                if len(problems) >= ROWS_AT_ONCE:
                    self._insert("problems", problems)
                    problems.clear()
        self._insert("lines", lines)
        self._insert("problems", problems)

    def add_payments(self, rows: Iterable[PaymentRow]) -> None:
        """Add payments; a payment that was added before is ignored."""
        # In one transaction: without it, each row would be written to the file at once.
        # In the order of the key: a page of the table is then changed once.
        self._file.execute("BEGIN")
        self._file.executemany(f"INSERT OR IGNORE INTO payments VALUES ({_marks(9)})", sorted(rows, key=itemgetter(0)))
        self._file.execute("COMMIT")

    def add_reversals(self, rows: Iterable[ReversalRow]) -> None:
        """Add recorded reversals."""
        self._file.executemany(f"INSERT INTO reversals VALUES ({_marks(4)})", rows)

    def days(self, lines_min: int) -> list[str]:
        """Return the days with at least ``lines_min`` lines."""
        counted = "SELECT day FROM lines WHERE day IS NOT NULL GROUP BY day HAVING count(*) >= ?"
        return [day for (day,) in self._file.execute(counted, (lines_min,))]

    def days_of_results(self, class_names: Sequence[str]) -> tuple[str, str] | None:
        """Return the first and the last day of the results of these classes; None without any."""
        sql = f"SELECT min(day), max(day) FROM results WHERE class IN ({_marks(len(class_names))})"
        first, last = self._file.execute(sql, class_names).fetchone()
        return None if first is None else (first, last)

    def index(self) -> None:
        """Create the index for matching. Call it when most payments are added."""
        self._file.execute("CREATE INDEX IF NOT EXISTS by_paygov ON payments (paygov) WHERE paygov IS NOT NULL")

    def unmatched_ids(self, size: int) -> Iterator[list[tuple[str | None, str | None]]]:
        """Yield (agency tracking id, Pay.gov tracking id) of the lines whose payment is not known, ``size`` at once.

        Payments may be added between two parts.
        """
        last = 0
        while rows := self._file.execute(_UNMATCHED, (last, size)).fetchall():
            last = rows[-1][0]
            yield [(agency_id, paygov_id) for _, agency_id, paygov_id in rows]

    def match_by_ids(self) -> None:
        """Match each line by our id, or otherwise by Pay.gov's, and give it its group."""
        self._file.execute(_MATCH_BY_IDS)

    def open_days(self) -> tuple[str, str] | None:
        """Return the first and the last day of unmatched lines without our id; None without such lines."""
        self._file.execute(_OPEN_LINES)
        self._file.execute("CREATE INDEX open_lines_by_cents ON open_lines (cents, day)")
        first, last = self._file.execute("SELECT min(day), max(day) FROM open_lines").fetchone()
        return None if first is None else (first, last)

    def match_by_rule(self, rule: MatchRule) -> None:
        """Match each line without our id to the payment of the same amount and a near date, if it is the only one."""
        self._file.execute("CREATE INDEX IF NOT EXISTS by_attempt ON matched (attempt)")
        for statement in (_OPEN_PAYMENTS, "CREATE INDEX open_payments_by_cents ON open_payments (cents, created_on)"):
            self._file.execute(statement)
        days = {"earlier": f"-{rule.days} days", "later": f"+{rule.days} days"}
        self._file.execute(_PAIRS, days)
        self._file.execute(
            "UPDATE matched SET attempt = pairs.attempt, rule = ? FROM pairs WHERE matched.line = pairs.line",
            (rule.name,),
        )
        self._file.execute("DELETE FROM open_lines WHERE id IN (SELECT line FROM pairs)")
        self._file.execute("DROP TABLE pairs")
        self._file.execute("DROP TABLE open_payments")

    def group(self) -> None:
        """Give the lines that a rule matched their groups, and note the groups of several lines."""
        self._file.execute(
            f"UPDATE matched SET grouped = {_OBLIGATION} FROM payments p "
            "WHERE p.agency = matched.attempt AND matched.rule IS NOT NULL"
        )
        self._file.execute("CREATE INDEX by_group ON matched (grouped)")
        self._file.execute(_SHARED)
        self._file.execute("CREATE INDEX IF NOT EXISTS by_attempt ON matched (attempt)")

    def attempts_to_ask_reversals_of(self, size: int) -> Iterator[list[str]]:
        """Yield the attempts with lines of money that went back, and attempts of obligations that may be paid twice."""
        cursor = self._file.execute(_ASK_REVERSALS)
        while rows := cursor.fetchmany(size):
            yield [attempt for (attempt,) in rows]

    def classify_plain(self) -> None:
        """Classify the lines that are the only one of their group and agree completely with their attempt.

        The result is that of :func:`bursar.reports.reconciliation.classify.classify`. Nearly all lines are of this
        kind, so few are left for :meth:`groups`.
        """
        self._file.execute(_PLAIN)

    def groups(self) -> Iterator[list[GroupLine]]:
        """Yield the lines of each group with their attempts, without lines that have a result."""
        cursor = self._file.cursor().execute(
            f"SELECT m.grouped, m.rule, m.line, {_LINE}, {_PAYMENT} FROM matched m JOIN lines l ON l.id = m.line "
            "LEFT JOIN payments p ON p.agency = m.attempt "
            "WHERE m.line NOT IN (SELECT line_id FROM results WHERE line_id IS NOT NULL) ORDER BY m.grouped"
        )
        for _, rows in groupby(cursor, key=lambda row: row[0]):
            yield [_group_line(row) for row in rows]

    def reversals_of(self, agency_ids: Iterable[str]) -> dict[str, list[ReversalRow]]:
        """Return the recorded reversals of some attempts."""
        found: dict[str, list[ReversalRow]] = {}
        for agency_id in agency_ids:
            rows = self._file.execute("SELECT * FROM reversals WHERE agency = ?", (agency_id,)).fetchall()
            if rows:
                found[agency_id] = [ReversalRow(*row) for row in rows]
        return found

    def has_reversals(self) -> bool:
        """Return whether any reversal was added."""
        return self._file.execute("SELECT 1 FROM reversals LIMIT 1").fetchone() is not None

    def add_verdicts(self, verdicts: Sequence[ClassifiedLine]) -> None:
        """Store the results of lines."""
        self._insert(
            "results",
            [
                (
                    each.line_class.name,
                    line.day,
                    line.cents,
                    ours and ours.agency_id,
                    each.why,
                    each.found.line_id,
                    None,
                )
                for each in verdicts
                for line, ours in [(each.found.line, each.found.ours)]
            ],
        )

    def add_problems(self) -> None:
        """Store the problems as results."""
        self._file.execute(
            f"INSERT INTO results SELECT '{MALFORMED.name}', NULL, cents, agency, problem, NULL, rowid FROM problems"
        )

    def add_missing_there(self, first: str, last: str) -> None:
        """Store the payments that were collected on the days ``first`` to ``last`` and that no line has.

        Pay.gov's date is between the attempt's start and its end. If the attempt started before ``first``, the line may
        be in the file of another day.
        """
        self._file.execute(_MISSING_THERE, {"first": first, "last": last})

    def summary(self) -> list[tuple[str, str | None, int, int]]:
        """Return (class, day, number, cents) of the results."""
        return self._file.execute(
            "SELECT class, day, count(*), sum(coalesce(cents, 0)) FROM results GROUP BY class, day ORDER BY day, class"
        ).fetchall()

    def differences(self, class_names: Sequence[str]) -> Iterator[Difference]:
        """Yield the results of these classes, by day, class and place."""
        cursor = self._file.execute(
            "SELECT r.class, r.day, coalesce(l.file, x.file), coalesce(l.line, x.line), "
            "coalesce(p.agency, l.agency, x.agency), coalesce(l.paygov, p.paygov, x.paygov), p.client, p.reference, "
            "coalesce(l.cents, x.cents), p.cents, l.status_word, p.status, r.why, "
            "l.kind, l.day, l.ticket, l.deposited, l.voucher, l.code, l.method, l.status, l.agency "
            "FROM results r LEFT JOIN payments p ON p.agency = r.attempt LEFT JOIN lines l ON l.id = r.line_id "
            "LEFT JOIN problems x ON x.rowid = r.problem_id "
            f"WHERE r.class IN ({_marks(len(class_names))}) ORDER BY r.day, r.class, 3, 4, 5, r.line_id",
            class_names,
        )
        for row in cursor:
            yield Difference._make(row)

    def _insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        if rows:
            self._file.execute("BEGIN")
            self._file.executemany(f"INSERT INTO {table} VALUES ({_marks(len(rows[0]))})", rows)
            self._file.execute("COMMIT")


_OPEN_LINES: Final = """
CREATE TEMP TABLE open_lines AS
SELECT l.id, l.paygov, l.cents, l.day FROM matched m JOIN lines l ON l.id = m.line
WHERE m.attempt IS NULL AND l.agency IS NULL AND l.kind = 'charge' AND l.day IS NOT NULL
    AND l.status IN ('processed', 'pending')
"""
_OPEN_PAYMENTS: Final = """
CREATE TEMP TABLE open_payments AS
SELECT agency, paygov, cents, created_on, coalesce(final_on, created_on) AS ended_on FROM payments p
WHERE p.status <> 'failed' AND NOT EXISTS (SELECT 1 FROM matched t WHERE t.attempt = p.agency)
"""
_FITS: Final = f"""
p.cents = l.cents AND (p.paygov IS NULL OR l.paygov IS NULL)
    AND p.created_on BETWEEN date(l.day, '-{LIFE_DAYS_MAX} days') AND date(l.day, :later)
    AND p.ended_on >= date(l.day, :earlier)
"""
# The nearest candidates come first, so that two are found at once where there are many.
_CANDIDATES_OF_LINE: Final = f"SELECT p.agency FROM open_payments p WHERE {_FITS} ORDER BY p.created_on DESC LIMIT 2"
_LINES_OF_PAYMENT: Final = f"SELECT l.id FROM open_lines l WHERE {_FITS} ORDER BY l.day LIMIT 2"
_PAIRS: Final = f"""
CREATE TEMP TABLE pairs AS
SELECT line, attempt FROM (
    SELECT o.id AS line, (SELECT min(agency) FROM ({_CANDIDATES_OF_LINE.replace("l.", "o.")})) AS attempt
    FROM open_lines o WHERE (SELECT count(*) FROM ({_CANDIDATES_OF_LINE.replace("l.", "o.")})) = 1
) JOIN open_payments p ON p.agency = attempt
WHERE (SELECT count(*) FROM ({_LINES_OF_PAYMENT})) = 1
"""


def _group_line(row: tuple[Any, ...]) -> GroupLine:
    line = ActivityLine._make(row[3 : 3 + _LINE_COLUMNS])
    payment = row[3 + _LINE_COLUMNS :]
    return GroupLine(line, None if payment[0] is None else PaymentRow._make(payment), row[1], row[2])


def _marks(count: int) -> str:
    return ", ".join("?" * count)
