"""Agency tracking ids: the id that Bursar gives an attempt at Pay.gov (docs/paygov.md: at most 21 characters)."""

import random
from typing import Final

AGENCY_TRACKING_ID_CHARS: Final = 21
# Crockford's base 32 in lower case: a person cannot mistake one letter for another.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_CHARACTER_OF_BYTE: Final = (_ALPHABET * 8).encode()
"""The character of every byte: each of the 32 characters has eight bytes, so all are equally likely."""


def new_agency_tracking_id(randomness: random.Random) -> str:
    """Return an id of 21 characters with 100 bits of ``randomness``.

    It starts with a letter, so that no parser at Pay.gov reads it as a number.
    """
    return "b" + randomness.randbytes(AGENCY_TRACKING_ID_CHARS - 1).translate(_CHARACTER_OF_BYTE).decode()
