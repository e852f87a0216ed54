"""Read what callers send: decode JSON without losing a digit, check it against a schema, report all problems at once.

Numbers are ``int`` or ``Decimal``, never floats. A message says what was expected and never repeats what was sent,
which may be personal data or a token.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

from bursar.payments.catalogue.fees import Fee, FeeCatalogue
from bursar.payments.catalogue.schema_messages import schema_problems
from bursar.payments.records import money, normal_reference
from bursar.portal.contract.error_catalogue import (
    AMOUNT_NOT_ALLOWED,
    AMOUNT_REQUIRED,
    INVALID_JSON,
    MISSING_BODY,
    TOO_LARGE,
    VALIDATION_ERROR,
)
from bursar.portal.contract.errors import InvalidRequest, Problem, TooLarge
from bursar.portal.contract.schemas import (
    BODY_BYTES_MAX,
    INIT_REQUEST,
    PATTERN_MESSAGES,
    PROCESS_REQUEST,
    SQL_REQUEST,
    UUID_V4,
    Schema,
)

NUMBER_CHARS_MAX: Final = 100
EXPONENT_MAX: Final = 400  # a double's range; 1e999999999 would cost memory for its zeros
PROBLEMS_MAX: Final = 100
AS_OF: Final = "asOf"
DEPTH_MAX: Final = 64
"""Levels of nested objects and lists. Every later reader, check and store can handle that depth."""

_UUID_V4: Final = re.compile(UUID_V4)
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class InitRequest:
    """A valid POST /init: the reference in lower case, the fee as it is now, the amount that will be charged.

    A retired fee has its last version. Only the ledger knows whether the request repeats an attempt that started
    before.
    """

    reference: str
    fee: Fee
    amount: Decimal
    metadata: dict[str, Any] = field(repr=False)
    url_success: str
    url_cancel: str


def read_init(body: bytes, fees: FeeCatalogue, now: float) -> InitRequest:
    """Return the init request in ``body``.

    Raises:
        InvalidRequest: bad JSON; every problem of the schema and of the fee's metadata schema; a fee that is unknown
            or not active yet; an amount that the fee does not allow, or a missing one.
        TooLarge: over ``BODY_BYTES_MAX`` bytes.
    """
    sent = read_json(body)
    problems = _problems("init", sent)
    fee = _fee_of(sent, fees, now, problems)
    metadata: dict[str, Any] = {}
    if isinstance(sent, dict) and isinstance(sent.get("metadata"), dict):
        metadata = sent["metadata"]
        if fee is not None:
            problems += [problem(["metadata", *p.path], p.message, p.code) for p in fee.metadata_problems(metadata)]
        metadata = _plain(metadata, ["metadata"], problems)
    if problems or fee is None:
        raise InvalidRequest(VALIDATION_ERROR, problems[:PROBLEMS_MAX])
    return InitRequest(
        reference=normal_reference(sent["transactionReferenceId"]),
        fee=fee,
        amount=_amount(fee, sent.get("amount")),
        metadata=metadata,
        url_success=sent["urlSuccess"],
        url_cancel=sent["urlCancel"],
    )


def read_process(body: bytes) -> str:
    """Return the token in the process request ``body``. Raises as :func:`read_init`."""
    sent = read_json(body)
    problems = _problems("process", sent)
    if problems:
        raise InvalidRequest(VALIDATION_ERROR, problems)
    return str(sent["token"])


class SqlRequest(NamedTuple):
    """A checked ``POST /sql``. ``as_of``: the instant whose state is asked for (Unix seconds), None for the present."""

    statement: str
    parameters: Mapping[str, Any]
    as_of: float | None = None


def read_sql(body: bytes) -> SqlRequest:
    """Return the request ``body`` of ``POST /sql``. Raises as :func:`read_init`."""
    sent = read_json(body)
    problems = _problems("sql", sent)
    if problems:
        raise InvalidRequest(VALIDATION_ERROR, problems)
    parameters = {
        name: str(value) if isinstance(value, Decimal) else value for name, value in sent.get("parameters", {}).items()
    }
    return SqlRequest(str(sent["statement"]), parameters, read_instant(sent.get(AS_OF)))


def read_instant(text: str | None) -> float | None:
    """Return the instant ``asOf`` of a question, Unix seconds; None if there is none. Raises ``InvalidRequest``."""
    from bursar.reports.errors import BadParameter
    from bursar.reports.report_parameters import past_instant

    if text is None:
        return None
    try:
        return past_instant(text)
    except BadParameter as error:
        rule = str(error).partition(": ")[2].partition("; got")[0]
        raise InvalidRequest(VALIDATION_ERROR, [problem([AS_OF], rule, "parameter")]) from None


def read_reference(text: str) -> str | None:
    """Return ``text`` as a reference (UUID v4, lower case), or None if it is not one."""
    return normal_reference(text) if _UUID_V4.fullmatch(text) else None


def read_json(body: bytes) -> Any:
    """Return the JSON value in ``body``, with numbers as ``int`` or ``Decimal``.

    Raises ``InvalidRequest`` for a duplicate key, NaN, Infinity, and nesting deeper than ``DEPTH_MAX``; ``TooLarge``.
    """
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(TOO_LARGE)
    if not body.strip():
        raise InvalidRequest(MISSING_BODY)
    try:
        value = _DECODER.decode(body.decode("utf-8"))
        if _SURROGATE_ESCAPE.search(body):
            json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")  # a lone surrogate cannot be stored
    except _DuplicateKey as error:
        key = error.key.encode("utf-8", "replace").decode()  # a lone surrogate cannot be sent back either
        raise InvalidRequest(INVALID_JSON, [problem([key], "is given twice", "duplicateKey")]) from None
    except (ValueError, RecursionError):
        raise InvalidRequest(INVALID_JSON) from None
    # Only a body with more brackets than levels can be too deep, so few bodies are walked.
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX and _deeper_than(value, DEPTH_MAX):
        raise InvalidRequest(VALIDATION_ERROR, [problem([], f"is nested deeper than {DEPTH_MAX}", "depth")])
    return value


def read_metadata(text: str) -> Any:
    """Return the JSON value ``text`` as :func:`read_init` returns metadata, also if a number has too many digits.

    Raises as :func:`read_json`.
    """
    return _plain(read_json(text.encode("utf-8", "surrogatepass")), [], [])


def problem(path: Iterable[str | int], message: str, code: str) -> Problem:
    """Return one entry of an error's ``errors``."""
    return {"path": list(path), "message": message, "code": code}


def _problems(request: str, value: object) -> list[Problem]:
    """Return everything in ``value`` that the schema of ``request`` rejects."""
    validator = _validator(request)
    if validator.is_valid(value):
        return []  # the usual case, and twice as fast as listing the problems
    found = schema_problems(validator, value, patterns=PATTERN_MESSAGES)
    return [problem(each.path, each.message, each.code) for each in found]


_REQUESTS: Final[Mapping[str, Schema]] = {"init": INIT_REQUEST, "process": PROCESS_REQUEST, "sql": SQL_REQUEST}


@cache
def _validator(request: str) -> Any:
    import jsonschema_rs  # imported here: commands that validate no request do not need it

    return jsonschema_rs.Draft202012Validator(_REQUESTS[request], validate_formats=True)


def not_a_fee() -> Problem:
    """Return the problem entry for a fee that no payment can use."""
    return problem(["fee"], "is not a fee of the catalogue", "enum")


def not_a_reference() -> Problem:
    """Return the problem entry for a path whose reference is not a UUID v4."""
    return problem(["transactionReferenceId"], PATTERN_MESSAGES[UUID_V4], "pattern")


def _fee_of(sent: Any, fees: FeeCatalogue, now: float, problems: list[Problem]) -> Fee | None:
    key = sent.get("fee") if isinstance(sent, dict) else None
    if not isinstance(key, str) or not key:
        return None
    fee = fees.fee(key, now) or fees.retired(key, now)
    if fee is None:
        problems.append(not_a_fee())
    return fee


def _amount(fee: Fee, sent: int | Decimal | None) -> Decimal:
    if fee.amount is not None:
        if sent is not None:
            raise InvalidRequest(AMOUNT_NOT_ALLOWED.saying(f"Fee {fee.key} does not allow variable amounts"))
        return fee.amount
    if sent is None:
        raise InvalidRequest(AMOUNT_REQUIRED.saying(f"Fee {fee.key} requires an amount"))
    return money(Decimal(sent))


class _DuplicateKey(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKey(next(name for name in names if names.count(name) > 1))
    return found


def _deeper_than(value: Any, levels: int) -> bool:
    """Return whether objects and lists are nested deeper than ``levels``. It does not recurse."""
    level = [value]
    for _ in range(levels + 1):
        inside = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        if not inside:
            return False
        level = [member for members in inside for member in members]
    return True


def _decimal(text: str) -> Decimal:
    if len(text) > NUMBER_CHARS_MAX:
        raise ValueError("a number with too many digits")
    number = Decimal(text)
    if abs(number.adjusted()) > EXPONENT_MAX:
        raise ValueError("a number beyond the range of numbers")
    return number


def _whole(text: str) -> int:
    if len(text) > NUMBER_CHARS_MAX:
        raise ValueError("a number with too many digits")
    return int(text)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_DECODER: Final = json.JSONDecoder(
    parse_float=_decimal, parse_int=_whole, parse_constant=_refuse_constant, object_pairs_hook=_object
)


def _plain(value: Any, path: list[str | int], problems: list[Problem]) -> Any:
    """Return metadata without ``Decimal``: whole numbers as ``int``, others as the double with the same digits.

    Metadata is not money. A number that a double cannot hold exactly becomes a problem and is not changed.
    """
    if isinstance(value, dict):
        return {key: _plain(member, [*path, key], problems) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(member, [*path, index], problems) for index, member in enumerate(value)]
    if not isinstance(value, Decimal):
        return value
    if value == value.to_integral_value() and abs(value.adjusted()) < NUMBER_CHARS_MAX:
        return int(value)
    double = float(value)
    if Decimal(repr(double)) != value:
        problems.append(problem(path, "has more digits than a number keeps", "precision"))
    return double
