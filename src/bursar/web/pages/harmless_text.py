"""Make hostile text harmless: visible on a page, and no formula in a spreadsheet."""

import unicodedata
from typing import Any, Final

_KEPT_CONTROLS: Final = "\t\n"
_FORMULA_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def harmless(value: Any) -> str:
    r"""Return a value as text in which control characters are visible, as ``\u202e``.

    Characters that change the direction of writing, or that are invisible, can make a text look like another one.
    """
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def cell_text(value: Any) -> str:
    """Return a value as text for a cell that no spreadsheet reads as a formula."""
    text = harmless(value)
    return f"'{text}" if str(value).lstrip(" ").startswith(_FORMULA_BEGINS) else text


def _visible(character: str) -> str:
    if character in _KEPT_CONTROLS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return character
    return f"\\u{ord(character):04x}"
