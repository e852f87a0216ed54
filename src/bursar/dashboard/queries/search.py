"""The search box: turn the text of a person into conditions, and explain why each transaction matched.

    $60.00 · 60.00 · >500 · <=20 · $100-$200     amounts
    processed · failed · unknown                  statuses, in any of our languages
    10/01/2026 · 2026-10-01 · last week · May 2026   days on which attempts started
    anything else                                 the begin of an id, a return code, a client, a fee, a metadata value

All parts must match. Metadata are searched only for people who may see personal data.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from bursar.dashboard.queries.conditions import SqlCondition, all_of, one_of
from bursar.dashboard.queries.filters import UNKNOWN
from bursar.dashboard.queries.periods import PERIODS, Days, days_of_period, month_of
from bursar.dashboard.queries.url_reader import read_dollars
from bursar.dashboard.text.catalogue import LANGUAGES, text_in
from bursar.paygov.protocol import AGENCY_TRACKING_ID_CHARACTERS_MAX
from bursar.payments.status import STATUSES

TERMS_MAX: Final = 8
ID_PREFIX_CHARS_MIN: Final = 4
_UUID_CHARS: Final = 36
_UUID_DASHES: Final = (8, 13, 18, 23)
_AMOUNT: Final = r"\$?\d[\d,]*(?:\.\d{1,2})?"
_COMPARED: Final = re.compile(rf"(>=|<=|>|<)\s*({_AMOUNT})")
_RANGE: Final = re.compile(rf"(\${_AMOUNT[3:]})\s*(?:-|–|\.\.)\s*({_AMOUNT})")
_EXACT: Final = re.compile(r"\$\d[\d,]*(?:\.\d{1,2})?|\d[\d,]*\.\d{2}")
_US_DAY: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_ISO_DAY: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_MONTH: Final = re.compile(r"(\d{1,2})/(\d{4})")
_END: Final = r"(?=\s|$)"
_QUOTED: Final = re.compile(r'"([^"]+)"')
_WORD: Final = re.compile(r"\S+")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a transaction matched: the key of a text in the catalogue, and its fields."""

    key: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a search. ``reason``: why a row matches it. ``is_wide``: it usually matches many rows.

    ``alternatives``: the conditions of a part that usually matches few rows, of which a row meets at least one. DuckDB
    reads one column for each of them if they are asked one by one, and every column if they are asked together.
    ``is_by_day``: the condition reads only columns of ``payment_days``. ``days``: the part asks for these days.
    """

    condition: SqlCondition
    reason: Callable[[Row], Reason]
    is_wide: bool = True
    alternatives: tuple[str, ...] = ()
    is_by_day: bool = False
    days: Days | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """The parts of a search text."""

    terms: tuple[Term, ...] = ()

    @property
    def is_wide(self) -> bool:
        """Whether the search usually matches many rows. A search without parts does."""
        return all(term.is_wide for term in self.terms)

    @property
    def condition(self) -> SqlCondition:
        """The condition that every part matches."""
        return all_of(term.condition for term in self.terms)

    @property
    def is_by_day(self) -> bool:
        """Whether ``payment_days`` has every column that the condition reads."""
        return all(term.is_by_day for term in self.terms)

    @property
    def days(self) -> Days | None:
        """The days on which every match started; None for any day."""
        asked = [term.days for term in self.terms if term.days is not None]
        return (max(first for first, _ in asked), min(last for _, last in asked)) if asked else None

    def alternatives(self) -> list[SqlCondition]:
        """Return conditions of which each row of a search that is not wide meets at least one.

        Each of them reads few columns of many rows.
        """
        first = next(term for term in self.terms if not term.is_wide)
        others = [
            SqlCondition(f"agency_tracking_id IN ({_ids_of(term)})", term.condition.values)
            if term.alternatives
            else term.condition
            for term in self.terms
            if term is not first
        ]
        return [all_of([SqlCondition(each, first.condition.values), *others]) for each in first.alternatives]

    def reasons(self, row: Row) -> list[Reason]:
        """Return why a row matched: one reason for each part."""
        return [term.reason(row) for term in self.terms]


@dataclass(frozen=True, slots=True)
class _Names:
    """The names with which words of a search are compared, and whether metadata are searched."""

    fees: Mapping[str, str]
    clients: Collection[str]
    with_metadata: bool


def _ids_of(term: Term) -> str:
    return " UNION ALL ".join(f"SELECT agency_tracking_id FROM payments WHERE {each}" for each in term.alternatives)


def read_search(
    text: str, today: date, *, fee_names: Mapping[str, str], with_metadata: bool, clients: Collection[str] = ()
) -> Search:
    """Return what ``text`` asks for. Parts after the first ``TERMS_MAX`` are left out.

    ``fee_names``: key → name. ``clients``: clients with many payments. Others are found too, but more slowly.
    """
    names = _Names(fee_names, {client.lower() for client in clients}, with_metadata)
    terms: list[Term] = []
    position = 0
    while position < len(text) and len(terms) < TERMS_MAX:
        if text[position].isspace():
            position += 1
            continue
        term, position = _next_term(text, position, today, len(terms), names)
        terms.append(term)
    return Search(tuple(terms))


def _next_term(text: str, position: int, today: date, number: int, names: _Names) -> tuple[Term, int]:
    for read in (_amount_at, _days_at, _status_at):
        found = read(text, position, today, number)
        if found is not None:
            return found
    quoted = _QUOTED.match(text, position)
    word = quoted or _WORD.match(text, position)
    assert word is not None, "the position is not at a space"
    wanted = quoted[1] if quoted else word[0]
    return _text_term(wanted.strip().lower(), number, names), word.end()


Found = tuple[Term, int] | None


def _amount_at(text: str, position: int, today: date, number: int) -> Found:
    between = _match(_RANGE, text, position)
    if between:
        low, high = read_dollars(between[1]), read_dollars(between[2])
        if low is not None and high is not None:
            return _amount_term(number, [(">=", low), ("<=", high)]), between.end()
    compared = _match(_COMPARED, text, position)
    if compared:
        amount = read_dollars(compared[2])
        if amount is not None:
            return _amount_term(number, [(compared[1], amount)]), compared.end()
    exact = _match(_EXACT, text, position)
    if exact:
        amount = read_dollars(exact[0])
        if amount is not None:
            return _amount_term(number, [("=", amount)]), exact.end()
    return None


def _amount_term(number: int, bounds: Sequence[tuple[str, Decimal]]) -> Term:
    values = {f"s{number}_{at}": f"{amount:f}" for at, (_, amount) in enumerate(bounds)}
    sql = " AND ".join(
        f"amount {operator} CAST($s{number}_{at} AS DECIMAL(18,2))" for at, (operator, _) in enumerate(bounds)
    )
    return Term(SqlCondition(sql, values), lambda row: Reason("search.why.amount", {}))


def _days_at(text: str, position: int, today: date, number: int) -> Found:
    for phrase, name in _period_phrases():
        if text[position : position + len(phrase)].lower() == phrase and _ends(text, position + len(phrase)):
            return _days_term(number, *days_of_period(name, today)), position + len(phrase)
    for pattern, read in _DAY_FORMS:
        found = _match(pattern, text, position)
        if found:
            days = read(found)
            if days is not None:
                return _days_term(number, *days), found.end()
    for phrase, month in _month_phrases():
        end = position + len(phrase)
        year = re.match(r"\s+(\d{4})" + _END, text[end:])
        if text[position:end].lower() == phrase and year:
            days = _whole_month(int(year[1]), month)
            if days is not None:
                return _days_term(number, *days), end + year.end()
    return None


def _days_term(number: int, first: date, last: date) -> Term:
    values = {f"s{number}_first": first.isoformat(), f"s{number}_last": last.isoformat()}
    sql = f"created_on BETWEEN CAST($s{number}_first AS DATE) AND CAST($s{number}_last AS DATE)"
    reason = Reason("search.why.started", {})
    return Term(SqlCondition(sql, values), lambda row: reason, is_by_day=True, days=(first, last))


def _status_at(text: str, position: int, today: date, number: int) -> Found:
    word = _WORD.match(text, position)
    status = _status_words().get(word[0].lower()) if word else None
    if word is None or status is None:
        return None
    if status == UNKNOWN:
        condition = SqlCondition("outcome_unknown")
    elif status in STATUSES:
        condition = SqlCondition(f"status = $s{number}", {f"s{number}": status})
    else:
        condition = SqlCondition(f"payment_status = $s{number}", {f"s{number}": status})
    reason = Reason("search.why.status", {})
    return Term(condition, lambda row: reason, is_by_day=status != UNKNOWN), word.end()


def _text_term(wanted: str, number: int, names: _Names) -> Term:
    name = f"s{number}"
    fees = sorted(key for key, fee in names.fees.items() if wanted in fee.lower() or wanted == key.lower())
    alternatives = [SqlCondition(_is(column, name, wanted), {name: wanted}) for column in ("return_code", "client")]
    if len(wanted) >= ID_PREFIX_CHARS_MIN:
        if _begins_uuid(wanted):
            alternatives.append(SqlCondition(f"starts_with(reference, ${name})"))  # references are stored in lower case
        if len(wanted) <= AGENCY_TRACKING_ID_CHARACTERS_MAX:
            alternatives.append(_begins("agency_tracking_id", name, wanted))
        alternatives.append(_begins("paygov_tracking_id", name, wanted))
        alternatives.append(SqlCondition(f"agency_tracking_id IN ({_of_ticket(name)})"))
    if fees:
        alternatives.append(one_of("fee", f"{name}_fee", fees))
    amount = read_dollars(wanted)
    if amount is not None:
        alternatives.append(
            SqlCondition(f"amount = CAST(${name}_amount AS DECIMAL(18,2))", {f"{name}_amount": f"{amount:f}"})
        )
    if names.with_metadata:
        alternatives.append(_in_metadata(name, wanted))
    is_short_amount = amount is not None and len(wanted) < ID_PREFIX_CHARS_MIN
    values: dict[str, Any] = {}
    for each in alternatives:
        values |= each.values
    sql = " OR ".join(f"({each.sql})" for each in alternatives)
    return Term(
        SqlCondition(sql, values),
        lambda row: _text_reason(row, wanted, fees, amount, names.with_metadata),
        is_wide=bool(fees) or wanted in names.clients or is_short_amount,
        alternatives=tuple(each.sql for each in alternatives),
    )


def _of_ticket(name: str) -> str:
    """Return the SELECT of the attempts whose money was in a deposit ticket."""
    return " UNION ALL ".join(
        f"SELECT agency_tracking_id FROM {table} WHERE lower(deposit_ticket) = ${name}"
        for table in ("deposits", "reversals")
    )


def _begins_uuid(wanted: str) -> bool:
    """Return whether a reference (a UUID in lower case) can begin with this text.

    If not, the search need not read references.
    """
    return len(wanted) <= _UUID_CHARS and all(
        character == "-" if place in _UUID_DASHES else character in "0123456789abcdef"
        for place, character in enumerate(wanted)
    )


def _is(column: str, name: str, wanted: str) -> str:
    """Return the condition that a column has this text, in upper or lower case."""
    return f"{column} ILIKE ${name}" if _is_plain(wanted) else f"lower({column}) = ${name}"


def _is_plain(wanted: str) -> bool:
    """Return whether a text may be a pattern of ILIKE, which is twice as fast as a function of the column."""
    return wanted.isascii() and not set(wanted) & set("%_\\")


def _begins(column: str, name: str, wanted: str) -> SqlCondition:
    """Return the condition that an id begins with this text, in upper or lower case.

    For a text that is longer than every id, no row is read.
    """
    if len(wanted) <= AGENCY_TRACKING_ID_CHARACTERS_MAX and _is_plain(wanted):
        return SqlCondition(f"{column} ILIKE ${name}_begin", {f"{name}_begin": f"{wanted}%"})
    return SqlCondition(f"starts_with(lower({column}), ${name})")


def _in_metadata(name: str, wanted: str) -> SqlCondition:
    values = f"contains(lower(array_to_string(json_extract_string(metadata, '$.*'), chr(31))), ${name})"
    # The stored JSON has letters outside of ASCII as escapes, so only plain text can be found in it directly.
    if not wanted.isascii() or '"' in wanted or "\\" in wanted:
        return SqlCondition(values)
    if _is_plain(wanted):
        return SqlCondition(f"metadata ILIKE ${name}_within AND {values}", {f"{name}_within": f"%{wanted}%"})
    return SqlCondition(f"contains(lower(metadata), ${name}) AND {values}")


def _text_reason(row: Row, wanted: str, fees: Sequence[str], amount: Decimal | None, with_metadata: bool) -> Reason:
    for column in ("agency_tracking_id", "paygov_tracking_id", "reference"):
        if len(wanted) >= ID_PREFIX_CHARS_MIN and str(row[column] or "").lower().startswith(wanted):
            return Reason(f"search.why.{column}", {})
    if str(row["return_code"] or "").lower() == wanted:
        return Reason("search.why.return_code", {})
    if str(row["client"]).lower() == wanted:
        return Reason("search.why.client", {})
    if row["fee"] in fees:
        return Reason("search.why.fee", {})
    if amount is not None and row["amount"] == amount:
        return Reason("search.why.amount", {})
    if with_metadata:
        named = _metadata_reason(row, wanted)
        if named is not None:
            return named
    return Reason("search.why.deposit_ticket", {})


def _metadata_reason(row: Row, wanted: str) -> Reason | None:
    for name, value in json.loads(row["metadata"] or "{}").items():
        if wanted in (value if isinstance(value, str) else json.dumps(value)).lower():
            return Reason("search.why.metadata", {"name": str(name)})
    return None


# Words ------------------------------------------------------------------------------------------------------------


def _period_phrases() -> list[tuple[str, str]]:
    """Return (phrase, period) of every language, longest first."""
    found = [
        (phrase.strip().lower(), name)
        for language in LANGUAGES
        for name in PERIODS
        for phrase in text_in(language)(f"search.periods.{name}").split(",")
    ]
    return sorted(found, key=lambda each: -len(each[0]))


def _month_phrases() -> list[tuple[str, int]]:
    found = [
        (text_in(language)(f"dates.{names}.{month}").lower().rstrip("."), month)
        for language in LANGUAGES
        for names in ("months", "short_months")
        for month in range(1, 13)
    ]
    return sorted(found, key=lambda each: -len(each[0]))


def _status_words() -> dict[str, str]:
    """Return word → status of an attempt, payment status, or ``unknown``."""
    words = {status: status for status in (*STATUSES, "success", UNKNOWN)}
    for language in LANGUAGES:
        for status in (*STATUSES, UNKNOWN):
            words[text_in(language)(f"status.{status}").lower()] = status
    return words


def _match(pattern: re.Pattern[str], text: str, position: int) -> re.Match[str] | None:
    found = pattern.match(text, position)
    return found if found and _ends(text, found.end()) else None


def _ends(text: str, position: int) -> bool:
    return position >= len(text) or text[position].isspace()


def _day(year: int, month: int, day: int) -> tuple[date, date] | None:
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    return found, found


def _whole_month(year: int, month: int) -> tuple[date, date] | None:
    try:
        return month_of(date(year, month, 1))
    except (ValueError, OverflowError):
        return None


_DAY_FORMS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[date, date] | None]], ...]] = (
    (_US_DAY, lambda found: _day(int(found[3]), int(found[1]), int(found[2]))),
    (_ISO_DAY, lambda found: _day(int(found[1]), int(found[2]), int(found[3]))),
    (_MONTH, lambda found: _whole_month(int(found[2]), int(found[1]))),
)
