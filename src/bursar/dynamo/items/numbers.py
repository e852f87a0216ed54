"""DynamoDB's numbers: 38 significant digits, magnitudes 1E-130 to 9.99…E+125, and their order as bytes.

A number travels as text. DynamoDB returns its canonical text: plain notation without exponent, without leading or
trailing zeros, no sign on zero (Developer Guide, "Naming rules and data types": Number).
"""

import re
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache

from bursar.dynamo.errors import DynamoError, InvalidValue, invalid
from bursar.dynamo.items.fast_numbers import add_small_whole, is_canonical_whole

NUMBER_DIGITS_MAX = 38
EXPONENT_MAX = 125
"""Largest exponent of the leading digit: 9.99…E+125."""
EXPONENT_MIN = -130
"""Smallest exponent of the leading digit: 1E-130."""

NOT_A_NUMBER = "The parameter cannot be converted to a numeric value"
TOO_LARGE = "Number overflow. Attempting to store a number with magnitude larger than supported range"
TOO_SMALL = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
TOO_PRECISE = "Attempting to store more than 38 significant digits in a Number"

_FORM = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
_POWER_TEXT_MAX = 4000
"""The longest text of an exponent that is read. Python does not convert much longer ones."""
_JAVA_INT_MAX, _JAVA_LONG_MAX = 2**31 - 1, 2**63 - 1

# Wide enough for the exact sum of any two numbers: 125 + 130 + 38 digits.
_EXACT = Context(prec=320, Emax=999_999, Emin=-999_999, traps=[Inexact, InvalidOperation, Overflow])

SIZES_CACHED = 8192

ZERO = ("", "", 0)


def canonical(text: str) -> str:
    """Return the canonical text of a number. Raises ValidationException for what DynamoDB would not store."""
    return text if is_canonical_whole(text) else canonical_by_parts(text)


def canonical_by_parts(text: str) -> str:
    """Return what :func:`canonical` returns, without its fast path."""
    sign, significant, exponent = _split(text)
    return sign + _plain(significant, exponent) if significant else "0"


def parse_number(text: str) -> Decimal:
    """Return ``text`` as an exact Decimal. Raises as :func:`canonical` does."""
    return Decimal(canonical(text))


def add(left: str, right: str) -> str:
    """Return the canonical sum of two canonical numbers.

    Raises ValidationException when the sum is outside of DynamoDB's range or precision.
    """
    whole = add_small_whole(left, right)
    return add_exactly(left, right) if whole is None else whole


def add_exactly(left: str, right: str) -> str:
    """Return what :func:`add` returns, without its fast path."""
    return _calculated(_EXACT.add(Decimal(left), Decimal(right)))


def subtract(left: str, right: str) -> str:
    """Return the canonical difference ``left - right``. Raises as :func:`add` does."""
    return _calculated(_EXACT.subtract(Decimal(left), Decimal(right)))


def number_key(text: str) -> bytes:
    """Return bytes that sort as the numbers do, none a prefix of another.

    ::

        negative   00  ~exponent  ~pairs…  FF        ~b is 255 - b: a larger magnitude sorts lower
        zero       80
        positive   FF   exponent   pairs…  00        exponent: 0…255 for -130…125
                                                     a pair of digits: 1…100 for 00…99
    """
    sign, significant, exponent = _split(text)
    if not significant:
        return b"\x80"
    if len(significant) % 2:
        significant += "0"
    pairs = [_PAIRS[significant[at : at + 2]] for at in range(0, len(significant), 2)]
    magnitude = bytes([exponent - EXPONENT_MIN, *pairs, 0])
    return b"\x00" + magnitude.translate(_COMPLEMENT) if sign else b"\xff" + magnitude


@lru_cache(SIZES_CACHED)
def number_size(text: str) -> int:
    """Return the bytes that DynamoDB bills for a canonical number.

    They are one per two significant digits, one more, and one for a minus sign. Pairs are aligned on the decimal point,
    as base-100 digits are. The cache saves an UpdateItem of a number 7 % of its time.
    """
    sign, significant, exponent = _split(text)
    if not significant:
        return 1
    # The leading pair has only one digit if the leading digit is at an even power of ten (units, hundreds…).
    leading_alone = exponent % 2 == 0
    pairs = (len(significant) + (1 if leading_alone else 0) + 1) // 2
    return pairs + (2 if sign else 1)


_PAIRS = {f"{pair:02}": pair + 1 for pair in range(100)}
_COMPLEMENT = bytes(255 - byte for byte in range(256))


def _calculated(result: Decimal) -> str:
    try:
        return canonical(str(result)) if result else "0"  # a Decimal that is zero may have any exponent
    except DynamoError as error:
        # DynamoDB reports a result of more than 38 digits as an overflow, also for small magnitudes.
        raise (invalid(TOO_LARGE) if error.message == TOO_PRECISE else error) from None


def _split(text: str) -> tuple[str, str, int]:
    """Return (``"-"`` or ``""``, significant digits, exponent of the leading digit); no digits for zero."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise _not_a_number(text)
    sign, whole, fraction, power_text = form.groups(default="")
    if not whole and not fraction:
        raise _not_a_number(text)
    power = _power(text, power_text) if power_text else 0
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    # The range of a zero is checked by its written exponent.
    exponent = len(digits) - 1 - len(fraction) + power if significant else power
    if exponent > EXPONENT_MAX or exponent < EXPONENT_MIN:
        raise _out_of_range(text, exponent, fits_java_decimal(len(fraction), power))
    if len(significant) > NUMBER_DIGITS_MAX:
        raise invalid(TOO_PRECISE)
    if not significant:
        return ZERO
    return ("-" if sign == "-" else ""), significant, exponent


def _power(text: str, power_text: str) -> int:
    """Return the exponent in a number's text, which must fit Java's long."""
    if len(power_text) <= _POWER_TEXT_MAX:
        power = int(power_text)
        if -_JAVA_LONG_MAX - 1 <= power <= _JAVA_LONG_MAX:
            return power
    raise _not_a_number(text)


def _out_of_range(text: str, exponent: int, in_java_range: bool) -> DynamoError:
    if exponent < EXPONENT_MIN:
        return InvalidValue(TOO_SMALL if in_java_range else f"{NOT_A_NUMBER}: {text}", TOO_SMALL)
    wraps = exponent >= _JAVA_INT_MAX
    older = (TOO_SMALL if wraps else TOO_LARGE) if in_java_range else f"{NOT_A_NUMBER}: {text}"
    return InvalidValue(older, TOO_LARGE)


def fits_java_decimal(fraction_digits: int, power: int) -> bool:
    """Return whether Java's BigDecimal, with which Amazon's older layer reads numbers, has this exponent and scale."""
    scale = fraction_digits - power
    return all(-_JAVA_INT_MAX - 1 <= number <= _JAVA_INT_MAX for number in (power, scale))


def _not_a_number(text: str) -> DynamoError:
    return InvalidValue(f"{NOT_A_NUMBER}: {text}" if text else NOT_A_NUMBER, f"{NOT_A_NUMBER}: {text}")


def _plain(significant: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + significant
    whole_digits = exponent + 1
    if len(significant) <= whole_digits:
        return significant + "0" * (whole_digits - len(significant))
    return f"{significant[:whole_digits]}.{significant[whole_digits:]}"
