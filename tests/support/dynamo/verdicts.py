"""Make answers comparable, and list the known differences with their reasons."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.support.dynamo.peers import Answer

SETS = ("SS", "NS", "BS")
PREFIX = "1 validation error detected: "
"""A prefix of dynoxide's messages, which Amazon's messages have or lack by region and year."""
NO_OPINION = ("500", "0")
"""The lines of an oracle that failed on the request."""


def comparable(operation: str, request: Mapping[str, Any], answer: Answer) -> str:
    """Return one line: status, error code and message, or the response with sets, numbers and lists in one form."""
    status, body = answer
    if status == 200:
        return "200 " + json.dumps(_plain(operation, request, body), sort_keys=True, ensure_ascii=False)
    if not isinstance(body, dict):
        return f"{status} no answer"
    code = str(body.get("__type")).rpartition("#")[2]
    message = str(body.get("message", body.get("Message"))).removeprefix(PREFIX)
    reasons = (
        f" {json.dumps(_canonical(body['CancellationReasons']), sort_keys=True)}"
        if "CancellationReasons" in body
        else ""
    )
    item = f" {json.dumps(_canonical(body['Item']), sort_keys=True)}" if body.get("Item") else ""
    return f"{status} {code}: {'' if reasons else message}{reasons}{item}"


def _plain(operation: str, request: Mapping[str, Any], body: Any) -> Any:
    found = _canonical(body)
    if operation == "Scan":
        # Partitions are in the order of a hash: a page of some of them, or a segment, may contain any.
        if "Limit" in request or "TotalSegments" in request:
            return "a page"
        found["Items"] = sorted(found.get("Items", []), key=_text)
    if operation == "BatchGetItem":
        found["Responses"] = {name: sorted(items, key=_text) for name, items in found["Responses"].items() if items}
    found.pop("ItemCollectionMetrics", None)
    found.pop("ConsumedCapacity", None)  # no request here asks for it; DynamoDB Local returns it at times
    return {name: content for name, content in found.items() if content not in ({}, [], None)}


def _canonical(value: Any) -> Any:
    if isinstance(value, list):
        return [_canonical(element) for element in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _number(content)
        if name == "N" and isinstance(content, str)
        else sorted(map(_number if name == "NS" else str, content))
        if name in SETS and isinstance(content, list)
        else _canonical(content)
        for name, content in value.items()
    }


def _number(text: str) -> str:
    try:
        return str(Decimal(text).normalize() + 0)
    except InvalidOperation:
        return text


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@dataclass(frozen=True)
class Known:
    """A difference with a reason. The patterns are searched in the operation and in the comparable lines."""

    operation: str
    ours: str
    theirs: str
    """Searched in the line of each oracle that has a pattern."""
    reason: str

    def covers(self, operation: str, ours: str, theirs: Mapping[str, str]) -> bool:
        return (
            re.search(self.operation, operation) is not None
            and re.search(self.ours, ours) is not None
            and all(re.search(self.theirs, line) is not None for line in theirs.values())
        )


KNOWN: tuple[Known, ...] = (
    Known(
        ".",
        "400 ValidationException",
        "400 SerializationException",
        "Two faults: what an attribute value holds is read with the item, after the request's other members, so that "
        "no item is walked twice; the oracles read all of the request first.",
    ),
    Known(
        ".",
        "400 SerializationException",
        "400 ValidationException: (ExpressionAttributeValues contains invalid value: )?Supplied AttributeValue",
        "Two faults in attribute values: each names the one that it meets first.",
    ),
    Known(
        "UpdateItem|TransactWriteItems",
        "The document path provided in the update expression is invalid for update",
        "The provided expression refers to an attribute that does not exist in the item",
        "Two faults while an item is updated: ours names the action that is written first, the oracles read every "
        "operand before they follow a path.",
    ),
    Known(
        ".",
        "400 ValidationException: Invalid [A-Za-z]+Expression",
        "ResourceNotFoundException",
        "Two faults: ours judges expressions before it looks for tables; the oracles look for the table first.",
    ),
    Known(
        ".",
        "400 ValidationException: Invalid [A-Za-z]+Expression",
        "400 ValidationException: Supplied AttributeValue",
        "Two faults: ours judges expressions before the values of keys.",
    ),
    Known(
        ".",
        "400 SerializationException: Unexpected value type in payload",
        "^200|Invalid number of argument|required keys was not given a value|Supplied AttributeValue is empty"
        "|does not match the schema|InternalFailure",
        "Two faults, or one oracle sees none: text or a number where an attribute value must be.",
    ),
    Known(
        "UpdateItem",
        "^200 {}$",
        '^200 {"Attributes": {[^{}]*({[^{}]*}[^{}]*){1,2}}}$|The document path provided',
        "An update that only removes, on a missing item: Amazon's ignores it, makes no item and returns no attributes. "
        "Local and dynoxide make an item of the key alone, which the comparison takes out; Local refuses nested paths.",
    ),
    Known(
        "TransactWriteItems",
        "The provided key element does not match the schema",
        "The number of conditions on the keys is invalid|multiple operations on one item",
        "Two faults: a key that does not fit is a reason of the cancelled transaction before anything else is one.",
    ),
    Known(
        "BatchGetItem",
        "Invalid ProjectionExpression",
        "Invalid ProjectionExpression",
        "Two faults: the tables of a batch are looked at in the order of the request, or of a hash.",
    ),
    Known(
        "PutItem|DeleteItem",
        "ReturnValues can only be ALL_OLD or NONE",
        "400 ValidationException: One or more parameter values were invalid: ",
        "Two faults: ours judges ReturnValues with the other members, before what Expected says.",
    ),
    Known(
        "Query",
        "Attempted conditional constraint is not an indexable operation",
        "ComparisonOperator",
        "Two faults in legacy parameters: the key condition's operator is looked at before the filter.",
    ),
)

SAME, DISPUTED, DIFFERENT = "same", "disputed", "different"


def verdict(operation: str, ours: str, theirs: Mapping[str, str]) -> str:
    """Return the verdict of the engine's line and the oracles'.

    ``same``: equal to at least one of the oracles. ``disputed``: status and code of one, but another message where the
    oracles disagree or only one has a message. ``different``: unlike all of them in status or code, or in the message
    on which they agree. A known difference is reported by its reason.
    """
    opinions = {name: line for name, line in theirs.items() if not line.startswith(NO_OPINION)}
    if not opinions or ours in opinions.values():
        return SAME
    agreed = len(opinions) > 1 and len(set(opinions.values())) == 1
    if not agreed and _code(ours) in map(_code, opinions.values()) and ours.startswith("4"):
        return DISPUTED
    for known in KNOWN:
        if known.covers(operation, ours, opinions):
            return known.reason
    return DIFFERENT


def _code(line: str) -> str:
    return line.partition(":")[0]


def moto_verdict(operation: str, ours: str, theirs: str) -> str:
    """Return the verdict of moto, which has few of Amazon's texts: status, code and the items that are read count."""
    if ours == theirs or theirs.startswith(NO_OPINION) or (_code(ours) == _code(theirs) and ours.startswith("4")):
        return SAME
    for known in MOTO_KNOWN:
        if known.covers(operation, ours, {"moto": theirs}):
            return known.reason
    return DIFFERENT


MOTO_KNOWN: tuple[Known, ...] = (
    Known("Scan|Query", "at '[lL]imit' failed to satisfy", "^200", "moto takes a Limit of 0"),
    Known("Query", "The provided starting key", "^200", "moto starts from a key of another partition, or out of range"),
    Known("Query", "The BETWEEN operator requires", "^200", "moto takes an empty range"),
    Known("Query", "function: begins_with, operand type: N", "^200", "moto looks for beginnings of numbers"),
    Known("Scan", "Segment|segment", "^200", "moto does not check segments"),
    Known(
        "Query|Scan",
        '^200 .*"LastEvaluatedKey"',
        "^200 (?!.*LastEvaluatedKey)",
        "moto ends where Limit meets the last item; Amazon, which has not looked further, gives a key to go on from",
    ),
)
