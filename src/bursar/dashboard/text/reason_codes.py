"""Read reason_codes.toml: what a return code of Pay.gov, a bank or a card network means, in each language."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from bursar.dashboard.text.catalogue import Language

RETURN_CODES: Final = ("ach", "paygov", "card")
"""The groups of the codes of attempts that failed."""
REVERSAL_CODES: Final = ("ach", "chargeback")
"""The groups of the codes of money that went back."""
_FILE: Final = Path(__file__).with_name("reason_codes.toml")


@dataclass(frozen=True, slots=True)
class CodeGroup:
    """The codes of one kind: their title, the source of their meanings, and code → language → meaning."""

    title: str
    source: str
    codes: Mapping[str, Mapping[Language, str]]


@cache
def code_groups() -> Mapping[str, CodeGroup]:
    """Return the groups of codes by name. A code is in one group only."""
    return {name: CodeGroup(**group) for name, group in tomllib.loads(_FILE.read_text(encoding="utf-8")).items()}


def meaning_of(code: object, language: Language) -> str:
    """Return what a code means; an empty text for a code that is not known."""
    found = _meanings().get(str(code).strip().upper())
    return found[language] if found else ""


def codes_of(groups: tuple[str, ...], language: Language) -> dict[str, str]:
    """Return code → meaning of the codes of these groups."""
    return {code: each[language] for name in groups for code, each in code_groups()[name].codes.items()}


@cache
def _meanings() -> Mapping[str, Mapping[Language, str]]:
    return {code: each for group in code_groups().values() for code, each in group.codes.items()}
