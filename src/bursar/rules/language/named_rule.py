"""The common part of every rule: its name, the kind of item that it is about, its checks and its description."""

import re
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

NAME_CHARACTERS_MAX = 64
SENTINEL_KIND = "sentinel"
"""The kind of the items that record the owners of unique values; no rule may be about it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


class RulesInvalid(ValueError):
    """The rules contradict themselves or each other, or cannot be enforced.

    The message names the rule and the reason.
    """


@dataclass(frozen=True)
class Kind:
    """One kind of item in a table, given by the kind attribute. ``kept``: its items are never removed."""

    name: str
    _: KW_ONLY
    kept: bool = False

    def __post_init__(self) -> None:
        _check_name("kind", self.name)
        if self.name == SENTINEL_KIND:
            raise RulesInvalid(f"kind {SENTINEL_KIND!r}: reserved for sentinels; choose another name")


@dataclass(frozen=True)
class NamedRule:
    """The common part of every rule: its name and the kind it is about (None: every item of the table)."""

    name: str
    _: KW_ONLY
    kind: str | None = None

    keyword: ClassVar[str]

    def __post_init__(self) -> None:
        _check_name(f"{self.keyword} rule", self.name)
        self._check()

    def _check(self) -> None:
        """Raise :class:`RulesInvalid` if the rule is invalid by itself."""

    @property
    def reads(self) -> frozenset[str]:
        """The attributes on which this rule's verdict depends."""
        return frozenset()

    def describe(self) -> str:
        """Return the rule as the end of a sentence: "token belongs to one item"."""
        return self.keyword

    def _invalid(self, problem: str) -> RulesInvalid:
        return RulesInvalid(f"{self.keyword} rule {self.name!r}: {problem}")

    def _check_attributes(self, field_name: str) -> None:
        given: Any = getattr(self, field_name)
        names = (given,) if isinstance(given, str) else tuple(given)
        object.__setattr__(self, field_name, names)
        if not names or not all(isinstance(name, str) and name for name in names):
            raise self._invalid(f"{field_name} must be at least one attribute; got {given!r}")
        if len(set(names)) != len(names):
            raise self._invalid(f"{field_name} must be different attributes; got {', '.join(names)}")


def _check_name(what: str, name: str) -> None:
    if not isinstance(name, str) or not _NAME.match(name) or len(name) > NAME_CHARACTERS_MAX:
        raise RulesInvalid(
            f"name of a {what}: must be letters, digits, - and _, "
            f"at most {NAME_CHARACTERS_MAX} characters; got {name!r}"
        )


def and_list(names: tuple[str, ...]) -> str:
    """Return "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def or_list(names: tuple[str, ...]) -> str:
    """Return "a, b or c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def belong(names: tuple[str, ...]) -> str:
    """Return the verb for ``names`` as subject."""
    return "belongs" if len(names) == 1 else "together belong"


def change(names: tuple[str, ...]) -> str:
    """Return the verb for ``names`` as subject."""
    return "changes" if len(names) == 1 else "change"


def equal(names: tuple[str, ...]) -> str:
    """Return the verb for ``names`` as subject."""
    return "equals" if len(names) == 1 else "equal"
