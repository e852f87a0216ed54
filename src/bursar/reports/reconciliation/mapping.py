"""How the fields of an activity file are named and read: the default, or a mapping file in TOML.

    encoding = "utf-8"
    delimiter = ","
    record = "item_detail_record"                # XML: the element of one line
    date_formats = ["%m/%d/%Y"]                  # of strptime; none: ISO 8601

    [columns]                                    # our field = its name, or names, in the file
    amount = "Transaction Amount"

    [statuses]                                   # a word of the file = processed, pending, failed or returned
    Approved = "processed"

    [kinds]                                      # a word of `kind` = charge, returned, charged_back or refunded
    Refund = "refunded"

    [groups]                                     # XML: an element around lines = their payment method
    credit_card = "PLASTIC_CARD"

    [[rules]]                                    # how a line without our id may find its payment
    name = "same amount, a day apart"
    days = 1

Names are compared by their letters and digits alone, in any case. A section in the file replaces the default one,
except that words of ``statuses`` and ``kinds`` are added. docs/reconciliation.md describes each field.
"""

import re
import tomllib
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bursar.reports.errors import BadParameter
from bursar.reports.reconciliation.lines import LINE_KINDS, LINE_STATUSES, STATUS_WORDS, LineKind, LineStatus

MAPPING_BYTES_MAX: Final = 256 * 1024
RULE_DAYS_MAX: Final = 31
FIELDS: Final[MappingType[str, tuple[str, ...]]] = {
    "agency_tracking_id": ("agencytrackingid",),
    "paygov_tracking_id": ("paygovtrackingid",),
    "amount": ("transactionamount", "amount"),
    "status": ("transactionstatus", "status"),
    "date": ("transactiondate", "date"),
    "kind": ("transactiontype",),
    "payment_method": ("paymenttype", "paymentmethod"),
    "deposit_ticket": ("depositticketnumber", "depositticket"),
    "deposit_date": ("depositdate",),
    "debit_voucher": ("debitvouchernumber", "debitvoucher"),
    "reason_code": ("returncode", "reasoncode"),
}
"""Our fields, and the names that the default mapping looks for."""
REQUIRED: Final = ("amount", "status")
_KINDS: Final[MappingType[str, LineKind]] = {"": "charge", "sale": "charge"}
_GROUPS: Final = {"creditcard": "PLASTIC_CARD", "achdebit": "ACH"}
_KEYS: Final = frozenset(
    {"encoding", "delimiter", "record", "date_formats", "columns", "statuses", "kinds", "groups", "rules"}
)


@dataclass(frozen=True, slots=True)
class MatchRule:
    """A line without our id may match a payment of the same amount, at most ``days`` days apart.

    The payment must be the only candidate of the line, and the line the only one of the payment.
    """

    name: str
    days: int


DEFAULT_RULES: Final = (MatchRule("the same amount and day", 0),)


@dataclass(frozen=True, slots=True)
class FileMapping:
    """How one kind of file is read. Names in ``columns``, ``record`` and ``groups`` are in the form of :func:`letters`.

    Words in ``statuses`` and ``kinds`` are in lower case.
    """

    encoding: str = "utf-8-sig"
    delimiter: str = ","
    record: str = "itemdetailrecord"
    date_formats: tuple[str, ...] = ()
    columns: MappingType[str, tuple[str, ...]] = field(default_factory=lambda: dict(FIELDS))
    statuses: MappingType[str, LineStatus] = field(default_factory=lambda: dict(STATUS_WORDS))
    kinds: MappingType[str, LineKind] = field(default_factory=lambda: dict(_KINDS))
    groups: MappingType[str, str] = field(default_factory=lambda: dict(_GROUPS))
    rules: tuple[MatchRule, ...] = DEFAULT_RULES

    def field_of_name(self) -> dict[str, str]:
        """Return each name that a file may use, with our field for it."""
        return {name: ours for ours, names in self.columns.items() for name in names}


def letters(name: str) -> str:
    """Return the letters and digits of a name, in lower case, so that spelling does not matter."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def load_mapping(path: Path) -> FileMapping:
    """Return the mapping of a TOML file. Raises :class:`BadParameter` with every problem, one a line."""
    try:
        content = path.read_bytes()
        if len(content) > MAPPING_BYTES_MAX:
            raise BadParameter(f"{path}: must have at most {MAPPING_BYTES_MAX} bytes; got {len(content)}")
        tree = tomllib.loads(content.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadParameter(f"{path}: must be a mapping in TOML: {error}") from error
    reader = _Reader(str(path))
    mapping = reader.mapping(tree)
    if reader.problems:
        raise BadParameter("\n".join(reader.problems))
    return mapping


class _Reader:
    """Reads the sections of one file, and collects every problem."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.problems: list[str] = []

    def mapping(self, tree: dict[str, Any]) -> FileMapping:
        for key in sorted(tree.keys() - _KEYS):
            self._add(key, f"must be one of {', '.join(sorted(_KEYS))}")
        default = FileMapping()
        return FileMapping(
            encoding=self._encoding(tree.get("encoding", default.encoding)),
            delimiter=self._delimiter(tree.get("delimiter", default.delimiter)),
            record=letters(self._text("record", tree.get("record", default.record))),
            date_formats=tuple(self._texts("date_formats", tree.get("date_formats", []))),
            columns=self._columns(tree["columns"]) if "columns" in tree else default.columns,
            statuses={**default.statuses, **self._words("statuses", tree.get("statuses", {}), LINE_STATUSES)},
            kinds={**default.kinds, **self._words("kinds", tree.get("kinds", {}), LINE_KINDS)},
            groups=self._groups(tree["groups"]) if "groups" in tree else default.groups,
            rules=self._rules(tree["rules"]) if "rules" in tree else default.rules,
        )

    def _columns(self, table: Any) -> dict[str, tuple[str, ...]]:
        columns: dict[str, tuple[str, ...]] = {}
        for name, value in self._table("columns", table).items():
            if name not in FIELDS:
                self._add(f"columns.{name}", f"must be one of {', '.join(FIELDS)}")
                continue
            names = [value] if isinstance(value, str) else self._texts(f"columns.{name}", value)
            columns[name] = tuple(letters(each) for each in names)
        for name in REQUIRED:
            if name not in columns:
                self._add(f"columns.{name}", "must be named")
        used = [each for names in columns.values() for each in names]
        for name in sorted({each for each in used if used.count(each) > 1}):
            self._add("columns", f"must use each name once; got {name!r} twice")
        return columns

    def _words(self, section: str, table: Any, known: tuple[Any, ...]) -> dict[str, Any]:
        words = {}
        for word, value in self._table(section, table).items():
            if value not in known:
                self._add(f"{section}.{word}", f"must be one of {', '.join(known)}; got {value!r}")
            words[word.strip().casefold()] = value
        return words

    def _groups(self, table: Any) -> dict[str, str]:
        return {
            letters(name): self._text(f"groups.{name}", value) for name, value in self._table("groups", table).items()
        }

    def _rules(self, rows: Any) -> tuple[MatchRule, ...]:
        rules = []
        for number, row in enumerate(rows if isinstance(rows, list) else [rows]):
            where = f"rules[{number}]"
            table = self._table(where, row)
            name, days = self._text(f"{where}.name", table.get("name")), table.get("days")
            if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= RULE_DAYS_MAX:
                self._add(f"{where}.days", f"must be a whole number from 0 to {RULE_DAYS_MAX}; got {days!r}")
                continue
            rules.append(MatchRule(name, days))
        return tuple(rules)

    def _encoding(self, value: Any) -> str:
        name = self._text("encoding", value)
        try:
            "".encode(name or "utf-8")
        except LookupError:
            self._add("encoding", f"must be an encoding that Python knows; got {name!r}")
        return "utf-8-sig" if letters(name) == "utf8" else name

    def _delimiter(self, value: Any) -> str:
        if isinstance(value, str) and len(value) == 1 and value not in '"\r\n':
            return value
        self._add("delimiter", f"must be one character; got {value!r}")
        return ","

    def _table(self, where: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self._add(where, f"must be a table; got {value!r}")
        return {}

    def _text(self, where: str, value: Any) -> str:
        if isinstance(value, str) and value.strip():
            return value.strip()
        self._add(where, f"must be text; got {value!r}")
        return ""

    def _texts(self, where: str, value: Any) -> list[str]:
        if isinstance(value, list) and all(isinstance(each, str) and each for each in value):
            return value
        self._add(where, f"must be a list of texts; got {value!r}")
        return []

    def _add(self, where: str, problem: str) -> None:
        self.problems.append(f"{self._source}: {where}: {problem}")
