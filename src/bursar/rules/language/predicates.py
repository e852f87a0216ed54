"""Predicates over one item, in DynamoDB's condition language; DynamoDB and Bursar evaluate them alike."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any

from bursar.dynamo.items.attribute_values import AttributeValue

Plain = str | int | Decimal | bool | bytes
"""The Python types of a predicate's value. A typed value (``{"N": "1"}``) is also accepted."""

EXPRESSION_BYTES_MAX = 4096
"""DynamoDB's longest expression, in UTF-8 bytes (Developer Guide, "Quotas": Expression parameters)."""

_WORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN"})
_LISTED = re.compile(r"(#?\w+) IN \((:\w+(?:, :\w+)*)\)((?: AND attribute_not_exists\(\w+\))*)")
"""The pattern of the conditions that :func:`one_of` writes."""
_TOKEN = re.compile(r"(?P<value>:\w+)|(?P<name>#\w+)|(?P<dot>\.)|(?P<bare>[A-Za-z_]\w*)(?P<call>\s*\()?")


@dataclass(frozen=True)
class Where:
    """A condition with its names and values: ``Where("amount > :zero", values={":zero": 0})``.

    ``condition`` is a DynamoDB condition expression. A name that is a reserved word (``status`` is one) needs a
    placeholder in ``names``, as on DynamoDB. ``values`` are plain Python (text, int, Decimal, bool, bytes) or typed
    values. Raises ``ValueError`` for a placeholder that is missing, unused or misspelt.
    """

    condition: str
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.condition.strip():
            raise ValueError("condition: must not be empty")
        if len(self.condition.encode()) > EXPRESSION_BYTES_MAX:
            raise ValueError(
                f"condition: must be at most {EXPRESSION_BYTES_MAX} bytes; got {len(self.condition.encode())}"
            )
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))
        typed = {placeholder: typed_value(value) for placeholder, value in self.values.items()}
        object.__setattr__(self, "values", MappingProxyType(typed))
        used = {m.group() for m in _TOKEN.finditer(self.condition) if m.group("value") or m.group("name")}
        given = set(self.names) | set(self.values)
        for placeholder in sorted(used - given):
            raise ValueError(f"{placeholder}: must be given, because {self.condition!r} uses it")
        for placeholder in sorted(given - used):
            raise ValueError(f"{placeholder}: must not be given, because {self.condition!r} does not use it")

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The top-level attributes that the condition reads; only they can change its result."""
        found = set()
        after_dot = False
        for token in _TOKEN.finditer(self.condition):
            bare = token.group("bare")
            if token.group("dot"):
                after_dot = True
                continue
            if not after_dot and not token.group("value"):
                if token.group("name"):
                    found.add(self.names[token.group("name")])
                elif bare and bare.upper() not in _WORDS and not token.group("call"):
                    found.add(bare)
            after_dot = False
        return frozenset(found)

    @cached_property
    def listed_values(self) -> tuple[str, tuple[Mapping[str, Any], ...], tuple[str, ...]] | None:
        """(attribute, values, absent) if the condition is that the attribute is one of these texts; otherwise None.

        ``absent`` are other attributes that must not exist.
        """
        found = _LISTED.fullmatch(self.condition)
        if found is None:
            return None
        name, placeholders, conditions = found.groups()
        absent = tuple(re.findall(r"\((\w+)\)", conditions))
        values = tuple(self.values[placeholder] for placeholder in placeholders.split(", "))
        return (self.names.get(name, name), values, absent) if all("S" in value for value in values) else None

    def describe(self) -> str:
        """Return the condition with its names and values filled in, for people to read."""

        def substitute(match: re.Match[str]) -> str:
            if match.group("value"):
                return plain_text(self.values[match.group()])
            return self.names.get(match.group(), match.group())

        return _TOKEN.sub(substitute, self.condition)


def one_of(attribute: str, values: Iterable[Plain], *, unless: Iterable[str] = ()) -> Where:
    """Return the predicate that ``attribute`` is one of ``values``, as most unique-while rules use it.

    The order of ``values`` is kept. The attributes ``unless`` must also be absent.
    """
    options = list(values)
    if not options:
        raise ValueError(f"values of {attribute!r}: must be at least one; got none")
    placeholders = {f":v{position}": value for position, value in enumerate(options)}
    absent = "".join(f" AND attribute_not_exists({name})" for name in unless)
    return Where(f"#a IN ({', '.join(placeholders)}){absent}", names={"#a": attribute}, values=placeholders)


def typed_value(value: Any) -> AttributeValue:
    """Return a plain Python value as DynamoDB's typed value.

    Raises ``ValueError`` for other types. A float is refused: it is neither money nor a key.
    """
    match value:
        case Mapping() if len(value) == 1:
            return dict(value)
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": str(value)}
        case bytes():
            from base64 import b64encode

            return {"B": b64encode(value).decode()}
        case _:
            raise ValueError(f"value of a predicate: must be text, int, Decimal, bool or bytes; got {value!r}")


def plain_text(value: AttributeValue | None) -> str:
    """Return a typed value as text for people; ``(absent)`` for None."""
    if value is None:
        return "(absent)"
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return f'"{content}"'
        case "N" | "B":
            return str(content)
        case "BOOL":
            return "true" if content else "false"
        case "NULL":
            return "null"
        case "M":
            return "{" + ", ".join(f"{name}: {plain_text(inner)}" for name, inner in content.items()) + "}"
        case "L":
            return "[" + ", ".join(map(plain_text, content)) + "]"
        case _:
            return "{" + ", ".join(map(str, content)) + "}"
