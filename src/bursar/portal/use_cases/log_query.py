"""Read the query of GET /transaction-log. Each parameter may be given once; each problem names its parameter.

Unknown parameters are ignored, and so are ``from`` and ``to`` if both are given and one is empty: clients of the portal
that Bursar replaces send such queries.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from bursar.payments.records import whole_ms
from bursar.portal.contract.error_catalogue import VALIDATION_ERROR
from bursar.portal.contract.errors import InvalidRequest, Problem
from bursar.portal.contract.periods import court_day, day_of, read_moment
from bursar.portal.contract.schemas import Schema
from bursar.portal.contract.validation import problem
from bursar.reports.log_sorts import LOG_SORTS

PAGE_MAX: Final = 1_000_000
PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 200
EXPORT_PAGE_SIZE_MAX: Final = 5000
PARAMETERS_MAX: Final = 50
CLOCKS_APART_MAX_S: Final = 2 * 3600.0
"""The most seconds by which the clock of the machine that made the first page may be ahead of this one's."""

STATUSES: Final = ("success", "failed", "pending")
ORDERS: Final = ("asc", "desc")
# An offset's plus sign arrives as a space from callers that do not encode it.
_LOST_PLUS: Final = re.compile(r" (\d{2}:?\d{2})$")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """The requested page: attempts that last changed in ``since`` ≤ t < ``until``, Unix seconds.

    ``as_of``: the instant whose state is asked for, Unix seconds; None for the present state.
    """

    since: float
    until: float
    status: str | None
    page: int
    page_size: int
    sort: str
    order: str
    export: bool
    include_totals: bool
    as_of: float | None = None


def read_log_query(query: str, now: float) -> LogQuery:
    """Return the query in the query string ``query``.

    Without ``from`` and ``to`` its frame is today's court day, or with ``asOf`` the court day of that instant.

    Raises ``InvalidRequest`` with every parameter that is repeated or malformed.
    """
    problems: list[Problem] = []
    sent = _without_empty_frame(_once_each(query, problems))
    values: dict[str, Any] = {}
    for name, text in sent.items():
        try:
            values[name] = _READERS[name](text)
        except ValueError as error:
            problems.append(problem([name], str(error), "malformed"))
    if ("from" in sent) != ("to" in sent):
        missing = "to" if "from" in sent else "from"
        problems.append(problem([missing], "is required: from and to go together", "required"))
    largest = EXPORT_PAGE_SIZE_MAX if values.get("export") else PAGE_SIZE_MAX
    if values.get("pageSize", 1) > largest:
        problems.append(problem(["pageSize"], f"must be at most {largest}", "maximum"))
    as_of = values.get("asOf")
    if as_of is not None and as_of > now + CLOCKS_APART_MAX_S:
        problems.append(problem(["asOf"], "must not be in the future", "maximum"))
    today = day_of(court_day(now if as_of is None else as_of))
    since, until = values.get("from", today.begin), values.get("to", today.end)
    if "from" in values and "to" in values and (since > until or (since == until and _is_court_day(sent["to"]))):
        problems.append(problem(["from"], "must not be after to", "order"))
    if problems:
        raise InvalidRequest(VALIDATION_ERROR, problems)
    return LogQuery(
        since=since,
        until=until,
        status=values.get("status"),
        page=values.get("page", 1),
        page_size=values.get("pageSize", PAGE_SIZE_DEFAULT),
        sort=values.get("sort", "lastUpdatedAt"),
        order=values.get("order", "desc"),
        export=values.get("export", False),
        include_totals=values.get("includeTotals", False),
        as_of=as_of,
    )


def _once_each(query: str, problems: list[Problem]) -> dict[str, str]:
    try:
        # Bytes that are not UTF-8 become a character that every parameter rejects, so the problem names the parameter.
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX, errors="replace")
    except ValueError:
        raise InvalidRequest(VALIDATION_ERROR, [problem([], "the query cannot be read", "malformed")]) from None
    sent: dict[str, str] = {}
    for name, text in pairs:
        if name not in _READERS:
            continue
        if name in sent:
            problems.append(problem([name], "is given twice", "repeated"))
        else:
            sent[name] = text
    return sent


def _without_empty_frame(sent: dict[str, str]) -> dict[str, str]:
    if {"from", "to"} <= sent.keys() and not (sent["from"] and sent["to"]):
        return {name: text for name, text in sent.items() if name not in ("from", "to")}
    return sent


def _is_court_day(text: str) -> bool:
    """Return whether a valid moment is a court day. Its end is outside the frame, so ``from`` may not equal it."""
    return "/" in text


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return read


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _count(largest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        whole = text.isascii() and text.isdigit() and len(text) <= len(str(largest))
        if not whole or not 1 <= int(text) <= largest:
            raise ValueError(f"must be a whole number from 1 to {largest}")
        return int(text)

    return read


def _moment(*, ends: bool) -> Callable[[str], float]:
    return lambda text: read_moment(_LOST_PLUS.sub(r"+\1", text), ends=ends)


def _instant(text: str) -> float:
    if _is_court_day(text):
        raise ValueError("must be an ISO date-time with an offset")
    return whole_ms(_moment(ends=False)(text))


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "from": _moment(ends=False),
    "to": _moment(ends=True),
    "status": _one_of(STATUSES),
    "page": _count(PAGE_MAX),
    "pageSize": _count(EXPORT_PAGE_SIZE_MAX),
    "sort": _one_of(LOG_SORTS),
    "order": _one_of(ORDERS),
    "export": _truth,
    "includeTotals": _truth,
    "asOf": _instant,
}

# For the documentation: name → (schema, description).
DESCRIBED: Final[Mapping[str, tuple[Schema, str]]] = {
    "from": (
        {"type": "string", "examples": ["11/22/2026", "2026-11-22T05:00:00Z"]},
        "With `to`: an ISO date-time with offset, exact, or a court day MM/DD/YYYY from its midnight. Default: today.",
    ),
    "to": (
        {"type": "string", "examples": ["11/22/2026", "2026-11-23T05:00:00Z"]},
        "With `from`: exact and outside the frame, or a court day, the whole of which is inside.",
    ),
    "status": ({"type": "string", "enum": list(STATUSES)}, "Only this payment status; counts ignore it."),
    "page": ({"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": 1}, "From 1."),
    "pageSize": (
        {"type": "integer", "minimum": 1, "maximum": EXPORT_PAGE_SIZE_MAX, "default": PAGE_SIZE_DEFAULT},
        f"At most {PAGE_SIZE_MAX}, or {EXPORT_PAGE_SIZE_MAX} with `export=true`.",
    ),
    "sort": ({"type": "string", "enum": list(LOG_SORTS), "default": "lastUpdatedAt"}, "The field to order by."),
    "order": ({"type": "string", "enum": list(ORDERS), "default": "desc"}, "Nulls come last in both."),
    "export": (
        {"type": "string", "enum": ["true", "false"]},
        "Larger pages; pages after the first leave out counts, total and totals.",
    ),
    "includeTotals": ({"type": "string", "enum": ["true", "false"]}, "Adds the totals of the current periods."),
    "asOf": (
        {"type": "string", "examples": ["2026-11-22T19:30:00.125Z"]},
        "The state at this instant, an ISO date-time with offset. Give the `asOf` of the first page with every later "
        "page, and pages do not shift while payments arrive. Default: the present state.",
    ),
}
