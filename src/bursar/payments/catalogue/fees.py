"""Fees: a versioned catalogue in one TOML file.

    [fees.PETITION_FILING_FEE]
    name = "Petition filing fee"
    tcs_app_id = "TCSUSTAXCOURTPETITION"
    versions = [{ active_from = 2020-12-01, amount = "60.00" }]

    [fees.PETITION_FILING_FEE.metadata]          # a JSON Schema, written in TOML
    type = "object"
    required = ["docketNumber"]

A version is active from the beginning of its day in America/New_York until the beginning of the next version's day.
A version may split its amount over the Treasury's accounts, by amounts or, also for a variable amount, by percentages:

    versions = [{ active_from = 2026-10-01, amount = "60.00", classification = [
        { id = "1234567", share = "40%" }, { id = "7654321", share = "60%" } ] }]

``variable = true`` replaces the amount if the caller chooses it. The name of a version is its day (``2020-12-01``), and
an attempt keeps that name and its amount. Versions are added and never rewritten, so that old payments stay readable.

A fee that is no longer available stays in the file with ``retired_from = 2027-01-01``. From the beginning of that day
no new payment can start with it, as if it were unknown. Attempts that were started before continue, and a caller that
repeats a start gets the started attempt.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from bursar.payments.catalogue.classification import Share, read_shares, split
from bursar.payments.catalogue.schema_messages import MESSAGES, SchemaMessage, SchemaProblem, schema_problems
from bursar.payments.classified_amounts import ClassifiedAmount
from bursar.payments.records import money

COURT_ZONE: Final = "America/New_York"
DEFAULT_FEES: Final = Path(__file__).with_name("fees.toml")
TCS_APP_ID_CHARS_MAX: Final = 50
_TCS_APP_ID: Final = re.compile(r"[!-~]*")
_FEE_KEYS: Final = frozenset({"name", "tcs_app_id", "metadata", "versions", "retired_from"})
_VERSION_KEYS: Final = frozenset({"active_from", "amount", "variable", "classification"})


class FeesError(ValueError):
    """The catalogue's file is invalid; the text names the file, the key and the problem, one line per problem."""


@dataclass(frozen=True, slots=True)
class Fee:
    """One fee at one time. ``amount`` is in dollars with two decimals; None: the caller chooses it.

    ``retired`` means that no new payment can start with it.
    """

    key: str
    name: str
    tcs_app_id: str
    version: str
    amount: Decimal | None
    metadata_schema: Mapping[str, Any] = field(repr=False)
    _validator: Any = field(repr=False, compare=False)
    retired: bool = False
    shares: tuple[Share, ...] = ()

    def classified(self, amount: Decimal) -> tuple[ClassifiedAmount, ...] | None:
        """Return how ``amount`` is split over the Treasury's accounts; None for a fee without a classification."""
        return split(amount, self.shares) if self.shares else None

    @property
    def variable(self) -> bool:
        """Whether the caller chooses the amount."""
        return self.amount is None

    def metadata_problems(self, metadata: object) -> tuple[SchemaProblem, ...]:
        """Return all errors in ``metadata``, ordered by path. Extra keys are allowed."""
        problems = schema_problems(self._validator, metadata, messages=_METADATA_MESSAGES, other=_OTHER_MESSAGE)
        return tuple(sorted(problems, key=lambda p: ([str(step) for step in p.path], p.code)))


@dataclass(frozen=True, slots=True)
class FeeVersion:
    """A version of a fee; ``amount`` is in dollars, None if the caller chooses it. ``shares`` split it."""

    active_from: date
    amount: Decimal | None
    shares: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    name: str
    tcs_app_id: str
    metadata_schema: Mapping[str, Any]
    validator: Any
    versions: tuple[FeeVersion, ...]  # oldest first
    retired_from: date | None

    def at(self, version: FeeVersion) -> Fee:
        return Fee(
            key=self.key,
            name=self.name,
            tcs_app_id=self.tcs_app_id,
            version=version.active_from.isoformat(),
            amount=version.amount,
            metadata_schema=self.metadata_schema,
            _validator=self.validator,
            shares=version.shares,
        )


class FeeCatalogue:
    """The fees of one file."""

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self._entries = MappingProxyType(dict(entries))
        # Newest first, each with the day on which it becomes active.
        self._fees = {
            key: [(version.active_from, entry.at(version)) for version in reversed(entry.versions)]
            for key, entry in entries.items()
        }

    @classmethod
    def load(cls, path: str | Path) -> "FeeCatalogue":
        """Read and validate ``path``. Raises :class:`FeesError` listing every problem, and ``OSError``."""
        return cls.parse(Path(path).read_bytes(), source=str(path))

    @classmethod
    def default(cls) -> "FeeCatalogue":
        """Return the catalogue that ships with Bursar."""
        return cls.load(DEFAULT_FEES)

    @classmethod
    def parse(cls, content: bytes, *, source: str) -> "FeeCatalogue":
        """Return the catalogue in ``content``; problems name it ``source``. Raises :class:`FeesError`."""
        try:
            # Decimal, because money is never a float, not even during parsing.
            tree = tomllib.loads(content.decode(), parse_float=Decimal)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FeesError(f"{source}: must be TOML: {error}") from error
        reader = _Reader(source)
        entries = reader.catalogue(tree)
        if reader.problems:
            raise FeesError("\n".join(reader.problems))
        return cls(entries)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all fees, sorted."""
        return tuple(sorted(self._entries))

    @property
    def tcs_app_ids(self) -> frozenset[str]:
        """The applications at Pay.gov of all fees, of retired ones too."""
        return frozenset(entry.tcs_app_id for entry in self._entries.values())

    def fee(self, key: str, at: float) -> Fee | None:
        """Return the fee ``key`` at ``at`` (Unix seconds); None if it is unknown, not active yet or retired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        today = _court_day(at)
        if entry.retired_from is not None and entry.retired_from <= today:
            return None
        return next((fee for active_from, fee in self._fees[key] if active_from <= today), None)

    def retired(self, key: str, at: float) -> Fee | None:
        """Return the last version of the fee ``key`` if it is retired at ``at`` (Unix seconds); otherwise None."""
        entry = self._entries.get(key)
        if entry is None or entry.retired_from is None or entry.retired_from > _court_day(at):
            return None
        return replace(self._fees[key][0][1], retired=True)

    def name(self, key: str) -> str:
        """Return the fee's name for people, or the key for a fee that the catalogue no longer has."""
        entry = self._entries.get(key)
        return entry.name if entry else key

    def active_since(self, key: str) -> float:
        """Return when the first version of ``key`` became active (Unix seconds). Raises ``KeyError`` if unknown."""
        first = self._entries[key].versions[0].active_from
        return datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(COURT_ZONE)).timestamp()

    def versions(self, key: str) -> tuple[FeeVersion, ...]:
        """Return all versions of ``key``, oldest first; none if it is unknown."""
        entry = self._entries.get(key)
        return entry.versions if entry else ()


def _court_day(at: float) -> date:
    """Return the day in the court's time zone at ``at`` (Unix seconds)."""
    return datetime.fromtimestamp(at, ZoneInfo(COURT_ZONE)).date()


# A metadata schema may use any keyword. The message of a keyword that is not here names the keyword.
_METADATA_KEYWORDS: Final = ("required", "type", "minLength", "maxLength", "minimum", "maximum", "format", "enum")
_METADATA_MESSAGES: Final[Mapping[str, SchemaMessage]] = {
    **{keyword: MESSAGES[keyword] for keyword in _METADATA_KEYWORDS},
    "pattern": SchemaMessage("must match {}", "pattern"),
}
_OTHER_MESSAGE: Final = "does not fit the fee's metadata schema ({})"


class _Reader:
    """Converts the file's tree to entries and collects every problem instead of stopping at the first."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[str] = []

    def catalogue(self, tree: Mapping[str, Any]) -> dict[str, _Entry]:
        self._reject_unknown_keys("", tree, frozenset({"fees"}))
        fees = tree.get("fees")
        if not isinstance(fees, dict) or not fees:
            self._add_problem("fees", "must have one table [fees.KEY] for each fee")
            return {}
        entries = (self._entry(key, table) for key, table in fees.items())
        return {entry.key: entry for entry in entries if entry is not None}

    def _entry(self, key: str, table: object) -> _Entry | None:
        where = f"fees.{key}"
        if not isinstance(table, dict):
            self._add_problem(where, "must be a table")
            return None
        before = len(self.problems)
        self._reject_unknown_keys(where, table, _FEE_KEYS)
        name = self._text(f"{where}.name", table.get("name"))
        tcs_app_id = self._text(f"{where}.tcs_app_id", table.get("tcs_app_id"))
        if len(tcs_app_id) > TCS_APP_ID_CHARS_MAX:
            self._add_problem(f"{where}.tcs_app_id", f"must have at most {TCS_APP_ID_CHARS_MAX} characters")
        if not _TCS_APP_ID.fullmatch(tcs_app_id):
            self._add_problem(
                f"{where}.tcs_app_id", "must have only letters, digits and signs of ASCII, without spaces"
            )
        schema = table.get("metadata", {"type": "object"})
        validator = self._validator(f"{where}.metadata", schema)
        versions = self._versions(f"{where}.versions", table.get("versions"))
        retired_from = self._retired_from(f"{where}.retired_from", table.get("retired_from"), versions)
        if len(self.problems) > before:
            return None
        return _Entry(key, name, tcs_app_id, MappingProxyType(schema), validator, versions, retired_from)

    def _validator(self, where: str, schema: object) -> Any:
        import jsonschema_rs

        if not isinstance(schema, dict):
            self._add_problem(where, "must be a table holding a JSON Schema")
            return None
        try:
            return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        except (ValueError, TypeError) as error:
            self._add_problem(where, f"must be a JSON Schema: {str(error).splitlines()[0]}")
            return None

    def _versions(self, where: str, rows: object) -> tuple[FeeVersion, ...]:
        if not isinstance(rows, list) or not rows:
            self._add_problem(where, "must be a list of at least one { active_from = YYYY-MM-DD, amount = … }")
            return ()
        versions = [self._version(f"{where}[{number}]", row) for number, row in enumerate(rows)]
        found = sorted((v for v in versions if v is not None), key=lambda v: v.active_from)
        if len({version.active_from for version in found}) < len(found):
            self._add_problem(where, "must have a different active_from for each version")
        return tuple(found)

    def _version(self, where: str, row: object) -> FeeVersion | None:
        if not isinstance(row, dict):
            self._add_problem(where, "must be a table")
            return None
        self._reject_unknown_keys(where, row, _VERSION_KEYS)
        active_from = self._day(f"{where}.active_from", row.get("active_from"))
        if active_from is None:
            return None
        shares, problems = read_shares(row.get("classification", []), row.get("amount"))
        for place, problem in problems:
            self._add_problem(f"{where}.classification{place}", problem)
        if row.get("variable") is True and "amount" not in row:
            return FeeVersion(active_from, None, shares)
        if "amount" not in row or row.get("variable", False) is not False:
            self._add_problem(where, "must have either an amount or variable = true")
            return None
        amount = self._amount(f"{where}.amount", row["amount"])
        return FeeVersion(active_from, amount, shares) if amount else None

    def _retired_from(self, where: str, value: object, versions: tuple[FeeVersion, ...]) -> date | None:
        """Return the day, if there is one. It must leave the last version at least one active day."""
        day = None if value is None else self._day(where, value)
        if day is not None and versions and day <= versions[-1].active_from:
            self._add_problem(
                where, f"must be after {versions[-1].active_from}, the last version's active_from; got {day}"
            )
        return day

    def _day(self, where: str, value: object) -> date | None:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        self._add_problem(where, f"must be a date such as 2020-12-01, without quotes; got {value!r}")
        return None

    def _amount(self, where: str, value: object) -> Decimal | None:
        if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
            self._add_problem(where, f'must be an amount such as "60.00"; got {value!r}')
            return None
        try:
            return money(Decimal(value))
        except InvalidOperation:
            self._add_problem(where, f'must be an amount such as "60.00"; got {value!r}')
        except ValueError as error:
            self._add_problem(where, str(error))
        return None

    def _text(self, where: str, value: object) -> str:
        if isinstance(value, str) and value.strip():
            return value
        self._add_problem(where, f"must be text; got {value!r}")
        return ""

    def _reject_unknown_keys(self, where: str, table: Mapping[str, Any], known: frozenset[str]) -> None:
        for key in sorted(table.keys() - known):
            self._add_problem(
                f"{where}.{key}".lstrip("."), f"must be one of the known keys: {', '.join(sorted(known))}"
            )

    def _add_problem(self, where: str, problem: str) -> None:
        self.problems.append(f"{self.source}: {where}: {problem}")
