"""Which of a request's parameters go together: expressions, their placeholders, and the legacy parameters they replace."""

from collections.abc import Mapping, Sequence
from typing import Any

from bursar.dynamo.errors import invalid
from bursar.dynamo.expressions import Binding

PROJECTION = "ProjectionExpression"


def placeholders(request: Mapping[str, Any], expressions: Sequence[str], legacy: Sequence[str]) -> Binding | None:
    """The binding of a request's placeholders; None when the request has no expression.

    ``expressions`` and ``legacy`` name the operation's parameters in Amazon's order. Raises ValidationException for
    mixtures, and for placeholders without an expression.
    """
    names = request.get("ExpressionAttributeNames")
    values = request.get("ExpressionAttributeValues")
    given = [name for name in expressions if request.get(name) is not None]
    old_style = [name for name in legacy if request.get(name) is not None]
    if given and old_style:
        raise invalid(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(old_style)}}} Expression parameters: {{{', '.join(given)}}}"
        )
    if names is not None and not given:
        raise invalid("ExpressionAttributeNames can only be specified when using expressions")
    if values is not None and not any(name != PROJECTION for name in given):
        takers = [name for name in expressions if name != PROJECTION]
        raise invalid(
            "ExpressionAttributeValues can only be specified when using expressions: "
            f"{' and '.join(takers)} {'are' if len(takers) > 1 else 'is'} null"
        )
    if old_style:
        raise invalid(f"{old_style[0]} is a legacy parameter that this engine does not serve: use expressions instead")
    return Binding(names, values) if given else None
