"""Items as texts: values in a cell, keys in a URL, and JSON that a person edits."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from bursar.dynamo.items.attribute_values import AttributeValue, Item

CELL_CHARS_MAX: Final = 60
MEMBER_CHARS_MAX: Final = 90
COLUMNS_MAX: Final = 12


class TextRefused(ValueError):
    """A text from a form or a URL cannot be read; the message is the reason."""


def value_text(value: AttributeValue) -> str:
    """Return a value for people: strings and numbers without quotes, sets in braces, documents as JSON."""
    ((kind, content),) = value.items()
    if kind in ("S", "N"):
        return str(content)
    if kind == "B":
        return f"b64:{content}"
    if kind == "BOOL":
        return "true" if content else "false"
    if kind == "NULL":
        return "null"
    if kind in ("SS", "NS", "BS"):
        return "{" + ", ".join(content) + "}"
    return orjson.dumps(_plain(value)).decode()


def cell(value: AttributeValue | None) -> str:
    """Return a value in at most ``CELL_CHARS_MAX`` characters."""
    text = "" if value is None else value_text(value)
    return text if len(text) <= CELL_CHARS_MAX else f"{text[: CELL_CHARS_MAX - 1]}…"


def columns_of(items: Sequence[Item], first: Sequence[str]) -> list[str]:
    """Return the columns of a table of items: the attributes ``first``, then the most frequent attributes."""
    counts: dict[str, int] = {}
    for item in items:
        for name in item:
            counts[name] = counts.get(name, 0) + 1
    others = sorted(counts.keys() - set(first), key=lambda name: (-counts[name], name))
    return [*first, *others][: max(COLUMNS_MAX, len(first))]


def key_token(key: Mapping[str, Any]) -> str:
    """Return a key as a text for a URL."""
    return base64.urlsafe_b64encode(orjson.dumps(key)).decode().rstrip("=")


def key_of_token(token: str) -> Item:
    """Return the key of a text from a URL. Raises :class:`TextRefused`."""
    try:
        decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise TextRefused("key: must be one that a page of the console has linked to") from None
    return item_of_text(decoded, "key")


def pretty(document: Mapping[str, Any]) -> str:
    """Return JSON for a person: one member a line, in their order; longer members are indented."""
    members = [f"  {orjson.dumps(name).decode()}: {_member_text(value)}" for name, value in document.items()]
    return "{\n" + ",\n".join(members) + "\n}" if members else "{}"


def _member_text(value: Any) -> str:
    compact = orjson.dumps(value).decode()
    if len(compact) <= MEMBER_CHARS_MAX:
        return compact
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode().replace("\n", "\n  ")


def item_of_text(text: str | bytes, what: str = "item") -> Item:
    """Return the item of a text in DynamoDB JSON. Raises :class:`TextRefused`; the engine checks the values."""
    try:
        item = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise TextRefused(f"{what}: must be JSON; {error}") from None
    if not isinstance(item, dict) or not all(isinstance(value, dict) and len(value) == 1 for value in item.values()):
        raise TextRefused(f'{what}: must be DynamoDB JSON, as in {{"id": {{"S": "a"}}}}; got another document')
    return item


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the attributes that differ: name, text before, text after; an empty text for an absent attribute."""
    names = [*old, *(name for name in new if name not in old)]
    return [(name, cell(old.get(name)), cell(new.get(name))) for name in names if old.get(name) != new.get(name)]


def unchanged_condition(seen: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition of a write that takes place only if the item is still equal to ``seen``.

    At most ``CONDITION_ATTRIBUTES_MAX`` attributes are compared, since an expression has at most 4 KB.
    """
    same = list(seen)[:CONDITION_ATTRIBUTES_MAX]
    new = [name for name in written if name not in seen][: CONDITION_ATTRIBUTES_MAX - len(same)]
    names = {f"#a{number}": name for number, name in enumerate([*same, *new])}
    values = {f":a{number}": seen[name] for number, name in enumerate(same)}
    tests = [f"#a{number} = :a{number}" for number in range(len(same))]
    tests += [f"attribute_not_exists(#a{number})" for number in range(len(same), len(names))]
    members: dict[str, Any] = {"ConditionExpression": " AND ".join(tests), "ExpressionAttributeNames": names}
    return members | ({"ExpressionAttributeValues": values} if values else {})


CONDITION_ATTRIBUTES_MAX: Final = 90


def _plain(value: AttributeValue) -> Any:
    ((kind, content),) = value.items()
    if kind == "M":
        return {name: _plain(inner) for name, inner in content.items()}
    if kind == "L":
        return [_plain(inner) for inner in content]
    return None if kind == "NULL" else content
