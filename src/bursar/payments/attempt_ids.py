"""Agency tracking ids: the id that Bursar gives an attempt at Pay.gov (docs/paygov.md: at most 21 characters).

The id of an attempt is derived from its obligation and its number. So after a restore from a backup, the ids of all
lost attempts can be derived again, and Pay.gov can be asked about each. Attempts of older stores keep their random ids.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

AGENCY_TRACKING_ID_CHARS: Final = 21
ATTEMPTS_MAX: Final = 32
"""The most attempts at one obligation. It bounds the questions to Pay.gov about one obligation after a restore."""
_VERSION: Final = "bursar attempt id 1"
"""The beginning of the hashed text. A new way to derive ids needs a new version. Otherwise two ids could be equal."""
# Crockford's base 32 in lower case: a person cannot mistake one letter for another.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_CHARACTER_OF_BYTE: Final = (_ALPHABET * 8).encode()
"""The character of every byte: each of the 32 characters has eight bytes, so all are equally likely."""


def attempt_id(client: str, reference: str, number: int) -> str:
    """Return the agency tracking id of attempt ``number`` (from 1) at the obligation: 21 characters, 100 bits.

    ``reference`` is in lower case (``records.normal_reference``). The id starts with a letter, so that no parser at
    Pay.gov reads it as a number.
    """
    # No client or reference contains a NUL, so different obligations have different texts.
    text = "\0".join((_VERSION, client, reference, str(number)))
    digest = sha256(text.encode()).digest()[: AGENCY_TRACKING_ID_CHARS - 1]
    return "b" + digest.translate(_CHARACTER_OF_BYTE).decode()


def next_attempt_id(client: str, reference: str, taken: Iterable[str]) -> str | None:
    """Return the id of the next attempt after attempts with the ids ``taken``; None after ``ATTEMPTS_MAX`` attempts.

    An attempt that was recorded again after a restore may have a higher number than its place among the attempts, so
    ids that are taken are left out.
    """
    present = set(taken)
    for number in range(len(present) + 1, ATTEMPTS_MAX + 1):
        candidate = attempt_id(client, reference, number)
        if candidate not in present:
            return candidate
    return None


def possible_attempt_ids(client: str, reference: str, taken: Iterable[str]) -> list[str]:
    """Return the ids of all further attempts that the obligation may have had: all derived ids except ``taken``."""
    present = set(taken)
    ids = (attempt_id(client, reference, number) for number in range(1, ATTEMPTS_MAX + 1))
    return [each for each in ids if each not in present]
