"""The functions of CloudFormation in a table's properties, as far as the template alone decides them.

    Ref, Fn::Sub               parameters with a default, and AWS::Region and the like
    Fn::Join, Fn::FindInMap    texts, and the values of Mappings
    Fn::If, Condition          Conditions of Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition

A function of anything else, as of another resource, stays in the value as it is written.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_REPLACED: Final = re.compile(r"\$\{(!?)([^}]*)\}")
_PSEUDO: Final = {"AWS::AccountId": "000000000000", "AWS::Partition": "aws", "AWS::StackName": "stack"}
_NO_VALUE: Final = object()
"""The value of ``AWS::NoValue``: the property or element is absent."""


class ModelError(ValueError):
    """A description of tables cannot be read; the message has the place and the reason."""


class TemplateValues:
    """The parameters, mappings and conditions of a template; ``region`` is ``AWS::Region``."""

    def __init__(self, template: Mapping[str, Any], region: str) -> None:
        defaults = {
            name: given["Default"]
            for name, given in _mapping(template, "Parameters").items()
            if isinstance(given, Mapping) and "Default" in given
        }
        self._values = {**_PSEUDO, "AWS::Region": region, "AWS::NoValue": _NO_VALUE, **defaults}
        self._mappings = _mapping(template, "Mappings")
        self._conditions = _mapping(template, "Conditions")
        self._functions: Mapping[str, Callable[[Any, str], Any]] = {
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
        }

    def resolved(self, value: Any, where: str) -> Any:
        """Return a property of the resource ``where`` with its functions evaluated. Raises :class:`ModelError`."""
        if isinstance(value, list):
            elements = [self.resolved(element, where) for element in value]
            return [element for element in elements if element is not _NO_VALUE]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref" and argument in self._values:
                return self._values[argument]
            if function in self._functions:
                try:
                    return self._functions[function](argument, where)
                except (TypeError, KeyError, IndexError, AttributeError) as error:
                    reason = f"{type(error).__name__}: {error}"
                    raise ModelError(f"{where}: {function} must have its arguments; {reason}") from None
        members = {name: self.resolved(member, f"{where}.{name}") for name, member in value.items()}
        return {name: member for name, member in members.items() if member is not _NO_VALUE}

    def holds(self, condition: str, where: str, within: tuple[str, ...] = ()) -> bool:
        """Return whether a condition of the template is true. Raises :class:`ModelError`."""
        if condition not in self._conditions or condition in within:
            raise ModelError(f"{where}: {condition} must be a condition that the parameters' defaults decide")
        return self._true(self._conditions[condition], where, (*within, condition))

    def _true(self, test: Any, where: str, within: tuple[str, ...]) -> bool:
        ((function, argument),) = test.items()
        if function == "Condition":
            return self.holds(argument, where, within)
        if function == "Fn::Equals":
            left, right = (self._text(self.resolved(side, where), where) for side in argument)
            return left == right
        truths = (self._true(each, where, within) for each in argument)
        if function == "Fn::Not":
            return not next(truths)
        if function in ("Fn::And", "Fn::Or"):
            return all(truths) if function == "Fn::And" else any(truths)
        raise ModelError(f"{where}: a condition must be made of Equals, And, Or, Not and Condition; got {function}")

    def _text(self, value: Any, where: str) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str | int | float):
            raise ModelError(f"{where}: a condition must compare texts and parameters with a default")
        return str(value)

    def _if(self, argument: Any, where: str) -> Any:
        condition, then, otherwise = argument
        return self.resolved(then if self.holds(condition, where) else otherwise, where)

    def _sub(self, argument: Any, where: str) -> str:
        text, given = argument if isinstance(argument, list) else (argument, {})
        values = {**self._values, **self.resolved(given, where)}

        def replaced(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name not in values:
                raise ModelError(f"{where}: {name} must be a parameter with a default")
            return str(values[name])

        return _REPLACED.sub(replaced, text)

    def _join(self, argument: Any, where: str) -> str:
        glue, parts = argument
        return str(glue).join(str(self.resolved(part, where)) for part in parts)

    def _find_in_map(self, argument: Any, where: str) -> Any:
        name, first, second = (self.resolved(each, where) for each in argument[:3])
        return self._mappings[name][first][second]


def _mapping(template: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    found = template.get(section)
    return found if isinstance(found, Mapping) else {}
