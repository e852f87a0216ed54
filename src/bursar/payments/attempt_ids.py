"""Agency tracking ids: Pay.gov's name for an attempt, made by us (docs/paygov.md: at most 21 characters)."""

import random
from typing import Final

AGENCY_TRACKING_ID_CHARS: Final = 21
# Crockford's base 32 in lower case: no letter that a person could read as another.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_CHARACTER_OF_BYTE: Final = (_ALPHABET * 8).encode()
"""Every byte's character: each of the 32 stands for eight bytes, so all are as likely."""


def new_agency_tracking_id(randomness: random.Random) -> str:
    """21 characters, 100 bits of ``randomness``.

    It starts with a letter, so that no parser on its way through Pay.gov and back takes it for a number.
    """
    return "b" + randomness.randbytes(AGENCY_TRACKING_ID_CHARS - 1).translate(_CHARACTER_OF_BYTE).decode()
