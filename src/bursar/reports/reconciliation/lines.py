"""The lines of activity files: one collection or reversal at Pay.gov, in checked values.

A line that cannot be read is a :class:`LineProblem`. It names the file, the line and the field, and keeps the ids and
the amount if they are readable.
"""

import re
from collections.abc import Mapping as MappingType
from datetime import date, datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from bursar.paygov.protocol import PAYGOV_TRACKING_ID
from bursar.payments.catalogue.fees import COURT_ZONE
from bursar.payments.status import PAYGOV_STATUS

LineKind = Literal["charge", "returned", "charged_back", "refunded"]
LineStatus = Literal["processed", "pending", "failed", "returned"]
CHARGE: Final[LineKind] = "charge"
LINE_KINDS: Final[tuple[LineKind, ...]] = ("charge", "returned", "charged_back", "refunded")
LINE_STATUSES: Final[tuple[LineStatus, ...]] = ("processed", "pending", "failed", "returned")
"""``returned`` is Retired: failed while the payment is unsettled, a returned debit after it has settled."""
STATUS_WORDS: Final[MappingType[str, LineStatus]] = {
    **{word.casefold(): status for word, status in PAYGOV_STATUS.items()},
    "retired": "returned",
}
"""Pay.gov's words for a collection's status (docs/paygov.md), in lower case."""
CENTS_MAX: Final = 99_999_999_999
TEXT_CHARS_MAX: Final = 255
FIRST_YEAR: Final = 1990
LAST_YEAR: Final = 2199
SHOWN_CHARS_MAX: Final = 40
_COURT: Final = ZoneInfo(COURT_ZONE)
_AMOUNT: Final = re.compile(
    r"(?P<sign>-\$?|\$-?|\(\$?)?(?P<dollars>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,20})(?:\.(?P<cents>[0-9]{1,2}))?(?P<close>\))?"
)


class ActivityLine(NamedTuple):
    """One line. ``file`` is the file's number, ``line`` its first line there. ``cents`` may be negative.

    ``day`` is the day in New York (``2026-11-29``), ``moment`` the date as the file has it. ``kind`` and ``status`` are
    None for words that the mapping does not know; ``kind_word`` and ``status_word`` are the file's own words.
    """

    file: int
    line: int
    kind: LineKind | None
    status: LineStatus | None
    agency_id: str | None
    paygov_id: str | None
    cents: int
    day: str | None
    moment: str | None
    kind_word: str
    status_word: str
    method: str | None
    deposit_ticket: str | None
    deposited_on: str | None
    debit_voucher: str | None
    reason_code: str | None

    @property
    def content(self) -> tuple[object, ...]:
        """All fields except the place in the files."""
        return self[2:]


class LineProblem(NamedTuple):
    """A line, or the rest of a file, that cannot be read. The ids and ``cents`` are None if they are not readable."""

    file: int
    line: int
    problem: str
    agency_id: str | None = None
    paygov_id: str | None = None
    cents: int | None = None


def cents_of(text: str) -> int:
    """Return an amount such as ``60.00``, ``$1,060.00``, ``-60.00`` or ``(60.00)`` in cents. Raises ``ValueError``."""
    return _cents_of(text)


@lru_cache(maxsize=4096)
def _cents_of(text: str) -> int:
    found = _AMOUNT.fullmatch(text)
    sign = "" if found is None else found["sign"] or ""
    cents = CENTS_MAX + 1
    if found is not None and sign.startswith("(") == bool(found["close"]):
        cents = int(found["dollars"].replace(",", "")) * 100 + int((found["cents"] or "").ljust(2, "0"))
    if cents > CENTS_MAX:
        most = f"{CENTS_MAX // 100}.{CENTS_MAX % 100:02d}"
        rule = f"must be dollars such as 60.00, with at most two decimals and at most {most}"
        raise ValueError(f"amount: {rule}; got {shown(text)}")
    return -cents if "-" in sign or "(" in sign else cents


def day_of(text: str, formats: tuple[str, ...]) -> str:
    """Return the day in New York, ``2026-11-29``, of a date or date-time. Raises ``ValueError``.

    ``formats`` are those of ``strptime``; without any, the date is ISO 8601. A date-time without an offset is New
    York's.
    """
    try:
        moment = datetime.fromisoformat(text) if not formats else _parsed(text, formats)
        day: date = moment.date() if moment.tzinfo is None else moment.astimezone(_COURT).date()
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise ValueError
    except (ValueError, OverflowError):
        rule = f"must be like {' or '.join(formats)}" if formats else "must be an ISO date or date-time"
        raise ValueError(f"date: {rule}, from {FIRST_YEAR} to {LAST_YEAR}; got {shown(text)}") from None
    return day.isoformat()


def _parsed(text: str, formats: tuple[str, ...]) -> datetime:
    for each in formats:
        try:
            return datetime.strptime(text, each)  # noqa: DTZ007 - without an offset it is New York's time
        except ValueError:
            continue
    raise ValueError


def checked_id(name: str, text: str | None) -> str | None:
    """Return an id that is printable ASCII, None for an empty one. Raises ``ValueError``."""
    if not text:
        return None
    if not PAYGOV_TRACKING_ID.fullmatch(text):
        raise ValueError(f"{name}: must be at most {TEXT_CHARS_MAX} printable characters; got {shown(text)}")
    return text


def checked_text(name: str, text: str | None) -> str | None:
    """Return a short printable text, None for an empty one. Raises ``ValueError``."""
    if not text:
        return None
    if len(text) > TEXT_CHARS_MAX or not text.isprintable():
        raise ValueError(f"{name}: must be at most {TEXT_CHARS_MAX} printable characters; got {shown(text)}")
    return text


def shown(text: str) -> str:
    """Return a value of a file as a message shows it: quoted, cut and free of control characters."""
    return ascii(text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…")
