"""Check the combination of parameters in a request: expressions, placeholders, and legacy parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from bursar.dynamo.errors import DynamoError, InvalidValue, invalid
from bursar.dynamo.expressions import Binding
from bursar.dynamo.operations.requests.fast_write_expressions import BoundExpressions, known_form

PROJECTION = "ProjectionExpression"
KEY_CONDITION = "KeyConditionExpression"
KEY_CONDITIONS = "KeyConditions"


class ExpressionParameters:
    """The expressions and the legacy parameters of one operation, both in Amazon's order."""

    def __init__(self, expressions: Sequence[str], legacy: Sequence[str] = ()) -> None:
        self._expressions = expressions
        self._legacy = legacy
        self._any_legacy = frozenset(legacy)
        self._all = frozenset((*expressions, *legacy, "ExpressionAttributeNames", "ExpressionAttributeValues"))
        self._updates = "UpdateExpression" in expressions

    def known_form(self, request: Mapping[str, Any]) -> BoundExpressions | None:
        """Return a write's (update, condition) if their form is known; None sends the request to :meth:`binding`."""
        update = request.get("UpdateExpression") if self._updates else None
        if (update is None and request.get("ConditionExpression") is None) or not self._any_legacy.isdisjoint(request):
            return None
        return known_form(request, update)

    def binding(self, request: Mapping[str, Any]) -> Binding | None:
        """Return the request's placeholders; None when it has neither an expression nor a legacy parameter.

        With legacy parameters the binding is empty. Raise ValidationException for mixtures, and for placeholders
        without an expression.
        """
        if self._all.isdisjoint(request):
            return None
        names = request.get("ExpressionAttributeNames")
        values = request.get("ExpressionAttributeValues")
        given = [name for name in self._expressions if request.get(name) is not None]
        legacy = [name for name in self._legacy if request.get(name) is not None]
        if given and legacy:
            self._check_mixture(legacy, given)
        if names is not None and not given:
            raise invalid("ExpressionAttributeNames can only be specified when using expressions")
        if values is not None and (not given or given == [PROJECTION]):
            takers = [name for name in self._expressions if name != PROJECTION]
            text = "ExpressionAttributeValues can only be specified when using expressions"
            raise InvalidValue(f"{text}: {' and '.join(takers)} {'are' if len(takers) > 1 else 'is'} null", text)
        if given:
            return Binding(names, values)
        return Binding(None, None) if legacy else None

    def _check_mixture(self, legacy: list[str], given: Sequence[str]) -> None:
        if KEY_CONDITIONS in legacy and KEY_CONDITION not in given:
            # Filters and projections became expressions earlier than key conditions, so KeyConditions may be used with
            # those expressions.
            legacy = [name for name in legacy if name != KEY_CONDITIONS]
        if legacy:
            raise self.mixture(legacy, given)

    def mixture(self, legacy: Sequence[str], given: Sequence[str]) -> DynamoError:
        """Return the error of legacy parameters beside expressions."""
        return invalid(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(legacy)}}} Expression parameters: {{{', '.join(given)}}}"
        )
