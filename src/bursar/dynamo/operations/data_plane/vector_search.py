"""Search a vector index: compare every vector of one partition, and return the nearest items.

The answer is exact, whereas Amazon's is approximate. The cost grows with the items of the index, or of the HASH
attribute's value: about 0.2 s of one core for 1,000 vectors of 256 numbers. Texts: paritysuite/dynamodb-conformance,
error-messages/searchVectors; those without a source are in docs/compatibility.md.
"""

from collections.abc import Mapping
from heapq import nsmallest
from typing import Any

import orjson

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import invalid, invalid_parameter
from bursar.dynamo.expressions import Binding, BoundCondition, parse_condition, parse_projection
from bursar.dynamo.expressions.parsing.parser import condition_tree
from bursar.dynamo.expressions.parsing.static_checks import primitives
from bursar.dynamo.expressions.parsing.syntax_tree import Comparison, Condition, Logical, Path, Value
from bursar.dynamo.items.attribute_values import Item, item_size, normalise
from bursar.dynamo.items.key_encoding import after_prefix, encode_key_value
from bursar.dynamo.operations.data_plane.capacity import consumption_detail
from bursar.dynamo.operations.data_plane.read_pages import ROWS_UNLIMITED, ItemProjection
from bursar.dynamo.operations.requests.expression_parameters import ExpressionParameters
from bursar.dynamo.storage.rows import Span
from bursar.dynamo.storage.vector_index import FLOAT_BYTES, Vector, VectorIndex, vector, wrong_element

TOP_K_MAX = 100
RESPONSE_BYTES_MAX = 16 * 1024 * 1024
KIND = "SearchConditionExpression"
NO_CONDITION = f"{KIND} must be provided when SearchSchema has a HASH key"
NOT_EQUAL = f"Invalid {KIND}: Invalid comparator used in {KIND}"
NO_VECTOR = (
    "Search vector contains invalid values. "
    "All values in the search vector must be a 32-bit floating-point number attribute"
)

_PARAMETERS = ExpressionParameters(("ProjectionExpression", KIND))


def search(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``TopK`` nearest items, nearest first, each with its score."""
    top = request["TopK"]
    if top > TOP_K_MAX:
        raise invalid(
            f"Provided TopK value '{top}' is out of valid range. The value must be between 1 and {TOP_K_MAX} inclusive"
        )
    binding = _PARAMETERS.binding(request)
    table = core.table(request["TableName"])
    index = table.vector_indexes.get(request["IndexName"])
    if index is None:
        raise invalid(f"The table does not have the specified index: {request['IndexName']}")
    wanted = _query_vector(request["SearchVector"], index)
    partition, condition = _condition(request.get(KIND), index, binding)
    projection = _projection(request.get("ProjectionExpression"), index, binding)
    if binding is not None:
        binding.check_all_used()
    span = Span(partition, True, after_prefix(partition) if partition else None)
    scored = []
    compared = 0
    for position, (_, body) in enumerate(index.entries.span(span, forward=True, limit=ROWS_UNLIMITED)):
        item: Item = orjson.loads(body)
        if condition is None or condition.evaluate(item):
            compared += 1
            score = index.score(wanted, item)
            scored.append((-score if index.distance == "DOT_PRODUCT" else score, position, score, item))
    results = [_result(index, projection, item, score) for _, _, score, item in nsmallest(top, scored)]
    if sum(item_size(result["Item"]) for result in results) > RESPONSE_BYTES_MAX:
        raise invalid("The response exceeds the maximum size of 16 MB; reduce TopK or project fewer attributes")
    response: dict[str, Any] = {"SearchResults": results}
    if consumption_detail(request) is not None:
        searched = FLOAT_BYTES * index.dimensions * max(1, compared)
        response["ConsumedCapacity"] = {"VectorSearchRequestBytes": float(searched)}
    return response


def _query_vector(given: list[Any], index: VectorIndex) -> Vector:
    elements = [normalise(element) for element in given]
    if wrong_element(elements) is not None:
        raise invalid(NO_VECTOR)
    if len(elements) != index.dimensions:
        raise invalid(
            f"Input search vector dimension {len(elements)} does not match vector index dimension {index.dimensions}"
        )
    return vector(elements)


def _condition(text: str | None, index: VectorIndex, binding: Binding | None) -> tuple[bytes, BoundCondition | None]:
    """Return the encoded HASH value of the condition (empty for an index without one), and the condition."""
    if text is None or binding is None:
        if index.partition_names:
            raise invalid(NO_CONDITION)
        return b"", None
    condition = parse_condition(text, kind=KIND).bind(binding)
    root = condition_tree(text, KIND).root
    names, equal = dict(binding.names), dict[str, str]()
    for test in primitives(root):
        if not isinstance(test, Comparison) or test.operator != "=" or not _only_joined(root):
            raise invalid(NOT_EQUAL)
        sides = (test.left, test.right)
        path = next((side for side in sides if isinstance(side, Path)), None)
        value = next((side for side in sides if isinstance(side, Value)), None)
        if path is None or value is None:
            raise invalid(NOT_EQUAL)
        name = str(path.parts[0])
        equal[names.get(name, name)] = value.name
    for name in equal:
        if name not in index.searchable:
            raise invalid(
                f"{KIND} must not contain any attributes that is not in SearchSchema. Invalid attribute: {name}"
            )
    partition = b""
    for name, kind in index.key_types:
        if name not in equal:
            raise invalid(NO_CONDITION)
        value_of_key = binding.values[equal[name]]
        if kind not in value_of_key:
            raise invalid_parameter("Condition parameter type does not match schema type")
        partition += encode_key_value(value_of_key)
    return partition, condition


def _only_joined(root: Condition) -> bool:
    """Return whether the tests of a condition are joined only by AND."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Logical):
            if node.operator != "AND":
                return False
            waiting += [node.left, node.right]
        elif not isinstance(node, Comparison):
            return False
    return True


def _projection(text: str | None, index: VectorIndex, binding: Binding | None) -> ItemProjection | None:
    if text is None or binding is None:
        return None
    projection = parse_projection(text).bind(binding)
    held = index.projected
    missing = [] if held is None else [name for name in projection.heads if name not in held]
    if missing:
        raise invalid_parameter(f"Vector index {index.name} does not project [{', '.join(missing)}]")
    return projection


def _result(index: VectorIndex, projection: ItemProjection | None, item: Item, score: float) -> dict[str, Any]:
    held = index.project(item)
    if projection is None:
        del held[index.attribute]
        return {"Item": held, "Score": score}
    return {"Item": projection.project(held), "Score": score}
