"""The message of each JSON Schema keyword, for the requests of the portal and for the metadata of fees.

The messages of jsonschema-rs repeat the caller's value, which may be personal data or a token. These do not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

PathStep: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class SchemaMessage:
    """The message for one keyword. ``{}`` in ``text`` is replaced by what the schema expected.

    ``expected``: the attribute of jsonschema-rs' error kind that holds it.
    """

    text: str
    expected: str = ""


MESSAGES: Final[Mapping[str, SchemaMessage]] = {
    "required": SchemaMessage("is required", "property"),
    "additionalProperties": SchemaMessage("is not known here", "unexpected"),
    "type": SchemaMessage("must be of type {}", "types"),
    "enum": SchemaMessage("must be one of {}", "options"),
    "minLength": SchemaMessage("must have at least {} characters", "limit"),
    "maxLength": SchemaMessage("must have at most {} characters", "limit"),
    "minimum": SchemaMessage("must be at least {}", "limit"),
    "maximum": SchemaMessage("must be at most {}", "limit"),
    "exclusiveMinimum": SchemaMessage("must be more than {}", "limit"),
    "exclusiveMaximum": SchemaMessage("must be less than {}", "limit"),
    "multipleOf": SchemaMessage("must have at most two decimals"),
    "pattern": SchemaMessage("does not have the expected form {}", "pattern"),
    "format": SchemaMessage("must be a valid {}", "format"),
}
NO_PATTERNS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """One way in which a value breaks its schema. ``path``: keys and indexes. ``code``: the keyword that is broken."""

    path: tuple[PathStep, ...]
    message: str
    code: str


def schema_problems(
    validator: Any,
    value: object,
    *,
    messages: Mapping[str, SchemaMessage] = MESSAGES,
    patterns: Mapping[str, str] = NO_PATTERNS,
    other: str = "is not valid",
) -> Iterator[SchemaProblem]:
    """Yield every problem of ``value``. ``validator``: of jsonschema-rs.

    A missing or unknown key is part of the path. ``patterns``: the messages for patterns that have a meaning in words.
    ``other``: the message for a keyword that is not in ``messages``, with ``{}`` for the keyword.
    """
    for error in validator.iter_errors(value):
        keyword = str(error.kind.name)
        path: tuple[PathStep, ...] = tuple(error.instance_path)
        message = messages.get(keyword)
        if message is None:
            yield SchemaProblem(path, other.format(keyword), keyword)
            continue
        expected = getattr(error.kind, message.expected, "")
        if keyword == "additionalProperties":
            for name in expected:
                yield SchemaProblem((*path, name), message.text, keyword)
        elif keyword == "required":
            yield SchemaProblem((*path, expected), message.text, keyword)
        else:
            words = ", ".join(map(str, expected)) if isinstance(expected, list) else expected
            yield SchemaProblem(path, patterns.get(str(expected)) or message.text.format(words), keyword)
