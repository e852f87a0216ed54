"""Decide by IAM policies whether requests are allowed. Documents have Amazon's form, in JSON or TOML.

    {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:Query"],
         "Resource": "arn:aws:dynamodb:*:*:table/invoices",
         "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}}]}

As in IAM, a request that no statement allows is refused, and a Deny has priority. A document with an element that this
module cannot judge is refused when it is loaded (:class:`PolicyError`). If the values of a condition key are unknown
(the leading keys of a scan, the attributes of a PartiQL statement), an Allow that depends on them does not allow, and a
Deny that depends on them denies. Source: "IAM JSON policy elements" in the IAM user guide.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.regions import ACCOUNT
from bursar.dynamo.server.iam_scope import CONDITION_KEYS, ConditionValues, Permission

USER_NAME = "aws:username"
SERVICE_PREFIX = "dynamodb:"

_STATEMENT_MEMBERS: Final = {
    "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip


class PolicyError(ValueError):
    """The policy document cannot be judged. The text names the statement, the member and the reason."""


@dataclass(frozen=True, slots=True)
class PolicyCondition:
    """One line of a statement's Condition: an operator on a condition key."""

    key: str
    operator: "Operator"
    quantifier: str
    """``ForAllValues``, ``ForAnyValue`` or nothing."""
    if_exists: bool
    wanted: tuple[str, ...]

    def holds(self, values: Mapping[str, ConditionValues]) -> bool | None:
        """Return whether the condition holds; None if the values of its key are unknown."""
        if self.key not in values:
            if self.operator.name == "Null":
                return self.wanted == ("true",)
            return self.if_exists or self.quantifier == "ForAllValues" or self.operator.negated
        actual = values[self.key]
        if actual is None:
            return None
        if self.operator.name == "Null":
            return self.wanted == ("false",)
        verdicts = (self.operator.judge(value, self.wanted) for value in actual)
        return any(verdicts) if self.quantifier == "ForAnyValue" else all(verdicts)


@dataclass(frozen=True, slots=True)
class Operator:
    """A condition operator. One value of the request must match a value of the condition (or, negated, none)."""

    name: str
    matches: Callable[[str, str], bool]
    negated: bool = False

    def judge(self, value: str, wanted: Iterable[str]) -> bool:
        """Return whether ``value`` meets the operator for the condition's values."""
        return any(self.matches(value, each) for each in wanted) != self.negated


def matches_wildcard(pattern: str, text: str) -> bool:
    """Return whether ``text`` matches an IAM pattern: ``*`` is any run of characters, ``?`` is one."""
    return _compiled(pattern).fullmatch(text) is not None


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.DOTALL)  # `re` caches compiled patterns


def _equal(value: str, wanted: str) -> bool:
    return value == wanted


def _equal_ignoring_case(value: str, wanted: str) -> bool:
    return value.casefold() == wanted.casefold()


def _like(value: str, wanted: str) -> bool:
    return matches_wildcard(wanted, value)


_OPERATORS: Final = {
    operator.name: operator
    for operator in (
        Operator("StringEquals", _equal),
        Operator("StringNotEquals", _equal, negated=True),
        Operator("StringEqualsIgnoreCase", _equal_ignoring_case),
        Operator("StringNotEqualsIgnoreCase", _equal_ignoring_case, negated=True),
        Operator("StringLike", _like),
        Operator("StringNotLike", _like, negated=True),
        Operator("Null", _equal),
    )
}


@dataclass(frozen=True, slots=True)
class PolicyStatement:
    """One statement. The flags ``all_…_but`` invert a list (NotAction, NotResource)."""

    allows: bool
    actions: tuple[str, ...]
    all_actions_but: bool
    resources: tuple[str, ...]
    all_resources_but: bool
    conditions: tuple[PolicyCondition, ...]

    def covers(self, permission: Permission, values: Mapping[str, ConditionValues]) -> bool:
        """Return whether the statement applies to a permission. An unknown condition never helps the caller."""
        action = (SERVICE_PREFIX + permission.action).lower()
        if any(matches_wildcard(pattern, action) for pattern in self.actions) == self.all_actions_but:
            return False
        if any(matches_wildcard(pattern, permission.resource) for pattern in self.resources) == self.all_resources_but:
            return False
        verdicts = [condition.holds(values) for condition in self.conditions]
        return all((not self.allows) if verdict is None else verdict for verdict in verdicts)


@dataclass(frozen=True, slots=True)
class Policy:
    """The statements that apply to one user."""

    user: str
    statements: tuple[PolicyStatement, ...]

    def require(self, permissions: Sequence[Permission]) -> None:
        """Raise AccessDeniedException, with Amazon's text, for the first permission that is not allowed."""
        for permission in permissions:
            values = {**permission.values, USER_NAME: (self.user,)}
            covering = [statement for statement in self.statements if statement.covers(permission, values)]
            if any(not statement.allows for statement in covering):
                raise self._refusal(permission, "with an explicit deny in an identity-based policy")
            if not covering:
                action = SERVICE_PREFIX + permission.action
                raise self._refusal(permission, f"because no identity-based policy allows the {action} action")

    def _refusal(self, permission: Permission, why: str) -> DynamoError:
        return DynamoError(
            "AccessDeniedException",
            f"User: arn:aws:iam::{ACCOUNT}:user/{self.user} is not authorized to perform: "
            f"{SERVICE_PREFIX}{permission.action} on resource: {permission.resource} {why}",
        )


def parse_policy(user: str, document: Mapping[str, Any]) -> Policy:
    """Return the policy that ``document`` (parsed JSON or TOML) gives to ``user``.

    Raises:
        PolicyError: the document has an element that cannot be judged.
    """
    statements = document.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise PolicyError("Statement: must be a non-empty list of statements")
    return Policy(user, tuple(_statement(user, number, each) for number, each in enumerate(statements, 1)))


def _statement(user: str, number: int, raw: Any) -> PolicyStatement:
    where = f"statement {number}"
    if not isinstance(raw, Mapping):
        raise PolicyError(f"{where}: must be an object; got {raw!r}")
    unknown = sorted(set(raw) - _STATEMENT_MEMBERS)
    if unknown:
        raise PolicyError(f"{where}: must hold only {', '.join(sorted(_STATEMENT_MEMBERS))}; got {', '.join(unknown)}")
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"{where}: Effect: must be Allow or Deny; got {raw.get('Effect')!r}")
    actions, all_actions_but = _either(where, raw, "Action", "NotAction")
    resources, all_resources_but = _either(where, raw, "Resource", "NotResource")
    return PolicyStatement(
        allows=raw["Effect"] == "Allow",
        actions=tuple(action.lower() for action in actions),
        all_actions_but=all_actions_but,
        resources=tuple(_filled_in(where, resource, user) for resource in resources),
        all_resources_but=all_resources_but,
        conditions=tuple(_conditions(where, raw.get("Condition", {}), user)),
    )


def _either(where: str, raw: Mapping[str, Any], plain: str, inverted: str) -> tuple[list[str], bool]:
    if (plain in raw) == (inverted in raw):
        raise PolicyError(f"{where}: must hold either {plain} or {inverted}")
    return _texts(where, inverted if inverted in raw else plain, raw), inverted in raw


def _texts(where: str, member: str, raw: Mapping[str, Any]) -> list[str]:
    value = raw[member]
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise PolicyError(f"{where}: {member}: must be a string or a non-empty list of strings; got {value!r}")
    return texts


def _filled_in(where: str, text: str, user: str) -> str:
    filled = text.replace("${aws:username}", user)
    if "${" in filled:
        raise PolicyError(f"{where}: policy variable: must be ${{aws:username}}; got {text}")
    return filled


def _conditions(where: str, raw: Any, user: str) -> Iterable[PolicyCondition]:
    if not isinstance(raw, Mapping):
        raise PolicyError(f"{where}: Condition: must be an object; got {raw!r}")
    for spelled, keys in raw.items():
        quantifier, _, rest = spelled.rpartition(":")
        name = rest.removesuffix("IfExists")
        operator = _OPERATORS.get(name)
        if operator is None or quantifier not in ("", "ForAllValues", "ForAnyValue"):
            raise PolicyError(f"{where}: Condition: must hold only supported operators; got {spelled}")
        if not isinstance(keys, Mapping):
            raise PolicyError(f"{where}: Condition: {spelled}: must be an object; got {keys!r}")
        for key in keys:
            if key not in CONDITION_KEYS and key != USER_NAME:
                raise PolicyError(f"{where}: Condition: {spelled}: must hold only supported condition keys; got {key}")
            wanted = tuple(_filled_in(where, text, user) for text in _condition_texts(where, key, keys))
            yield PolicyCondition(key, operator, quantifier, rest != name, wanted)


def _condition_texts(where: str, key: str, keys: Mapping[str, Any]) -> list[str]:
    value = keys[key]
    if isinstance(value, bool):  # {"Null": {…: true}} means the same as "true"
        return [str(value).lower()]
    return _texts(where, key, keys)
