"""Rules as TOML, in both directions: the form stored with a table and kept in files.

    partition_key = "pk"
    sort_key = "sk"

    [[kinds]]
    name = "attempt"

    [[rules]]
    rule = "unique while"
    name = "one-live-attempt"
    kind = "attempt"
    group = ["client", "reference"]
    where.condition = "#status IN (:a, :b)"
    where.names = {"#status" = "status"}
    where.values = {":a" = "received", ":b" = "initiated"}

The standard library reads TOML; this module writes it, since the form is small and fixed. A typed value (``{"N":
"1"}``) in ``where.values`` is written as the equal plain value if there is one.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

import orjson

from bursar.rules.language.named_rule import Kind, RulesInvalid
from bursar.rules.language.predicates import Where
from bursar.rules.language.ruleset import Rules
from bursar.rules.language.vocabulary import RULE_CLASSES, Rule

_TABLE_KEYS = ("partition_key", "sort_key", "kind_attribute", "secrets")
_KNOWN_KEYS = frozenset({*_TABLE_KEYS, "kinds", "rules"})


def rules_from_toml(text: str) -> Rules:
    """Return the rules in ``text``. Raises :class:`RulesInvalid` with the place and the reason."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as fault:
        raise RulesInvalid(f"rules: must be TOML; got an error: {fault}") from None
    _check_names("rules", document, _KNOWN_KEYS)
    if "partition_key" not in document:
        raise RulesInvalid("partition_key: must be the name of the table's partition key; got none")
    kinds = tuple(_kind(place, entry) for place, entry in _entries(document, "kinds"))
    rules = tuple(_rule(place, entry) for place, entry in _entries(document, "rules"))
    given = {name: document[name] for name in _TABLE_KEYS if name in document}
    return Rules(kinds=kinds, rules=rules, **given)


def rules_to_toml(rules: Rules) -> str:
    """Return the rules as text; :func:`rules_from_toml` returns an equal object for it."""
    lines = [f"partition_key = {_toml_string(rules.partition_key)}"]
    if rules.sort_key is not None:
        lines.append(f"sort_key = {_toml_string(rules.sort_key)}")
    lines.append(f"kind_attribute = {_toml_string(rules.kind_attribute)}")
    if rules.secrets:
        lines.append(f"secrets = {_toml_value(sorted(rules.secrets))}")
    for kind in rules.kinds:
        lines += ["", "[[kinds]]", f"name = {_toml_string(kind.name)}", *(["kept = true"] if kind.kept else [])]
    for rule in rules.rules:
        lines += ["", "[[rules]]", f"rule = {_toml_string(rule.keyword)}", *_rule_lines(rule)]
    return "\n".join(lines) + "\n"


def _entries(document: Mapping[str, Any], name: str) -> Iterable[tuple[str, dict[str, Any]]]:
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RulesInvalid(f"{name}: must be a list of tables; write [[{name}]] above each")
    return [(f"{name}[{position}]", entry) for position, entry in enumerate(entries)]


def _kind(place: str, entry: dict[str, Any]) -> Kind:
    _check_names(place, entry, frozenset({"name", "kept"}))
    kind: Kind = _construct(place, Kind, entry)
    return kind


def _rule(place: str, entry: dict[str, Any]) -> Rule:
    keyword = entry.get("rule", "")
    if not isinstance(keyword, str) or keyword not in RULE_CLASSES:
        raise RulesInvalid(f"{place}.rule: must be one of {', '.join(RULE_CLASSES)}; got {keyword!r}")
    given = {name: value for name, value in entry.items() if name != "rule"}
    _check_names(place, given, frozenset(field.name for field in fields(RULE_CLASSES[keyword]) if field.name != "_"))
    if "where" in given:
        _check_names(f"{place}.where", given["where"], frozenset({"condition", "names", "values"}))
        given["where"] = _construct(f"{place}.where", Where, given["where"])
    for name, value in given.items():
        if isinstance(value, list):
            given[name] = tuple(tuple(one) if isinstance(one, list) else one for one in value)
    rule: Rule = _construct(place, RULE_CLASSES[keyword], given)
    return rule


def _construct(place: str, what: Any, given: Mapping[str, Any]) -> Any:
    try:
        return what(**given)
    except (TypeError, ValueError, AttributeError) as fault:
        raise RulesInvalid(f"{place}: {fault}") from None


def _check_names(place: str, entry: Any, known: frozenset[str]) -> None:
    if not isinstance(entry, dict):
        raise RulesInvalid(f"{place}: must be a table of {', '.join(sorted(known))}; got {entry!r}")
    for name in entry:
        if name not in known:
            raise RulesInvalid(f"{place}: must have only {', '.join(sorted(known))}; got {name!r}")


def _rule_lines(rule: Rule) -> list[str]:
    lines = []
    for field in fields(rule):
        value = getattr(rule, field.name)
        if value is None or value == ():
            continue
        if isinstance(value, Where):
            lines.append(f"where.condition = {_toml_string(value.condition)}")
            if value.names:
                lines.append(f"where.names = {_toml_value(value.names)}")
            if value.values:
                plain = {name: _plain_value(typed) for name, typed in value.values.items()}
                lines.append(f"where.values = {_toml_value(plain)}")
        else:
            lines.append(f"{field.name} = {_toml_value(value)}")
    return lines


def _plain_value(typed: Mapping[str, Any]) -> Any:
    """Return the plain value that is read back as ``typed``, or ``typed``."""
    ((kind, content),) = typed.items()
    if kind in ("S", "BOOL"):
        return content
    if kind == "N" and str(int(content) if content.lstrip("-").isdigit() else "") == content:
        return int(content)
    return typed


def _toml_value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _toml_string(value)
        case Mapping():
            return (
                "{" + ", ".join(f"{_toml_string(name)} = {_toml_value(inner)}" for name, inner in value.items()) + "}"
            )
        case _:
            return "[" + ", ".join(map(_toml_value, value)) + "]"


def _toml_string(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are valid in TOML, except that TOML requires DEL to be escaped."""
    return orjson.dumps(text).decode().replace("\x7f", "\\u007f")
