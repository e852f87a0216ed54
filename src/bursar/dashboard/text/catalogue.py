"""Read the catalogues en.toml and es.toml, and find texts in them by key.

A key is dotted, as ``transactions.title``. A text may have fields in braces, as ``{count}``. A count chooses between
the texts ``one`` and ``other`` below a key.
"""

import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

Language = Literal["en", "es"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
DEFAULT_LANGUAGE: Final[Language] = "en"
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True)
class Text:
    """The texts of one language."""

    language: Language
    texts: Mapping[str, str]

    def __call__(self, key: str, **fields: Any) -> str:
        """Return the text at ``key`` with its fields filled in. Raises ``KeyError`` for an unknown key."""
        return self.texts[key].format_map(fields) if fields else self.texts[key]

    def count(self, key: str, count: int, **fields: Any) -> str:
        """Return the text for this count; its field ``count`` has separators."""
        form = "one" if count == 1 else "other"
        return self(f"{key}.{form}", count=f"{count:,}", **fields)

    def label(self, group: str, value: str) -> str:
        """Return the name of a stored word, such as a status; ``value`` itself if the catalogue has no name for it."""
        return self.texts.get(f"{group}.{value}", value)


@cache
def text_in(language: Language) -> Text:
    """Return the catalogue of a language."""
    stored = tomllib.loads((_HERE / f"{language}.toml").read_text(encoding="utf-8"))
    return Text(language, dict(_flat(stored)))


def fields_of(text: str) -> frozenset[str]:
    """Return the names of the fields in a text."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name)


def chosen_language(cookie: str | None, accepted: str) -> Language:
    """Return the language of a visit: the person's choice, otherwise the browser's first language that we have."""
    for language in LANGUAGES:
        if cookie == language:
            return language
    for part in accepted.lower().split(","):
        for language in LANGUAGES:
            if part.strip().partition(";")[0].partition("-")[0] == language:
                return language
    return DEFAULT_LANGUAGE


def _flat(stored: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in stored.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
